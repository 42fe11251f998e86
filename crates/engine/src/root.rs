//! A root: the newest event registered for a signature, and the jobs that it fanned out into.
//!
//! Registering a newer timestamp makes all jobs of the older ones superseded at once: the fresh list becomes
//! part of the stale one in O(1), and a sweep drops its jobs in bounded steps. Meanwhile a claim steps over them, and
//! leaves a group alone that has no others.

use stanchion_protocol::command::State;

use crate::job::{InRoot, Job};
use crate::memory::allocated;
use crate::queue::{Queue, hash_bytes};
use crate::slab::{NONE, Slab};
use crate::{Lsn, footprint};

#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) group: u32,
    pub(crate) signature: Box<[u8]>,
    pub(crate) newest: u64,
    pub(crate) registered_at: u64,
    /// Jobs that carry it, in any state.
    pub(crate) jobs: u32,
    /// Those that are ready and not superseded.
    pub(crate) ready: u32,
    /// The tags of its jobs that were made last.
    pub(crate) tags: [u32; 2],
    fresh: List,
    stale: List,
    /// It is among the queue's stale roots.
    pub(crate) to_sweep: bool,
    /// Place in the heap of roots without jobs.
    pub(crate) idle: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

const EMPTY: List = List { head: NONE, tail: NONE };

impl Root {
    /// What it takes in memory beside its slot.
    pub(crate) fn memory_bytes(&self) -> usize {
        allocated(self.signature.len())
    }

    pub(crate) fn link(&mut self, jobs: &mut Slab<Job>, ix: u32, to: InRoot) {
        let list = self.list(to);
        let before = std::mem::replace(&mut list.tail, ix);
        if before == NONE {
            list.head = ix;
        } else {
            jobs[before].root_after = ix;
        }
        let job = &mut jobs[ix];
        (job.root_before, job.root_after, job.in_root) = (before, NONE, to);
    }

    pub(crate) fn unlink(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        let job = &mut jobs[ix];
        let (before, after) = (job.root_before, job.root_after);
        // A job of the fresh list that a newer root moved over wholesale still says Fresh: which list it
        // leaves matters only at the ends, and those are told apart by their neighbours.
        job.in_root = InRoot::No;
        if before == NONE {
            let list = if self.fresh.head == ix { &mut self.fresh } else { &mut self.stale };
            list.head = after;
        } else {
            jobs[before].root_after = after;
        }
        if after == NONE {
            let list = if self.fresh.tail == ix { &mut self.fresh } else { &mut self.stale };
            list.tail = before;
        } else {
            jobs[after].root_before = before;
        }
    }

    /// The first superseded job.
    pub(crate) fn first_stale(&self) -> Option<u32> {
        (self.stale.head != NONE).then_some(self.stale.head)
    }

    /// The superseded jobs.
    pub(crate) fn stale<'a>(&self, jobs: &'a Slab<Job>) -> impl Iterator<Item = u32> + 'a {
        let mut at = self.stale.head;
        std::iter::from_fn(move || {
            let ix = (at != NONE).then_some(at)?;
            at = jobs[ix].root_after;
            Some(ix)
        })
    }

    /// All its jobs of now are superseded.
    fn stale_all(&mut self, jobs: &mut Slab<Job>) {
        let fresh = std::mem::replace(&mut self.fresh, EMPTY);
        if self.stale.head == NONE {
            self.stale = fresh;
        } else if fresh.head != NONE {
            jobs[self.stale.tail].root_after = fresh.head;
            jobs[fresh.head].root_before = self.stale.tail;
            self.stale.tail = fresh.tail;
        }
    }

    fn list(&mut self, which: InRoot) -> &mut List {
        match which {
            InRoot::Fresh => &mut self.fresh,
            InRoot::Stale => &mut self.stale,
            InRoot::No => unreachable!("a job is put into one of the two lists"),
        }
    }
}

impl Queue {
    pub(crate) fn find_root(&self, group: u32, signature: &[u8]) -> Option<u32> {
        let hash = self.hash_bytes(group, signature);
        let same = |ix: u32| self.roots[ix].group == group && *self.roots[ix].signature == *signature;
        self.signatures.find(hash, same)
    }

