//! Snapshots: what must be written again before the oldest segment of the log is freed.
//!
//! A queue's entries go first, the queue itself last: its totals are absolute, so whatever replay made of
//! events of jobs that it did not know, the totals are right from there on. So a queue is written again when its
//! own snapshot is in what goes, and when anything happened since that to what is based there: of that replay
//! would not know any more.

use crate::event::{Event, Part};
use crate::hold::Hold;
use crate::job::{KeyState, Stand};
use crate::queue::{At, Queue};
use crate::root::Root;
use crate::slab::{NONE, Slab};
use crate::terms::{JobSnapshot, KeyTerms, Spot, Terms};
use crate::{Lsn, Payload, ReadPayloads};

/// What of a queue was written again.
pub(crate) enum Kept {
    /// Some entries; there are more.
    Some,
    /// All that had to be, the queue itself not among it.
    Entries,
    /// All that had to be, and the queue itself.
    Queue,
}

impl Queue {
    /// Writes snapshots of what is based below `below` until the record holds `bytes_max`. The queue's own base is
    /// `base`; the caller moves it when the queue is written again. It stops at a payload that is only in the log and
    /// not among those that were `read`.
    pub(crate) fn reclaim(
        &mut self,
        at: At,
        part: &mut Part<'_>,
        below: Lsn,
        base: Lsn,
        bytes_max: usize,
        read: &ReadPayloads,
    ) -> Kept {
        loop {
            if part.bytes() >= bytes_max {
                return Kept::Some;
            }
            if let Some(root) = oldest(&self.roots, below) {
                self.keep_root(at, part, root);
            } else if let Some(hold) = oldest(&self.holds, below) {
                let kept = match self.holds[hold].owner {
                    NONE => self.keep_window(at, part, hold),
                    owner => self.keep_job(at, part, owner, read),
                };
                if !kept {
                    return Kept::Some;
                }
            } else if let Some(job) = oldest(&self.jobs, below) {
                if !self.keep_job(at, part, job, read) {
                    return Kept::Some;
                }
            } else if self.touched_base.min(base) < below {
                self.put_queue(part);
                self.touched_base = Lsn::MAX;
                return Kept::Queue;
            } else {
                return Kept::Entries;
            }
        }
    }

    fn keep_root(&mut self, at: At, part: &mut Part<'_>, ix: u32) {
        part.add(&self.name, &self.root_event(&self.roots[ix]));
        self.roots.rebase(ix, at.base);
    }

    fn keep_window(&mut self, at: At, part: &mut Part<'_>, ix: u32) -> bool {
        part.add(&self.name, &self.window_event(&self.holds[ix]));
        self.holds.rebase(ix, at.base);
        true
    }

    /// False when its payload has yet to be read; then nothing has changed.
    fn keep_job(&mut self, at: At, part: &mut Part<'_>, ix: u32, read: &ReadPayloads) -> bool {
        // The key has the base, too: what was read before the job got another one is not its payload any more.
        let unread = match self.payload(ix) {
            Payload::Logged(payload) => !read.contains_key(&payload),
            Payload::Here(_) => false,
        };
        if unread {
            return false;
        }
        // Whether a lapse drops the job depends on its root, so replay must know that no later than the job. Of a
        // job that is not superseded its own tag says enough.
        let root = self.tag_of(ix).map_or(NONE, |tag| tag.root);
        if root != NONE && self.roots.base(root) < at.base && self.superseded(ix) {
            self.keep_root(at, part, root);
        }
        let payload = match self.payload(ix) {
            Payload::Here(payload) => payload,
            Payload::Logged(payload) => &read[&payload],
        };
        part.add(&self.name, &Event::Job(self.snapshot(ix, payload)));
        self.jobs.rebase(ix, at.base);
        self.jobs[ix].pinned = false;
        if let Some(hold) = self.hold_of(ix) {
            self.holds.rebase(hold, at.base);
        }
        true
    }

