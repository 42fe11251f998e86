//! The shard's books beside its queues: what finds them, whose turn comes, what is due, and who is to be told.
//!
//! Every command, timer and step of background work ends in [`Shard::after`] or [`Shard::remove_queue`], so
//! that nothing can change a queue without its version, its deadline and its waiters following.

use std::hash::BuildHasher;

use crate::event::Part;
use crate::line::Kind;
use crate::queue::{At, Queue};
use crate::slab::NONE;
use crate::{Now, Shard};

impl Shard {
    pub(crate) fn at(&mut self, now: Now) -> At {
        self.last_now = self.last_now.max(now.ms);
        At { base: self.base, now: self.last_now, spill_above: self.spill_above() }
    }

    /// Where a command's events about a queue go: behind those of the command before, if they were about the same queue.
    pub(crate) fn part<'l>(&self, at: At, ix: u32, log: &'l mut Vec<u8>) -> Part<'l> {
        match &self.last_part {
            Some(last) if last.queue == ix && last.now == at.now => Part::resume(last, log),
            _ => Part::new(log, at.now),
        }
    }

    pub(crate) fn find(&self, queue: &[u8]) -> Option<u32> {
        let is_it = |ix| self.queues.get(ix).is_some_and(|found| *found.name == *queue);
        let ix = Some(self.found.get())
            .filter(|&ix| is_it(ix))
            .or_else(|| self.names.find(self.hasher.hash_one(queue), is_it));
        self.found.set(ix.unwrap_or(NONE));
        ix
    }

    pub(crate) fn find_or_make(&mut self, queue: &[u8], now: u64) -> u32 {
        match self.find(queue) {
            Some(ix) => ix,
            None => self.adopt(Queue::new(queue, (self.file)(queue), now)),
        }
    }

    pub(crate) fn adopt(&mut self, mut queue: Queue) -> u32 {
        self.changes += 1;
        (queue.version, queue.made_by) = (self.changes, self.changes);
        queue.waiters = self.waiters.count(&queue.name) as u32;
        let hash = self.hasher.hash_one(&*queue.name);
        let ix = self.queues.insert(self.base, queue);
        let (queues, hasher) = (&self.queues, &self.hasher);
        self.names.insert(hash, ix, |ix| hasher.hash_one(&*queues[ix].name));
        self.found.set(ix);
        self.book_footprint(ix);
        ix
    }

    /// A queue is gone at once; its memory is freed in the background.
    pub(crate) fn remove_queue(&mut self, ix: u32) {
        self.remove_queues(&[ix]);
    }

    /// The same for several.
    pub(crate) fn remove_queues(&mut self, gone: &[u32]) {
        if gone.is_empty() {
            return;
        }
        self.settle_up();
        self.changes += 1;
        self.newest_deletion = self.changes;
        // Another queue may get one of these slots.
        self.last_part = None;
        for &ix in gone {
            self.unbook_footprint(ix);
            let hash = self.hasher.hash_one(&*self.queues[ix].name);
            self.names.remove(hash, ix);
            for line in [&mut self.attention, &mut self.turn, &mut self.stale] {
                line.leave(&mut self.queues, ix);
            }
            let (place, queues) = (self.queues[ix].deadline, &mut self.queues);
            if place != NONE {
                self.deadlines.remove(place, |ix, place| queues[ix].deadline = place);
            }
            self.doomed.push(self.queues.remove(ix));
        }
    }

    /// After a command: the books follow what changed.
    pub(crate) fn after(&mut self, at: At, ix: u32, part: Part<'_>) {
        if !part.is_empty() {
            self.last_part = part.end(ix);
            self.changed(at, ix);
            self.notice(ix);
        }
        self.settle(ix);
    }

    /// Something happened to a queue.
    pub(crate) fn changed(&mut self, at: At, ix: u32) {
        self.changes += 1;
        let queue = &mut self.queues[ix];
        queue.version = self.changes;
        queue.touch(at);
        self.live.follow(queue);
        if queue.notes.is_some() {
            self.collect_notes(ix);
        }
    }

    // Out of line, so that a queue without `notify` pays for no more than the question.
    #[inline(never)]
    fn collect_notes(&mut self, ix: u32) {
        if let Some(notes) = &mut self.queues[ix].notes {
            self.notes.take_from(notes);
        }
    }

    /// The queue's waiters may have something.
    pub(crate) fn notice(&mut self, ix: u32) {
        if self.queues[ix].waiters > 0 || self.waiters.has_matching() {
            self.attention.join(&mut self.queues, ix);
        }
    }

    /// A queue's books are to follow. Commands of a pipeline mostly go to the same queue, and what they do to its turn and
    /// its deadline is booked once: when another queue's turn comes to be booked, or somebody is about to read.
    pub(crate) fn settle(&mut self, ix: u32) {
        if self.unsettled != ix {
            self.settle_up();
            self.unsettled = ix;
        }
    }

    /// The books follow all that happened; whoever reads them begins with this.
    pub(crate) fn settle_up(&mut self) {
        let ix = std::mem::replace(&mut self.unsettled, NONE);
        if ix == NONE {
            return;
        }
        let queue = &self.queues[ix];
        let has_stale = !queue.stale_roots.is_empty();
        if queue.counts[0] > 0 && !queue.places.stands_in(Kind::Turn) {
            self.turn.join(&mut self.queues, ix);
        }
        if has_stale {
            self.stale.join(&mut self.queues, ix);
        }
        self.book_deadline(ix);
    }

    pub(crate) fn book_deadline(&mut self, ix: u32) {
        let queue = &self.queues[ix];
        let awaited = queue.waiters > 0 || self.waiters.has_matching();
        let (place, name_order) = (queue.deadline, u64::from(ix));
        let deadline = match (queue.next_deadline(self.last_now, awaited), queue.end_at()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let queues = &mut self.queues;
        let mut moved = |ix: u32, place: u32| queues[ix].deadline = place;
        match (place, deadline) {
            (NONE, None) => {}
            (NONE, Some(at)) => self.deadlines.insert((at, name_order), ix, moved),
            (place, Some(at)) if self.deadlines.at(place).0 != at => {
                self.deadlines.reschedule(place, (at, name_order), moved);
            }
            (_, Some(_)) => {}
            (place, None) => {
                self.deadlines.remove(place, &mut moved);
                self.queues[ix].deadline = NONE;
            }
        }
    }
}
