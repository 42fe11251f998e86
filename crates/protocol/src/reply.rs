//! Replies to bytes, appended to the connection's output buffer.
//!
//! A pipeline of claims writes thousands of small replies, so each writer appends straight to the buffer:
//! no tree of frames, no allocation of its own. The caller counts: a header is followed by as many elements
//! as it says.

use crate::error::{CommandError, ErrorCode};
use crate::id::{ID_TEXT_LEN, JobId, RECEIPT_TEXT_MAX, Receipt};

/// The version of the protocol that a connection chose with HELLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Proto {
    /// What every connection starts with.
    #[default]
    Resp2,
    /// Nil, maps, sets, verbatim strings and pushes have types of their own.
    Resp3,
}

/// Writes replies in one connection's protocol.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    proto: Proto,
}

impl<'a> Reply<'a> {
    /// Replies are appended to `out`.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, proto: Proto) -> Reply<'a> {
        Reply { out, proto }
    }

    /// The connection's protocol.
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Bytes written so far, also by earlier replies.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string; `text` has no line end.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']), "a simple string is one line");
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.end_line();
    }

    /// An error; line ends in `text` become spaces, because they would end the reply.
    #[cold]
    pub fn error(&mut self, code: ErrorCode, text: &str) {
        self.out.push(b'-');
        self.out.extend_from_slice(code.word().as_bytes());
        self.out.push(b' ');
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        for byte in &mut self.out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.end_line();
    }

    /// The error of a command that was refused.
    #[cold]
    pub fn command_error(&mut self, error: &CommandError) {
        self.error(error.code, &error.text);
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: impl itoa::Integer) {
        self.line(b':', value);
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.line(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.end_line();
    }

    /// A bulk string whose bytes come later; they belong where it says, behind what is written so far.
    pub fn bulk_hole(&mut self, bytes: usize) -> usize {
        self.out.reserve(bytes + 16);
        self.line(b'$', bytes);
        let start = self.out.len();
        self.out.resize(start + bytes, 0);
        self.end_line();
        start
    }

    /// A number as a bulk string.
    pub fn bulk_integer(&mut self, value: impl itoa::Integer) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A job's id as a bulk string.
    #[inline]
    pub fn bulk_id(&mut self, id: JobId) {
        let mut text = *b"$16\r\n0123456789abcdef\r\n";
        text[5..5 + ID_TEXT_LEN].copy_from_slice(&id.text());
        self.out.extend_from_slice(&text);
    }

    /// A receipt as a bulk string.
    #[inline]
    pub fn bulk_receipt(&mut self, receipt: Receipt) {
        let mut digits = itoa::Buffer::new();
        let epoch = digits.format(receipt.epoch.0).as_bytes();
        let len = ID_TEXT_LEN + 1 + epoch.len();
        // "$dd\r\n", the receipt, "\r\n": a receipt always has two digits of length.
        let mut text = [0; 5 + RECEIPT_TEXT_MAX + 2];
        text[0] = b'$';
        text[1] = b'0' + (len / 10) as u8;
        text[2] = b'0' + (len % 10) as u8;
        text[3..5].copy_from_slice(b"\r\n");
        text[5..5 + ID_TEXT_LEN].copy_from_slice(&receipt.id.text());
        text[5 + ID_TEXT_LEN] = b'-';
        text[6 + ID_TEXT_LEN..5 + len].copy_from_slice(epoch);
        text[5 + len..7 + len].copy_from_slice(b"\r\n");
        self.out.extend_from_slice(&text[..7 + len]);
    }

    /// A job as QCLAIM and QMCLAIM answer it without META: `[queue, receipt, payload, attempt]`.
    #[inline]
    pub fn claimed_job(&mut self, queue: &[u8], receipt: Receipt, payload: &[u8], attempt: u32) {
        self.out.reserve(queue.len() + payload.len() + 96);
        self.out.extend_from_slice(b"*4\r\n");
        self.bulk(queue);
        self.bulk_receipt(receipt);
        self.bulk(payload);
        self.integer(attempt);
    }

    /// Nil: `$-1`, or `_` in RESP3.
    pub fn nil(&mut self) {
        self.out.extend_from_slice(match self.proto {
            Proto::Resp2 => b"$-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// Nil in place of an array: `*-1`, or `_` in RESP3. Only EXEC answers it, as Redis does.
    pub fn nil_array(&mut self) {
        self.out.extend_from_slice(match self.proto {
            Proto::Resp2 => b"*-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// The header of an array; `len` elements follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.line(b'*', len);
    }

    /// The header of a map; `len` pairs of key and value follow. A flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.line(b'*', 2 * len),
            Proto::Resp3 => self.line(b'%', len),
        }
    }

    /// The header of a set; `len` elements follow. An array in RESP2.
    ///
    /// Only Redis's own replies (COMMAND) have sets; those of the queue commands have none.
    pub fn set(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.line(b'*', len),
            Proto::Resp3 => self.line(b'~', len),
        }
    }

    /// The header of a message that answers no command; `len` elements follow. An array in RESP2.
    pub fn push(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.line(b'*', len),
            Proto::Resp3 => self.line(b'>', len),
        }
    }

    /// A text for humans, such as INFO's: a verbatim string, or a bulk string in RESP2.
    pub fn verbatim(&mut self, text: &[u8]) {
        match self.proto {
            Proto::Resp2 => self.bulk(text),
            Proto::Resp3 => {
                self.line(b'=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text);
                self.end_line();
            }
        }
    }

    /// A number with a fraction: a double, or a bulk string in RESP2.
    ///
    /// Only Redis's own replies (ACL LOG) have them; those of the queue commands have none.
    pub fn double(&mut self, value: f64) {
        debug_assert!(value.is_finite(), "the protocol has other words for what is no number");
        let text = value.to_string();
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => {
                self.out.push(b',');
                self.out.extend_from_slice(text.as_bytes());
                self.end_line();
            }
        }
    }

    /// Bytes of a reply that was written elsewhere in the same protocol.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn line(&mut self, kind: u8, value: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value).as_bytes();
        let mut line = [0; 1 + 40 + 2];
        line[0] = kind;
        line[1..1 + digits.len()].copy_from_slice(digits);
        line[1 + digits.len()] = b'\r';
        line[2 + digits.len()] = b'\n';
        self.out.extend_from_slice(&line[..3 + digits.len()]);
    }

    #[inline]
    fn end_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
