//! Dedupe keys: who holds one, and until when.
//!
//! A hold carries the key for its owner, so that the key's bytes exist once. It outlives the owner's claim to
//! it, and the owner, by its window. A job that lost its hold keeps the key's bytes: it is shown, and a
//! requeue takes the key back if it is free.

use crate::queue::Queue;
use crate::slab::NONE;
use crate::terms::KeyTerms;
use crate::{Lsn, footprint};

#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) group: u32,
    pub(crate) key: Box<[u8]>,
    /// Of group and key, as the table of keys has it.
    hash: u64,
    /// The job that took it, while that job is there.
    pub(crate) owner: u32,
    /// That job's id, also when it is gone.
    pub(crate) holder: u64,
    /// The owner holds it by itself, whatever the window.
    pub(crate) held: bool,
    /// Besides, it is held until then; 0: no window.
    pub(crate) window_until: u64,
    /// Place in the heap of windows.
    pub(crate) window: u32,
}

impl Queue {
    pub(crate) fn find_hold(&self, group: u32, key: &[u8]) -> Option<u32> {
        self.find_hashed(self.hash_bytes(group, key), group, key)
    }

    fn find_hashed(&self, hash: u64, group: u32, key: &[u8]) -> Option<u32> {
        let same = |ix: u32| self.holds[ix].group == group && *self.holds[ix].key == *key;
        self.keys.find(hash, same)
    }

    /// Whether a push with this key would be a duplicate.
    pub(crate) fn in_force(&self, hold: u32, now: u64) -> bool {
        let Hold { held, window_until, owner, .. } = self.holds[hold];
        (held || window_until > now) && !(owner != NONE && self.is_waiting(owner) && self.superseded(owner))
    }

    /// Delayed or ready.
    pub(crate) fn is_waiting(&self, job: u32) -> bool {
        use stanchion_protocol::command::State;
        matches!(self.jobs[job].state(), State::Delayed | State::Ready)
    }

    /// Gives a job the hold of its key; whoever had it loses it.
    pub(crate) fn take_key(&mut self, base: Lsn, job: u32, terms: &KeyTerms<'_>, held: bool) {
        let (group, holder) = (self.jobs[job].group, self.jobs[job].id);
        let hold = self.add_hold(base, group, terms.key, holder, terms.window_until);
        (self.holds[hold].owner, self.holds[hold].held) = (job, held);
        // From here on the key is written with the job, not by itself.
        self.snapshot_bytes -= self.window_footprint(&self.holds[hold]);
        let job = &mut self.jobs[job];
        if job.key.is_none() {
            self.snapshot_bytes += footprint::of_key(terms.key);
        }
        (job.hold, job.key, job.until) = (hold, None, terms.until);
    }

    /// A hold without owner: a window whose job is gone.
    pub(crate) fn add_hold(
        &mut self,
        base: Lsn,
        group: u32,
        key: &[u8],
        holder: u64,
        window_until: u64,
    ) -> u32 {
        // Before the old hold goes, which may be all that keeps the group.
        self.groups[group].pins += 1;
        let hash = self.hash_bytes(group, key);
        if let Some(old) = self.find_hashed(hash, group, key) {
            self.drop_hold(old);
        }
        let hold = Hold {
            group,
            key: key.into(),
            hash,
            owner: NONE,
            holder,
            held: false,
            window_until,
            window: NONE,
        };
        self.snapshot_bytes += self.window_footprint(&hold);
        let ix = self.holds.insert(base, hold);
        let holds = &self.holds;
        self.keys.insert(hash, ix, |ix| holds[ix].hash);
        if window_until > 0 {
            let holds = &mut self.holds;
            self.windows.insert((window_until, holder), ix, |ix, place| holds[ix].window = place);
        }
        ix
    }

    /// Frees a key; its owner keeps the bytes.
    pub(crate) fn drop_hold(&mut self, ix: u32) {
        self.keys.remove(self.holds[ix].hash, ix);
        if self.holds[ix].window != NONE {
            let (place, holds) = (self.holds[ix].window, &mut self.holds);
            self.windows.remove(place, |ix, place| holds[ix].window = place);
        }
        let hold = self.holds.remove(ix);
        if hold.owner == NONE {
            self.snapshot_bytes -= self.window_footprint(&hold);
        } else {
            let job = &mut self.jobs[hold.owner];
            (job.hold, job.key) = (NONE, Some(hold.key));
        }
        self.groups[hold.group].pins -= 1;
        self.release_group(hold.group);
    }

    /// The owner holds its key no longer by itself; the window may still run.
    pub(crate) fn end_hold(&mut self, job: u32, now: u64) {
        let hold = self.jobs[job].hold;
        if hold != NONE {
            self.holds[hold].held = false;
            if self.holds[hold].window_until <= now {
                self.drop_hold(hold);
            }
        }
    }

    /// The owner is about to go: its key is free, or kept by the window alone.
    pub(crate) fn leave_hold(&mut self, job: u32, now: u64, with_window: bool) {
        let hold = self.jobs[job].hold;
        if hold == NONE {
            return;
        }
        if with_window || self.holds[hold].window_until <= now {
            self.drop_hold(hold);
        } else {
            (self.holds[hold].owner, self.holds[hold].held) = (NONE, false);
            self.jobs[job].hold = NONE;
            let hold = &self.holds[hold];
            self.snapshot_bytes += self.window_footprint(hold);
            self.snapshot_bytes -= footprint::of_key(&hold.key);
        }
    }
}
