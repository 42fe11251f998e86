//! The job that is pushed: 200 bytes and a dedupe key, both of which its number makes unique.
//!
//! Its words are made once, and only the number is written anew: what is counted is to be the server's work.

use crate::word;

/// Bytes of a payload, as in the benches of real servers.
const PAYLOAD_BYTES: usize = 200;

/// As long as JobQueueRedis's dedupe keys: a SHA-1 in base 36.
const KEY_BYTES: usize = 31;

/// A job as the words of a push.
pub(crate) struct Job {
    number: u64,
    words: Vec<u8>,
    /// Where in the words its number stands.
    places: [usize; 2],
}

impl Job {
    pub(crate) fn new() -> Job {
        let mut words = Vec::new();
        word(&mut words, &[b'x'; PAYLOAD_BYTES]);
        let payload = words.len() - b"\r\n".len() - PAYLOAD_BYTES;
        word(&mut words, b"DEDUPE");
        word(&mut words, &[b'x'; KEY_BYTES]);
        let key = words.len() - b"\r\n".len() - KEY_BYTES;
        Job { number: 0, words, places: [payload, key] }
    }

    /// Makes it another job.
    pub(crate) fn advance(&mut self) {
        self.number += 1;
        // Keys of the real queue are hashes: spread the numbers, so that no table gets an easy order.
        let spread = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let digits: [u8; 16] =
            std::array::from_fn(|at| b"0123456789abcdef"[(spread >> (4 * at) & 15) as usize]);
        self.places
            .iter()
            .for_each(|&place| self.words[place..place + digits.len()].copy_from_slice(&digits));
    }

    /// Payload, `DEDUPE` and key.
    pub(crate) fn words(&self) -> &[u8] {
        &self.words
    }
}
