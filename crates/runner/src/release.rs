//! How long released jobs wait, so that a read-only database is no hot loop: 5 s, doubling to 1 min while jobs
//! of the queue are released, unless the job itself says how long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{RELEASE_PAUSE_MAX, RELEASE_PAUSE_MIN};

/// The pauses of every queue whose jobs were released last.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    queues: Mutex<HashMap<Vec<u8>, Pause>>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Releases {
    /// How long a released job of this queue waits. Many slots that find the same database read-only at once
    /// count as one time: the pause doubles only after it was waited for.
    pub(crate) fn pause(&self, queue: &[u8], now: Instant) -> Duration {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = match queues.get(queue) {
            Some(pause) if now < pause.until => *pause,
            Some(pause) => Pause::new((pause.length * 2).min(RELEASE_PAUSE_MAX), now),
            None => Pause::new(RELEASE_PAUSE_MIN, now),
        };
        queues.insert(queue.to_vec(), pause);
        pause.length
    }

    /// Whether the queue's last pause is not over yet.
    pub(crate) fn is_pausing(&self, queue: &[u8], now: Instant) -> bool {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.get(queue).is_some_and(|pause| now < pause.until)
    }

    /// Forgets pauses that were over so long ago that the next one would be the first again.
    pub(crate) fn forget_old(&self, now: Instant) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, pause| now < pause.until + RELEASE_PAUSE_MAX);
    }

    /// A job of this queue could be tried.
    pub(crate) fn tried(&self, queue: &[u8]) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }
}

impl Pause {
    fn new(length: Duration, now: Instant) -> Pause {
        Pause { length, until: now + length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_once_a_round_and_start_again_after_a_try() {
        let releases = Releases::default();
        let mut now = Instant::now();
        for seconds in [5, 10, 20, 40, 60, 60] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(releases.pause(b"q", now), pause);
            assert_eq!(releases.pause(b"q", now + pause / 2), pause, "another slot in the same round");
            now += pause;
        }
        assert_eq!(releases.pause(b"other", now), RELEASE_PAUSE_MIN);
        assert!(!releases.is_pausing(b"q", now));
        releases.pause(b"q", now);
        assert!(releases.is_pausing(b"q", now) && !releases.is_pausing(b"none", now));
        releases.forget_old(now + RELEASE_PAUSE_MAX);
        assert_eq!(releases.pause(b"q", now), RELEASE_PAUSE_MAX, "not old yet");
        releases.forget_old(now + 2 * RELEASE_PAUSE_MAX);
        assert_eq!(releases.pause(b"q", now), RELEASE_PAUSE_MIN, "forgotten");
        releases.tried(b"q");
        assert_eq!(releases.pause(b"q", now), RELEASE_PAUSE_MIN);
    }
}
