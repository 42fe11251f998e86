//! Just enough RESP2 to be a cheap client: requests are appended to a byte buffer, replies are scanned into a
//! flat list of nodes that is used again for the next one. Nothing is allocated per command, since the client
//! shares two cores with the server that it measures.

use anyhow::{Context, Result, bail};

/// Appends the header of a request of `words` words.
pub fn header(out: &mut Vec<u8>, words: usize) {
    prefixed(out, b'*', words);
}

/// Appends one word of a request.
pub fn word(out: &mut Vec<u8>, bytes: &[u8]) {
    prefixed(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole request.
pub fn request(out: &mut Vec<u8>, words: &[&[u8]]) {
    header(out, words.len());
    for each in words {
        word(out, each);
    }
}

fn prefixed(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One element of a reply; an array is followed by its elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// So many elements follow.
    Array(usize),
    /// A bulk or simple string, as a range of the reply's bytes.
    Text(usize, usize),
    /// An error's line, as a range of the reply's bytes.
    Error(usize, usize),
    /// A number.
    Integer(i64),
    /// Nothing.
    Nil,
}

/// One whole reply.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    bytes: &'a [u8],
    nodes: &'a [Node],
}

impl<'a> Reply<'a> {
    /// Its elements.
    #[must_use]
    pub fn nodes(&self) -> &'a [Node] {
        self.nodes
    }

    /// The bytes of a text node of this reply.
    ///
    /// # Errors
    /// It is no text.
    pub fn text(&self, node: Node) -> Result<&'a [u8]> {
        match node {
            Node::Text(from, to) => Ok(&self.bytes[from..to]),
            _ => bail!("expected a string, got {}", self.show()),
        }
    }

    /// The reply as an integer.
    ///
    /// # Errors
    /// It is another kind of reply.
    pub fn integer(&self) -> Result<i64> {
        match self.nodes {
            [Node::Integer(value)] => Ok(*value),
            _ => bail!("expected an integer, got {}", self.show()),
        }
    }

    /// The reply for an error message.
    #[must_use]
    pub fn show(&self) -> String {
        String::from_utf8_lossy(self.bytes).escape_debug().take(200).collect()
    }

    /// The error that this reply is, if it is one.
    fn error(&self) -> Option<String> {
        match self.nodes {
            [Node::Error(from, to)] => Some(String::from_utf8_lossy(&self.bytes[*from..*to]).into_owned()),
            _ => None,
        }
    }
}

/// Finds the replies in a stream of bytes.
#[derive(Default)]
pub struct Scanner {
    nodes: Vec<Node>,
}

impl Scanner {
    /// The first reply of `bytes` and its length, or nothing while it is incomplete.
    ///
    /// # Errors
    /// The server answered an error, or what is not RESP2.
    pub fn next<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Option<(Reply<'a>, usize)>> {
        self.nodes.clear();
        let (mut at, mut wanted) = (0, 1);
        while wanted > 0 {
            let Some((node, end)) = element(bytes, at)? else { return Ok(None) };
            wanted -= 1;
            if let Node::Array(elements) = node {
                wanted += elements;
            }
            self.nodes.push(node);
            at = end;
        }
        let reply = Reply { bytes: &bytes[..at], nodes: &self.nodes };
        match reply.error() {
            Some(error) => bail!("the server answered an error: {error}"),
            None => Ok(Some((reply, at))),
        }
    }
}

/// The element at `at` and where it ends.
fn element(bytes: &[u8], at: usize) -> Result<Option<(Node, usize)>> {
    let Some(line) = bytes[at..].iter().position(|&byte| byte == b'\n').map(|length| at + length) else {
        return Ok(None);
    };
    let rest = line + 1;
    let text = &bytes[at + 1..line.saturating_sub(1).max(at + 1)];
    Ok(Some(match bytes[at] {
        b'+' => (Node::Text(at + 1, line - 1), rest),
        b'-' => (Node::Error(at + 1, line - 1), rest),
        b':' => (Node::Integer(number(text)?), rest),
        b'*' => match usize::try_from(number(text)?) {
            Ok(elements) => (Node::Array(elements), rest),
            Err(_) => (Node::Nil, rest),
        },
        b'$' => match usize::try_from(number(text)?) {
            Ok(length) if bytes.len() < rest + length + 2 => return Ok(None),
            Ok(length) => (Node::Text(rest, rest + length), rest + length + 2),
            Err(_) => (Node::Nil, rest),
        },
        other => bail!("a reply begins with byte {other:#04x}, which RESP2 does not know"),
    }))
}

fn number(text: &[u8]) -> Result<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut value: i64 = 0;
    for digit in digits {
        let digit = digit
            .checked_sub(b'0')
            .filter(|digit| *digit < 10)
            .context("a number in a reply has no digits")?;
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit.into()))
            .context("a number in a reply is too large")?;
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        request(&mut out, &[b"QLEN", b"a\r\nb"]);
        assert_eq!(out, b"*2\r\n$4\r\nQLEN\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn every_prefix_of_a_reply_is_incomplete() {
        let bytes = b"*2\r\n*2\r\n$2\r\nab\r\n:-12\r\n$-1\r\n";
        let mut scanner = Scanner::default();
        for length in 0..bytes.len() {
            assert!(scanner.next(&bytes[..length]).unwrap().is_none(), "{length} bytes");
        }
        let (reply, length) = scanner.next(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!(
            reply.nodes(),
            [Node::Array(2), Node::Array(2), Node::Text(12, 14), Node::Integer(-12), Node::Nil]
        );
    }

    #[test]
    fn an_error_reply_is_an_error() {
        let failure = Scanner::default().next(b"-NOSCRIPT none\r\n").err().unwrap();
        assert_eq!(failure.to_string(), "the server answered an error: NOSCRIPT none");
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        for bytes in [&b"HTTP/1.1 400\r\n"[..], b":1x\r\n", b"$99999999999999999999\r\n"] {
            assert!(Scanner::default().next(bytes).is_err(), "{bytes:?}");
        }
    }
}
