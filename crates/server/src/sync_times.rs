//! How long syncs of the log took: counted by the log's writer as they come, and read by metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper ends of the lengths that are told apart, in seconds; from the fast disk to the one that fails.
pub(crate) const SYNC_ENDS: [f64; 13] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0];

/// The syncs of a run.
#[derive(Default)]
pub(crate) struct SyncTimes {
    /// Of each length alone; the last ones are longer than all ends.
    counts: [AtomicU64; SYNC_ENDS.len() + 1],
    sum_us: AtomicU64,
}

impl SyncTimes {
    /// One more.
    pub(crate) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[SYNC_ENDS.partition_point(|end| *end < seconds)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(took.as_micros() as u64, Relaxed);
    }

    /// How many there were of each length.
    pub(crate) fn counts(&self) -> [u64; SYNC_ENDS.len() + 1] {
        self.counts.each_ref().map(|count| count.load(Relaxed))
    }

    /// How long all of them took together.
    pub(crate) fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_ends_with_its_end() {
        let times = SyncTimes::default();
        for us in [0, 100, 101, 10_000_000, 10_000_001] {
            times.add(Duration::from_micros(us));
        }
        let counts = times.counts();
        assert_eq!((counts[0], counts[1], counts[12], counts[13]), (2, 1, 1, 1));
        assert_eq!(times.sum(), Duration::from_micros(20_000_202));
    }
}
