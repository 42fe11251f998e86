//! Dedupe keys: who holds one, and until when.
//!
//! The table of keys names the job that holds a key. Where a window keeps the key besides, it names a hold
//! instead, which outlives the owner's claim to it, and the owner. A job that lost its key still has the key's
//! bytes: it is shown, and a requeue takes the key back if it is free.

use stanchion_protocol::command::State;

use crate::Lsn;
use crate::job::KeyState;
use crate::memory::allocated;
use crate::queue::Queue;
use crate::slab::NONE;

/// A dedupe window.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) group: u32,
    /// The job that took the key, while that job is there.
    pub(crate) owner: u32,
    /// The key, once there is no owner that has it.
    key: Box<[u8]>,
    /// That job's id, also when it is gone.
    pub(crate) holder: u64,
    /// The owner holds it by itself, whatever the window.
    pub(crate) held: bool,
    /// Besides, it is held until then.
    pub(crate) window_until: u64,
    /// Place in the heap of windows.
    pub(crate) window: u32,
}

impl Hold {
    /// What it takes in memory beside its slot.
    pub(crate) fn memory_bytes(&self) -> usize {
        allocated(self.key.len())
    }
}

/// What the table of keys names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    Job(u32),
    Hold(u32),
}

/// What there is to know of a key's holder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    /// The job, while it is there.
    pub(crate) owner: u32,
    /// Its id.
    pub(crate) id: u64,
    held: bool,
    window_until: u64,
}

/// Set in an entry of the table that names a hold.
const IS_HOLD: u32 = 1 << 31;

impl Holder {
    fn entry(self) -> u32 {
        let (ix, mark) = match self {
            Holder::Job(ix) => (ix, 0),
            Holder::Hold(ix) => (ix, IS_HOLD),
        };
        assert!(ix < IS_HOLD, "a queue has at most 2^31 jobs with keys");
        ix | mark
    }

    fn of(entry: u32) -> Holder {
        if entry & IS_HOLD == 0 { Holder::Job(entry) } else { Holder::Hold(entry & !IS_HOLD) }
    }
}

impl Queue {
    pub(crate) fn find_holder(&self, group: u32, key: &[u8]) -> Option<Holder> {
        self.find_hashed(self.hash_bytes(group, key), group, key)
    }

    fn find_hashed(&self, hash: u64, group: u32, key: &[u8]) -> Option<Holder> {
        let same = |entry| self.key_of(Holder::of(entry)) == (group, key);
        self.keys.find(hash, same).map(Holder::of)
    }

    /// The key that is held, and its group.
    pub(crate) fn key_of(&self, holder: Holder) -> (u32, &[u8]) {
        match holder {
            Holder::Job(job) => (self.jobs[job].group, self.key(job).expect("a holder has a key")),
            Holder::Hold(hold) => (self.holds[hold].group, self.key_of_hold(&self.holds[hold])),
        }
    }

    pub(crate) fn key_of_hold<'a>(&'a self, hold: &'a Hold) -> &'a [u8] {
        match hold.owner {
            NONE => &hold.key,
            owner => self.key(owner).expect("an owner has a key"),
        }
    }

    /// The hash of what an entry of the table names.
    pub(crate) fn hash_of_key(&self, entry: u32) -> u64 {
        let (group, key) = self.key_of(Holder::of(entry));
        self.hash_bytes(group, key)
    }

    pub(crate) fn holding(&self, holder: Holder) -> Holding {
        match holder {
            Holder::Job(job) => Holding { owner: job, id: self.jobs[job].id, held: true, window_until: 0 },
            Holder::Hold(hold) => {
                let &Hold { owner, holder, held, window_until, .. } = &self.holds[hold];
                Holding { owner, id: holder, held, window_until }
            }
        }
    }

    /// Whether a push with this key would be a duplicate.
    pub(crate) fn in_force(&self, holder: Holder, now: u64) -> bool {
        let Holding { owner, held, window_until, .. } = self.holding(holder);
        if owner == NONE || !self.is_waiting(owner) {
            return held || window_until > now;
        }
        // Its time may be over before the timers come to it: it would never be claimed.
        let is_over = self.expires_at(owner).is_some_and(|at| at <= now);
        (held && !is_over || window_until > now) && !self.superseded(owner)
    }

    /// Delayed or ready.
    pub(crate) fn is_waiting(&self, job: u32) -> bool {
        matches!(self.jobs[job].state(), State::Delayed | State::Ready)
    }

    /// The hold whose owner a job is.
    pub(crate) fn hold_of(&self, job: u32) -> Option<u32> {
        if self.jobs[job].key != KeyState::Window {
            return None;
        }
        let (group, key) = self.key_of(Holder::Job(job));
        match self.find_holder(group, key) {
            Some(Holder::Hold(hold)) if self.holds[hold].owner == job => Some(hold),
            other => unreachable!("a window's owner is found by its key, not {other:?}"),
        }
    }

