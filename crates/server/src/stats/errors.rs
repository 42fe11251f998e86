//! How often each error was answered, for INFO.

use std::sync::atomic::{AtomicU64, Ordering};

use stanchion_protocol::ErrorCode;

/// A counter per error code.
pub(crate) struct ErrorStats {
    counts: [AtomicU64; ErrorCode::ALL.len()],
}

impl ErrorStats {
    /// No errors yet.
    pub(crate) fn new() -> ErrorStats {
        ErrorStats { counts: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// An error is answered.
    #[cold]
    pub(crate) fn count(&self, code: ErrorCode) {
        if let Some(place) = ErrorCode::ALL.iter().position(|other| *other == code) {
            self.counts[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The codes that were answered, and how often.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        ErrorCode::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// Starts all over.
    pub(crate) fn reset(&self) {
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_codes() {
        let errors = ErrorStats::new();
        for code in [ErrorCode::NoAuth, ErrorCode::Err, ErrorCode::NoAuth] {
            errors.count(code);
        }
        let totals: Vec<_> = errors.totals().collect();
        assert_eq!(totals, [(ErrorCode::Err, 1), (ErrorCode::NoAuth, 2)]);
        errors.reset();
        assert_eq!(errors.totals().count(), 0);
    }
}
