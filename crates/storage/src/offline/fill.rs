//! Bytes that stand for lost records.

use crate::Lsn;
use crate::limits::RECORD_BODY_BYTES_MAX;
use crate::record::{
    BATCH_BYTES, Batch, Header, Mark, RECORD_BYTES_MIN, RECORD_HEADER_BYTES, RecordKind, seal,
};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, seed};

/// No frame begins with these bytes.
pub(super) const BLANK: [u8; RECORD_HEADER_BYTES] = [0; RECORD_HEADER_BYTES];

/// Lost records for a place in a segment.
pub(super) struct Fill<'a> {
    /// The segment.
    pub(super) number: u64,
    /// Where they go.
    pub(super) offset: u64,
    pub(super) first: Lsn,
    /// `first - 1` if only batch records are lost.
    pub(super) last: Lsn,
    /// What the first of them says.
    pub(super) note: &'a str,
}

impl Fill<'_> {
    /// Just as many bytes as `room`, so that what is behind it stays where it is. A batch record says where it
    /// stands. `None` if that is not possible.
    pub(super) fn exactly(&self, room: u64) -> Option<Vec<u8>> {
        let room = usize::try_from(room).ok()?;
        let count = usize::try_from(self.last + 1 - self.first).ok()?;
        let most = count.checked_mul(RECORD_HEADER_BYTES + RECORD_BODY_BYTES_MAX)?;
        // Large records can leave more room than as many records may take; batch records take the rest.
        let batches = room.saturating_sub(most).div_ceil(BATCH_BYTES);
        let records = room.checked_sub(batches * BATCH_BYTES)?;
        let least = count.checked_mul(RECORD_BYTES_MIN)?;
        if !(least..=most).contains(&records) {
            return None;
        }
        let mut bytes = Vec::with_capacity(room);
        self.put_batches(&mut bytes, batches);
        let mut spare = records - least;
        for lsn in self.first..=self.last {
            let more = spare.min(RECORD_BODY_BYTES_MAX - 1);
            spare -= more;
            self.put_record(&mut bytes, lsn, 1 + more);
        }
        assert_eq!(bytes.len(), room, "lost records take the place of what is lost");
        Some(bytes)
    }

    /// As few bytes as say it.
    pub(super) fn shortest(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for lsn in self.first..=self.last {
            let body = if lsn == self.first { self.note.len().max(1) } else { 1 };
            self.put_record(&mut bytes, lsn, body);
        }
        bytes
    }

    fn put_batches(&self, bytes: &mut Vec<u8>, count: usize) {
        for _ in 0..count {
            // True: what comes later in the log says so, or it would not be damage.
            let durable = self.first - 1;
            let offset = self.offset + bytes.len() as u64;
            let batch = Batch { next_lsn: self.first, durable, offset, mark: Mark::Open };
            bytes.extend_from_slice(&batch.to_bytes(seed(self.number)));
        }
    }

    fn put_record(&self, bytes: &mut Vec<u8>, lsn: Lsn, body_bytes: usize) {
        let start = bytes.len();
        bytes.extend_from_slice(&Header::unnumbered(0, RecordKind::LOST).to_bytes());
        let note = if lsn == self.first { self.note.as_bytes() } else { b"" };
        bytes.extend_from_slice(&note[..note.len().min(body_bytes)]);
        bytes.resize(start + RECORD_HEADER_BYTES + body_bytes, 0);
        Header::set_length(&mut bytes[start..], body_bytes);
        seal(&mut bytes[start..], lsn, seed(self.number));
    }
}

/// A segment with nothing in it but lost records up to an lsn, if any, and a note. All of it is durable.
pub(super) fn empty_segment(header: SegmentHeader, lost: Option<(Lsn, &str)>) -> Vec<u8> {
    let seed = seed(header.number);
    let begins_at = (SEGMENT_HEADER_BYTES + BATCH_BYTES) as u64;
    let (last, note) = lost.unwrap_or((header.first_lsn - 1, ""));
    let fill = Fill { number: header.number, offset: begins_at, first: header.first_lsn, last, note };
    let watermark = |next_lsn: Lsn, offset: usize| {
        Batch { next_lsn, durable: next_lsn - 1, offset: offset as u64, mark: Mark::Open }.to_bytes(seed)
    };
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
    bytes.extend_from_slice(&watermark(header.first_lsn, SEGMENT_HEADER_BYTES));
    bytes.extend_from_slice(&fill.shortest());
    let end = bytes.len();
    bytes.extend_from_slice(&watermark(last + 1, end));
    let capacity_bytes = bytes.len() as u64;
    bytes[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.to_bytes(capacity_bytes));
    bytes
}
