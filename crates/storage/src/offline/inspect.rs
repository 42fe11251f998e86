//! Reading all of a log, on and on behind whatever is damaged.
//!
//! What is damage and what is a legal end is decided by the same table as in recovery; so a log without damage is
//! one that opens.

use std::fs::File;

use super::checkpoints::Checkpoints;
use super::plan::{Mend, Place, Probe};
use super::report::{Damage, End, Inspection, Loss, SegmentReport, SegmentState};
use super::resync::Search;
use super::row::{Gap, Slot, Usable, boot_after, row};
use super::{Located, OfflineLog, SegmentFile, Visit};
use crate::reader::{Frame, Reader};
use crate::record::{Mark, RECORD_HEADER_BYTES, RecordKind};
use crate::segment::{Name, SegmentHeader, seed};
use crate::verdict::{self, Claim, Finding, Verdict, verdict};
use crate::{Lsn, OpenError, TornTail};

impl OfflineLog {
    /// Reads all of the log and shows each record that can be read, in order. One that `visit` refuses is damage.
    ///
    /// # Errors
    /// The system can't read a file, or a newer version wrote it.
    pub fn inspect(&self, visit: &mut Visit<'_>) -> Result<Inspection, OpenError> {
        self.walk(visit, None).map(|(inspection, _)| inspection)
    }

    /// Inspects, and looks for a place where a frame begins.
    pub(super) fn walk(
        &self,
        visit: &mut Visit<'_>,
        place: Option<&Place>,
    ) -> Result<(Inspection, Probe), OpenError> {
        let slots = row(self)?;
        let first_lsn = slots.iter().find_map(usable).map_or(1, |oldest| oldest.header.first_lsn);
        let mut walk = Walk {
            log: self,
            visit,
            place,
            probe: Probe::default(),
            expected: first_lsn,
            mark: None,
            checkpoints: Checkpoints::open(self),
            found: Inspection {
                segments: Vec::new(),
                checkpoints: Vec::new(),
                damages: Vec::new(),
                records: 0,
                lost_records: 0,
                first_lsn,
                last_lsn: first_lsn - 1,
                end: End::Unknown,
            },
        };
        for (index, slot) in slots.iter().enumerate() {
            let before = slots[..index].iter().rev().find_map(usable).map(|usable| usable.header);
            let next = slots[index + 1..].iter().find_map(usable).map(|usable| usable.header);
            match slot {
                Slot::Usable(segment) => {
                    let follows = match slots.get(index + 1) {
                        None => Follows::Nothing,
                        Some(Slot::Usable(next)) => Follows::Segment(next.header.first_lsn),
                        Some(Slot::Gap(_)) => Follows::Gap(next.map(|next| next.first_lsn)),
                    };
                    walk.segment(segment, follows)?;
                }
                Slot::Gap(gap) => walk.gap(gap, before, next),
            }
        }
        let Walk { mut found, checkpoints, probe, .. } = walk;
        found.checkpoints = checkpoints.judge(&found);
        Ok((found, probe))
    }
}

fn usable<'s, 'a>(slot: &'s Slot<'a>) -> Option<&'s Usable<'a>> {
    match slot {
        Slot::Usable(usable) => Some(usable),
        Slot::Gap(_) => None,
    }
}

/// What comes after a segment in the row.
#[derive(Clone, Copy)]
enum Follows {
    Nothing,
    /// A segment that begins with this lsn.
    Segment(Lsn),
    /// Nothing usable, and then perhaps a segment that begins with this lsn.
    Gap(Option<Lsn>),
}

struct Walk<'a, 'v> {
    log: &'a OfflineLog,
    visit: &'a mut Visit<'v>,
    place: Option<&'a Place>,
    probe: Probe,
    /// The lsn of the next record.
    expected: Lsn,
    /// Why the last batch record was written.
    mark: Option<Mark>,
    checkpoints: Checkpoints,
    found: Inspection,
}

/// Where a segment's records end, and how.
struct Ended {
    offset: u64,
    how: EndsIn,
}

/// What is behind the last record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EndsIn {
    /// Nothing that was meant to be a record.
    Nothing,
    /// A record that was not written as a whole.
    Tear,
    /// What was written off.
    Damage,
}

