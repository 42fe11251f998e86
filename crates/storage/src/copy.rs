//! Verifying the copy of a log while it is made, piece by piece, as it may go to where it can't be read again.

use crate::batch::watermark;
use crate::limits::RECORD_BODY_BYTES_MAX;
use crate::record::{BATCH_BYTES, Batch, Header, Mark, RECORD_HEADER_BYTES, array, is_intact};
use crate::segment::{FORMAT_VERSION, HeaderFault, Name, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::{Lsn, Segment};

/// Verifies the segments of a copy: their headers, that they follow each other, and each record.
///
/// For each segment, oldest first: [`CopyVerifier::begin`], its bytes in pieces of any size, and
/// [`CopyVerifier::end`]. With them goes one that [`closing_segment`] gives.
#[derive(Debug, Default)]
pub struct CopyVerifier {
    current: Option<Current>,
    last: Option<SegmentHeader>,
    /// The lsn of the next record.
    expected: Lsn,
    records: u64,
}

/// The segment that is being copied.
#[derive(Debug)]
struct Current {
    segment: Segment,
    header: Option<SegmentHeader>,
    /// Bytes of a frame that is not complete.
    pending: Vec<u8>,
    /// Where they begin.
    offset: u64,
}

/// What is wrong with a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {number} is damaged at byte {offset}: {reason}")]
pub struct CopyFault {
    /// The segment.
    pub number: u64,
    /// Where in it.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

impl CopyVerifier {
    /// A copy with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of a segment's file.
    pub fn file_name(number: u64) -> String {
        Name::Segment(number).to_string()
    }

    /// How many records there were so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The last record so far.
    pub fn last_lsn(&self) -> Lsn {
        self.expected.saturating_sub(1)
    }

    /// A segment begins.
    ///
    /// # Panics
    /// If the one before was not ended.
    pub fn begin(&mut self, segment: Segment) {
        assert!(self.current.is_none(), "a segment begins before the last one ended");
        self.current = Some(Current { segment, header: None, pending: Vec::new(), offset: 0 });
    }

    /// More of its bytes.
    ///
    /// # Panics
    /// If no segment has begun.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), CopyFault> {
        let current = self.current.as_mut().expect("bytes belong to a segment");
        current.pending.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(length) = current.next_length(used, self.expected)? {
            let frame = &current.pending[used..used + length];
            match current.header {
                None => {
                    let header = current.parse_header(frame)?;
                    follows(&header, self.last.as_ref(), self.expected)
                        .map_err(|reason| current.fault(0, reason))?;
                    current.header = Some(header);
                    self.last = Some(header);
                    self.expected = header.first_lsn;
                }
                Some(header) => {
                    if current.verify(used, frame, &header)? {
                        self.expected += 1;
                        self.records += 1;
                    }
                }
            }
            used += length;
        }
        current.pending.drain(..used);
        current.offset += used as u64;
        Ok(())
    }

    /// The segment is complete.
    ///
    /// # Panics
    /// If no segment has begun.
    pub fn end(&mut self) -> Result<(), CopyFault> {
        let current = self.current.take().expect("a segment ends that has begun");
        let Segment { bytes, last_lsn, .. } = current.segment;
        let copied = current.offset + current.pending.len() as u64;
        if copied != bytes || current.header.is_none() {
            return Err(current.fault(0, format!("{copied} bytes of it came, not {bytes}")));
        }
        if self.expected != last_lsn + 1 {
            let reason = format!("record {} is missing, and all up to {last_lsn} was copied", self.expected);
            return Err(current.fault(0, reason));
        }
        Ok(())
    }
}

/// The number and the bytes of one more segment, which ends a copy: `newest` is the copy's newest segment, and `header`
/// the first bytes of that. With it all before it counts as durable, so damage to the copy is never taken for an
/// unfinished write; and written first, it makes a copy that is not complete miss a segment.
pub fn closing_segment(newest: &Segment, header: &[u8]) -> Result<(u64, Vec<u8>), CopyFault> {
    let current = Current { segment: *newest, header: None, pending: Vec::new(), offset: 0 };
    if header.len() < SEGMENT_HEADER_BYTES {
        return Err(current.fault(0, "it is shorter than its header"));
    }
    let last = current.parse_header(header)?;
    let first_lsn = newest.last_lsn + 1;
    let header = SegmentHeader { boot: last.boot, number: last.number + 1, first_lsn };
    let mark = watermark(first_lsn, SEGMENT_HEADER_BYTES as u64, header.number, Mark::Open);
    let capacity_bytes = (SEGMENT_HEADER_BYTES + BATCH_BYTES) as u64;
    Ok((header.number, [&header.to_bytes(capacity_bytes)[..], &mark].concat()))
}

impl Current {
    /// How long the next frame is that is there as a whole; `None` if it is not, or if nothing of the copy follows.
    fn next_length(&self, used: usize, expected: Lsn) -> Result<Option<usize>, CopyFault> {
        let left = &self.pending[used..];
        let length = if self.header.is_none() {
            SEGMENT_HEADER_BYTES
        } else {
            // Behind the last record there may be what a crash left, which no start looks at.
            if left.len() < RECORD_HEADER_BYTES || expected > self.segment.last_lsn {
                return Ok(None);
            }
            let header = Header::parse(array(left));
            if header.lsn != expected || !(1..=RECORD_BODY_BYTES_MAX).contains(&header.body_bytes) {
                return Err(self.fault(used, format!("record {expected} is missing")));
            }
            RECORD_HEADER_BYTES + header.body_bytes
        };
        Ok((left.len() >= length).then_some(length))
    }

    fn parse_header(&self, bytes: &[u8]) -> Result<SegmentHeader, CopyFault> {
        let bytes = bytes.first_chunk().expect("a whole header");
        let header = SegmentHeader::parse(bytes).map_err(|fault| {
            self.fault(
                0,
                match fault {
                    HeaderFault::Damaged(reason) => reason.to_owned(),
                    HeaderFault::Newer(found) => {
                        format!(
                            "it has format version {found}, and this program reads up to {FORMAT_VERSION}"
                        )
                    }
                },
            )
        })?;
        if header.number != self.segment.number || header.first_lsn != self.segment.first_lsn {
            return Err(self.fault(0, format!("its header says that it is segment {}", header.number)));
        }
        Ok(header)
    }

    /// Whether the frame is a record; a batch is none.
    fn verify(&self, used: usize, frame: &[u8], header: &SegmentHeader) -> Result<bool, CopyFault> {
        let record = Header::parse(array(frame));
        let offset = self.offset + used as u64;
        let is_right = match record.is_batch() {
            true => {
                frame.first_chunk().is_some_and(|bytes| Batch::parse(bytes, offset, header.seed()).is_some())
            }
            false => is_intact(frame, header.seed()),
        };
        match is_right {
            true => Ok(!record.is_batch()),
            false => Err(self.fault(used, format!("record {} is broken", record.lsn))),
        }
    }

    fn fault(&self, used: usize, reason: impl Into<String>) -> CopyFault {
        CopyFault { number: self.segment.number, offset: self.offset + used as u64, reason: reason.into() }
    }
}

/// Whether a segment may come after another.
fn follows(header: &SegmentHeader, last: Option<&SegmentHeader>, expected: Lsn) -> Result<(), String> {
    let Some(last) = last else { return Ok(()) };
    if header.number != last.number + 1 {
        return Err(format!("it comes after segment {}", last.number));
    }
    if header.first_lsn != expected || header.boot < last.boot {
        return Err(format!("it begins with record {}, and {expected} was due", header.first_lsn));
    }
    Ok(())
}
