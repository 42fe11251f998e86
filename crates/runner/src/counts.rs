//! What the runner has counted since it began: jobs by queue and end, how long they waited and ran.
//!
//! Names of queues come from whoever pushes, so only so many are told apart; the jobs of all others count as one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::QUEUES_COUNTED_MAX;
use crate::outcome::Outcome;

/// The name under which queues beyond the limit are counted.
pub(crate) const OTHER_QUEUES: &str = "_other";

/// Upper ends of a histogram's buckets, in seconds; what is longer counts in the last one, without an end.
pub(crate) const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0];

/// All counts of a runner.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    queues: Mutex<BTreeMap<String, QueueCounts>>,
    /// By schedule, in the order of [`Tick`].
    ticks: Mutex<BTreeMap<String, [u64; 3]>>,
    leases_lost: AtomicU64,
    reloads: AtomicU64,
    reloads_refused: AtomicU64,
    /// The newest reload was refused, so the runner does not do what its file says.
    is_outdated: AtomicBool,
}

/// Of one queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QueueCounts {
    pub(crate) started: u64,
    /// By [`Outcome::status`], in the order of [`Outcome::STATUSES`].
    pub(crate) ended: [u64; Outcome::STATUSES.len()],
    /// From ready to start.
    pub(crate) waited: Histogram,
    /// From start to end.
    pub(crate) ran: Histogram,
}

/// What became of a time at which a schedule was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    /// This runner was the first.
    Pushed,
    /// Another one was.
    Duplicate,
    /// The server did not take it in time.
    Missed,
}

/// What metrics call a [`Tick`].
pub(crate) const TICKS: [&str; 3] = ["pushed", "duplicate", "missed"];

/// Durations, counted by length.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Of each bucket alone; the last one has no upper end.
    pub(crate) counts: [u64; BUCKETS.len() + 1],
    pub(crate) sum: Duration,
}

impl Counts {
    /// A job began, so long after it was ready.
    pub(crate) fn job_started(&self, queue: &str, waited: Duration) {
        self.queue(queue, |counts| {
            counts.started += 1;
            counts.waited.add(waited);
        });
    }

    /// A job ended, so long after it began.
    pub(crate) fn job_ended(&self, queue: &str, outcome: &Outcome, ran: Duration) {
        self.queue(queue, |counts| {
            counts.ended[outcome.status_index()] += 1;
            counts.ran.add(ran);
        });
    }

    pub(crate) fn lease_lost(&self) {
        self.leases_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A schedule was due.
    pub(crate) fn tick(&self, schedule: &str, tick: Tick) {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.entry(schedule.to_owned()).or_default()[tick as usize] += 1;
    }

    /// By schedule.
    pub(crate) fn ticks(&self) -> BTreeMap<String, [u64; 3]> {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.is_outdated.store(false, Ordering::Relaxed);
    }

    pub(crate) fn reload_refused(&self) {
        self.reloads_refused.fetch_add(1, Ordering::Relaxed);
        self.is_outdated.store(true, Ordering::Relaxed);
    }

    pub(crate) fn leases_lost(&self) -> u64 {
        self.leases_lost.load(Ordering::Relaxed)
    }

    /// Reloads that were taken, and those that were refused.
    pub(crate) fn reloads(&self) -> [u64; 2] {
        [self.reloads.load(Ordering::Relaxed), self.reloads_refused.load(Ordering::Relaxed)]
    }

    /// Whether the runner does what its file says.
    pub(crate) fn is_current(&self) -> bool {
        !self.is_outdated.load(Ordering::Relaxed)
    }

    /// By name.
    pub(crate) fn queues(&self) -> BTreeMap<String, QueueCounts> {
        self.lock().clone()
    }

    fn queue(&self, name: &str, count: impl FnOnce(&mut QueueCounts)) {
        let mut queues = self.lock();
        let is_full = queues.len() >= QUEUES_COUNTED_MAX;
        match queues.get_mut(name) {
            Some(counts) => count(counts),
            None if is_full => count(queues.entry(OTHER_QUEUES.to_owned()).or_default()),
            None => count(queues.entry(name.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, QueueCounts>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.counts[BUCKETS.partition_point(|end| *end < seconds)] += 1;
        self.sum += duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_count_by_queue_and_end() {
        let counts = Counts::default();
        for outcome in [Outcome::Done, Outcome::Done, Outcome::Failed("no".into())] {
            counts.job_started("mail", Duration::from_millis(7));
            counts.job_ended("mail", &outcome, Duration::from_secs(2));
        }
        let mail = &counts.queues()["mail"];
        assert_eq!((mail.started, mail.ended), (3, [2, 1, 0, 0, 0]));
        assert_eq!((mail.waited.counts[1], mail.ran.counts[8], mail.ran.sum), (3, 3, Duration::from_secs(6)));
    }

    #[test]
    fn a_bucket_ends_with_its_end_and_the_last_has_none() {
        let mut histogram = Histogram::default();
        for ms in [0, 5, 6, 3_600_000, 3_600_001, u64::MAX / 1_000_000] {
            histogram.add(Duration::from_millis(ms));
        }
        assert_eq!((histogram.counts[0], histogram.counts[1]), (2, 1));
        assert_eq!((histogram.counts[13], histogram.counts[14]), (1, 2));
    }

    #[test]
    fn names_from_outside_can_not_fill_the_memory() {
        let counts = Counts::default();
        for n in 0..QUEUES_COUNTED_MAX + 50 {
            counts.job_started(&format!("queue-{n}"), Duration::ZERO);
        }
        counts.job_started("queue-0", Duration::ZERO);
        let queues = counts.queues();
        assert_eq!(queues.len(), QUEUES_COUNTED_MAX + 1);
        assert_eq!((queues["queue-0"].started, queues[OTHER_QUEUES].started), (2, 50));
    }
}
