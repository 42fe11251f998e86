//! Where the bytes of payloads are: in memory, or only in the log.
//!
//! Every payload is in the log, in the record that pushed or replaced its job or in its newest snapshot. So one
//! that would not fit into memory is simply not kept, and whoever hands it out reads it from there: from the job's
//! base on, the first record that carries a payload of this id is the one. This is no logical state: no event tells
//! of it, and a replay with more or less room decides anew.
//!
//! INVARIANT P-1: where a payload is only in the log, no other record of the same hold carries one of the same job.
//! The base, a lower bound of the hold's records, could not tell them apart; so such a payload stays in memory until
//! the job has a newer base.

use std::collections::HashMap;

use stanchion_protocol::id::JobId;

use crate::event::{Decoded, Event, events, split_part};
use crate::queue::{At, Queue};
use crate::terms::{JobSnapshot, Terms};
use crate::{Damaged, JobRef, Lsn, Now, Shard, Step, limits};

/// A payload as a view shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload<'a> {
    /// It is in memory.
    Here(&'a [u8]),
    /// It is only in the log.
    Logged(LoggedPayload),
}

/// A payload that is only in the log: that of the first record from `base` on that carries one of this id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LoggedPayload {
    /// A lower bound of its record's lsn.
    pub base: Lsn,
    /// Whose it is.
    pub id: JobId,
    /// How long it is.
    pub bytes: u32,
}

/// Payloads that were read for [`Shard::reclaim`].
pub type ReadPayloads = HashMap<LoggedPayload, Box<[u8]>>;

/// How much of its payloads a shard may keep in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadRoom {
    /// Payloads beyond this are not kept.
    pub bytes_max: u64,
    /// But a queue always keeps about so many bytes, so that a queue that is short does not read its log.
    pub queue_bytes: u64,
}

/// Bytes of payloads, by where they are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PayloadBytes {
    /// In memory.
    pub here: u64,
    /// Only in the log.
    pub logged: u64,
}

/// What is done with the bytes of a new payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    Here,
    /// Here, and there it stays: see INVARIANT P-1.
    Pinned,
    Log {
        bytes: u32,
    },
}

/// Where [`Shard::spill`] goes on: it takes the newest slots first, as those are claimed last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpillAt {
    queue: u32,
    /// Slots below this are yet to be looked at.
    job: u32,
}

impl PayloadRoom {
    /// All payloads are kept.
    pub const UNLIMITED: PayloadRoom = PayloadRoom { bytes_max: u64::MAX, queue_bytes: u64::MAX };
}

impl SpillAt {
    /// The first queue.
    pub(crate) const START: SpillAt = SpillAt { queue: 0, job: u32::MAX };
}