impl Walk<'_, '_> {
    fn segment(&mut self, usable: &Usable<'_>, follows: Follows) -> Result<(), OpenError> {
        let segment = usable.segment;
        let (damages, records, lost) =
            (self.found.damages.len(), self.found.records, self.found.lost_records);
        self.expected = usable.header.first_lsn;
        let ended = self.records(usable, follows)?;
        let is_end_known = !matches!(follows, Follows::Nothing) || self.end(usable, &ended);
        if let Some(fault) = &usable.header_fault {
            let loss = if is_end_known { Loss::Nothing } else { Loss::From(self.expected) };
            // Where something is broken, lost records are written for that.
            let is_cut = !is_end_known && ended.how != EndsIn::Damage;
            let cut = is_cut.then_some((ended.offset, self.expected));
            let mend = Mend::Header { header: usable.header, capacity_bytes: segment.bytes, cut };
            let damage = damage(segment, 0..64, fault.clone(), loss, Some(mend));
            self.found.damages.insert(damages, damage);
        }
        self.found.last_lsn = self.expected - 1;
        self.found.segments.push(SegmentReport {
            number: segment.number,
            file: segment.path.clone(),
            boot: Some(usable.header.boot),
            lsns: usable.header.first_lsn..self.expected,
            used_bytes: ended.offset,
            file_bytes: segment.bytes,
            records: self.found.records - records,
            lost_records: self.found.lost_records - lost,
            state: match follows {
                _ if self.found.damages.len() > damages => SegmentState::Damaged,
                Follows::Nothing => SegmentState::Newest,
                Follows::Segment(_) | Follows::Gap(_) => SegmentState::Sealed,
            },
        });
        Ok(())
    }

    /// Reads a segment's records to their end.
    fn records(&mut self, usable: &Usable<'_>, follows: Follows) -> Result<Ended, OpenError> {
        let segment = usable.segment;
        let io = || OpenError::io("read", &segment.path);
        // A gap that follows may have begun anywhere, so what is in this segment must speak for itself.
        let (place, mut durable, end_lsn) = match follows {
            Follows::Segment(next) => (verdict::Place::Older, next - 1, Some(next)),
            Follows::Gap(next) => (verdict::Place::Newest, usable.header.first_lsn - 1, next),
            Follows::Nothing => (verdict::Place::Newest, usable.header.first_lsn - 1, None),
        };
        let file = segment.open()?;
        let mut reader = Reader::new(&file, segment.bytes, seed(segment.number));
        loop {
            let offset = reader.offset();
            self.pass(segment, offset);
            if end_lsn == Some(self.expected) {
                return Ok(Ended { offset, how: EndsIn::Nothing });
            }
            let frame = reader.next(self.expected).map_err(io())?;
            let finding = frame.finding();
            if place == verdict::Place::Newest && finding != Finding::Intact {
                durable = durable.max(reader.durable_behind().map_err(io())?);
            }
            match verdict(place, finding, Claim::of(self.expected, durable)) {
                Verdict::Replay => match frame {
                    Frame::Batch(batch) => {
                        if place == verdict::Place::Newest {
                            durable = durable.max(batch.durable);
                        }
                        self.mark = Some(batch.mark);
                    }
                    _ => self.record(segment, offset, &reader),
                },
                Verdict::Superseded | Verdict::End => return Ok(Ended { offset, how: EndsIn::Nothing }),
                Verdict::Torn => return Ok(Ended { offset, how: EndsIn::Tear }),
                Verdict::Damaged => {
                    let last = match follows {
                        Follows::Segment(next) => Some(next - 1),
                        Follows::Gap(_) | Follows::Nothing => None,
                    };
                    match self.broken(segment, &file, offset, finding, last, durable)? {
                        Some(resync) => {
                            reader = Reader::at(
                                &file,
                                segment.bytes,
                                seed(segment.number),
                                resync,
                                crate::limits::READ_BYTES,
                            );
                        }
                        None => return Ok(Ended { offset, how: EndsIn::Damage }),
                    }
                }
            }
        }
    }

    fn record(&mut self, segment: &SegmentFile, offset: u64, reader: &Reader<'_>) {
        let record = reader.record();
        let lsn = self.expected;
        self.expected += 1;
        self.found.records += 1;
        self.mark = None;
        self.checkpoints.note(record);
        if record.kind == RecordKind::LOST {
            self.found.lost_records += 1;
            return;
        }
        let located = Located { record, segment: segment.number, offset };
        if let Err(reason) = (self.visit)(located) {
            let end = offset + (RECORD_HEADER_BYTES + record.body.len()) as u64;
            let reason = format!("record {lsn} is intact and can't be applied: {reason}");
            let mend = Mend::Fill { offset, end: Some(end), first: lsn, last: lsn, is_newest: false };
            self.damage(segment, offset..end, reason, Loss::Records { first: lsn, last: lsn }, Some(mend));
        }
    }

    /// Notes what is broken and where reading goes on.
    fn broken(
        &mut self,
        segment: &SegmentFile,
        file: &File,
        offset: u64,
        finding: Finding,
        last: Option<Lsn>,
        durable: Lsn,
    ) -> Result<Option<u64>, OpenError> {
        let lsn = self.expected;
        let search = Search { segment, file, offset, lsn, last_lsn: last };
        let resync = search.run().map_err(OpenError::io("read", &segment.path))?;
        let what = if finding == Finding::Broken { "is broken" } else { "is missing" };
        let reason = format!("record {lsn} {what}, and all up to {durable} was synced");
        let (end, next) = resync.map_or((segment.bytes, durable + 1), |resync| (resync.offset, resync.lsn));
        let loss = match next {
            next if next == lsn => Loss::Nothing,
            next => Loss::Records { first: lsn, last: next - 1 },
        };
        let mend = Mend::Fill {
            offset,
            end: resync.map(|resync| resync.offset),
            first: lsn,
            last: next - 1,
            is_newest: last.is_none(),
        };
        self.damage(segment, offset..end, reason, loss, Some(mend));
        self.expected = next;
        self.mark = None;
        Ok(resync.map(|resync| resync.offset))
    }

