//! Reading a segment from its first record on.

use std::io;
use std::ops::Range;

use crate::Lsn;
use crate::disk::DiskFile;
use crate::limits::{READ_BYTES, READ_CAREFULLY_BYTES, RECORD_BODY_BYTES_MAX};
use crate::record::{
    self, BATCH_BYTES, BATCH_TELLTALE, Batch, Header, RECORD_HEADER_BYTES, RecordView, array,
};
use crate::segment::SEGMENT_HEADER_BYTES;
use crate::verdict::Finding;

/// What stands at a place in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame {
    /// A record, which [`Reader::record`] shows.
    Record,
    Batch(Batch),
    /// Neither; the finding is never [`Finding::Intact`].
    Fault(Finding),
}

impl Frame {
    pub(crate) fn finding(self) -> Finding {
        match self {
            Self::Record | Self::Batch(_) => Finding::Intact,
            Self::Fault(finding) => finding,
        }
    }
}

/// Reads the frames of a segment in order, in large pieces.
pub(crate) struct Reader<'a> {
    file: &'a dyn DiskFile,
    file_bytes: u64,
    seed: u32,
    /// What was read: `buffer[..filled]` is in the file at `buffer_offset`.
    buffer: Vec<u8>,
    filled: usize,
    buffer_offset: u64,
    /// Where the next frame begins in the buffer.
    position: usize,
    /// Where the last one is.
    last: Range<usize>,
    /// How much to read at a time; it grows to [`READ_BYTES`].
    piece_bytes: usize,
}

impl<'a> Reader<'a> {
    /// A reader behind the segment's header.
    pub(crate) fn new(file: &'a dyn DiskFile, file_bytes: u64, seed: u32) -> Self {
        Self::at(file, file_bytes, seed, SEGMENT_HEADER_BYTES as u64, READ_BYTES)
    }

    /// A reader at a place where a frame begins. It reads `piece_bytes` at first, for it may not go far.
    pub(crate) fn at(
        file: &'a dyn DiskFile,
        file_bytes: u64,
        seed: u32,
        offset: u64,
        piece_bytes: usize,
    ) -> Self {
        Self {
            file,
            file_bytes,
            seed,
            buffer: Vec::new(),
            filled: 0,
            buffer_offset: offset,
            position: 0,
            last: 0..0,
            piece_bytes,
        }
    }

    /// Where in the file the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.buffer_offset + self.position as u64
    }

    /// Reads the next frame, which should have the lsn `expected`. After a fault the reader stays where it is.
    pub(crate) fn next(&mut self, expected: Lsn) -> io::Result<Frame> {
        let offset = self.offset();
        let left = self.file_bytes.saturating_sub(offset);
        if left < RECORD_HEADER_BYTES as u64 {
            self.need(left as usize)?;
            let is_blank = self.buffer[self.position..self.filled].iter().all(|&byte| byte == 0);
            return Ok(Frame::Fault(if is_blank { Finding::Blank } else { Finding::Broken }));
        }
        if !self.need(RECORD_HEADER_BYTES)? {
            return Ok(Frame::Fault(Finding::Blank));
        }
        let header = Header::parse(array(&self.buffer[self.position..]));
        if header.lsn != expected {
            return Ok(Frame::Fault(Finding::Blank));
        }
        // The length is checked before memory is taken for it.
        let total = RECORD_HEADER_BYTES + header.body_bytes;
        let is_possible = (1..=RECORD_BODY_BYTES_MAX).contains(&header.body_bytes) && total as u64 <= left;
        if !is_possible || !self.need(total)? {
            return Ok(Frame::Fault(Finding::Broken));
        }
        let bytes = &self.buffer[self.position..self.position + total];
        if !record::is_intact(bytes, self.seed) {
            return Ok(Frame::Fault(Finding::Broken));
        }
        let frame = if header.is_batch() {
            match bytes.first_chunk().and_then(|bytes| Batch::parse(bytes, offset, self.seed)) {
                Some(batch) => Frame::Batch(batch),
                None => return Ok(Frame::Fault(Finding::Broken)),
            }
        } else {
            Frame::Record
        };
        self.last = self.position..self.position + total;
        self.position += total;
        Ok(frame)
    }

    /// Goes on behind a frame that is broken or can't be read, if its header is here and may be believed; false when
    /// it can't be.
    pub(crate) fn skip(&mut self, expected: Lsn) -> bool {
        let Some(bytes) = self.buffer[self.position..self.filled].first_chunk() else { return false };
        let header = Header::parse(*bytes);
        let total = RECORD_HEADER_BYTES + header.body_bytes;
        let is_possible = header.lsn == expected
            && !header.is_batch()
            && (1..=RECORD_BODY_BYTES_MAX).contains(&header.body_bytes)
            && self.offset() + total as u64 <= self.file_bytes;
        if is_possible && self.position + total <= self.filled {
            self.position += total;
        } else if is_possible {
            self.buffer_offset = self.offset() + total as u64;
            (self.position, self.filled) = (0, 0);
        }
        is_possible
    }

    /// The record that was read last.
    pub(crate) fn record(&self) -> RecordView<'_> {
        let bytes = &self.buffer[self.last.clone()];
        Header::parse(array(bytes)).view(&bytes[RECORD_HEADER_BYTES..])
    }

    /// The highest durable lsn that a batch record anywhere behind the next frame speaks of, or 0. A batch there
    /// tells whether what is broken here was on the disk once; how far behind cannot be known, as the length is
    /// not to be trusted, so this looks at every byte.
    pub(crate) fn durable_behind(&self) -> io::Result<Lsn> {
        let (telltale_at, telltale) = BATCH_TELLTALE;
        let mut durable = 0;
        let mut buffer = vec![0; READ_BYTES];
        let mut offset = self.offset() + 1;
        loop {
            let filled = self.file.read_at(&mut buffer, offset)?;
            let bytes = &buffer[..filled];
            for hit in memchr::memchr_iter(telltale, bytes) {
                let Some(start) = hit.checked_sub(telltale_at) else { continue };
                let Some(bytes) = bytes[start..].first_chunk() else { break };
                if let Some(batch) = Batch::parse(bytes, offset + start as u64, self.seed) {
                    durable = durable.max(batch.durable);
                }
            }
            if filled < buffer.len() {
                return Ok(durable);
            }
            // A batch may lie across the border of two pieces.
            offset += (filled - (BATCH_BYTES - 1)) as u64;
        }
    }

    /// Has `count` bytes from the position on in the buffer; `false` if the file ends before.
    fn need(&mut self, count: usize) -> io::Result<bool> {
        if self.filled - self.position >= count {
            return Ok(true);
        }
        self.buffer.copy_within(self.position..self.filled, 0);
        self.buffer_offset += self.position as u64;
        self.filled -= self.position;
        self.position = 0;
        let wanted = count.max(self.piece_bytes);
        self.piece_bytes = (2 * self.piece_bytes).min(READ_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let offset = self.buffer_offset + self.filled as u64;
        let read = self.file.read_at(&mut self.buffer[self.filled..], offset).or_else(|_| {
            // It may be in what is only read ahead. A disk takes long to find that out, so what is ahead grows anew.
            self.piece_bytes = READ_CAREFULLY_BYTES;
            self.file.read_at(&mut self.buffer[self.filled..count], offset)
        });
        self.filled += read?;
        Ok(self.filled >= count)
    }
}
