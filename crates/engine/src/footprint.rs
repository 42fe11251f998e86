//! How many bytes of log a snapshot of everything would take: what lives, for whoever has to keep the log small.
//!
//! It is kept up to date by each change and is exact, events' frames aside. One that is too low would have the
//! server look for garbage that isn't there, for ever; one that is too high would let it keep too much.

use crate::extras::Extras;
use crate::hold::Hold;
use crate::job::KeyState;
use crate::packed::Packed48;
use crate::queue::Queue;
use crate::slab::NONE;
use crate::{PayloadBytes, Shard};

/// What a job's snapshot has whatever the job: the event's head, place, counts, epoch, times, and lengths.
const JOB_BYTES: u64 = 67;

/// The same of a window whose job is gone.
const WINDOW_BYTES: u64 = 19;

/// The same of a root.
const ROOT_BYTES: u64 = 19;

/// The same of a queue, with the frame of the part that names it.
const QUEUE_BYTES: u64 = 129 + 14;

/// What one of a queue's own settings takes beside its words.
const SETTING_BYTES: u64 = 3;

/// A dedupe key in a job's snapshot, beside its bytes.
const KEY_BYTES: u64 = 9;

/// A root in a job's snapshot, beside its signature.
const TAG_BYTES: u64 = 9;

const EXPIRY_BYTES: u64 = 8;
const ATTEMPTS_BYTES: u64 = 4;
const ERROR_BYTES: u64 = 4;

/// What lives in a shard, and what of it is in the shard's sums.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Footprint {
    pub(crate) bytes: u64,
    pub(crate) jobs: u64,
    pub(crate) payloads: PayloadBytes,
}

impl Footprint {
    pub(crate) fn add(&mut self, other: Footprint) {
        self.bytes += other.bytes;
        self.jobs += other.jobs;
        self.payloads.here += other.payloads.here;
        self.payloads.logged += other.payloads.logged;
    }

    fn take_away(&mut self, other: Footprint) {
        self.bytes -= other.bytes;
        self.jobs -= other.jobs;
        self.payloads.here -= other.payloads.here;
        self.payloads.logged -= other.payloads.logged;
    }

    /// A sum follows what became of a queue in it.
    pub(crate) fn follow(&mut self, queue: &mut Queue) {
        let payloads = PayloadBytes { here: queue.bytes_here, logged: queue.bytes - queue.bytes_here };
        let now = Footprint { bytes: queue.snapshot_bytes, jobs: queue.jobs.len() as u64, payloads };
        self.take_away(std::mem::replace(&mut queue.booked, now));
        self.add(now);
    }
}

impl Shard {
    /// What a full snapshot of this shard would take in the log.
    pub fn live_bytes(&self) -> u64 {
        self.live.bytes
    }

    /// How many jobs there are, in any state.
    pub fn live_jobs(&self) -> u64 {
        self.live.jobs
    }

    /// How much of the payloads is where.
    pub fn payload_bytes(&self) -> PayloadBytes {
        self.live.payloads
    }

    /// The sums follow what became of a queue.
    pub(crate) fn book_footprint(&mut self, ix: u32) {
        self.live.follow(&mut self.queues[ix]);
    }

    /// A queue is gone.
    pub(crate) fn unbook_footprint(&mut self, ix: u32) {
        let before = std::mem::take(&mut self.queues[ix].booked);
        self.live.take_away(before);
    }
}

/// A queue without anything.
pub(crate) fn of_queue(name: &[u8]) -> u64 {
    QUEUE_BYTES + name.len() as u64
}

/// A root in the snapshot of a job.
pub(crate) fn of_tag(signature: &[u8]) -> u64 {
    TAG_BYTES + signature.len() as u64
}

/// A root.
pub(crate) fn of_root(group: &[u8], signature: &[u8]) -> u64 {
    ROOT_BYTES + (group.len() + signature.len()) as u64
}

impl Queue {
    /// A job with its key and its payload's bytes; the root that it is tagged with comes on top.
    pub(crate) fn job_footprint(&self, ix: u32, payload_bytes: u64) -> u64 {
        let job = &self.jobs[ix];
        let group = match self.groups[job.group].name.len() {
            0 => 0,
            bytes => 1 + bytes as u64,
        };
        let key = if job.key == KeyState::None { 0 } else { KEY_BYTES + u64::from(job.key_bytes) };
        let extras = match job.extras {
            NONE => 0,
            extras => {
                let worker = self.worker(ix).map_or(0, |worker| worker.name.len() as u64);
                worker + of_extras(&self.extras[extras])
            }
        };
        JOB_BYTES + payload_bytes + group + key + extras
    }

    /// A hold without owner; one that has an owner is part of its snapshot.
    pub(crate) fn window_footprint(&self, hold: &Hold) -> u64 {
        WINDOW_BYTES + (self.groups[hold.group].name.len() + self.key_of_hold(hold).len()) as u64
    }

    /// The queue's own settings.
    pub(crate) fn settings_footprint(&self) -> u64 {
        self.own.iter().map(|(name, words)| SETTING_BYTES + (name.len() + words.len()) as u64).sum()
    }

    /// Changes what of a job's extras a snapshot has.
    pub(crate) fn change_extras(&mut self, ix: u32, change: impl FnOnce(&mut Extras)) {
        let extras = self.extras_mut(ix);
        let before = of_extras(extras);
        change(extras);
        let after = of_extras(extras);
        self.snapshot_bytes = self.snapshot_bytes - before + after;
    }
}

fn of_extras(extras: &Extras) -> u64 {
    let error = extras.last_error.as_ref().map_or(0, |words| ERROR_BYTES + words.len() as u64);
    let expiry = if extras.expires_at == Packed48::ZERO { 0 } else { EXPIRY_BYTES };
    let attempts = extras.attempts_max.map_or(0, |_| ATTEMPTS_BYTES);
    expiry + attempts + error
}
