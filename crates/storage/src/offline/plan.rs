//! What a repair would do, before it does it: damage written off where it is, or the log cut before it.
//!
//! Neither leaves a trace of guessing: each record that is lost is replaced by one that says so, with the same
//! lsn, so that every other record stays where it is; and a cut begins a new segment, as a start does.

use std::ops::RangeInclusive;
use std::path::Path;

use super::fill::{BLANK, Fill, empty_segment};
use super::report::{Damage, Inspection, Loss};
use super::row::boot_after;
use super::{OfflineLog, SegmentFile, Visit};
use crate::segment::{Name, SegmentHeader};
use crate::{Lsn, OpenError};

/// How many records are written off at most: each takes a record of its own.
const LOST_RECORDS_MAX: u64 = 16 * 1024 * 1024;

/// How many segments in a row may be missing: for each a file is written, and a boot number used up. A larger gap is not a
/// loss but a file that is a stranger here.
const MISSING_SEGMENTS_MAX: u64 = 4_096;

/// A place in a log, as `check` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// A byte in it.
    pub offset: u64,
}

/// Where frames begin around a place.
#[derive(Debug, Default)]
pub(super) struct Probe {
    pub(super) before: Option<u64>,
    /// The lsn that is due at the place, if a frame begins there.
    pub(super) at: Option<Lsn>,
    pub(super) after: Option<u64>,
}

/// How one damage is written off.
#[derive(Debug, Clone)]
pub(crate) enum Mend {
    /// Write the segment's header again; with one lost record at this offset and of this lsn where it may have been cut.
    Header { header: SegmentHeader, capacity_bytes: u64, cut: Option<(u64, Lsn)> },
    /// Write lost records `first..=last` over the bytes from `offset` to `end`. Without an end nothing behind it
    /// can be read: what is left of a newest segment is blanked.
    Fill { offset: u64, end: Option<u64>, first: Lsn, last: Lsn, is_newest: bool },
    /// Make the file as long as it was, with one lost record where it was cut.
    Lengthen { offset: u64, lsn: Lsn, capacity_bytes: u64 },
    /// Write segments with these numbers, of which the first holds lost records up to `last_lsn`.
    Replace { header: SegmentHeader, numbers: RangeInclusive<u64>, last_lsn: Lsn },
}

/// What is done to one file.
#[derive(Debug)]
pub(super) enum Step {
    /// Write over parts of a segment, and make it at least so long.
    Patch { number: u64, patches: Vec<(u64, Vec<u8>)>, bytes_min: u64 },
    /// Put a new segment there, in place of one that may be there.
    Write { number: u64, bytes: Vec<u8> },
    /// Take a segment away.
    Remove { number: u64 },
}

/// A repair that can be applied.
#[derive(Debug)]
pub struct Plan {
    pub(super) steps: Vec<Step>,
    /// What it will do and what is lost by it, a line each.
    pub lines: Vec<String>,
    /// The cut, if it is one.
    pub cut: Option<Cut>,
}

/// What a cut takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first lsn that is no longer there.
    pub lsn: Lsn,
    /// How many records could be read from there on.
    pub records: u64,
}

/// Why a repair can't be made.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The log can't be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was asked for is not possible.
    #[error("{0}")]
    Impossible(String),
}

fn impossible(reason: impl Into<String>) -> RepairError {
    RepairError::Impossible(reason.into())
}

impl OfflineLog {
    /// Plans to write off damage: what begins at these places, or all of it.
    ///
    /// # Errors
    /// There is none, or one of them can't be written off.
    pub fn plan_skip(&self, found: &Inspection, places: Option<&[Place]>) -> Result<Plan, RepairError> {
        let chosen: Vec<&Damage> = match places {
            None => found.damages.iter().collect(),
            Some(places) => {
                let at = |place: &Place| {
                    let is_there =
                        |damage: &&Damage| (damage.segment, damage.offset) == (place.segment, place.offset);
                    found.damages.iter().find(is_there).ok_or_else(|| {
                        let file = Name::Segment(place.segment);
                        impossible(format!(
                            "no damage begins at {file}:{}; `stanchion check` lists where it does",
                            place.offset
                        ))
                    })
                };
                places.iter().map(at).collect::<Result<_, _>>()?
            }
        };
        if chosen.is_empty() {
            return Err(impossible("nothing is damaged, so there is nothing to skip"));
        }
        let mut plan = Plan { steps: Vec::new(), lines: Vec::new(), cut: None };
        for damage in chosen {
            self.skip(damage, &mut plan)?;
        }
        Ok(plan)
    }

