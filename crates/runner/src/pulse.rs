//! Whether a loop of the runner still turns: before it waits it promises when it will be back, and one that is not
//! is stuck. So a runner that looks alive and claims nothing is found by its own check.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::PULSE_GRACE;

/// A loop's promise.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    back_by: Mutex<Option<Instant>>,
}

impl Pulse {
    /// The loop will be back within this time.
    pub(crate) fn promise(&self, within: Duration) {
        self.set(Some(Instant::now() + within + PULSE_GRACE));
    }

    /// The loop waits for something that may take any time, and that others look after.
    pub(crate) fn rest(&self) {
        self.set(None);
    }

    /// How long ago it should have been back.
    pub(crate) fn overdue(&self, now: Instant) -> Option<Duration> {
        let back_by = *self.back_by.lock().unwrap_or_else(PoisonError::into_inner);
        back_by.filter(|back_by| *back_by < now).map(|back_by| now - back_by)
    }

    fn set(&self, back_by: Option<Instant>) {
        *self.back_by.lock().unwrap_or_else(PoisonError::into_inner) = back_by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_not_back_is_overdue() {
        let pulse = Pulse::default();
        assert_eq!(pulse.overdue(Instant::now()), None);
        pulse.promise(Duration::from_secs(60));
        let late = Instant::now() + Duration::from_secs(61) + PULSE_GRACE;
        assert_eq!(pulse.overdue(late - Duration::from_secs(2)), None);
        assert_eq!(pulse.overdue(late), Some(Duration::from_secs(1)));
        pulse.rest();
        assert_eq!(pulse.overdue(late), None);
    }
}
