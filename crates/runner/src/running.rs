//! The jobs that run now: what the lease keeper extends, and how a job is told to end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stanchion_client::{Job, Receipt};
use tokio::sync::watch;

use crate::outcome::Cancel;

/// All running jobs of a runner.
#[derive(Debug)]
pub(crate) struct Running {
    jobs: Mutex<HashMap<Receipt, Entry>>,
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct Entry {
    queue: Vec<u8>,
    cancel: watch::Sender<Cancel>,
}

/// One running job; it is no longer running when this is dropped.
#[derive(Debug)]
pub(crate) struct RunningJob {
    running: Arc<Running>,
    receipt: Receipt,
    /// Tells the job to end.
    pub(crate) cancel: watch::Receiver<Cancel>,
}

impl Running {
    pub(crate) fn new() -> Arc<Running> {
        Arc::new(Running { jobs: Mutex::default(), count: watch::Sender::new(0) })
    }

    /// Enters a job.
    pub(crate) fn start(self: &Arc<Running>, job: &Job) -> RunningJob {
        let (sender, cancel) = watch::channel(Cancel::No);
        let entry = Entry { queue: job.queue.clone(), cancel: sender };
        let count = {
            let mut jobs = self.jobs();
            jobs.insert(job.receipt.clone(), entry);
            jobs.len()
        };
        self.count.send_replace(count);
        RunningJob { running: Arc::clone(self), receipt: job.receipt.clone(), cancel }
    }

    /// Queue and receipt of each.
    pub(crate) fn claims(&self) -> Vec<(Vec<u8>, Receipt)> {
        self.jobs().iter().map(|(receipt, entry)| (entry.queue.clone(), receipt.clone())).collect()
    }

    /// Tells one to end, if it still runs.
    pub(crate) fn cancel(&self, receipt: &Receipt, why: Cancel) -> bool {
        self.jobs().get(receipt).is_some_and(|entry| entry.raise(why))
    }

    /// Tells all to end; how many were told something new.
    pub(crate) fn cancel_all(&self, why: Cancel) -> usize {
        self.jobs().values().filter(|entry| entry.raise(why)).count()
    }

    /// Waits until at least one runs.
    pub(crate) async fn some(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count > 0).await; // the sender is held by self
    }

    /// Waits until none runs.
    pub(crate) async fn none(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await; // the sender is held by self
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<Receipt, Entry>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Only towards more urgency. Whether it was news.
    fn raise(&self, why: Cancel) -> bool {
        self.cancel.send_if_modified(|now| {
            let news = *now < why;
            *now = why.max(*now);
            news
        })
    }
}

impl RunningJob {
    /// What it was told so far.
    pub(crate) fn told(&self) -> Cancel {
        *self.cancel.borrow()
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        let count = {
            let mut jobs = self.running.jobs();
            jobs.remove(&self.receipt);
            jobs.len()
        };
        self.running.count.send_replace(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job;

    #[tokio::test]
    async fn jobs_come_and_go() {
        let running = Running::new();
        running.none().await;
        let entered = running.start(&job("q"));
        running.some().await;
        assert_eq!(running.claims(), [(b"q".to_vec(), job("q").receipt)]);
        drop(entered);
        running.none().await;
        assert!(!running.cancel(&job("q").receipt, Cancel::Lost), "it ended before it was lost");
    }

    #[test]
    fn cancelling_only_grows_more_urgent() {
        let running = Running::new();
        let entered = running.start(&job("q"));
        assert_eq!(running.cancel_all(Cancel::Now), 1);
        assert_eq!(running.cancel_all(Cancel::Stopping), 0);
        assert_eq!(entered.told(), Cancel::Now);
    }
}
