//! Inline commands: a line of words, so that `nc` works, with the quoting of `redis-cli`.

use super::{Decoder, FramingError};
use crate::args::Span;
use crate::limits::LINE_BYTES_MAX;

/// How a TLS client begins: a record with a handshake, of version 3.x.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

impl Decoder {
    /// Reads the line at `at`: how many words it has, or `None` when its end is not there yet.
    #[cold]
    pub(super) fn inline_command(&mut self, buf: &[u8]) -> Result<Option<usize>, FramingError> {
        let rest = &buf[self.at..buf.len().min(self.at + LINE_BYTES_MAX + 1)];
        // Without an answer a client of the wrong port would wait for ever for the end of its handshake.
        if rest.starts_with(TLS_HANDSHAKE) {
            return Err(FramingError::Tls);
        }
        let Some(found) = memchr::memchr(b'\n', &rest[self.searched..]) else {
            if rest.len() > LINE_BYTES_MAX {
                return Err(FramingError::InlineLine);
            }
            self.searched = rest.len();
            return Ok(None);
        };
        let line = &rest[..self.searched + found];
        self.at += line.len() + 1;
        self.searched = 0;
        self.inline = true;
        self.line.clear();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        split_words(line, &mut self.line, &mut self.spans)?;
        Ok(Some(self.spans.len()))
    }
}

/// Splits a line into words, as Redis's `sdssplitargs` does: `"..."` knows `\n \r \t \b \a \xHH` and takes any
/// other escaped byte for itself, `'...'` knows `\'` only, and a closing quote ends its word.
fn split_words(line: &[u8], words: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), FramingError> {
    let mut rest = line;
    loop {
        let Some(first) = rest.iter().position(|byte| !is_space(*byte)) else { return Ok(()) };
        let start = words.len();
        rest = split_word(&rest[first..], words)?;
        spans.push(Span { start: start as u32, len: (words.len() - start) as u32 });
    }
}

/// Unquotes the word at the start of `rest` into `words`; gives what follows it.
fn split_word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], FramingError> {
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', quoted @ ..] => return end_of_word(double_quoted(quoted, words)?),
            [b'\'', quoted @ ..] => return end_of_word(single_quoted(quoted, words)?),
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

/// What follows the closing double quote.
fn double_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], FramingError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(FramingError::InlineQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_value(*high) << 4 | hex_value(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        words.push(byte);
        rest = after;
    }
}

/// What follows the closing single quote.
fn single_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], FramingError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(FramingError::InlineQuotes),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return Ok(after),
            [byte, after @ ..] => (*byte, after),
        };
        words.push(byte);
        rest = after;
    }
}

/// A closing quote is followed by a space or by nothing.
fn end_of_word(rest: &[u8]) -> Result<&[u8], FramingError> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(FramingError::InlineQuotes),
        _ => Ok(rest),
    }
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
