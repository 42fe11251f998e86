//! The phases of a server's life, in which it only ever goes forward.

use parking_lot::Mutex;
use tokio::sync::watch;

/// Where a server is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// It listens, and reads its log; commands get -LOADING.
    Loading,
    /// It serves.
    Serving,
    /// It accepts nobody, answers what it has, and ends.
    Stopping,
    /// It was told to stop twice: it ends without answering.
    Hurrying,
    /// Its log failed: it answers -MISCONF to everything, and ends.
    Failed,
}

/// The phase, for all who act on it.
pub(crate) struct Lifecycle {
    phase: watch::Sender<Phase>,
    failure: Mutex<Option<String>>,
}

impl Lifecycle {
    /// A server that is starting.
    pub(crate) fn new() -> Lifecycle {
        Lifecycle { phase: watch::Sender::new(Phase::Loading), failure: Mutex::new(None) }
    }

    /// The phase now.
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Enters a phase; one that is behind already is not entered again.
    pub(crate) fn enter(&self, phase: Phase) {
        let entered = self.phase.send_if_modified(|now| {
            let forward = phase > *now;
            if forward {
                *now = phase;
            }
            forward
        });
        if entered {
            tracing::info!(phase = ?phase, "lifecycle");
        }
    }

    /// Asked to stop: the first time in order, the second in a hurry.
    pub(crate) fn stop(&self) {
        match self.phase() {
            Phase::Loading | Phase::Serving => self.enter(Phase::Stopping),
            Phase::Stopping => self.enter(Phase::Hurrying),
            Phase::Hurrying | Phase::Failed => {}
        }
    }

    /// Something failed that the server can't run on without.
    pub(crate) fn fail(&self, why: String) {
        self.failure.lock().get_or_insert(why);
        self.enter(Phase::Failed);
    }

    /// It can't start. Whoever started it says why, once.
    pub(crate) fn refuse(&self, why: String) {
        self.failure.lock().get_or_insert(why);
        self.phase.send_replace(Phase::Failed);
    }

    /// Why it failed.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Watches the phase.
    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Waits until the phase is at least this.
    pub(crate) async fn reached(&self, phase: Phase) {
        // The sender lives as long as we do, so this can't fail.
        let _ = self.watch().wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_only_forward() {
        let life = Lifecycle::new();
        life.enter(Phase::Serving);
        life.stop();
        assert_eq!(life.phase(), Phase::Stopping);
        life.enter(Phase::Serving);
        assert_eq!(life.phase(), Phase::Stopping, "a stop while loading is not undone by the end of loading");
        life.stop();
        assert_eq!(life.phase(), Phase::Hurrying);
        life.fail("first".into());
        life.fail("second".into());
        life.stop();
        assert_eq!((life.phase(), life.failure().as_deref()), (Phase::Failed, Some("first")));
    }
}
