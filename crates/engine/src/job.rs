//! A job as the engine keeps it: a slot of fixed size, its payload, and a box for what most jobs lack.

use stanchion_protocol::command::{State, Until};
use stanchion_protocol::id::JobId;

use crate::memory::allocated;
use crate::payload::Keep;
use crate::slab::NONE;
use crate::terms::Terms;
use crate::{LoggedPayload, Lsn, Payload, limits};

/// Which structure of its queue a job stands in; a job stands in exactly one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stand {
    /// In none: only within one step.
    Nowhere,
    /// In its group's list of ready jobs, between `link_a` and `link_b`.
    List,
    /// In its group's tree of ready jobs that came back out of order.
    Tree,
    /// In the heap of delayed jobs, at place `link_a`.
    Delayed,
    /// In the heap of leases, at place `link_a`.
    Claimed,
    /// In the heap of dead jobs, at place `link_a`.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    payload: Stored,
    pub(crate) pushed_at: u64,
    /// When it became or becomes ready; with priority and id this is its place in its group.
    pub(crate) ready_at: u64,
    /// When it was claimed last.
    pub(crate) claimed_at: u64,
    pub(crate) epoch: u64,
    pub(crate) group: u32,
    pub(crate) link_a: u32,
    pub(crate) link_b: u32,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) stand: Stand,
    pub(crate) priority: u8,
    /// The payload stays in memory, as an earlier one of the same base is in the log, too.
    pinned: bool,
    /// The dedupe key while no hold carries it for this job.
    pub(crate) key: Option<Box<[u8]>>,
    /// The hold of its dedupe key, while this job owns it.
    pub(crate) hold: u32,
    pub(crate) until: Until,
    pub(crate) extras: Option<Box<Extras>>,
}

/// Its bytes, or how many of them are in the log.
#[derive(Debug)]
enum Stored {
    Here(Box<[u8]>),
    Logged(u32),
}

/// What a plain job does without.
#[derive(Debug)]
pub(crate) struct Extras {
    /// Overrides the queue's limit on attempts.
    pub(crate) attempts_max: Option<u32>,
    /// 0: never.
    pub(crate) expires_at: u64,
    /// Place in the heap of expiries.
    pub(crate) expiry: u32,
    /// Its root.
    pub(crate) root: u32,
    pub(crate) root_timestamp: u64,
    /// Neighbours among the jobs of its root; which list, by `in_root`.
    pub(crate) root_before: u32,
    pub(crate) root_after: u32,
    pub(crate) in_root: InRoot,
    pub(crate) worker: Option<Box<[u8]>>,
    pub(crate) last_error: Option<Box<[u8]>>,
}

/// Which list of its root a job stands in: those that are delayed or ready are in one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InRoot {
    No,
    /// As new as the root.
    Fresh,
    /// Superseded; the sweep will drop it.
    Stale,
}

impl Default for Extras {
    fn default() -> Self {
        Extras {
            attempts_max: None,
            expires_at: 0,
            expiry: NONE,
            root: NONE,
            root_timestamp: 0,
            root_before: NONE,
            root_after: NONE,
            in_root: InRoot::No,
            worker: None,
            last_error: None,
        }
    }
}

impl Stored {
    fn new(payload: &[u8], keep: Keep) -> Stored {
        match keep {
            Keep::Here | Keep::Pinned => Stored::Here(payload.into()),
            Keep::Log { bytes } => Stored::Logged(bytes),
        }
    }
}

impl Job {
    /// A job that waits in no place yet, with the terms that a push and a snapshot have in common.
    pub(crate) fn new(id: u64, group: u32, pushed_at: u64, terms: &Terms<'_>, keep: Keep) -> Job {
        Job {
            id,
            payload: Stored::new(terms.payload, keep),
            pushed_at,
            ready_at: terms.ready_at,
            claimed_at: 0,
            epoch: 0,
            group,
            link_a: NONE,
            link_b: NONE,
            attempts: 0,
            failures: 0,
            stand: Stand::Nowhere,
            priority: terms.priority,
            pinned: keep == Keep::Pinned,
            key: None,
            hold: NONE,
            until: Until::Claim,
            extras: None,
        }
    }

    /// Its bytes, or where in the log they are, given its base.
    #[inline]
    pub(crate) fn payload(&self, base: Lsn) -> Payload<'_> {
        match &self.payload {
            Stored::Here(payload) => Payload::Here(payload),
            &Stored::Logged(bytes) => Payload::Logged(LoggedPayload { base, id: JobId(self.id), bytes }),
        }
    }

    /// How many they are.
    #[inline]
    pub(crate) fn payload_bytes(&self) -> u64 {
        match &self.payload {
            Stored::Here(payload) => payload.len() as u64,
            Stored::Logged(bytes) => u64::from(*bytes),
        }
    }

    /// How many of them are in memory.
    #[inline]
    pub(crate) fn payload_bytes_here(&self) -> u64 {
        match &self.payload {
            Stored::Here(payload) => payload.len() as u64,
            Stored::Logged(_) => 0,
        }
    }

    /// A replacement has another one.
    pub(crate) fn set_payload(&mut self, payload: &[u8], keep: Keep) {
        (self.payload, self.pinned) = (Stored::new(payload, keep), keep == Keep::Pinned);
    }

    /// Whether it must stay in memory for now.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Its newest record is the only one of its hold that carries its payload.
    pub(crate) fn unpin(&mut self) {
        self.pinned = false;
    }

    /// Gives up the bytes in memory, if that frees any; how many. They are in the log.
    pub(crate) fn spill(&mut self) -> u64 {
        match &self.payload {
            Stored::Here(payload) if payload.len() > limits::PAYLOAD_KEPT_BYTES && !self.pinned => {
                let bytes = payload.len();
                self.payload = Stored::Logged(bytes as u32);
                bytes as u64
            }
            _ => 0,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.stand {
            Stand::List | Stand::Tree => State::Ready,
            Stand::Delayed => State::Delayed,
            Stand::Claimed => State::Claimed,
            Stand::Dead => State::Dead,
            Stand::Nowhere => unreachable!("a job stands nowhere only within a step"),
        }
    }

    /// What it takes in memory beside its slot.
    pub(crate) fn memory_bytes(&self) -> usize {
        let word = |word: &Option<Box<[u8]>>| word.as_ref().map_or(0, |word| allocated(word.len()));
        let extras = self.extras.as_deref().map_or(0, |extras| {
            allocated(size_of::<Extras>()) + word(&extras.worker) + word(&extras.last_error)
        });
        allocated(self.payload_bytes_here() as usize) + word(&self.key) + extras
    }

    pub(crate) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    pub(crate) fn expires_at(&self) -> u64 {
        self.extras.as_ref().map_or(0, |extras| extras.expires_at)
    }

    pub(crate) fn attempts_max(&self, queue: u32) -> u32 {
        self.extras.as_ref().and_then(|extras| extras.attempts_max).unwrap_or(queue)
    }

    /// Whether another attempt is allowed after those made.
    pub(crate) fn may_retry(&self, attempts_max_queue: u32) -> bool {
        let most = self.attempts_max(attempts_max_queue);
        most == 0 || self.attempts < most
    }
}
