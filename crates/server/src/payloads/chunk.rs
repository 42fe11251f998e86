//! A piece of the log as far as its payloads go.

use std::ops::ControlFlow;

use stanchion_engine::{LoggedPayload, payloads};
use stanchion_storage::{Log, Lsn, ReadError};

use crate::lane::EVENTS;
use crate::limits::{PAYLOAD_CHUNK_AHEAD_BYTES, PAYLOAD_CHUNK_BYTES};

/// The payloads of some records that follow each other.
pub(super) struct Chunk {
    /// Its first record.
    pub(super) first: Lsn,
    /// Its last record.
    pub(super) last: Lsn,
    /// The first of its records that a repair had to leave out.
    pub(super) lost: Option<Lsn>,
    bytes: Vec<u8>,
    /// Sorted by id, then by record.
    places: Vec<Place>,
}

/// Where a payload is among the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    id: u64,
    lsn: Lsn,
    /// Two payloads of one job may be in one record; the first counts.
    start: u32,
    len: u32,
}

impl Chunk {
    /// Reads from `start` on, at least up to `lsn`, and further when what was read before led here; `None` when that
    /// is not written yet.
    pub(super) fn load(
        log: &Log,
        start: Lsn,
        lsn: Lsn,
        follows: bool,
        buffer: Vec<u8>,
    ) -> Result<Option<Chunk>, ReadError> {
        let enough = if follows { PAYLOAD_CHUNK_AHEAD_BYTES } else { PAYLOAD_CHUNK_BYTES };
        let mut chunk =
            Chunk { first: start, last: start - 1, lost: None, bytes: buffer, places: Vec::new() };
        let mut read_bytes = 0;
        let read = log.read_from(start, &mut |record| {
            if record.lsn > chunk.last + 1 {
                chunk.lost.get_or_insert(chunk.last + 1);
            }
            if record.kind == EVENTS {
                chunk.add(record.lsn, record.body);
            }
            chunk.last = record.lsn;
            read_bytes += record.body.len();
            if record.lsn >= lsn && read_bytes >= enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if chunk.last < lsn {
            // What is wrong before the record that is wanted is passed by if one begins at that record.
            let is_before = match &read {
                Err(ReadError::Damaged { lsn: at, .. }) => *at < lsn,
                Err(ReadError::Io { .. }) => start < lsn,
                Err(ReadError::Gone { .. }) | Ok(()) => false,
            };
            if is_before {
                return Chunk::load(log, lsn, lsn, follows, chunk.into_buffer());
            }
            return read.map(|()| None);
        }
        chunk.places.sort_unstable();
        chunk.places.shrink_to_fit();
        Ok(Some(chunk))
    }

    /// Takes the payloads of a record. One that the engine can't read, though it is what was written, has none.
    fn add(&mut self, lsn: Lsn, body: &[u8]) {
        for (id, payload) in payloads(body).unwrap_or_default() {
            if payload.len() > stanchion_engine::limits::PAYLOAD_KEPT_BYTES {
                let start = self.bytes.len() as u32;
                self.bytes.extend_from_slice(payload);
                self.places.push(Place { id: id.0, lsn, start, len: payload.len() as u32 });
            }
        }
    }

    /// A payload, if it is here.
    pub(super) fn find(&self, wanted: LoggedPayload) -> Option<&[u8]> {
        let (id, base) = (wanted.id.0, wanted.base);
        let at = self.places.partition_point(|place| (place.id, place.lsn) < (id, base));
        let place = self.places.get(at).filter(|place| place.id == id)?;
        Some(&self.bytes[place.start as usize..][..place.len as usize])
    }

    /// Its memory, for the next piece.
    pub(super) fn into_buffer(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }

    /// What it takes in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        (size_of::<Chunk>() + self.bytes.capacity() + self.places.capacity() * size_of::<Place>()) as u64
    }
}
