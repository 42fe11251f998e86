//! The job that every bench pushes: 200 bytes with its number in front, and a dedupe key of its own.
//!
//! Both servers get the same bytes. The number makes the payload and the key unique, and tells at the claim
//! which job came back.

use anyhow::{Context, Result};

/// Payload of one job; a typical MediaWiki job has some hundred bytes.
pub(crate) const PAYLOAD_BYTES: usize = 200;
/// As long as JobQueueRedis's ids: a UUID in hexadecimal.
pub(crate) const ID_BYTES: usize = 32;
/// As long as JobQueueRedis's dedupe keys: a SHA-1 in base 36.
pub(crate) const KEY_BYTES: usize = 31;

const FILL: &[u8] =
    br#" {"type":"refreshLinks","params":{"namespace":0,"title":"Main_Page","requestId":"a3f0"}}"#;

/// One job in the form in which it is sent.
pub(crate) struct Job {
    payload: [u8; PAYLOAD_BYTES],
    key: [u8; KEY_BYTES],
}

impl Job {
    /// A job without a number yet; [`Job::set`] gives it one.
    pub(crate) fn new() -> Job {
        let mut payload = [0; PAYLOAD_BYTES];
        for (byte, fill) in payload.iter_mut().zip(FILL.iter().cycle()) {
            *byte = *fill;
        }
        let mut job = Job { payload, key: [b'k'; KEY_BYTES] };
        job.set(0);
        job
    }

    /// Makes it the job of this number.
    pub(crate) fn set(&mut self, number: u64) {
        // Keys and ids of the real queue are hashes: spread the numbers, so that no table gets an easy order.
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        hex(&mut self.payload[..16], spread);
        hex(&mut self.payload[16..ID_BYTES], number);
        hex(&mut self.key[..16], spread);
        hex(&mut self.key[16..30], number & 0x00ff_ffff_ffff_ffff);
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// JobQueueRedis's id is a part of its payload, as the client must find it there at the claim.
    pub(crate) fn id(&self) -> &[u8] {
        &self.payload[..ID_BYTES]
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The number of the job that has this payload.
pub(crate) fn number(payload: &[u8]) -> Result<u64> {
    let digits = payload.get(16..ID_BYTES).filter(|_| payload.len() == PAYLOAD_BYTES);
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .with_context(|| {
            format!("a claim handed out a payload that was never pushed: {}", payload.escape_ascii())
        })
}

fn hex(out: &mut [u8], number: u64) {
    let digits = out.len();
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(number >> (4 * (digits - 1 - at)) & 15) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_comes_back_and_keys_differ() {
        let (mut one, mut other) = (Job::new(), Job::new());
        for wanted in [0, 1, 15, 16, 123_456_789] {
            one.set(wanted);
            other.set(wanted + 1);
            assert_eq!(number(one.payload()).unwrap(), wanted);
            assert_ne!(one.key(), other.key());
            assert_ne!(one.id(), other.id());
        }
    }

    #[test]
    fn a_foreign_payload_is_refused() {
        assert!(number(b"short").is_err());
        assert!(number(&[b'x'; PAYLOAD_BYTES]).is_err());
    }
}
