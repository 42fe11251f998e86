//! The runner's life in phases. Each is more urgent than the one before, and there is no way back.

use std::sync::Arc;

use tokio::sync::watch;

/// Where a runner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It claims and runs jobs.
    Running,
    /// It claims nothing; running jobs may finish within the drain time.
    Draining,
    /// Running jobs are killed and given back.
    Hurrying,
    /// Nothing runs any more.
    Stopped,
}

/// Stops a runner, from anywhere. Clones stop the same one.
#[derive(Debug, Clone)]
pub struct Stop {
    phase: Arc<watch::Sender<Phase>>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { phase: Arc::new(watch::Sender::new(Phase::Running)) }
    }
}

impl Stop {
    /// Stops claiming and lets running jobs finish within the drain time; the second call gives up on them.
    pub fn stop(&self) {
        self.phase.send_if_modified(|phase| {
            let next = match *phase {
                Phase::Running => Phase::Draining,
                Phase::Draining => Phase::Hurrying,
                Phase::Hurrying | Phase::Stopped => return false,
            };
            *phase = next;
            true
        });
    }

    /// Where the runner stands now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the runner has come at least this far.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.phase.subscribe();
        let reached = receiver.wait_for(|now| *now >= phase).await.is_ok();
        debug_assert!(reached, "the sender is held by self");
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.phase() != Phase::Running
    }

    pub(crate) fn stopped(&self) {
        self.phase.send_replace(Phase::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_stop_hurries_and_a_third_changes_nothing() {
        let stop = Stop::default();
        let phases: Vec<Phase> = (0..4)
            .map(|_| {
                let phase = stop.phase();
                stop.stop();
                phase
            })
            .collect();
        assert_eq!(phases, [Phase::Running, Phase::Draining, Phase::Hurrying, Phase::Hurrying]);
        stop.reached(Phase::Draining).await;
    }
}