    /// How the newest segment ends; whether that can be known.
    fn end(&mut self, usable: &Usable<'_>, ended: &Ended) -> bool {
        let segment = usable.segment;
        if segment.bytes < usable.capacity_bytes {
            let reason = format!("the file ends here, and was made {} bytes long", usable.capacity_bytes);
            let mend = Mend::Lengthen {
                offset: ended.offset,
                lsn: self.expected,
                capacity_bytes: usable.capacity_bytes,
            };
            let loss = Loss::From(self.expected);
            self.damage(segment, segment.bytes..segment.bytes, reason, loss, Some(mend));
            return true;
        }
        // Without the header nothing tells how long the file was made, and it may have been cut here. It was not where it
        // goes on behind the last record, and if it was, nothing came after a clean end.
        let goes_on = ended.how == EndsIn::Nothing
            && segment.bytes.saturating_sub(ended.offset) >= RECORD_HEADER_BYTES as u64;
        if usable.header_fault.is_some() && self.mark != Some(Mark::Closed) && !goes_on {
            return false;
        }
        self.found.end = match self.mark {
            _ if ended.how == EndsIn::Tear => {
                End::Torn(TornTail { file: segment.path.clone(), offset: ended.offset, lsn: self.expected })
            }
            Some(Mark::Closed) => End::Closed,
            _ => End::Killed,
        };
        true
    }

    /// Segments that are missing, or of which nothing can be read.
    fn gap(&mut self, gap: &Gap<'_>, before: Option<SegmentHeader>, next: Option<SegmentHeader>) {
        for (segment, _) in &gap.files {
            self.found.segments.push(SegmentReport {
                number: segment.number,
                file: segment.path.clone(),
                boot: None,
                lsns: self.expected..self.expected,
                used_bytes: 0,
                file_bytes: segment.bytes,
                records: 0,
                lost_records: 0,
                state: SegmentState::Unreadable,
            });
        }
        let number = *gap.numbers.start();
        let (loss, first_lsn, last_lsn) = match (before, next) {
            (Some(_), Some(next)) if next.first_lsn <= self.expected => {
                (Loss::Nothing, next.first_lsn, next.first_lsn - 1)
            }
            (Some(_), Some(next)) => {
                let (first, last) = (self.expected, next.first_lsn - 1);
                (Loss::Records { first, last }, first, last)
            }
            // One record stands for all of them.
            (None, Some(next)) if next.first_lsn > 1 => {
                let last = next.first_lsn - 1;
                (Loss::UpTo(last), last, last)
            }
            (None, Some(_)) => (Loss::Nothing, 1, 0),
            (_, None) => (Loss::From(self.expected), self.expected, self.expected),
        };
        let boot = next.map_or_else(|| boot_after(before, *gap.numbers.end()), |next| next.boot);
        let header = SegmentHeader { boot, number, first_lsn };
        let (file, reason) = match gap.files.first() {
            Some((segment, fault)) if segment.number == number => (segment.path.clone(), fault.clone()),
            _ => {
                let file = self.log.dir().join(Name::Segment(number).to_string());
                (file, "this segment is missing, and a later one is there".to_owned())
            }
        };
        let reason = match gap.numbers.end() - number {
            0 => reason,
            more => format!("{reason}; neither can the {more} after it be read"),
        };
        let has_any = before.is_some() || next.is_some();
        self.found.damages.push(Damage {
            segment: number,
            file,
            offset: 0,
            end: gap.files.first().map_or(0, |(segment, _)| segment.bytes),
            reason,
            loss,
            // Of a log without any segment that can be read, nothing tells what ids it had given out.
            mend: has_any.then(|| Mend::Replace { header, numbers: gap.numbers.clone(), last_lsn }),
        });
        self.mark = None;
    }

    fn damage(
        &mut self,
        segment: &SegmentFile,
        bytes: std::ops::Range<u64>,
        reason: String,
        loss: Loss,
        mend: Option<Mend>,
    ) {
        self.found.damages.push(damage(segment, bytes, reason, loss, mend));
    }

    /// A frame is due here: is it the place that somebody asked for?
    fn pass(&mut self, segment: &SegmentFile, offset: u64) {
        let Some(place) = self.place.filter(|place| place.segment == segment.number) else { return };
        if offset < place.offset {
            self.probe.before = Some(offset);
        } else if offset == place.offset {
            self.probe.at.get_or_insert(self.expected);
        } else {
            self.probe.after.get_or_insert(offset);
        }
    }
}

fn damage(
    segment: &SegmentFile,
    bytes: std::ops::Range<u64>,
    reason: String,
    loss: Loss,
    mend: Option<Mend>,
) -> Damage {
    let file = segment.path.clone();
    Damage { segment: segment.number, file, offset: bytes.start, end: bytes.end, reason, loss, mend }
}