    fn skip(&self, damage: &Damage, plan: &mut Plan) -> Result<(), RepairError> {
        let place = format!("{}:{}", damage.file.display(), damage.offset);
        let mend = damage.mend.as_ref().ok_or_else(|| {
            impossible(format!("{place} can't be skipped: no segment of the log can be read"))
        })?;
        if let Loss::Records { first, last } = damage.loss
            && last - first >= LOST_RECORDS_MAX
        {
            return Err(impossible(format!(
                "{place} can't be skipped: {} and at most {LOST_RECORDS_MAX} can be written off; use --cut",
                damage.loss
            )));
        }
        let note = format!("lost: {}; {}", damage.reason, damage.loss);
        plan.lines.push(format!("write off {place} to {}: {}", damage.end, damage.loss));
        match mend {
            Mend::Header { header, capacity_bytes, cut } => {
                let bytes = header.to_bytes(*capacity_bytes).to_vec();
                plan.patch(damage.segment, (0, bytes), 0);
                if let &Some((offset, lsn)) = cut {
                    let fill = Fill { number: damage.segment, offset, first: lsn, last: lsn, note: &note };
                    plan.end_with(&fill, *capacity_bytes);
                }
            }
            &Mend::Fill { offset, end, first, last, is_newest } => {
                let fill = Fill { number: damage.segment, offset, first, last, note: &note };
                let bytes = match end {
                    Some(end) => fill.exactly(end - offset).ok_or_else(|| {
                        impossible(format!("{place} can't be skipped: it leaves no room; use --cut"))
                    })?,
                    None => fill.shortest(),
                };
                let filled_to = offset + bytes.len() as u64;
                plan.patch(damage.segment, (offset, bytes), filled_to);
                if end.is_none() && is_newest {
                    plan.patch(damage.segment, (filled_to, BLANK.to_vec()), 0);
                }
            }
            &Mend::Lengthen { offset, lsn, capacity_bytes } => {
                let fill = Fill { number: damage.segment, offset, first: lsn, last: lsn, note: &note };
                plan.end_with(&fill, capacity_bytes);
            }
            Mend::Replace { header, numbers, last_lsn } => {
                self.refuse_wide_gap()?;
                for number in numbers.clone() {
                    let is_first = number == header.number;
                    let first_lsn = if is_first { header.first_lsn } else { last_lsn + 1 };
                    let header = SegmentHeader { number, first_lsn, ..*header };
                    let lost = is_first.then_some((*last_lsn, note.as_str()));
                    plan.steps.push(Step::Write { number, bytes: empty_segment(header, lost) });
                }
            }
        }
        Ok(())
    }

    /// Refuses a log with a segment that is too far from the one before it: one of the two is a stranger.
    fn refuse_wide_gap(&self) -> Result<(), RepairError> {
        let is_far = |pair: &&[SegmentFile]| pair[1].number - pair[0].number - 1 > MISSING_SEGMENTS_MAX;
        let Some([before, after]) = self.segments.windows(2).find(is_far) else { return Ok(()) };
        Err(impossible(format!(
            "{} segments are missing between {} and {}, and at most {MISSING_SEGMENTS_MAX} can be written off; if one of the \
             two is of another log or has a wrong name, move it out of the directory and check again; otherwise restore what \
             is missing from a copy",
            after.number - before.number - 1,
            before.path.display(),
            after.path.display(),
        )))
    }

