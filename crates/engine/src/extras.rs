//! What a plain job does without: it comes with the first claim, or with terms that few pushes have, and goes with
//! the job.

use crate::memory::allocated;
use crate::packed::Packed48;
use crate::queue::Queue;
use crate::slab::NONE;
use crate::workers::InWorker;

#[derive(Debug)]
pub(crate) struct Extras {
    /// Of the newest claim.
    pub(crate) epoch: u64,
    /// When it was claimed last.
    pub(crate) claimed_at: Packed48,
    /// When its lease ends, while it is claimed.
    pub(crate) lease_until: Packed48,
    /// 0: never.
    pub(crate) expires_at: Packed48,
    /// Place in the heap of expiries.
    pub(crate) expiry: u32,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    /// Overrides the queue's limit on attempts.
    pub(crate) attempts_max: Option<u32>,
    pub(crate) in_worker: InWorker,
    pub(crate) last_error: Option<Box<[u8]>>,
}

/// Those of a job that has none.
pub(crate) static PLAIN: Extras = Extras {
    epoch: 0,
    claimed_at: Packed48::ZERO,
    lease_until: Packed48::ZERO,
    expires_at: Packed48::ZERO,
    expiry: NONE,
    attempts: 0,
    failures: 0,
    attempts_max: None,
    in_worker: InWorker::NOWHERE,
    last_error: None,
};

impl Extras {
    /// What they take in memory beside their slot.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.last_error.as_ref().map_or(0, |words| allocated(words.len()))
    }
}

impl Queue {
    pub(crate) fn extras(&self, job: u32) -> &Extras {
        match self.jobs[job].extras {
            NONE => &PLAIN,
            extras => &self.extras[extras],
        }
    }

    /// Makes them if need be. What a snapshot has of them is changed by [`Queue::change_extras`] alone.
    pub(crate) fn extras_mut(&mut self, job: u32) -> &mut Extras {
        let job = &mut self.jobs[job];
        if job.extras == NONE {
            job.extras = self.extras.insert(Extras { last_error: None, ..PLAIN });
        }
        &mut self.extras[job.extras]
    }

    pub(crate) fn drop_extras(&mut self, job: u32) {
        let extras = std::mem::replace(&mut self.jobs[job].extras, NONE);
        if extras != NONE {
            self.extras.remove(extras);
        }
    }

    /// Whether another attempt is allowed after those made.
    pub(crate) fn may_retry(&self, job: u32, attempts_max_queue: u32) -> bool {
        let extras = self.extras(job);
        let most = extras.attempts_max.unwrap_or(attempts_max_queue);
        most == 0 || extras.attempts < most
    }
}
