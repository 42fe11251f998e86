//! A job as the engine keeps it: a slot of fixed size. Its key and payload are in the queue's store, what it shares
//! with jobs of the same event is in a tag, and what most jobs lack is in extras.

use stanchion_protocol::command::{State, Until};

use crate::packed::Packed48;
use crate::slab::{NONE, Slab};
use crate::store::Place;
use crate::terms::Terms;

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
    /// Claimed: in the list of leases, between `link_a` and `link_b`.
    LeaseList,
    /// Claimed: in the heap of leases that are out of order, at place `link_a`.
    LeaseHeap,
    /// In the heap of dead jobs, at place `link_a`.
    Dead,
}

/// A job's dedupe key, and whether it is the one that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyState {
    /// It has none.
    None,
    /// It has one for show: the key is free, or another's. A requeue takes it back if it is free.
    Lost,
    /// The table of keys names the job, which holds its key by itself.
    Held,
    /// The table of keys names a hold with a window, whose owner the job is.
    Window,
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

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) pushed_at: Packed48,
    /// When it became or becomes ready; with priority and id this is its place in its group.
    pub(crate) ready_at: Packed48,
    /// Where its key and payload are; see `contents.rs`.
    pub(crate) place: Place,
    pub(crate) group: u32,
    pub(crate) link_a: u32,
    pub(crate) link_b: u32,
    /// What most jobs lack; `NONE` for one that lacks all of it.
    pub(crate) extras: u32,
    /// Its root and timestamp; `NONE` without a root.
    pub(crate) tag: u32,
    /// Neighbours among the jobs of its root; which list, by `in_root`.
    pub(crate) root_before: u32,
    pub(crate) root_after: u32,
    pub(crate) in_root: InRoot,
    pub(crate) stand: Stand,
    pub(crate) priority: u8,
    pub(crate) key: KeyState,
    pub(crate) key_bytes: u8,
    pub(crate) until: Until,
    /// The payload is only in the log.
    pub(crate) logged: bool,
    /// The payload stays in memory, as an earlier one of the same base is in the log, too.
    pub(crate) pinned: bool,
}

const _: () = assert!(size_of::<Job>() == 64, "a job is small");
const _: () = assert!(Slab::<Job>::SLOT_BYTES == 80, "and so is its slot");

impl Job {
    /// A job that waits in no place yet and has no contents.
    pub(crate) fn new(id: u64, group: u32, pushed_at: u64, terms: &Terms<'_>) -> Job {
        Job {
            id,
            pushed_at: pushed_at.into(),
            ready_at: terms.ready_at.into(),
            place: Place::NOWHERE,
            group,
            link_a: NONE,
            link_b: NONE,
            extras: NONE,
            tag: NONE,
            root_before: NONE,
            root_after: NONE,
            in_root: InRoot::No,
            stand: Stand::Nowhere,
            priority: terms.priority,
            key: KeyState::None,
            key_bytes: 0,
            until: Until::Claim,
            logged: false,
            pinned: false,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.stand {
            Stand::List | Stand::Tree => State::Ready,
            Stand::Delayed => State::Delayed,
            Stand::LeaseList | Stand::LeaseHeap => State::Claimed,
            Stand::Dead => State::Dead,
            Stand::Nowhere => unreachable!("a job stands nowhere only within a step"),
        }
    }

    pub(crate) fn is_claimed(&self) -> bool {
        matches!(self.stand, Stand::LeaseList | Stand::LeaseHeap)
    }
}