    /// Writes what the queue is beside its entries.
    pub(crate) fn put_queue(&self, part: &mut Part<'_>) {
        let event = Event::Queue {
            push_until: self.push_paused_until,
            claim_until: self.claim_paused_until,
            rate_at: self.rate_at,
            idle_since: self.idle_since,
            totals: self.totals,
        };
        part.add(&self.name, &event);
        for (name, words) in self.own.iter() {
            part.add(&self.name, &Event::Set { name, words });
        }
    }

    pub(crate) fn root_event<'a>(&'a self, root: &'a Root) -> Event<'a> {
        Event::RootKept {
            group: &self.groups[root.group].name,
            signature: &root.signature,
            timestamp: root.newest,
            registered_at: root.registered_at,
        }
    }

    /// Of a hold whose job is gone.
    pub(crate) fn window_event<'a>(&'a self, hold: &'a Hold) -> Event<'a> {
        Event::Window {
            group: &self.groups[hold.group].name,
            key: self.key_of_hold(hold),
            holder: hold.holder,
            window_until: hold.window_until,
        }
    }

    /// Writes all of it, to see what that takes; the record's own frame aside.
    pub(crate) fn measure_snapshot(&self) -> u64 {
        let mut log = Vec::new();
        let mut part = Part::new(&mut log, 0);
        for (ix, _) in self.jobs.iter() {
            let payload = vec![0; self.payload_bytes(ix) as usize];
            part.add(&self.name, &Event::Job(self.snapshot(ix, &payload)));
        }
        for (_, hold) in self.holds.iter().filter(|(_, hold)| hold.owner == NONE) {
            part.add(&self.name, &self.window_event(hold));
        }
        for (_, root) in self.roots.iter() {
            part.add(&self.name, &self.root_event(root));
        }
        self.put_queue(&mut part);
        drop(part);
        log.len() as u64
    }

    pub(crate) fn snapshot<'a>(&'a self, ix: u32, payload: &'a [u8]) -> JobSnapshot<'a> {
        let (job, extras) = (&self.jobs[ix], self.extras(ix));
        let hold = self.hold_of(ix).map(|hold| &self.holds[hold]);
        JobSnapshot {
            id: job.id,
            terms: Terms {
                payload,
                group: &self.groups[job.group].name,
                priority: job.priority,
                delayed: job.stand == Stand::Delayed,
                ready_at: job.ready_at.get(),
                expires_at: extras.expires_at.get(),
                attempts_max: extras.attempts_max,
                key: self.key(ix).map(|key| KeyTerms {
                    key,
                    until: job.until,
                    window_until: hold.map_or(0, |hold| hold.window_until),
                }),
                root: self.tag_of(ix).map(|tag| (&*self.roots[tag.root].signature, tag.timestamp)),
            },
            spot: match job.stand {
                Stand::List | Stand::Tree => Spot::Ready,
                Stand::Delayed => Spot::Delayed,
                Stand::LeaseList | Stand::LeaseHeap => Spot::Claimed {
                    lease_until: extras.lease_until.get(),
                    claimed_at: extras.claimed_at.get(),
                },
                Stand::Dead => Spot::Dead { died_at: self.dead.at(job.link_a).0 },
                Stand::Nowhere => unreachable!("a job stands nowhere only within a step"),
            },
            held: job.key == KeyState::Held || hold.is_some_and(|hold| hold.held),
            owns_key: matches!(job.key, KeyState::Held | KeyState::Window),
            attempts: extras.attempts,
            failures: extras.failures,
            epoch: extras.epoch,
            pushed_at: job.pushed_at.get(),
            worker: self.worker(ix).map(|worker| &*worker.name),
            last_error: extras.last_error.as_deref(),
        }
    }
}

/// The entry with the oldest base, if that is below `below`.
fn oldest<T>(slab: &Slab<T>, below: Lsn) -> Option<u32> {
    slab.oldest().filter(|&(_, base)| base < below).map(|(ix, _)| ix)
}
