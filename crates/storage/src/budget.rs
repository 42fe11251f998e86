//! What all files of a log may take together: segments, what is allocated for the next ones, and checkpoints.
//!
//! The log's writer makes and frees segments while somebody else writes a checkpoint, so both take from one sum
//! before they take from the disk.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How much the files may take, and how much they have.
pub(crate) struct Budget {
    bytes_max: u64,
    taken_bytes: AtomicU64,
}

impl Budget {
    /// A budget of which nothing is taken yet; `None`: as large as the file system has room for.
    pub(crate) fn new(bytes_max: Option<u64>) -> Self {
        Self { bytes_max: bytes_max.unwrap_or(u64::MAX), taken_bytes: AtomicU64::new(0) }
    }

    /// The files have so much, as measured.
    pub(crate) fn measured(&self, bytes: u64) {
        self.taken_bytes.store(bytes, Release);
    }

    /// Takes some of it, so that as much as is `spared` is still left afterwards. If it has not that much, it is a
    /// full disk.
    pub(crate) fn take(&self, bytes: u64, spared: u64) -> io::Result<()> {
        let fits = |taken: u64| {
            let after = taken.saturating_add(bytes);
            (after.saturating_add(spared) <= self.bytes_max).then_some(after)
        };
        let taken = self.taken_bytes.fetch_update(AcqRel, Acquire, fits);
        taken.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
    }

    /// Files were deleted, or made shorter.
    pub(crate) fn give_back(&self, bytes: u64) {
        let less = |taken: u64| Some(taken.saturating_sub(bytes));
        // It has a value for any number.
        let _ = self.taken_bytes.fetch_update(AcqRel, Acquire, less);
    }

    /// What is left of it.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.bytes_max.saturating_sub(self.taken_bytes.load(Acquire))
    }

    /// Whether the files have more, since it was larger in an earlier run.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.taken_bytes.load(Acquire) > self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_up_to_its_end() {
        let budget = Budget::new(Some(100));
        budget.measured(30);
        budget.take(50, 20).unwrap();
        let full = budget.take(10, 11).unwrap_err();
        assert_eq!((full.kind(), budget.left_bytes()), (io::ErrorKind::StorageFull, 20));
        budget.take(20, 0).unwrap();
        assert!(budget.take(1, 0).is_err() && !budget.is_exceeded());
        budget.give_back(60);
        assert_eq!(budget.left_bytes(), 60);
        budget.measured(101);
        assert!(budget.is_exceeded() && budget.left_bytes() == 0);
    }

    #[test]
    fn without_one_there_is_no_end() {
        let budget = Budget::new(None);
        budget.take(u64::MAX, u64::MAX).unwrap();
        assert!(!budget.is_exceeded());
    }
}
