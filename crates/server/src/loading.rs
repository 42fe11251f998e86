//! How far the recovery of the log is: for the log line of each second, for -LOADING and for INFO.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use stanchion_storage::Progress;

/// The progress of a recovery, which any thread may look at.
pub(crate) struct Loading {
    begun: Instant,
    read_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

/// The progress at some moment.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct State {
    /// How many bytes were read.
    pub(crate) read_bytes: u64,
    /// How many there are; 0 while that is not known yet.
    pub(crate) total_bytes: u64,
    /// How long it took so far.
    pub(crate) elapsed: Duration,
}

impl Loading {
    /// A recovery that begins.
    pub(crate) fn new() -> Loading {
        Loading { begun: Instant::now(), read_bytes: AtomicU64::new(0), total_bytes: AtomicU64::new(0) }
    }

    /// It went on.
    pub(crate) fn advance(&self, progress: Progress) {
        self.total_bytes.store(progress.total_bytes, Relaxed);
        self.read_bytes.store(progress.read_bytes, Relaxed);
    }

    /// How far it is.
    pub(crate) fn state(&self) -> State {
        State {
            read_bytes: self.read_bytes.load(Relaxed),
            total_bytes: self.total_bytes.load(Relaxed),
            elapsed: self.begun.elapsed(),
        }
    }

    /// What -LOADING says.
    pub(crate) fn message(&self) -> String {
        self.state().message()
    }
}

impl State {
    /// How much of it is done, from 0 to 100.
    pub(crate) fn percent(&self) -> f64 {
        match self.total_bytes {
            0 => 0.0,
            total => (self.read_bytes.min(total) as f64 / total as f64) * 100.0,
        }
    }

    /// How long it will still take, at the pace so far; `None` while nothing can be said.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left_bytes = self.total_bytes.saturating_sub(self.read_bytes);
        (self.read_bytes > 0)
            .then(|| self.elapsed.mul_f64((left_bytes as f64 / self.read_bytes as f64).min(1e6)))
    }

    /// The same in seconds, for people.
    pub(crate) fn left_secs(&self) -> Option<u64> {
        self.left().map(|left| left.as_secs_f64().ceil() as u64)
    }

    fn message(&self) -> String {
        match self.left_secs() {
            Some(left) => format!(
                "Stanchion is loading its log, {} % read, about {left} s left; try again later",
                self.percent() as u64
            ),
            None => "Stanchion is loading its log; try again later".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_was() {
        let at = |read_bytes, total_bytes, secs| State {
            read_bytes,
            total_bytes,
            elapsed: Duration::from_secs(secs),
        };
        assert_eq!((at(0, 0, 5).percent(), at(0, 0, 5).left_secs()), (0.0, None));
        assert_eq!((at(0, 100, 5).percent(), at(0, 100, 5).left_secs()), (0.0, None));
        assert_eq!((at(25, 100, 5).percent(), at(25, 100, 5).left_secs()), (25.0, Some(15)));
        assert_eq!((at(100, 100, 5).percent(), at(100, 100, 5).left_secs()), (100.0, Some(0)));
        assert_eq!(
            at(43, 100, 4).message(),
            "Stanchion is loading its log, 43 % read, about 6 s left; try again later"
        );
        assert_eq!(at(0, 100, 4).message(), "Stanchion is loading its log; try again later");
        // The disk did nothing for long, and then read one byte.
        assert!(at(1, u64::MAX, 100_000).left().is_some());
    }
}
