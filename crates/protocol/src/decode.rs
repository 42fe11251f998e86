//! Requests from the bytes of a connection, as they arrive.
//!
//! The caller owns the read buffer. It reads what the socket has, calls [`Decoder::decode`] until that says
//! [`Decoded::Incomplete`], handling each command while its words still lie in the buffer, and then drops as
//! many bytes as [`Decoder::consume`] says. The decoder remembers where it stopped: nothing is looked at
//! twice, nothing nests, and no length that a client claims is trusted with memory.
//!
//! Broken framing ends the connection with the words of Redis 7. A well-framed command above one of our own
//! limits does not: its bytes are dropped as they arrive, and then it is refused by an error that names the
//! limit.

mod fuzz;
mod inline;
mod number;

pub use fuzz::fuzz_decode;
pub use number::string2ll;

use crate::args::{Args, Span};
use crate::error::CommandError;
use crate::limits::{self, Limits};
use number::short_header;

/// What [`Decoder::decode`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// A whole command; [`Decoder::args`] has its words until the next call.
    Command,
    /// A whole command that was too large to keep; this is its reply. Inside MULTI it counts as an error.
    TooLarge(CommandError),
    /// The buffer ends within a command, or is used up.
    Incomplete,
}

/// The client does not speak the protocol: answer `-ERR` with this text and close.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramingError {
    /// `*` without a number that fits.
    #[error("Protocol error: invalid multibulk length")]
    MultibulkLength,
    /// `$` without a number that fits.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// Something else than `$` where an argument starts.
    #[error("Protocol error: expected '$', got '{}'", shown(*.0))]
    ExpectedBulk(u8),
    /// A `*` line without an end.
    #[error("Protocol error: too big mbulk count string")]
    MultibulkLine,
    /// A `$` line without an end.
    #[error("Protocol error: too big bulk count string")]
    BulkLine,
    /// An inline command without an end.
    #[error("Protocol error: too big inline request")]
    InlineLine,
    /// An inline command with an odd quote.
    #[error("Protocol error: unbalanced quotes in request")]
    InlineQuotes,
    /// A TLS client's first words.
    #[error("Protocol error: this is TLS, and this port is not; use tls-port")]
    Tls,
    /// Too many words before AUTH.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulk,
    /// Too long a word before AUTH.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulk,
}

/// Where in a command the decoder stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Before its first byte.
    Start,
    /// Before or within the `$` line of an argument.
    Header,
    /// Within an argument of so many bytes.
    Body(usize),
    /// Within an argument of a command that is dropped; so many bytes are left.
    DroppedBody(usize),
    /// Before or within the `$` line of an argument of a command that is dropped.
    DroppedHeader,
}

/// The decoder of one connection.
///
/// Offsets are into the caller's buffer, until [`Decoder::consume`] moves them back.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    authenticated: bool,
    payload_bytes_max: usize,
    args_bytes_max: usize,
    query_bytes_max: usize,
    /// First byte of the current command.
    start: usize,
    /// First byte that is not decoded.
    at: usize,
    /// Bytes after `at` that hold no line end.
    searched: usize,
    arguments_left: u32,
    args_bytes: usize,
    /// Words of the current command, counted from its first byte.
    spans: Vec<Span>,
    /// Unquoted words of an inline command.
    line: Vec<u8>,
    inline: bool,
    too_large: Option<CommandError>,
}

/// Room for the words of a usual command; more is given back after use.
const SPANS_KEPT_MAX: usize = 1_024;

impl Decoder {
    /// A decoder at the start of a connection. Until [`Decoder::set_authenticated`] says so a client that must
    /// authenticate is held to smaller limits.
    pub fn new(limits: &Limits, authenticated: bool) -> Decoder {
        let headers_bytes_max = limits::QUERY_BYTES_MAX - limits::ARGS_BYTES_MAX;
        Decoder {
            phase: Phase::Start,
            authenticated,
            payload_bytes_max: limits.payload_bytes_max.min(limits::BULK_BYTES_MAX),
            args_bytes_max: limits.args_bytes_max,
            query_bytes_max: (limits.args_bytes_max + headers_bytes_max).min(u32::MAX as usize),
            start: 0,
            at: 0,
            searched: 0,
            arguments_left: 0,
            args_bytes: 0,
            spans: Vec::new(),
            line: Vec::new(),
            inline: false,
            too_large: None,
        }
    }

