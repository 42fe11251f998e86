//! Names of jobs and of claims.
//!
//! A job's id is a boot number and a counter, so that an id is never issued twice even if a crash lost the
//! job; a receipt is an id and the epoch of one claim, so that a late worker's receipt is recognised as stale.

use std::fmt;

use crate::hex;

/// Bits of an id that hold the counter; the boot number has the other 20.
pub const COUNTER_BITS: u32 = 44;

/// The largest boot number that fits an id: 1,048,575 starts of the server.
pub const BOOT_MAX: u32 = (1 << 20) - 1;

/// Bytes of an id as text.
pub const ID_TEXT_LEN: usize = 16;

/// Most bytes of a receipt as text: an id, a dash and 20 digits.
pub const RECEIPT_TEXT_MAX: usize = ID_TEXT_LEN + 1 + 20;

/// A job's id: boot number (20 bits) and counter (44 bits), shown as 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// The number of a claim: it rises at every claim of a job, also across restarts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u64);

/// Proof of one claim, `<id>-<epoch>`: the epoch is decimal, without leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    /// The job that was claimed.
    pub id: JobId,
    /// Which claim of it.
    pub epoch: Epoch,
}

impl JobId {
    /// The id of the `counter`-th job of boot number `boot`.
    pub fn new(boot: u32, counter: u64) -> JobId {
        assert!(boot <= BOOT_MAX, "boot number {boot} does not fit an id");
        assert!(counter < 1 << COUNTER_BITS, "job counter {counter} does not fit an id");
        JobId(u64::from(boot) << COUNTER_BITS | counter)
    }

    /// Reads 16 lower-case hex digits; anything else is `None`.
    #[inline]
    pub fn parse(text: &[u8]) -> Option<JobId> {
        let text: &[u8; ID_TEXT_LEN] = text.try_into().ok()?;
        let (high, low) = text.split_at(ID_TEXT_LEN / 2);
        Some(JobId(hex::read(high.try_into().ok()?)? << 32 | hex::read(low.try_into().ok()?)?))
    }

    /// The id as text.
    #[inline]
    pub fn text(self) -> [u8; ID_TEXT_LEN] {
        let mut text = [0; ID_TEXT_LEN];
        let (high, low) = text.split_at_mut(ID_TEXT_LEN / 2);
        high.copy_from_slice(&hex::write((self.0 >> 32) as u32));
        low.copy_from_slice(&hex::write(self.0 as u32));
        text
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Receipt {
    /// Reads `<id>-<epoch>`; anything else, also an epoch with leading zeros, is `None`.
    pub fn parse(text: &[u8]) -> Option<Receipt> {
        let (id, rest) = text.split_at_checked(ID_TEXT_LEN)?;
        let (b'-', digits) = rest.split_first()? else { return None };
        if digits.is_empty() || digits.len() > 20 || (digits.len() > 1 && digits[0] == b'0') {
            return None;
        }
        let mut epoch = 0u64;
        for &digit in digits {
            let value = digit.wrapping_sub(b'0');
            if value > 9 {
                return None;
            }
            epoch = epoch.checked_mul(10)?.checked_add(u64::from(value))?;
        }
        Some(Receipt { id: JobId::parse(id)?, epoch: Epoch(epoch) })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.epoch.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_receipts_survive_their_text() {
        let id = JobId::new(3, 12_345);
        assert_eq!(JobId::parse(&id.text()), Some(id));
        assert_eq!(id.to_string().as_bytes(), id.text());
        let receipt = Receipt { id, epoch: Epoch(3 << 32 | 7) };
        assert_eq!(Receipt::parse(receipt.to_string().as_bytes()), Some(receipt));
    }

    #[test]
    fn malformed_text_is_refused() {
        let bad: [&[u8]; 9] = [
            b"",
            b"-",
            b"0000000000000001",
            b"0000000000000001-",
            b"0000000000000001-01",
            b"0000000000000001-18446744073709551616",
            b"000000000000000A-1",
            b"000000000000001-1",
            b"0000000000000001 1",
        ];
        for text in bad {
            assert_eq!(Receipt::parse(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(JobId::parse(b"00000000000000001"), None);
    }
}