    /// Registers a timestamp: the root is made, or raised if it is older.
    pub(crate) fn register(
        &mut self,
        base: Lsn,
        group: u32,
        signature: &[u8],
        timestamp: u64,
        at: u64,
    ) -> u32 {
        let Some(ix) = self.find_root(group, signature) else {
            return self.make_root(base, group, signature, timestamp, at);
        };
        self.roots.rebase(ix, base);
        let root = &mut self.roots[ix];
        root.registered_at = root.registered_at.max(at);
        if timestamp > root.newest {
            root.newest = timestamp;
            root.stale_all(&mut self.jobs);
            self.groups[group].superseded += std::mem::take(&mut root.ready);
            if self.roots[ix].first_stale().is_some() {
                self.sweep_later(ix);
            }
        }
        if self.roots[ix].idle != NONE {
            let (place, moment) = (self.roots[ix].idle, (self.roots[ix].registered_at, u64::from(ix)));
            let roots = &mut self.roots;
            self.idle_roots.reschedule(place, moment, |ix, place| roots[ix].idle = place);
        }
        ix
    }

    fn make_root(&mut self, base: Lsn, group: u32, signature: &[u8], newest: u64, registered_at: u64) -> u32 {
        self.groups[group].pins += 1;
        self.snapshot_bytes += footprint::of_root(&self.groups[group].name, signature);
        let root = Root {
            group,
            signature: signature.into(),
            newest,
            registered_at,
            jobs: 0,
            ready: 0,
            tags: [NONE; 2],
            fresh: EMPTY,
            stale: EMPTY,
            to_sweep: false,
            idle: NONE,
        };
        let ix = self.roots.insert(base, root);
        let hash = self.hash_bytes(group, signature);
        let (roots, hasher) = (&self.roots, &self.hasher);
        self.signatures.insert(hash, ix, |ix| hash_bytes(hasher, roots[ix].group, &roots[ix].signature));
        self.idle_root(ix);
        ix
    }

    /// Delayed and ready jobs stand in a list of their root, so that a newer one finds them.
    pub(crate) fn enter_root(&mut self, ix: u32) {
        let Some(tag) = self.tag_of(ix) else { return };
        let (root, fresh) = (tag.root, tag.timestamp == self.roots[tag.root].newest);
        let list = if fresh { InRoot::Fresh } else { InRoot::Stale };
        self.roots[root].link(&mut self.jobs, ix, list);
        if self.jobs[ix].state() == State::Ready {
            *self.ready_in_root(root, fresh) += 1;
        }
        if list == InRoot::Stale {
            self.sweep_later(root);
        }
    }

    /// The job was in this state until now.
    pub(crate) fn leave_root(&mut self, ix: u32, state: State) {
        if self.jobs[ix].in_root == InRoot::No {
            return;
        }
        let tag = &self.tags[self.jobs[ix].tag];
        let (root, fresh) = (tag.root, tag.timestamp == self.roots[tag.root].newest);
        self.roots[root].unlink(&mut self.jobs, ix);
        if state == State::Ready {
            *self.ready_in_root(root, fresh) -= 1;
        }
    }

    /// The count that a ready job of a root is part of.
    fn ready_in_root(&mut self, root: u32, fresh: bool) -> &mut u32 {
        let root = &mut self.roots[root];
        if fresh { &mut root.ready } else { &mut self.groups[root.group].superseded }
    }

    pub(crate) fn sweep_later(&mut self, root: u32) {
        if !std::mem::replace(&mut self.roots[root].to_sweep, true) {
            self.stale_roots.push_back(root);
        }
    }

    /// A root without jobs is forgotten some time after its registration.
    pub(crate) fn idle_root(&mut self, ix: u32) {
        let roots = &mut self.roots;
        let moment = (roots[ix].registered_at, u64::from(ix));
        self.idle_roots.insert(moment, ix, |ix, place| roots[ix].idle = place);
    }

    /// The root has a job.
    pub(crate) fn busy_root(&mut self, ix: u32) {
        let roots = &mut self.roots;
        let place = std::mem::replace(&mut roots[ix].idle, NONE);
        if place != NONE {
            self.idle_roots.remove(place, |ix, place| roots[ix].idle = place);
        }
    }

    /// Forgets a root without jobs.
    pub(crate) fn drop_root(&mut self, ix: u32) {
        let place = self.roots[ix].idle;
        assert_ne!(place, NONE, "only a root without jobs is forgotten");
        let roots = &mut self.roots;
        self.idle_roots.remove(place, |ix, place| roots[ix].idle = place);
        let hash = self.hash_bytes(self.roots[ix].group, &self.roots[ix].signature);
        self.signatures.remove(hash, ix);
        if self.roots[ix].to_sweep {
            self.stale_roots.retain(|&other| other != ix);
        }
        let root = self.roots.remove(ix);
        self.snapshot_bytes -= footprint::of_root(&self.groups[root.group].name, &root.signature);
        self.groups[root.group].pins -= 1;
        self.release_group(root.group);
    }
}