    /// Gives a job the key that is its own; whoever had it loses it.
    pub(crate) fn take_key(&mut self, base: Lsn, job: u32, key: &[u8], window_until: u64, held: bool) {
        let group = self.jobs[job].group;
        let hash = self.hash_bytes(group, key);
        if let Some(old) = self.find_hashed(hash, group, key) {
            self.free(old);
        }
        let holder = if window_until > 0 {
            let (key, holder) = (Box::default(), self.jobs[job].id);
            let hold = Hold { group, owner: job, key, holder, held, window_until, window: NONE };
            self.jobs[job].key = KeyState::Window;
            Holder::Hold(self.open_hold(base, hold))
        } else {
            self.jobs[job].key = KeyState::Held;
            Holder::Job(job)
        };
        self.name_holder(hash, holder);
    }

    /// A window whose job is gone.
    pub(crate) fn add_window(&mut self, base: Lsn, group: u32, key: &[u8], holder: u64, window_until: u64) {
        let hash = self.hash_bytes(group, key);
        // The old hold may be all that keeps the group.
        self.groups[group].pins += 1;
        if let Some(old) = self.find_hashed(hash, group, key) {
            self.free(old);
        }
        self.groups[group].pins -= 1;
        let (owner, key) = (NONE, key.into());
        let hold = Hold { group, owner, key, holder, held: false, window_until, window: NONE };
        self.snapshot_bytes += self.window_footprint(&hold);
        let hold = self.open_hold(base, hold);
        self.name_holder(hash, Holder::Hold(hold));
    }

    fn open_hold(&mut self, base: Lsn, hold: Hold) -> u32 {
        self.groups[hold.group].pins += 1;
        let moment = (hold.window_until, hold.holder);
        let ix = self.holds.insert(base, hold);
        let holds = &mut self.holds;
        self.windows.insert(moment, ix, |ix, place| holds[ix].window = place);
        ix
    }

    fn name_holder(&mut self, hash: u64, holder: Holder) {
        let mut keys = std::mem::take(&mut self.keys);
        keys.insert(hash, holder.entry(), |entry| self.hash_of_key(entry));
        self.keys = keys;
    }

    /// Frees a key; its owner keeps the bytes.
    pub(crate) fn free(&mut self, holder: Holder) {
        let (group, key) = self.key_of(holder);
        let hash = self.hash_bytes(group, key);
        self.keys.remove(hash, holder.entry());
        match holder {
            Holder::Job(job) => self.jobs[job].key = KeyState::Lost,
            Holder::Hold(hold) => {
                let owner = self.holds[hold].owner;
                if owner == NONE {
                    self.snapshot_bytes -= self.window_footprint(&self.holds[hold]);
                } else {
                    self.jobs[owner].key = KeyState::Lost;
                }
                self.close_hold(hold);
            }
        }
    }

    fn close_hold(&mut self, ix: u32) {
        let (place, holds) = (self.holds[ix].window, &mut self.holds);
        self.windows.remove(place, |ix, place| holds[ix].window = place);
        let hold = self.holds.remove(ix);
        self.groups[hold.group].pins -= 1;
        self.release_group(hold.group);
    }

    /// A window is over: its key is the owner's alone, or free.
    pub(crate) fn end_window(&mut self, hold: u32) {
        let Hold { held, owner, .. } = self.holds[hold];
        if !held {
            return self.free(Holder::Hold(hold));
        }
        let hash = self.hash_of_key(Holder::Hold(hold).entry());
        self.keys.replace(hash, Holder::Hold(hold).entry(), Holder::Job(owner).entry());
        self.jobs[owner].key = KeyState::Held;
        self.close_hold(hold);
    }

    /// The owner holds its key no longer by itself; the window may still run.
    pub(crate) fn end_hold(&mut self, job: u32, now: u64) {
        if self.jobs[job].key == KeyState::Held {
            self.free(Holder::Job(job));
        } else if let Some(hold) = self.hold_of(job) {
            self.holds[hold].held = false;
            if self.holds[hold].window_until <= now {
                self.free(Holder::Hold(hold));
            }
        }
    }

    /// The owner is about to go: its key is free, or kept by the window alone.
    pub(crate) fn leave_hold(&mut self, job: u32, now: u64, with_window: bool) {
        if self.jobs[job].key == KeyState::Held {
            self.free(Holder::Job(job));
        } else if let Some(hold) = self.hold_of(job) {
            if with_window || self.holds[hold].window_until <= now {
                self.free(Holder::Hold(hold));
            } else {
                let key = self.key_of_hold(&self.holds[hold]).into();
                let left = &mut self.holds[hold];
                (left.key, left.owner, left.held) = (key, NONE, false);
                self.jobs[job].key = KeyState::Lost;
                self.snapshot_bytes += self.window_footprint(&self.holds[hold]);
            }
        }
    }

    /// The job holds its key by itself, if it is the one that holds it at all.
    pub(crate) fn renew_hold(&mut self, job: u32) {
        if let Some(hold) = self.hold_of(job) {
            self.holds[hold].held = true;
        }
    }
}