    /// Whether the client may use the full limits.
    pub fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// Goes on in `buf`, which starts where [`Decoder::consume`] left it and may have grown at its end.
    #[inline]
    pub fn decode(&mut self, buf: &[u8]) -> Result<Decoded, FramingError> {
        loop {
            match self.phase {
                Phase::Start => {
                    if !self.begin(buf)? {
                        return Ok(Decoded::Incomplete);
                    }
                    if self.inline {
                        return Ok(Decoded::Command);
                    }
                }
                Phase::Header | Phase::Body(_) => {
                    if self.arguments(buf)? {
                        return Ok(Decoded::Command);
                    }
                    if matches!(self.phase, Phase::Header | Phase::Body(_)) {
                        return Ok(Decoded::Incomplete);
                    }
                }
                Phase::DroppedHeader | Phase::DroppedBody(_) => return self.drop_arguments(buf),
            }
        }
    }

    /// The words of the command that [`Decoder::decode`] found last, in the buffer that it was given.
    #[inline]
    pub fn args<'a>(&'a self, buf: &'a [u8]) -> Args<'a> {
        let bytes = if self.inline { &self.line[..] } else { &buf[self.start..] };
        Args::new(bytes, &self.spans)
    }

    /// Whether nothing stands behind the command that [`Decoder::decode`] found last.
    #[inline]
    pub fn is_at_end(&self, buf: &[u8]) -> bool {
        self.at == buf.len()
    }

    /// How many bytes at the front of the buffer are done with; the caller drops them before it decodes again.
    #[must_use = "these bytes must leave the buffer before the next decode"]
    pub fn consume(&mut self) -> usize {
        let done = if matches!(self.phase, Phase::Header | Phase::Body(_)) { self.start } else { self.at };
        self.start = self.start.max(done) - done;
        self.at -= done;
        done
    }

    /// How many more bytes than the `len` in the buffer complete the current argument, so that the caller can
    /// make room once; 0 when that is not known.
    pub fn missing(&self, len: usize) -> usize {
        match self.phase {
            Phase::Body(body) => (self.at + body + 2).saturating_sub(len),
            _ => 0,
        }
    }

    /// Whether a command has begun that is not complete, when `len` bytes are in the buffer.
    pub fn is_within_command(&self, len: usize) -> bool {
        len > 0 || self.phase != Phase::Start
    }

    /// Starts the next command, skipping empty ones. An inline one is then complete; false when there is none.
    #[inline]
    fn begin(&mut self, buf: &[u8]) -> Result<bool, FramingError> {
        self.spans.clear();
        if self.spans.capacity() > SPANS_KEPT_MAX {
            self.spans.shrink_to(SPANS_KEPT_MAX);
        }
        self.args_bytes = 0;
        loop {
            self.start = self.at;
            let Some(&first) = buf.get(self.at) else { return Ok(false) };
            if first != b'*' {
                match self.inline_command(buf)? {
                    Some(0) => continue,
                    Some(_) => return Ok(true),
                    None => return Ok(false),
                }
            }
            self.inline = false;
            let count = match short_header(b'*', &buf[self.at..]) {
                Some((count, bytes)) => {
                    self.at += bytes;
                    self.searched = 0;
                    count as i64
                }
                None => match self.header(buf, FramingError::MultibulkLine)? {
                    None => return Ok(false),
                    Some(line) => string2ll(&buf[line.0 + 1..line.1]).ok_or(FramingError::MultibulkLength)?,
                },
            };
            if count > i64::from(i32::MAX) {
                return Err(FramingError::MultibulkLength);
            }
            if !self.authenticated && count > i64::from(limits::UNAUTHENTICATED_ARGUMENTS_MAX) {
                return Err(FramingError::UnauthenticatedMultibulk);
            }
            if count <= 0 {
                continue;
            }
            self.arguments_left = count as u32;
            self.phase = Phase::Header;
            if self.arguments_left > limits::ARGUMENTS_MAX {
                self.drop_command(too_many_arguments(count));
            }
            return Ok(true);
        }
    }

    /// Decodes arguments until the command is complete (true), the buffer ends or the command is too large.
    #[inline]
    fn arguments(&mut self, buf: &[u8]) -> Result<bool, FramingError> {
        let mut announced = match self.phase {
            Phase::Body(len) => Some(len),
            _ => None,
        };
        self.phase = Phase::Header;
        while self.arguments_left > 0 {
            let len = match announced.take() {
                Some(len) => len,
                None => {
                    let Some(len) = self.bulk_header(buf)? else { return Ok(false) };
                    self.args_bytes += len;
                    if len > self.payload_bytes_max
                        || self.args_bytes > self.args_bytes_max
                        || self.at - self.start + len > self.query_bytes_max
                    {
                        self.drop_command(self.why_too_large(len));
                        self.phase = Phase::DroppedBody(len + 2);
                        return Ok(false);
                    }
                    len
                }
            };
            if buf.len() - self.at < len + 2 {
                self.phase = Phase::Body(len);
                return Ok(false);
            }
            self.spans.push(Span { start: (self.at - self.start) as u32, len: len as u32 });
            // Like Redis: the line end after the bytes is stepped over, not looked at.
            self.at += len + 2;
            self.arguments_left -= 1;
        }
        self.phase = Phase::Start;
        Ok(true)
    }