    /// Plans to end the log before the frame at a place.
    ///
    /// # Errors
    /// No frame begins there.
    pub fn plan_cut(&self, place: Place, visit: &mut Visit<'_>) -> Result<(Plan, Inspection), RepairError> {
        let file = Name::Segment(place.segment);
        let (found, probe) = self.walk(visit, Some(&place))?;
        if !found.segments.iter().any(|segment| segment.number == place.segment && segment.boot.is_some()) {
            return Err(impossible(format!(
                "{} has no segment {file} that can be read; `stanchion check` lists them",
                self.dir().display()
            )));
        }
        let Some(lsn) = probe.at else {
            let near: Vec<String> =
                [probe.before, probe.after].into_iter().flatten().map(|offset| offset.to_string()).collect();
            return Err(impossible(format!(
                "nothing begins at byte {} of {file}; the log can be cut at {}",
                place.offset,
                near.join(" or ")
            )));
        };
        self.refuse_wide_gap()?;
        let records = found.last_lsn.saturating_sub(lsn - 1);
        let mut readable = found.segments.iter().filter_map(|segment| Some((segment.number, segment.boot?)));
        let (number, boot) = readable.next_back().expect("the segment that is cut can be read");
        let last_number = found.segments.last().map_or(number, |segment| segment.number);
        let last = SegmentHeader { boot, number, first_lsn: lsn };
        // No id may be given out twice, so the boots of what is cut off are used up.
        let boot = boot_after(Some(last), last_number);
        let header = SegmentHeader { boot, number: place.segment + 1, first_lsn: lsn };
        let note = format!("cut off by a repair at {file}:{}, {records} records from {lsn} on", place.offset);
        let mut plan = Plan {
            steps: vec![Step::Write {
                number: header.number,
                bytes: empty_segment(header, Some((lsn, &note))),
            }],
            lines: vec![
                format!(
                    "end the log before record {lsn}, at {}:{}",
                    self.dir().join(file.to_string()).display(),
                    place.offset
                ),
                format!("{records} records that can be read are lost by it"),
                format!("begin segment {} behind the cut", header.number),
            ],
            cut: Some(Cut { lsn, records }),
        };
        for segment in found.segments.iter().filter(|segment| segment.number > header.number) {
            plan.lines.push(format!("take {} away", segment.file.display()));
            plan.steps.push(Step::Remove { number: segment.number });
        }
        Ok((plan, found))
    }
}

impl Plan {
    /// Has lost records where a newest segment was cut, and nothing behind them.
    fn end_with(&mut self, fill: &Fill<'_>, capacity_bytes: u64) {
        let bytes = fill.shortest();
        let filled_to = fill.offset + bytes.len() as u64;
        self.patch(fill.number, (fill.offset, bytes), capacity_bytes.max(filled_to));
        self.patch(fill.number, (filled_to, BLANK.to_vec()), 0);
    }

    fn patch(&mut self, segment: u64, patch: (u64, Vec<u8>), length_min: u64) {
        let of_segment = self.steps.iter_mut().find_map(|step| match step {
            Step::Patch { number, patches, bytes_min } if *number == segment => Some((patches, bytes_min)),
            _ => None,
        });
        match of_segment {
            Some((patches, bytes_min)) => {
                patches.push(patch);
                *bytes_min = length_min.max(*bytes_min);
            }
            None => {
                self.steps.push(Step::Patch { number: segment, patches: vec![patch], bytes_min: length_min })
            }
        }
    }

    /// The numbers of the segments that it changes or takes away.
    pub(super) fn touched(&self) -> impl Iterator<Item = u64> {
        self.steps.iter().map(|step| match step {
            Step::Patch { number, .. } | Step::Write { number, .. } | Step::Remove { number } => *number,
        })
    }
}

impl Place {
    /// Reads `FILE:OFFSET`, as `check` prints it; of the file only the name counts.
    pub fn parse(text: &str) -> Option<Self> {
        let (file, offset) = text.rsplit_once(':')?;
        match Name::parse(Path::new(file).file_name()?)? {
            Name::Segment(segment) => Some(Self { segment, offset: offset.parse().ok()? }),
            _ => None,
        }
    }
}
