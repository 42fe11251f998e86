//! What a job brought with it, its dedupe key and its payload: one item of the queue's store, the key first. Of a
//! payload that is only in the log there is the length, in four bytes.

use stanchion_protocol::id::JobId;

use crate::job::{Job, KeyState};
use crate::payload::Keep;
use crate::queue::Queue;
use crate::slab::Slab;
use crate::store::Place;
use crate::{LoggedPayload, Payload, limits};

impl Queue {
    /// A job's dedupe key, whether it holds it or not.
    pub(crate) fn key(&self, ix: u32) -> Option<&[u8]> {
        let job = &self.jobs[ix];
        (job.key != KeyState::None).then(|| self.contents(job).0)
    }

    /// A job's payload, or where in the log it is.
    #[inline]
    pub(crate) fn payload(&self, ix: u32) -> Payload<'_> {
        let job = &self.jobs[ix];
        let (_, payload) = self.contents(job);
        if job.logged {
            let (base, bytes) = (self.jobs.base(ix), length(payload));
            Payload::Logged(LoggedPayload { base, id: JobId(job.id), bytes })
        } else {
            Payload::Here(payload)
        }
    }

    /// How many bytes the payload has.
    #[inline]
    pub(crate) fn payload_bytes(&self, ix: u32) -> u64 {
        let job = &self.jobs[ix];
        let (_, payload) = self.contents(job);
        if job.logged { u64::from(length(payload)) } else { payload.len() as u64 }
    }

    /// How many of them are in memory.
    #[inline]
    pub(crate) fn payload_bytes_here(&self, ix: u32) -> u64 {
        if self.jobs[ix].logged { 0 } else { self.payload_bytes(ix) }
    }

    /// Gives a new job its contents; how many bytes its payload has.
    pub(crate) fn put_contents(&mut self, ix: u32, key: &[u8], payload: &[u8], keep: Keep) -> u64 {
        let (bytes, logged) = match keep {
            Keep::Here | Keep::Pinned => (payload.len() as u64, None),
            Keep::Log { bytes } => (u64::from(bytes), Some(bytes.to_le_bytes())),
        };
        let stored = logged.as_ref().map_or(payload, |length| length);
        let place = self.store.put(ix, [key, stored], to(&mut self.jobs));
        let job = &mut self.jobs[ix];
        (job.place, job.logged, job.pinned) = (place, logged.is_some(), keep == Keep::Pinned);
        job.key_bytes = u8::try_from(key.len()).expect("a key is at most 255 bytes");
        self.bytes += bytes;
        self.bytes_here += if logged.is_some() { 0 } else { bytes };
        bytes
    }

    /// Takes a job's contents away; how many bytes its payload had.
    pub(crate) fn drop_contents(&mut self, ix: u32) -> u64 {
        let bytes = self.payload_bytes(ix);
        let job = &mut self.jobs[ix];
        let place = std::mem::replace(&mut job.place, Place::NOWHERE);
        self.bytes -= bytes;
        self.bytes_here -= if job.logged { 0 } else { bytes };
        self.store.remove(place, to(&mut self.jobs));
        bytes
    }

    /// A replacement has another payload, and the same key.
    pub(crate) fn set_payload(&mut self, ix: u32, payload: &[u8], keep: Keep) {
        let key = self.key(ix).unwrap_or_default().to_vec();
        self.snapshot_bytes -= self.drop_contents(ix);
        self.snapshot_bytes += self.put_contents(ix, &key, payload, keep);
    }

    /// Gives up a payload's bytes in memory, if that frees any; how many. They are in the log.
    pub(crate) fn spill_payload(&mut self, ix: u32) -> u64 {
        let bytes = self.payload_bytes_here(ix);
        if bytes <= limits::PAYLOAD_KEPT_BYTES as u64 || self.jobs[ix].pinned {
            return 0;
        }
        self.set_payload(ix, b"", Keep::Log { bytes: bytes as u32 });
        bytes
    }

    fn contents(&self, job: &Job) -> (&[u8], &[u8]) {
        self.store.get(job.place).split_at(usize::from(job.key_bytes))
    }
}

/// Tells jobs where their contents moved.
pub(crate) fn to(jobs: &mut Slab<Job>) -> impl FnMut(u32, Place) {
    |owner, place| jobs[owner].place = place
}

fn length(stored: &[u8]) -> u32 {
    u32::from_le_bytes(stored.try_into().expect("of a payload in the log there is the length"))
}
