//! The jobs that run now: what the lease keeper extends, and how a job is told to end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stanchion_client::{Job, Receipt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::limits::PULSE_GRACE;
use crate::outcome::Cancel;

/// All running jobs of a runner, and the processes that take jobs by themselves.
#[derive(Debug)]
pub(crate) struct Running {
    jobs: Mutex<HashMap<Receipt, Entry>>,
    count: watch::Sender<usize>,
    /// Each process without a claim has a receiver of it.
    processes: watch::Sender<Cancel>,
}

#[derive(Debug)]
struct Entry {
    queue: Vec<u8>,
    cancel: watch::Sender<Cancel>,
    /// What its dispatcher promises; none when a job may run for any time.
    ends_by: Option<Instant>,
}

/// A job that holds its slot for longer than it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overdue {
    /// Which, in words.
    pub(crate) name: String,
    /// Since when it should have ended.
    pub(crate) late: Duration,
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
        Arc::new(Running {
            jobs: Mutex::default(),
            count: watch::Sender::new(0),
            processes: watch::Sender::new(Cancel::No),
        })
    }

    /// Enters a job; its dispatcher ends it within `time_max`.
    pub(crate) fn start(self: &Arc<Running>, job: &Job, time_max: Option<Duration>) -> RunningJob {
        let (sender, cancel) = watch::channel(Cancel::No);
        let ends_by = time_max.and_then(|time_max| Instant::now().checked_add(time_max + PULSE_GRACE));
        let entry = Entry { queue: job.queue.clone(), cancel: sender, ends_by };
        let count = {
            let mut jobs = self.jobs();
            jobs.insert(job.receipt.clone(), entry);
            jobs.len()
        };
        self.count.send_replace(count);
        RunningJob { running: Arc::clone(self), receipt: job.receipt.clone(), cancel }
    }

    /// Enters a process that takes jobs by itself, until the receiver is dropped.
    pub(crate) fn start_process(&self) -> watch::Receiver<Cancel> {
        self.processes.subscribe()
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        *self.count.borrow()
    }

    /// Queue and receipt of each.
    pub(crate) fn claims(&self) -> Vec<(Vec<u8>, Receipt)> {
        self.jobs().iter().map(|(receipt, entry)| (entry.queue.clone(), receipt.clone())).collect()
    }

    /// Jobs that should have ended: what ends them is stuck.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<Overdue> {
        let is_late = |(receipt, entry): (&Receipt, &Entry)| {
            let late = now.checked_duration_since(entry.ends_by?).filter(|late| !late.is_zero())?;
            let queue = String::from_utf8_lossy(&entry.queue);
            Some(Overdue { name: format!("job {} of queue {queue}", receipt.id()), late })
        };
        self.jobs().iter().filter_map(is_late).collect()
    }

    /// Tells one to end, if it still runs.
    pub(crate) fn cancel(&self, receipt: &Receipt, why: Cancel) -> bool {
        self.jobs().get(receipt).is_some_and(|entry| entry.raise(why))
    }

    /// Tells all to end; how many were told something new.
    pub(crate) fn cancel_all(&self, why: Cancel) -> usize {
        let jobs = self.jobs().values().filter(|entry| entry.raise(why)).count();
        if raise(&self.processes, why) { jobs + self.processes.receiver_count() } else { jobs }
    }

    /// Waits until at least one runs.
    pub(crate) async fn some(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count > 0).await; // the sender is held by self
    }

    /// Waits until none runs.
    pub(crate) async fn none(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await; // the sender is held by self
        self.processes.closed().await;
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<Receipt, Entry>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn raise(&self, why: Cancel) -> bool {
        raise(&self.cancel, why)
    }
}

/// Only towards more urgency. Whether it was news.
fn raise(cancel: &watch::Sender<Cancel>, why: Cancel) -> bool {
    cancel.send_if_modified(|now| {
        let news = *now < why;
        *now = why.max(*now);
        news
    })
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
        let entered = running.start(&job("q"), None);
        running.some().await;
        assert_eq!(running.claims(), [(b"q".to_vec(), job("q").receipt)]);
        drop(entered);
        running.none().await;
        assert!(!running.cancel(&job("q").receipt, Cancel::Lost), "it ended before it was lost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_beyond_its_time_is_overdue() {
        let running = Running::new();
        let _any_time = running.start(&Job { receipt: Receipt::from("01-1".to_owned()), ..job("q") }, None);
        let _entered = running.start(&job("q"), Some(Duration::from_secs(5)));
        let end = Instant::now() + Duration::from_secs(5) + PULSE_GRACE;
        assert_eq!(running.overdue(end), []);
        let late = Duration::from_secs(1);
        let name = "job 0000100000000001 of queue q".to_owned();
        assert_eq!(running.overdue(end + late), [Overdue { name, late }]);
    }

    #[test]
    fn cancelling_only_grows_more_urgent() {
        let running = Running::new();
        let entered = running.start(&job("q"), None);
        assert_eq!(running.cancel_all(Cancel::Now), 1);
        assert_eq!(running.cancel_all(Cancel::Stopping), 0);
        assert_eq!(entered.told(), Cancel::Now);
    }

    #[tokio::test]
    async fn processes_are_told_and_waited_for() {
        let running = Running::new();
        let mut first = running.start_process();
        assert_eq!(running.cancel_all(Cancel::Stopping), 1);
        assert_eq!(*first.borrow_and_update(), Cancel::Stopping);
        let late = running.start_process();
        assert_eq!(*late.borrow(), Cancel::Stopping, "what was said before holds for it too");
        let none = tokio::spawn({
            let running = Arc::clone(&running);
            async move { running.none().await }
        });
        drop((first, late));
        none.await.unwrap();
    }
}
