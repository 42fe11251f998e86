//! The segment that is being written.

use std::io;

use crate::Lsn;
use crate::batch::{Buffer, watermark};
use crate::disk::{Disk, DiskFile, write_zeros};
use crate::limits::AHEAD_BYTES;
use crate::milestones::Milestones;
use crate::pool::Spare;
use crate::record::{BATCH_BYTES, Batch, Mark};
use crate::segment::{Name, SEGMENT_HEADER_BYTES, Segment, SegmentHeader};

/// How many bytes a segment needs for records of `record_bytes` in one batch: the headers, the watermark that
/// recovery writes and the one that closing writes.
pub(crate) fn segment_bytes_for(record_bytes: usize) -> u64 {
    (SEGMENT_HEADER_BYTES + BATCH_BYTES + record_bytes + 2 * BATCH_BYTES) as u64
}

/// A file with a segment's header and what was appended to it.
pub(crate) struct Active {
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    next_lsn: Lsn,
    /// Where the next batch goes.
    offset: u64,
    capacity_bytes: u64,
    /// Up to where the file was ever written.
    written_bytes: u64,
    /// What was appended since the last sync.
    unsynced_bytes: u64,
    /// Where records are that were appended last.
    fresh_milestones: Milestones,
}

impl Active {
    /// Makes a segment of `file`, which nobody reads yet, as it does not have a segment's name.
    pub(crate) fn begin(spare: Spare, header: SegmentHeader) -> io::Result<Self> {
        let Spare { file, bytes: capacity_bytes, is_written, .. } = spare;
        file.write_at(&header.to_bytes(capacity_bytes), 0)?;
        Ok(Self {
            file,
            header,
            next_lsn: header.first_lsn,
            offset: SEGMENT_HEADER_BYTES as u64,
            capacity_bytes,
            written_bytes: if is_written { capacity_bytes } else { 0 },
            unsynced_bytes: 0,
            fresh_milestones: Milestones::default(),
        })
    }

    /// Gives the segment its name. Its bytes are synced before, so a segment always has a whole header, and the
    /// directory after, so the segment is there when the first record in it is called durable.
    pub(crate) fn publish(&self, disk: &dyn Disk, spare: Name) -> io::Result<()> {
        self.file.sync()?;
        disk.rename(spare, self.name())?;
        disk.sync_directory()
    }

    pub(crate) fn name(&self) -> Name {
        Name::Segment(self.header.number)
    }

    pub(crate) fn header(&self) -> SegmentHeader {
        self.header
    }

    /// The lsn of the next record that is written.
    pub(crate) fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    /// What it will be when it is sealed.
    pub(crate) fn segment(&self) -> Segment {
        Segment {
            number: self.header.number,
            first_lsn: self.header.first_lsn,
            last_lsn: self.next_lsn - 1,
            bytes: self.offset,
        }
    }

    /// Where records of the last append are.
    pub(crate) fn fresh_milestones(&self) -> &Milestones {
        &self.fresh_milestones
    }

    /// What may still be appended.
    pub(crate) fn room_bytes(&self) -> u64 {
        (self.capacity_bytes - self.offset).saturating_sub(2 * BATCH_BYTES as u64)
    }

    /// Appends as many records as fit, in one write. `false` if not even one fits.
    pub(crate) fn append(&mut self, records: &mut Buffer, durable: Lsn) -> io::Result<bool> {
        let batch = Batch { next_lsn: self.next_lsn, durable, offset: self.offset, mark: Mark::Open };
        // The place of the closing watermark stays free.
        let room = (self.capacity_bytes - self.offset).saturating_sub(BATCH_BYTES as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.fresh_milestones.clear();
        let Some(part) = records.take(batch, self.header.number, room, &mut self.fresh_milestones) else {
            return Ok(false);
        };
        self.file.write_at(part.bytes, self.offset)?;
        self.offset += part.bytes.len() as u64;
        self.unsynced_bytes += part.bytes.len() as u64;
        self.next_lsn = part.next_lsn;
        Ok(true)
    }

    /// Appends a batch without records, which says that all before it is durable. It is synced by the caller,
    /// or not at all.
    pub(crate) fn append_watermark(&mut self, mark: Mark) -> io::Result<()> {
        let bytes = watermark(self.next_lsn, self.offset, self.header.number, mark);
        assert!(self.offset + bytes.len() as u64 <= self.capacity_bytes, "room for a watermark is kept");
        self.file.write_at(&bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Sees to it that the next records go to where the file was written before: space that is only reserved costs
    /// a commit of the file system's journal at the sync after each write.
    pub(crate) fn write_ahead(&mut self) -> io::Result<()> {
        if self.written_bytes < self.offset {
            let ahead = (self.offset + AHEAD_BYTES).min(self.capacity_bytes);
            write_zeros(&*self.file, self.offset, ahead)?;
            self.written_bytes = ahead;
        }
        Ok(())
    }

    /// How many bytes of records were appended since the last sync.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.unsynced_bytes = 0;
        Ok(())
    }
}
