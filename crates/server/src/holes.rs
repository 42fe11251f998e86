//! Places in replies for payloads that are only in the log: a reply has their lengths, and their bytes are read once
//! no lock is held any more.

use stanchion_engine::{LoggedPayload, Payload};
use stanchion_protocol::Reply;

use crate::waiter::Name;

/// A place in a reply, to be filled before that is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hole {
    /// Where its first byte is, in whatever the reply is written to.
    pub(crate) at: u64,
    /// The job's queue.
    pub(crate) queue: Name,
    /// What belongs there.
    pub(crate) payload: LoggedPayload,
}

impl Hole {
    /// How long it is.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.bytes as usize
    }

    /// The same in what its reply was moved into, which had `by` bytes before it.
    pub(crate) fn moved(mut self, by: u64) -> Hole {
        self.at += by;
        self
    }
}

/// Writes a payload as a bulk string, or leaves a hole for it.
#[inline]
pub(crate) fn write_payload(
    queue: &[u8],
    payload: Payload<'_>,
    reply: &mut Reply<'_>,
    holes: &mut Vec<Hole>,
) {
    match payload {
        Payload::Here(bytes) => reply.bulk(bytes),
        Payload::Logged(payload) => leave(queue, payload, reply, holes),
    }
}

#[cold]
fn leave(queue: &[u8], payload: LoggedPayload, reply: &mut Reply<'_>, holes: &mut Vec<Hole>) {
    let at = reply.bulk_hole(payload.bytes as usize) as u64;
    holes.push(Hole { at, queue: Name::from_slice(queue), payload });
}
