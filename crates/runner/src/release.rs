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
        releases.tried(b"q");
        assert_eq!(releases.pause(b"q", now), RELEASE_PAUSE_MIN);
    }
}
