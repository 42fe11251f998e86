//! FLUSHALL and RANDOMKEY: all queues in bounded steps, and one of them by lot.

use crate::event::{Event, Part};
use crate::{Now, Shard, Step, limits};

/// Draws of a slot before the table of names is asked instead: enough for one slot in eight taken.
const DRAWS_MAX: usize = 64;

/// How far a flush got, and what was there when it began.
#[derive(Clone, Debug)]
pub struct Flush {
    next: u32,
    /// The number of the shard's last change: a queue made by a later one stays.
    through: u64,
}

impl Flush {
    /// A flush of the queues that are there now.
    pub fn begin(shard: &Shard) -> Flush {
        Flush { next: 0, through: shard.changes }
    }
}

impl Shard {
    /// One step of FLUSHALL: how many queues were deleted in it, whatever they hold. Their memory is freed in
    /// the background.
    pub fn flush(&mut self, now: Now, flush: &mut Flush, log: &mut Vec<u8>) -> Step<u64> {
        let at = self.at(now);
        let end = self.queues.slots();
        let stop = end.min(flush.next.saturating_add(limits::SCAN_SLOTS_MAX as u32));
        let mut gone = Vec::new();
        while flush.next < stop && gone.len() < limits::FLUSH_QUEUES_MAX {
            let ix = flush.next;
            flush.next += 1;
            if let Some(queue) = self.queues.get(ix).filter(|queue| queue.made_by <= flush.through) {
                Part::new(log, at.now).add(&queue.name, &Event::QueueGone);
                gone.push(ix);
            }
        }
        self.remove_queues(&gone);
        let deleted = gone.len() as u64;
        if flush.next >= end { Step::Done(deleted) } else { Step::More(deleted) }
    }

    /// RANDOMKEY: one of the queues, by random bits.
    pub fn random_queue(&self, entropy: u64) -> Option<&[u8]> {
        if self.queues.len() == 0 {
            return None;
        }
        let mut bits = entropy;
        for _ in 0..DRAWS_MAX {
            let slot = ((bits >> 32) * u64::from(self.queues.slots())) >> 32;
            if let Some(queue) = self.queues.get(slot as u32) {
                return Some(&queue.name);
            }
            // Knuth's linear congruential generator: its high half is random enough.
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        }
        // Most slots are vacant, since there were many queues once.
        let nth = (bits >> 32) as usize % self.queues.len();
        self.names.iter().nth(nth).map(|ix| &*self.queues[ix].name)
    }
}