    /// The length in an argument's `$` line, or `None` when the line is not complete.
    #[inline]
    fn bulk_header(&mut self, buf: &[u8]) -> Result<Option<usize>, FramingError> {
        if let Some((len, bytes)) = short_header(b'$', &buf[self.at..]) {
            self.at += bytes;
            self.searched = 0;
            return Ok(Some(len));
        }
        self.bulk_header_slow(buf)
    }

    #[cold]
    fn bulk_header_slow(&mut self, buf: &[u8]) -> Result<Option<usize>, FramingError> {
        let Some((start, end)) = self.header(buf, FramingError::BulkLine)? else { return Ok(None) };
        if buf[start] != b'$' {
            return Err(FramingError::ExpectedBulk(buf[start]));
        }
        let len = string2ll(&buf[start + 1..end]).and_then(|len| usize::try_from(len).ok());
        let len = len.filter(|len| *len <= limits::BULK_BYTES_MAX).ok_or(FramingError::BulkLength)?;
        if !self.authenticated && len > limits::UNAUTHENTICATED_BULK_BYTES_MAX {
            return Err(FramingError::UnauthenticatedBulk);
        }
        Ok(Some(len))
    }

    /// Finds the end of the line at `at` and steps over it; `None` when it is not there yet, which is an error
    /// once the line is too long.
    #[cold]
    fn header(&mut self, buf: &[u8], error: FramingError) -> Result<Option<(usize, usize)>, FramingError> {
        let rest = &buf[self.at..buf.len().min(self.at + limits::LINE_BYTES_MAX + 1)];
        let Some(found) = memchr::memchr(b'\r', &rest[self.searched..]) else {
            if rest.len() > limits::LINE_BYTES_MAX {
                return Err(error);
            }
            self.searched = rest.len();
            return Ok(None);
        };
        let (start, end) = (self.at, self.at + self.searched + found);
        // Like Redis: the byte after the CR must be there; that it is an LF is taken for granted.
        if end + 1 >= buf.len() {
            self.searched += found;
            return Ok(None);
        }
        self.searched = 0;
        self.at = end + 2;
        Ok(Some((start, end)))
    }

    /// From here on the current command's bytes are dropped, and `why` will be its reply.
    #[cold]
    fn drop_command(&mut self, why: CommandError) {
        self.spans.clear();
        self.phase = Phase::DroppedHeader;
        self.too_large = Some(why);
    }

    /// Steps over what is left of a command that is dropped.
    #[cold]
    fn drop_arguments(&mut self, buf: &[u8]) -> Result<Decoded, FramingError> {
        while self.arguments_left > 0 {
            let left = match self.phase {
                Phase::DroppedBody(left) => left,
                _ => match self.bulk_header(buf)? {
                    Some(len) => len + 2,
                    None => return Ok(Decoded::Incomplete),
                },
            };
            let here = left.min(buf.len() - self.at);
            self.at += here;
            if here < left {
                self.phase = Phase::DroppedBody(left - here);
                return Ok(Decoded::Incomplete);
            }
            self.arguments_left -= 1;
            self.phase = Phase::DroppedHeader;
        }
        self.phase = Phase::Start;
        let why = self.too_large.take().expect("a command is dropped for a reason");
        Ok(Decoded::TooLarge(why))
    }

    #[cold]
    fn why_too_large(&self, len: usize) -> CommandError {
        let (what, have, max, name) = if len > self.payload_bytes_max {
            ("an argument", len, self.payload_bytes_max, "payload-bytes-max")
        } else if self.args_bytes > self.args_bytes_max {
            ("the command", self.args_bytes, self.args_bytes_max, "args-bytes-max")
        } else {
            ("the request", self.at - self.start + len, self.query_bytes_max, "query-bytes-max")
        };
        CommandError::new(format!("{what} of {have} bytes is above the limit of {max} ({name})"))
    }
}

/// A byte in an error: as it is, a space for a line end as in Redis, and escaped when it is not printable.
fn shown(byte: u8) -> String {
    match byte {
        b'\r' | b'\n' => " ".to_owned(),
        b'\'' | b'"' | b'\\' => char::from(byte).to_string(),
        other => other.escape_ascii().to_string(),
    }
}

#[cold]
fn too_many_arguments(count: i64) -> CommandError {
    let max = limits::ARGUMENTS_MAX;
    CommandError::new(format!("a command of {count} arguments is above the limit of {max} (arguments-max)"))
}

#[cfg(test)]
mod tests;
