//! Numbers that are kept in six bytes: instants and log positions of every job.

use stanchion_protocol::limits::{DURATION_MS_MAX, INSTANT_MS_MAX};

/// A number below 2^48: an instant in Unix milliseconds (to the year 10889), or an lsn (a thousand records a
/// millisecond for nine years). A greater one is kept as the greatest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Packed48([u8; 6]);

impl Packed48 {
    pub(crate) const ZERO: Packed48 = Packed48([0; 6]);

    const MAX: u64 = (1 << 48) - 1;

    pub(crate) fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

impl From<u64> for Packed48 {
    fn from(number: u64) -> Packed48 {
        let [a, b, c, d, e, f, ..] = number.min(Packed48::MAX).to_le_bytes();
        Packed48([a, b, c, d, e, f])
    }
}

const _: () = assert!(
    INSTANT_MS_MAX + DURATION_MS_MAX < Packed48::MAX,
    "every instant fits, and so does the end of what begins then"
);

#[cfg(test)]
mod tests {
    use super::Packed48;

    #[test]
    fn what_fits_comes_back() {
        for number in [0, 1, 255, 1 << 40, Packed48::MAX] {
            assert_eq!(Packed48::from(number).get(), number);
        }
        assert_eq!(Packed48::from(u64::MAX).get(), Packed48::MAX);
        assert_eq!((size_of::<Packed48>(), align_of::<Packed48>()), (6, 1));
    }
}
