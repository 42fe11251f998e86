//! A reply as its bytes say it, nothing unified: `$-1` and `_` are two things here.

use std::fmt;

/// One reply, or one element of one. Two are equal when their bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// The first byte: `+ - : $ * % ~ > = , # ( _`.
    pub kind: u8,
    /// The rest of the first line.
    pub line: Vec<u8>,
    /// What follows the line of a bulk string.
    pub body: Vec<u8>,
    /// What follows the line of an array or its likes.
    pub elements: Vec<Frame>,
}

impl Frame {
    /// Reads the reply at the start of the bytes, and says how long it is; `None` when it is not complete.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let Some((&kind, line)) = bytes[..end].split_first() else {
            return Err(format!("an empty line in {}", shown(bytes)));
        };
        let mut frame = Frame { kind, line: line.to_vec(), body: Vec::new(), elements: Vec::new() };
        let mut at = end + 2;
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => {}
            b'$' | b'=' => {
                if let Some(length) = length(line, 1).ok_or_else(|| malformed(bytes))? {
                    if bytes.len() < at + length + 2 {
                        return Ok(None);
                    }
                    frame.body = bytes[at..at + length].to_vec();
                    at += length + 2;
                    if &bytes[at - 2..at] != b"\r\n" {
                        return Err(malformed(bytes));
                    }
                }
            }
            b'*' | b'~' | b'>' | b'%' => {
                let each = if kind == b'%' { 2 } else { 1 };
                let count = length(line, each).ok_or_else(|| malformed(bytes))?.unwrap_or(0);
                for _ in 0..count {
                    let Some((element, length)) = Frame::read(&bytes[at..])? else { return Ok(None) };
                    frame.elements.push(element);
                    at += length;
                }
            }
            _ => return Err(malformed(bytes)),
        }
        Ok(Some((frame, at)))
    }

    /// The text of a string of any kind or of an error; of anything else its first line.
    pub(super) fn text(&self) -> String {
        let bytes = if matches!(self.kind, b'$' | b'=') { &self.body } else { &self.line };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether this is an error whose text begins so.
    pub(super) fn is_error(&self, start: &str) -> bool {
        self.kind == b'-' && self.line.starts_with(start.as_bytes())
    }

    /// Whether this is a message of a channel, in RESP3.
    pub(super) fn is_message(&self) -> bool {
        let kind = self.elements.first().map(|kind| &kind.body[..]);
        self.kind == b'>' && matches!(kind, Some(b"message" | b"pmessage"))
    }

    /// Whether this is a nil of any kind.
    pub(super) fn is_nil(&self) -> bool {
        self.kind == b'_' || matches!(self.kind, b'$' | b'*') && self.line == b"-1"
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.kind), self.line.escape_ascii())?;
        match self.kind {
            b'$' | b'=' if self.line != b"-1" => write!(f, " \"{}\"", self.body.escape_ascii()),
            b'*' | b'~' | b'>' | b'%' => {
                f.write_str(" [")?;
                for (i, element) in self.elements.iter().enumerate() {
                    write!(f, "{}{element}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            _ => Ok(()),
        }
    }
}

/// The number of a length's line, times `each`; the inner `None` is -1, the outer one nonsense.
fn length(line: &[u8], each: usize) -> Option<Option<usize>> {
    let number: i64 = std::str::from_utf8(line).ok()?.parse().ok()?;
    if number == -1 { Some(None) } else { Some(Some(usize::try_from(number).ok()? * each)) }
}

fn malformed(bytes: &[u8]) -> String {
    format!("no reply: {}", shown(bytes))
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_once_it_is_complete() {
        let bytes = b"%1\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n+OK\r\n";
        let whole = bytes.len() - 5;
        for end in 0..whole {
            assert_eq!(Frame::read(&bytes[..end]), Ok(None), "{end} bytes");
        }
        let (frame, length) = Frame::read(bytes).expect("a reply").expect("a whole one");
        assert_eq!((frame.to_string(), length), ("%1 [$1 \"a\", *2 [:1, _]]".to_owned(), whole));
    }

    #[test]
    fn nonsense_is_no_reply() {
        for bytes in [&b"\r\n"[..], b"x\r\n", b"$a\r\n", b"$-2\r\n", b"$1\r\nabc\r\n"] {
            assert!(Frame::read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_nil_is_not_another_nil() {
        let read = |bytes: &[u8]| Frame::read(bytes).expect("a reply").expect("a whole one").0;
        assert!(read(b"$-1\r\n").is_nil() && read(b"_\r\n").is_nil() && read(b"*-1\r\n").is_nil());
        assert_ne!(read(b"$-1\r\n"), read(b"_\r\n"));
        assert!(!read(b"$0\r\n\r\n").is_nil());
    }
}
