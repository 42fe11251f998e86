//! Waking the writer only when it sleeps, and only for enough work.
//!
//! A wake-up is a system call; a shard that stages while the writer is awake, or while it lets records gather,
//! must not pay for one.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use crossbeam::sync::Parker;

/// No amount of work wakes the writer, since it is awake.
const AWAKE: usize = usize::MAX;

/// No amount of staged bytes wakes the writer; only a ring does.
pub(crate) const RINGS_ONLY: usize = usize::MAX - 1;

/// The side that rings.
pub(crate) struct Doorbell {
    /// How many staged bytes wake the writer.
    threshold_bytes: AtomicUsize,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Doorbell {
    /// A bell that wakes the writer with `wake`.
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { threshold_bytes: AtomicUsize::new(AWAKE), wake }
    }

    /// Wakes the writer if it sleeps and `staged_bytes` are enough for it.
    pub(crate) fn ring_for(&self, staged_bytes: usize) {
        if staged_bytes >= self.threshold_bytes.load(SeqCst) {
            self.ring();
        }
    }

    /// Wakes the writer if it sleeps.
    pub(crate) fn ring(&self) {
        if self.threshold_bytes.swap(AWAKE, SeqCst) != AWAKE {
            (self.wake)();
        }
    }

    /// From now on so many staged bytes wake the writer.
    pub(crate) fn arm(&self, threshold_bytes: usize) {
        self.threshold_bytes.store(threshold_bytes, SeqCst);
    }

    /// The writer is awake: nothing has to wake it.
    pub(crate) fn disarm(&self) {
        self.threshold_bytes.store(AWAKE, SeqCst);
    }

    /// Sleeps on the writer's thread, until `threshold_bytes` are staged, something else rings or the deadline
    /// passes. It may wake for nothing. `has_news` is asked after the bell works, for what was staged or asked just
    /// before did not ring.
    pub(crate) fn sleep(
        &self,
        parker: &Parker,
        threshold_bytes: usize,
        deadline: Option<Instant>,
        has_news: impl FnOnce() -> bool,
    ) {
        self.arm(threshold_bytes);
        if !has_news() {
            match deadline {
                Some(deadline) => {
                    parker.park_deadline(deadline);
                }
                None => parker.park(),
            }
        }
        self.disarm();
    }
}
