//! Reading records of an open log, while its writer writes and segments are freed.
//!
//! Nothing is locked while a file is read. A segment may go meanwhile, and its file may be written anew under
//! another number; then what is read does not pass as a record of the old one (see `docs/FORMAT.md`), and the
//! catalog tells that the segment is gone.

use std::ops::ControlFlow;

use crate::catalog::{Catalog, Location, Whereabouts};
use crate::limits::READ_FIRST_BYTES;
use crate::milestones::{Milestone, Milestones};
use crate::reader::{Frame, Reader};
use crate::segment::seed;
use crate::{Lsn, ReadError, RecordKind, RecordView};

/// Takes records, and says when it has enough.
pub(crate) type Visit<'a> = dyn FnMut(RecordView<'_>) -> ControlFlow<()> + 'a;

/// Where to begin for a record and what is before it.
pub(crate) fn start_near(catalog: &Catalog, lsn: Lsn) -> Lsn {
    match catalog.locate(lsn) {
        Whereabouts::Here(location) => location.milestone.lsn,
        Whereabouts::Ahead | Whereabouts::Gone => lsn,
    }
}

/// Shows the records from `from` on, as far as they are written.
pub(crate) fn read_from(catalog: &Catalog, from: Lsn, visit: &mut Visit<'_>) -> Result<(), ReadError> {
    let mut next = from;
    loop {
        match catalog.locate(next) {
            Whereabouts::Here(location) => {
                let mut pass = Pass { catalog, location, milestones: Milestones::default() };
                let passed = pass.read(next, visit);
                catalog.learn(location.segment.number, &pass.milestones);
                match passed? {
                    ControlFlow::Continue(()) => next = location.segment.last_lsn + 1,
                    ControlFlow::Break(()) => return Ok(()),
                }
            }
            Whereabouts::Ahead => return Ok(()),
            Whereabouts::Gone => return Err(ReadError::Gone { lsn: next }),
        }
    }
}

/// One pass over a part of a segment.
struct Pass<'a> {
    catalog: &'a Catalog,
    location: Location,
    /// Places that it came by: a segment that recovery did not read has none yet.
    milestones: Milestones,
}

impl Pass<'_> {
    /// Shows the segment's records from `from` on.
    fn read(&mut self, from: Lsn, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, ReadError> {
        let Location { segment, milestone } = self.location;
        let number = segment.number;
        let handle = self.catalog.handle(number).map_err(|error| self.failed(from, error))?;
        let mut reader =
            Reader::at(&*handle, segment.bytes, seed(number), milestone.offset, READ_FIRST_BYTES);
        let mut lsn = milestone.lsn;
        while lsn <= segment.last_lsn {
            let offset = reader.offset();
            let frame = match reader.next(lsn) {
                // What nobody asks for may be damaged or unreadable; what its header says is right if the next frame is.
                Ok(Frame::Fault(_)) | Err(_) if lsn < from && reader.skip(lsn) => {
                    lsn += 1;
                    continue;
                }
                frame => frame.map_err(|error| self.failed(lsn, error))?,
            };
            match frame {
                Frame::Batch(_) => {}
                Frame::Record => {
                    self.milestones.note(Milestone { lsn, offset });
                    let record = reader.record();
                    if lsn >= from && record.kind != RecordKind::LOST && visit(record).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    lsn += 1;
                }
                Frame::Fault(_) if self.catalog.has(number) => {
                    let file = self.catalog.path(number);
                    return Err(ReadError::Damaged { file, offset, lsn });
                }
                Frame::Fault(_) => return Err(ReadError::Gone { lsn }),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What a failed operation on the segment means.
    fn failed(&self, lsn: Lsn, source: std::io::Error) -> ReadError {
        let number = self.location.segment.number;
        if self.catalog.has(number) {
            ReadError::Io { path: self.catalog.path(number), source }
        } else {
            ReadError::Gone { lsn }
        }
    }
}
