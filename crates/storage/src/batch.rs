//! A batch under construction: framed records with room for a batch record before them.
//!
//! Shards append to one while the writer writes another, so that neither waits for the other.

use crate::Lsn;
use crate::milestones::{Milestone, Milestones};
use crate::record::{self, BATCH_BYTES, Batch, Header, Mark, RECORD_HEADER_BYTES};
use crate::segment::seed;

/// Framed records, of which a part may be written already.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// `BATCH_BYTES` to write a batch record into, then the records.
    bytes: Vec<u8>,
    /// Where the records begin that are not written yet. There are always `BATCH_BYTES` before it that nobody
    /// needs any more, so each part can have its batch record right before it, and go out in one write.
    start: usize,
}

/// A part of a buffer, ready to be written.
pub(crate) struct Part<'a> {
    /// The batch record and the records after it.
    pub(crate) bytes: &'a [u8],
    /// The lsn after the last record.
    pub(crate) next_lsn: Lsn,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH_BYTES], start: BATCH_BYTES }
    }

    /// How many bytes of records wait in it.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends framed records.
    pub(crate) fn append(&mut self, framed: &[u8]) {
        self.bytes.extend_from_slice(framed);
    }

    /// Forgets the records, and memory beyond `keep_bytes`.
    pub(crate) fn clear(&mut self, keep_bytes: usize) {
        self.bytes.truncate(BATCH_BYTES);
        self.bytes.shrink_to(BATCH_BYTES + keep_bytes);
        self.start = BATCH_BYTES;
    }

    /// How many bytes the first waiting record takes.
    pub(crate) fn first_record_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + Header::length(&self.bytes[self.start..])
    }

    /// Takes as many whole records as fit into `room` bytes with their batch record, numbers them from
    /// `batch.next_lsn` on and seals all for the segment `number`. `None` if not even one fits. Their places
    /// are noted in `milestones`.
    pub(crate) fn take(
        &mut self,
        batch: Batch,
        number: u64,
        room: usize,
        milestones: &mut Milestones,
    ) -> Option<Part<'_>> {
        let room = room.checked_sub(BATCH_BYTES)?;
        let seed = seed(number);
        let records_at = batch.offset + BATCH_BYTES as u64;
        let mut end = self.start;
        let mut lsn = batch.next_lsn;
        while end < self.bytes.len() {
            let bytes = RECORD_HEADER_BYTES + Header::length(&self.bytes[end..]);
            if end + bytes - self.start > room {
                break;
            }
            record::seal(&mut self.bytes[end..end + bytes], lsn, seed);
            milestones.note(Milestone { lsn, offset: records_at + (end - self.start) as u64 });
            end += bytes;
            lsn += 1;
        }
        if end == self.start {
            return None;
        }
        let batch_at = self.start - BATCH_BYTES;
        self.bytes[batch_at..self.start].copy_from_slice(&batch.to_bytes(seed));
        self.start = end;
        Some(Part { bytes: &self.bytes[batch_at..end], next_lsn: lsn })
    }
}

/// A batch record with no records after it: it tells the next recovery what is durable.
pub(crate) fn watermark(next_lsn: Lsn, offset: u64, number: u64, mark: Mark) -> [u8; BATCH_BYTES] {
    Batch { next_lsn, durable: next_lsn - 1, offset, mark }.to_bytes(seed(number))
}
