//! What became of a job, as the dispatcher saw it, and how that is reported.

use std::fmt;
use std::time::Duration;

use stanchion_client::Retry;
use tokio::sync::watch;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; it is acked.
    Done,
    /// It failed; it is nacked with the reason, and tried again as the queue's settings say.
    Failed(String),
    /// It can never succeed; it is nacked as dead, with the reason.
    Hopeless(String),
    /// It could not be tried; it is given back without using up an attempt.
    Release {
        /// How long it waits; absent: 5 s at first, doubling up to 1 min while the queue's jobs are released.
        after: Option<Duration>,
    },
    /// It was cancelled before it was done.
    Cancelled,
}

impl Outcome {
    /// All there are, for logs and counters.
    pub const STATUSES: [&'static str; 5] = ["done", "failed", "dead", "released", "cancelled"];

    /// For logs and counters.
    #[must_use]
    pub fn status(&self) -> &'static str {
        Outcome::STATUSES[self.status_index()]
    }

    /// Where its status stands in [`Outcome::STATUSES`].
    pub(crate) fn status_index(&self) -> usize {
        match self {
            Outcome::Done => 0,
            Outcome::Failed(_) => 1,
            Outcome::Hopeless(_) => 2,
            Outcome::Release { .. } => 3,
            Outcome::Cancelled => 4,
        }
    }

    /// The reason of a failure.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Outcome::Failed(error) | Outcome::Hopeless(error) => Some(error),
            Outcome::Done | Outcome::Release { .. } | Outcome::Cancelled => None,
        }
    }

    /// The nack that this failure asks for.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Outcome::Hopeless(_) => Retry::Dead,
            _ => Retry::Backoff,
        }
    }
}

/// A handler that returns nothing is done.
impl From<()> for Outcome {
    fn from((): ()) -> Outcome {
        Outcome::Done
    }
}

/// A handler's error is a failure.
impl<E: fmt::Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Outcome {
        match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

/// Why a running job is to end; later ones are more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cancel {
    /// It is not.
    No,
    /// The runner stops, and the job's time to finish is over.
    Stopping,
    /// Its claim no longer holds: somebody else may have it already.
    Lost,
    /// At once, without the time to clean up.
    Now,
}

/// The next cancellation that is more urgent than what was seen; pends when there can be none.
pub(crate) async fn more_urgent(cancel: &mut watch::Receiver<Cancel>, seen: Cancel) -> Cancel {
    let next = cancel.wait_for(|now| *now > seen).await.map(|now| *now);
    match next {
        Ok(now) => now,
        Err(_) => std::future::pending().await,
    }
}
