//! The segments as a row without gaps: each is there, or something stands in its place.

use std::ops::RangeInclusive;

use super::{OfflineLog, SegmentFile};
use crate::disk::DiskFile;
use crate::record::{BATCH_BYTES, Batch};
use crate::segment::{FORMAT_VERSION, HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader, seed};
use crate::{Lsn, OpenError};

/// A place in the row.
pub(super) enum Slot<'a> {
    Usable(Usable<'a>),
    /// No segment, or none that can be used, has these numbers.
    Gap(Gap<'a>),
}

/// A segment whose records can be read.
pub(super) struct Usable<'a> {
    pub(super) segment: &'a SegmentFile,
    pub(super) header: SegmentHeader,
    /// How long the file was made; 0 if nothing tells.
    pub(super) capacity_bytes: u64,
    /// What is wrong with the header, which was put together from what is around it.
    pub(super) header_fault: Option<String>,
}

/// Numbers in a row without a usable segment.
pub(super) struct Gap<'a> {
    pub(super) numbers: RangeInclusive<u64>,
    /// Files of these numbers, with what is wrong with them.
    pub(super) files: Vec<(&'a SegmentFile, String)>,
}

/// What the header of one file says.
enum Finding {
    Header(SegmentHeader, u64),
    /// Damaged, but its first batch tells where it begins.
    Begins(Lsn, String),
    Unusable(String),
}

/// Puts the files in a row.
pub(super) fn row(log: &OfflineLog) -> Result<Vec<Slot<'_>>, OpenError> {
    let mut findings = Vec::with_capacity(log.segments.len());
    for segment in &log.segments {
        findings.push((segment, look(segment)?));
    }
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let mut next_number = None;
    for (index, (segment, finding)) in findings.iter().enumerate() {
        let number = segment.number;
        if let Some(due) = next_number.filter(|&due| due < number) {
            widen(&mut slots, due..=number - 1, None);
        }
        next_number = number.checked_add(1);
        let last = slots.iter().rev().find_map(|slot| match slot {
            Slot::Usable(usable) => Some(usable.header),
            Slot::Gap(_) => None,
        });
        let usable = match finding {
            Finding::Header(header, _) if header.number != number => {
                Err(format!("its header says that it is segment {}", header.number))
            }
            &Finding::Header(header, capacity_bytes) => {
                Ok(Usable { segment, header, capacity_bytes, header_fault: None })
            }
            Finding::Begins(first_lsn, fault) => {
                let next = findings[index + 1..].iter().find_map(|(_, finding)| match finding {
                    Finding::Header(header, _) => Some(header.boot),
                    _ => None,
                });
                let boot = next.unwrap_or_else(|| boot_after(last, number));
                let header = SegmentHeader { boot, number, first_lsn: *first_lsn };
                Ok(Usable { segment, header, capacity_bytes: 0, header_fault: Some(fault.clone()) })
            }
            Finding::Unusable(fault) => Err(fault.clone()),
        };
        let is_older = |header: &SegmentHeader| {
            last.is_some_and(|last| header.first_lsn < last.first_lsn || header.boot < last.boot)
        };
        match usable {
            Ok(usable) if is_older(&usable.header) => {
                let fault = "it is older than the segment before it".to_owned();
                widen(&mut slots, number..=number, Some((*segment, fault)));
            }
            Ok(usable) => slots.push(Slot::Usable(usable)),
            Err(fault) => widen(&mut slots, number..=number, Some((*segment, fault))),
        }
    }
    Ok(slots)
}

/// The highest boot that a segment can be of. Each run begins with a segment of its own.
pub(super) fn boot_after(last: Option<SegmentHeader>, number: u64) -> u32 {
    let (boot, before) = last.map_or((0, 0), |last| (last.boot, last.number));
    boot.saturating_add(u32::try_from(number - before).unwrap_or(u32::MAX))
}

/// Adds numbers to the gap at the end of the row.
fn widen<'a>(
    slots: &mut Vec<Slot<'a>>,
    numbers: RangeInclusive<u64>,
    file: Option<(&'a SegmentFile, String)>,
) {
    if let Some(Slot::Gap(gap)) = slots.last_mut() {
        gap.numbers = *gap.numbers.start()..=*numbers.end();
        gap.files.extend(file);
    } else {
        slots.push(Slot::Gap(Gap { numbers, files: file.into_iter().collect() }));
    }
}

fn look(segment: &SegmentFile) -> Result<Finding, OpenError> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES + BATCH_BYTES];
    let read =
        DiskFile::read_at(&segment.open()?, &mut bytes, 0).map_err(OpenError::io("read", &segment.path))?;
    if read < SEGMENT_HEADER_BYTES {
        return Ok(Finding::Unusable("the file ends before its header does".to_owned()));
    }
    let (header, behind) = bytes.split_first_chunk().expect("the buffer begins with a header");
    let fault = match SegmentHeader::parse(header) {
        Ok(parsed) => return Ok(Finding::Header(parsed, SegmentHeader::capacity_bytes(header))),
        Err(HeaderFault::Newer(found)) => {
            let file = segment.path.clone();
            return Err(OpenError::NewerFormat { file, found, supported: FORMAT_VERSION });
        }
        Err(HeaderFault::Damaged(fault)) => fault.to_owned(),
    };
    // A segment begins with a batch, whose lsn is that of the first record.
    let batch = behind.first_chunk().filter(|_| read == bytes.len());
    let batch =
        batch.and_then(|batch| Batch::parse(batch, SEGMENT_HEADER_BYTES as u64, seed(segment.number)));
    Ok(match batch {
        Some(batch) => Finding::Begins(batch.next_lsn, fault),
        None => Finding::Unusable(fault),
    })
}