/// The payloads in a record's body, with the ids of their jobs.
///
/// # Errors
/// The record was written by another version, or it is damaged.
pub fn payloads(body: &[u8]) -> Result<Vec<(JobId, &[u8])>, Damaged> {
    let mut found = Vec::new();
    let mut left = body;
    while !left.is_empty() {
        let (part, _, rest) = split_part(left)?;
        left = rest;
        let Decoded::Queue { events: bytes, .. } = part else { continue };
        for event in events(bytes) {
            match event? {
                Event::Push { id, terms: Terms { payload, .. } }
                | Event::Replace { id, terms: Terms { payload, .. }, .. }
                | Event::Job(JobSnapshot { id, terms: Terms { payload, .. }, .. }) => {
                    found.push((JobId(id), payload));
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

impl Shard {
    /// From here on so much is kept.
    pub fn limit_payloads(&mut self, room: PayloadRoom) {
        self.room = room;
    }

    /// Where the payload of a job is now.
    pub fn payload(&self, job: JobRef) -> Payload<'_> {
        let queue = &self.queues[job.queue];
        queue.payload(job.job)
    }

    /// From how many bytes in a queue on a payload is not kept.
    pub(crate) fn spill_above(&self) -> u64 {
        if self.payload_bytes().here < self.room.bytes_max { u64::MAX } else { self.room.queue_bytes }
    }

    /// Gives up the memory of about `bytes` of payloads, which are in the log; a bounded step, and how many it gave
    /// up. It is done when it has come around. To be called in a hold that has pushed nothing, so that what it gives
    /// up has been staged.
    pub fn spill(&mut self, bytes: u64) -> Step<u64> {
        let mut spilled = 0;
        let mut looked = 0;
        while let Some(ix) = self.next_queue_to_spill() {
            let mut job = self.spill_at.job.min(self.queues[ix].jobs.slots());
            while job > 0 && spilled < bytes && looked < limits::SCAN_SLOTS_MAX {
                job -= 1;
                looked += 1;
                spilled += self.queues[ix].spill(job, self.room.queue_bytes);
            }
            self.book_footprint(ix);
            self.spill_at.job = job;
            if job > 0 {
                return Step::More(spilled);
            }
            looked += 1;
            self.spill_at = SpillAt { queue: ix + 1, job: u32::MAX };
        }
        self.spill_at = SpillAt::START;
        Step::Done(spilled)
    }

    fn next_queue_to_spill(&mut self) -> Option<u32> {
        let end = self.queues.slots();
        let found = (self.spill_at.queue..end).find(|&ix| {
            // A queue that keeps no more than its share is done.
            self.queues.get(ix).is_some_and(|queue| queue.bytes_here > self.room.queue_bytes)
        })?;
        if found != self.spill_at.queue {
            self.spill_at = SpillAt { queue: found, job: u32::MAX };
        }
        Some(found)
    }

    /// The payloads, about `bytes` of them, that the next steps of [`Shard::reclaim`] write again and that are only
    /// in the log, in the order in which they are needed, with their queues' names.
    pub fn reclaim_reads(&self, below: Lsn, bytes: usize, read: &mut dyn FnMut(&[u8], LoggedPayload)) {
        if self.payload_bytes().logged == 0 {
            return;
        }
        let mut left = bytes as u64;
        for ix in self.reclaim_at..self.queues.slots() {
            let Some(queue) = self.queues.get(ix) else { continue };
            for job in queue.to_reclaim(below) {
                if left == 0 {
                    return;
                }
                // Those whose payload is in memory are written, too: without them this would look at all jobs each time.
                left = left.saturating_sub(queue.job_footprint(job, queue.payload_bytes(job)));
                if let Payload::Logged(payload) = queue.payload(job) {
                    read(&queue.name, payload);
                }
            }
        }
    }

    /// A payload can't be read: its job is dead for this reason, without a payload. False when it is not only in
    /// the log any more, or based elsewhere: then whoever wants it looks again.
    pub fn lose(
        &mut self,
        now: Now,
        queue: &[u8],
        payload: LoggedPayload,
        reason: &[u8],
        log: &mut Vec<u8>,
    ) -> bool {
        self.change(now, queue, log, |queue, at, part| {
            let Some(ix) = queue.find(payload.id.0) else { return 0 };
            if queue.payload(ix) != Payload::Logged(payload) {
                return 0;
            }
            part.add(&queue.name, &Event::Lost { id: payload.id.0, reason });
            queue.lose(at, ix, reason);
            queue.decide_burial(at, part);
            1
        }) == 1
    }
}

impl Queue {
    /// What to do with the bytes of a new payload.
    #[inline]
    pub(crate) fn keep(&self, at: At, payload: &[u8]) -> Keep {
        if self.bytes_here >= at.spill_above && payload.len() > limits::PAYLOAD_KEPT_BYTES {
            Keep::Log { bytes: u32::try_from(payload.len()).expect("a payload is far below 4 GiB") }
        } else {
            Keep::Here
        }
    }

    /// A job's snapshot beside the log, for one that still has the job's base: without its payload, unless that is
    /// short, or pinned.
    pub(crate) fn snapshot_beside(&self, ix: u32) -> Event<'_> {
        match self.payload(ix) {
            Payload::Here(payload) if payload.len() <= limits::PAYLOAD_KEPT_BYTES || self.jobs[ix].pinned => {
                Event::JobBeside { job: self.snapshot(ix, payload), logged: None }
            }
            _ => {
                let bytes = self.payload_bytes(ix) as u32;
                Event::JobBeside { job: self.snapshot(ix, b""), logged: Some(bytes) }
            }
        }
    }

    /// Gives up a payload's memory unless the queue is short or the payload is; how many bytes.
    fn spill(&mut self, slot: u32, queue_bytes: u64) -> u64 {
        if self.bytes_here <= queue_bytes || self.jobs.get(slot).is_none() {
            return 0;
        }
        self.spill_payload(slot)
    }

    /// The jobs that reclaiming writes again, those that go with a key included, in about the order of their turn.
    fn to_reclaim(&self, below: Lsn) -> impl Iterator<Item = u32> {
        let owners = self.holds.oldest_first(below).map(|hold| self.holds[hold].owner);
        owners.filter(|&owner| owner != crate::slab::NONE).chain(self.jobs.oldest_first(below))
    }
}
