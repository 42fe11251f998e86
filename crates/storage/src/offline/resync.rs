//! Where a segment can be read again behind something that is broken.
//!
//! The length of what is broken can't be trusted, so every byte behind it may begin the next frame. Payloads are
//! strangers' bytes and may hold anything, a whole record as well; so a place counts only if the frames from
//! there on lead to a batch record, which says where it stands, or to the last record that is due.

use std::io;

use super::SegmentFile;
use crate::Lsn;
use crate::disk::DiskFile;
use crate::limits::{READ_BYTES, RECORD_BODY_BYTES_MAX};
use crate::reader::{Frame, Reader};
use crate::record::{BATCH_BYTES, Header, RECORD_BYTES_MIN, RECORD_HEADER_BYTES, array};
use crate::segment::seed;

/// How much a try reads at first.
const TRY_BYTES: usize = 4096;

/// How many bytes are read for tries that fail, before only the nearest guesses and batches are tried: payloads
/// can be made to look like the beginnings of records, and each of those costs its length.
const TRIED_BYTES_MAX: u64 = 1 << 30;

/// A place to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resync {
    pub(super) offset: u64,
    /// The lsn that is due there.
    pub(super) lsn: Lsn,
}

/// What is searched.
pub(super) struct Search<'a> {
    pub(super) segment: &'a SegmentFile,
    /// Its file, open.
    pub(super) file: &'a dyn DiskFile,
    /// Where the broken frame begins.
    pub(super) offset: u64,
    /// Its lsn.
    pub(super) lsn: Lsn,
    /// The last lsn in the segment, if another segment tells.
    pub(super) last_lsn: Option<Lsn>,
}

impl Search<'_> {
    /// Finds the nearest place.
    pub(super) fn run(&self) -> io::Result<Option<Resync>> {
        for guess in self.guesses()?.into_iter().flatten() {
            if self.leads_on(guess, &mut 0)? {
                return Ok(Some(guess));
            }
        }
        self.at_any_byte()
    }

    /// If only the body is broken, the next record is where the header says; if it is a batch record, the next
    /// one is the same.
    fn guesses(&self) -> io::Result<[Option<Resync>; 2]> {
        let behind_batch = Resync { offset: self.offset + BATCH_BYTES as u64, lsn: self.lsn };
        let mut bytes = [0; RECORD_HEADER_BYTES];
        let read = self.file.read_at(&mut bytes, self.offset)?;
        let header = Header::parse(bytes);
        let behind_record =
            (read == bytes.len() && header.lsn == self.lsn && is_possible(header)).then(|| Resync {
                offset: self.offset + (RECORD_HEADER_BYTES + header.body_bytes) as u64,
                lsn: self.lsn + 1,
            });
        Ok([behind_record, Some(behind_batch)])
    }

    fn at_any_byte(&self) -> io::Result<Option<Resync>> {
        let mut tried_bytes = 0;
        let mut buffer = vec![0; READ_BYTES];
        let mut start = self.offset + 1;
        loop {
            let filled = self.file.read_at(&mut buffer, start)?;
            for (index, bytes) in buffer[..filled].windows(RECORD_HEADER_BYTES).enumerate() {
                let header = Header::parse(array(bytes));
                let place = Resync { offset: start + index as u64, lsn: header.lsn };
                if is_possible(header)
                    && self.may_be(place, header)
                    && (header.is_batch() || tried_bytes < TRIED_BYTES_MAX)
                    && self.leads_on(place, &mut tried_bytes)?
                {
                    return Ok(Some(place));
                }
            }
            if filled < buffer.len() {
                return Ok(None);
            }
            start += (filled - (RECORD_HEADER_BYTES - 1)) as u64;
        }
    }

    /// Whether what would be lost fits before the place.
    fn may_be(&self, place: Resync, header: Header) -> bool {
        let room = place.offset - self.offset;
        if place.lsn == self.lsn {
            // Nothing but batches may be gone.
            return header.is_batch() && room.is_multiple_of(BATCH_BYTES as u64);
        }
        place.lsn > self.lsn
            && (place.lsn - self.lsn).saturating_mul(RECORD_BYTES_MIN as u64) <= room
            && self.last_lsn.is_none_or(|last| place.lsn <= last + 1)
    }

    /// Whether the frames from a place on lead to a batch record or to the last record.
    fn leads_on(&self, place: Resync, tried_bytes: &mut u64) -> io::Result<bool> {
        let segment = self.segment;
        let mut reader = Reader::at(self.file, segment.bytes, seed(segment.number), place.offset, TRY_BYTES);
        let mut lsn = place.lsn;
        loop {
            match reader.next(lsn)? {
                Frame::Batch(_) => return Ok(true),
                Frame::Record => lsn += 1,
                Frame::Fault(_) => break,
            }
        }
        let mut bytes = [0; RECORD_HEADER_BYTES];
        self.file.read_at(&mut bytes, reader.offset())?;
        let header = Header::parse(bytes);
        let body_bytes = if header.lsn == lsn && is_possible(header) { header.body_bytes } else { 0 };
        *tried_bytes += reader.offset() - place.offset + body_bytes as u64;
        Ok(lsn > place.lsn && self.last_lsn.is_some_and(|last| lsn == last + 1))
    }
}

fn is_possible(header: Header) -> bool {
    (1..=RECORD_BODY_BYTES_MAX).contains(&header.body_bytes)
        && (!header.is_batch() || header.body_bytes == BATCH_BYTES - RECORD_HEADER_BYTES)
}
