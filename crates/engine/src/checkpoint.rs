//! Checkpoints: snapshots beside the log, so that a start need not read all of it.
//!
//! A checkpoint begins at some lsn. In bounded steps it writes snapshots of everything that is based below it,
//! as reclaiming would, but beside the log: it changes no base, and nothing in the log depends on it. Each step
//! is a frame with the base of its hold. Recovery reads the log only from where the checkpoint began, and
//! applies each frame before the first record that is not older: what the log says before of things that it does
//! not know does nothing, exactly as after reclaiming.
//!
//! What is based at or above its beginning is in that part of the log. An entry that is written again or
//! replaced meanwhile is so from then on; one that goes is not missed, as nobody will ask for it.
//!
//! In each queue the roots go first, because what becomes of a job depends on its root; then the jobs, with their
//! keys; then the windows, since a job that went meanwhile may have left one; last the queue itself, because its
//! totals are right from there on.

use crate::event::{Event, MARK_NONCE_BYTES, Part, put_mark};
use crate::queue::Queue;
use crate::slab::NONE;
use crate::{Lsn, Now, Shard, Step, limits};

/// How far a checkpoint of a shard got.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    below: Lsn,
    /// The slot of the queue that is next, or under way.
    slot: u32,
    /// The change that made the queue under way; 0: none is.
    queue: u64,
}

/// What one step may still do.
struct Allowance {
    bytes_max: usize,
    entries: usize,
}

impl Checkpoint {
    /// A checkpoint of what is based below `below`, the lsn that was next when it began. Its steps are in holds
    /// that begin later. A shard has one checkpoint at a time; an earlier one that is not finished is void.
    pub fn begin(below: Lsn) -> Checkpoint {
        Checkpoint { below, slot: 0, queue: 0 }
    }

    /// The body of a record that changes nothing, but by which a checkpoint knows the log that it is of.
    pub fn mark(nonce: [u8; MARK_NONCE_BYTES], log: &mut Vec<u8>) {
        put_mark(log, nonce);
    }
}

impl Shard {
    /// One step of a checkpoint: about `bytes` of it, as the body of a frame. The frame's lsn is the base of this
    /// hold, in which nothing else happens.
    pub fn checkpoint(
        &mut self,
        now: Now,
        checkpoint: &mut Checkpoint,
        bytes: usize,
        frame: &mut Vec<u8>,
    ) -> Step<usize> {
        let at = self.at(now);
        let start = frame.len();
        let mut allowance = Allowance { bytes_max: start + bytes, entries: limits::CHECKPOINT_ENTRIES_MAX };
        while checkpoint.slot < self.queues.slots() {
            if !allowance.take(frame.len()) {
                return Step::More(frame.len() - start);
            }
            if self.queues.get(checkpoint.slot).is_some() {
                let queue = &mut self.queues[checkpoint.slot];
                // Another queue may have taken the slot since the last step.
                if checkpoint.queue != queue.made_by {
                    checkpoint.queue = queue.made_by;
                    queue.begin_checkpoint();
                }
                let mut part = Part::new(frame, at.now);
                let done = queue.checkpoint(&mut part, checkpoint.below, &mut allowance);
                drop(part);
                if !done {
                    return Step::More(frame.len() - start);
                }
            }
            checkpoint.slot += 1;
            checkpoint.queue = 0;
        }
        Step::Done(frame.len() - start)
    }
}

impl Queue {
    fn begin_checkpoint(&mut self) {
        self.roots.rewind();
        self.jobs.rewind();
        self.holds.rewind();
    }

    /// Writes snapshots of what is based below `below` and not written yet; true when that and the queue is.
    fn checkpoint(&mut self, part: &mut Part<'_>, below: Lsn, allowance: &mut Allowance) -> bool {
        while let Some(ix) = self.roots.at_cursor(below) {
            if !allowance.take(part.bytes()) {
                return false;
            }
            self.add_based(part, self.roots.base(ix), &self.root_event(&self.roots[ix]));
            self.roots.advance();
        }
        while let Some(ix) = self.jobs.at_cursor(below) {
            if !allowance.take(part.bytes()) {
                return false;
            }
            self.add_based(part, self.jobs.base(ix), &self.snapshot_beside(ix));
            self.jobs.advance();
        }
        while let Some(ix) = self.holds.at_cursor(below) {
            if !allowance.take(part.bytes()) {
                return false;
            }
            if self.holds[ix].owner == NONE {
                self.add_based(part, self.holds.base(ix), &self.window_event(&self.holds[ix]));
            }
            self.holds.advance();
        }
        self.put_queue(part);
        true
    }

    fn add_based(&self, part: &mut Part<'_>, base: Lsn, event: &Event<'_>) {
        part.add(&self.name, &Event::Based { base });
        part.add(&self.name, event);
    }
}

impl Allowance {
    /// Whether one more entry may follow so many bytes.
    fn take(&mut self, bytes: usize) -> bool {
        let is_left = bytes < self.bytes_max && self.entries > 0;
        self.entries = self.entries.saturating_sub(1);
        is_left
    }
}
