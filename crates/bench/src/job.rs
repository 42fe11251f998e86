//! The job that every peer gets: a payload with its number in front, and a dedupe key of its own.
//!
//! All servers get the same bytes. The number makes the payload and the key unique, and tells at the claim
//! which job came back.

use anyhow::{Context, Result, ensure};

/// Payload of one job where nothing else is said; a typical MediaWiki job has some hundred bytes.
pub const PAYLOAD_BYTES: usize = 200;
/// As long as JobQueueRedis's ids: a UUID in hexadecimal. No payload is shorter.
pub const ID_BYTES: usize = 32;
/// As long as JobQueueRedis's dedupe keys: a SHA-1 in base 36.
pub const KEY_BYTES: usize = 31;
/// The largest payload that a load may ask for.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

const FILL: &[u8] =
    br#" {"type":"refreshLinks","params":{"namespace":0,"title":"Main_Page","requestId":"a3f0"}}"#;

/// How large payloads are: the jobs take turns over some sizes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sizes(Vec<usize>);

impl Sizes {
    /// These sizes in bytes, in this order.
    ///
    /// # Errors
    /// There is none, or one is out of bounds.
    pub fn new(sizes: Vec<usize>) -> Result<Sizes> {
        ensure!(!sizes.is_empty(), "no payload size is named");
        for size in &sizes {
            ensure!(
                (ID_BYTES..=PAYLOAD_BYTES_MAX).contains(size),
                "a payload of {size} B is not between {ID_BYTES} and {PAYLOAD_BYTES_MAX} B: each carries its number"
            );
        }
        Ok(Sizes(sizes))
    }

    /// The size of this job's payload.
    #[must_use]
    pub fn of(&self, number: u64) -> usize {
        self.0[(number % self.0.len() as u64) as usize]
    }

    /// The largest.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// All of them, in the order in which jobs take turns.
    #[must_use]
    pub fn all(&self) -> &[usize] {
        &self.0
    }

    /// The number of the job that has this payload.
    ///
    /// # Errors
    /// No job has it.
    pub fn number(&self, payload: &[u8]) -> Result<u64> {
        let digits = payload.get(16..ID_BYTES).and_then(|digits| std::str::from_utf8(digits).ok());
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.filter(|number| payload.len() == self.of(*number)).with_context(|| {
            let shown = &payload[..payload.len().min(PAYLOAD_BYTES)];
            format!("a claim handed out a payload that was never pushed: {}", shown.escape_ascii())
        })
    }
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes(vec![PAYLOAD_BYTES])
    }
}

/// One job in the form in which it is sent.
pub struct Job {
    sizes: Sizes,
    /// As long as the largest payload.
    bytes: Vec<u8>,
    /// Of this job's payload.
    length: usize,
    key: [u8; KEY_BYTES],
}

impl Job {
    /// A job of these sizes without a number yet; [`Job::set`] gives it one.
    #[must_use]
    pub fn new(sizes: &Sizes) -> Job {
        let bytes = FILL.iter().copied().cycle().take(sizes.max()).collect();
        let mut job = Job { sizes: sizes.clone(), bytes, length: 0, key: [b'k'; KEY_BYTES] };
        job.set(0);
        job
    }

    /// Makes it the job of this number.
    pub fn set(&mut self, number: u64) {
        // Keys and ids of the real queue are hashes: spread the numbers, so that no table gets an easy order.
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        hex(&mut self.bytes[..16], spread);
        hex(&mut self.bytes[16..ID_BYTES], number);
        hex(&mut self.key[..16], spread);
        hex(&mut self.key[16..30], number & 0x00ff_ffff_ffff_ffff);
        self.length = self.sizes.of(number);
    }

    /// What is pushed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// JobQueueRedis's id is a part of its payload, as the client must find it there at the claim.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.bytes[..ID_BYTES]
    }

    /// Its dedupe key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }
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
        let sizes = Sizes::new(vec![200, 32, 4096]).unwrap();
        let (mut one, mut other) = (Job::new(&sizes), Job::new(&sizes));
        for wanted in [0, 1, 15, 16, 123_456_789] {
            one.set(wanted);
            other.set(wanted + 1);
            assert_eq!(one.payload().len(), sizes.of(wanted));
            assert_eq!(sizes.number(one.payload()).unwrap(), wanted);
            assert_ne!(one.key(), other.key());
            assert_ne!(one.id(), other.id());
        }
    }

    #[test]
    fn a_foreign_payload_is_refused() {
        let sizes = Sizes::default();
        assert!(sizes.number(b"short").is_err());
        assert!(sizes.number(&[b'x'; PAYLOAD_BYTES]).is_err());
        let mut job = Job::new(&sizes);
        job.set(7);
        assert!(sizes.number(&job.payload()[..PAYLOAD_BYTES - 1]).is_err(), "a payload that lost its end");
    }

    #[test]
    fn sizes_have_bounds() {
        for sizes in [vec![], vec![31], vec![200, PAYLOAD_BYTES_MAX + 1]] {
            assert!(Sizes::new(sizes).is_err());
        }
    }
}
