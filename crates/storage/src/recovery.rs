//! Opening a log: read all of it, decide where it ends, and begin the segment of this run.
//!
//! Nothing is changed before everything was read and found good. What is written then goes to a new file,
//! which gets its name when it is whole; so a crash in here leaves a log that can be opened as before.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::active::{Active, segment_bytes_for};
use crate::batch::Buffer;
use crate::catalog::Indexed;
use crate::checkpoint::Merge;
use crate::disk::{Disk, DiskFile, is_full};
use crate::limits::{PROGRESS_BYTES, READ_BYTES, TRUNCATE_BYTES_MIN};
use crate::milestones::{Milestone, Milestones};
use crate::pool::Pool;
use crate::reader::{Frame, Reader};
use crate::record::Mark;
use crate::segment::{FORMAT_VERSION, HeaderFault, Name, SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use crate::verdict::{Claim, Finding, Place, Verdict, verdict};
use crate::{
    CheckpointUse, LogConfig, Lsn, OpenError, Progress, RecordKind, Records, Recovered, Refused, Replay,
    TornTail,
};

/// A recovered log, ready to be written.
pub(crate) struct Opened {
    pub(crate) active: Active,
    pub(crate) pool: Pool,
    pub(crate) sealed: Vec<Indexed>,
    pub(crate) recovered: Recovered,
}

/// Recovers the log on `disk`.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    config: &LogConfig,
    replay: &mut dyn Replay,
) -> Result<Opened, OpenError> {
    let names = check_names(&**disk, &config.dir)?;
    let mut segments = look_at_segments(&**disk, &names)?;
    let first_lsn = segments.first().map_or(1, |oldest| oldest.header.first_lsn);
    let (mut merge, refused_checkpoints) = match config.checkpoints {
        CheckpointUse::Begin => Merge::choose(&**disk, &names, first_lsn),
        CheckpointUse::Leave | CheckpointUse::Delete => (Merge::none(), Vec::new()),
    };
    let skipped = merge.from().map_or(0, |from| wholly_below(&segments, from));
    let mut survey = Survey::new(&**disk, &segments, skipped);
    for index in skipped..segments.len() {
        survey.read(index, &mut merge, replay)?;
    }
    replay.progress(merge.progress(survey.progress(0)));
    replay.finish().map_err(|refused| survey.refusal(&merge, refused))?;
    let is_doomed = |name: &Name| is_doomed(*name, &merge, config.checkpoints);
    let doomed: Vec<Name> = names.iter().copied().filter(is_doomed).collect();
    let skipped_bytes = segments[..skipped].iter().map(|segment| segment.file_bytes).sum();
    let checkpoint = merge.end(survey.expected - 1, skipped_bytes)?;
    // From here on the disk changes.
    let tail = match segments.last() {
        Some(newest) => Tail::read(&**disk, newest, &survey)?,
        None => Tail { records: Buffer::new(), begins_at: 0 },
    };
    for name in doomed {
        disk.remove(name).map_err(OpenError::io("remove", disk.path(name)))?;
    }
    let mut pool = Pool::recover(Arc::clone(disk), &names, config.segment_bytes, config.budget_bytes)?;
    if let Some(end) = survey.ends.last_mut() {
        *end = tail.begins_at;
    }
    let header = next_header(segments.last(), survey.durable);
    let active = begin_segment(&**disk, &mut pool, header, tail.records, survey.durable)?;
    let recovered = Recovered {
        boot: header.boot,
        last_lsn: survey.expected - 1,
        records: survey.records,
        lost: survey.lost,
        bytes: survey.bytes,
        clean: survey.is_clean,
        torn: survey.torn,
        checkpoint,
        refused_checkpoints,
    };
    let (ends, milestones) = (survey.ends, survey.milestones);
    // One may have been replaced.
    segments.retain(|segment| segment.header.number < header.number);
    let sealed = seal(&**disk, &segments, &ends, milestones, header.first_lsn)?;
    pool.measure().map_err(OpenError::io("measure", &config.dir))?;
    Ok(Opened { active, pool, sealed, recovered })
}

/// Whether a file goes before the log goes on. A checkpoint that does not fit now might seem to later, when the log
/// has other records at its place. Spare files are the pool's.
fn is_doomed(name: Name, merge: &Merge, checkpoints: CheckpointUse) -> bool {
    match name {
        Name::CheckpointDraft(_) => true,
        Name::Checkpoint(_) => checkpoints != CheckpointUse::Leave && !merge.keeps(name),
        Name::Lock | Name::Segment(_) | Name::Spare(_) | Name::LostAndFound => false,
    }
}

/// How many of the oldest segments have no record from `from` on.
fn wholly_below(segments: &[Found], from: Lsn) -> usize {
    segments.iter().skip(1).take_while(|next| next.header.first_lsn <= from).count()
}

/// Lists the directory, and refuses one that holds anything which no log writes.
pub(crate) fn check_names(disk: &dyn Disk, dir: &Path) -> Result<Vec<Name>, OpenError> {
    parse_names(disk.list().map_err(OpenError::io("list", dir))?, dir)
}

/// What the entries of a log's directory are, in order.
pub(crate) fn parse_names(entries: Vec<OsString>, dir: &Path) -> Result<Vec<Name>, OpenError> {
    let mut names = Vec::with_capacity(entries.len());
    for entry in entries {
        match Name::parse(&entry) {
            Some(name) => names.push(name),
            None => return Err(OpenError::Foreign { dir: dir.to_owned(), name: entry.into() }),
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A segment that was found. Its file is open only while it is read, as there may be more of them than a process may
/// have open.
struct Found {
    path: PathBuf,
    file_bytes: u64,
    /// How long the file was made.
    capacity_bytes: u64,
    header: SegmentHeader,
}

impl Found {
    fn look(disk: &dyn Disk, number: u64) -> Result<Self, OpenError> {
        let name = Name::Segment(number);
        let path = disk.path(name);
        let file = disk.open(name).map_err(OpenError::io("open", &path))?;
        let file_bytes = file.bytes().map_err(OpenError::io("read", &path))?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(OpenError::io("read", &path))?;
        if read < bytes.len() {
            return Err(corrupt(&path, read as u64, "the file ends before its header does"));
        }
        // A segment gets its name after its header is synced, so there is no torn header.
        let header = SegmentHeader::parse(&bytes).map_err(|fault| match fault {
            HeaderFault::Damaged(reason) => corrupt(&path, 0, reason),
            HeaderFault::Newer(found) => {
                OpenError::NewerFormat { file: path.clone(), found, supported: FORMAT_VERSION }
            }
        })?;
        if header.number != number {
            return Err(corrupt(&path, 0, format!("its header says that it is segment {}", header.number)));
        }
        let capacity_bytes = SegmentHeader::capacity_bytes(&bytes);
        Ok(Self { path, file_bytes, capacity_bytes, header })
    }

    fn open(&self, disk: &dyn Disk) -> Result<Box<dyn DiskFile>, OpenError> {
        disk.open(Name::Segment(self.header.number)).map_err(OpenError::io("open", &self.path))
    }

    fn reader<'a>(&self, file: &'a dyn DiskFile) -> Reader<'a> {
        Reader::new(file, self.file_bytes, self.header.seed())
    }
}

/// Looks at the headers of all segments, and checks that they follow each other.
fn look_at_segments(disk: &dyn Disk, names: &[Name]) -> Result<Vec<Found>, OpenError> {
    let mut segments: Vec<Found> = Vec::new();
    for &name in names {
        let Name::Segment(number) = name else { continue };
        let segment = Found::look(disk, number)?;
        if let Some(last) = segments.last() {
            let (last, header) = (last.header, segment.header);
            if header.number != last.number + 1 {
                let missing = disk.path(Name::Segment(last.number + 1));
                return Err(corrupt(&missing, 0, "this segment is missing, and a later one is there"));
            }
            if header.first_lsn < last.first_lsn || header.boot < last.boot {
                return Err(corrupt(&segment.path, 0, "it is older than the segment before it"));
            }
        }
        segments.push(segment);
    }
    // Only a segment that another one follows is ever made shorter. A tear leaves the file as long as it was;
    // what is missing at its end may have been durable, and nothing that is left would tell.
    if let Some(newest) = segments.last().filter(|newest| newest.file_bytes < newest.capacity_bytes) {
        let reason = format!("the file ends here, and was made {} bytes long", newest.capacity_bytes);
        return Err(corrupt(&newest.path, newest.file_bytes, reason));
    }
    Ok(segments)
}

/// What reading the segments, oldest first, has shown so far.
struct Survey<'a> {
    disk: &'a dyn Disk,
    segments: &'a [Found],
    /// How large they are, with space that is only reserved.
    total_bytes: u64,
    /// The lsn of the next record.
    expected: Lsn,
    /// The highest lsn that was durable for certain.
    durable: Lsn,
    records: u64,
    lost: u64,
    bytes: u64,
    /// Where each segment's records end.
    ends: Vec<u64>,
    /// Where in each segment records are.
    milestones: Vec<Milestones>,
    is_clean: bool,
    torn: Option<TornTail>,
}

impl<'a> Survey<'a> {
    /// The first `skipped` segments are not read.
    fn new(disk: &'a dyn Disk, segments: &'a [Found], skipped: usize) -> Self {
        let (skipped, read) = segments.split_at(skipped);
        let first_lsn = read.first().map_or(1, |first| first.header.first_lsn);
        Self {
            disk,
            segments,
            total_bytes: read.iter().map(|segment| segment.file_bytes).sum(),
            expected: first_lsn,
            durable: first_lsn - 1,
            records: 0,
            lost: 0,
            bytes: 0,
            // What they do not use at their ends is not worth reading them: it was given back by an earlier
            // recovery, or is less than a record.
            ends: skipped.iter().map(|segment| segment.file_bytes).collect(),
            milestones: skipped.iter().map(|_| Milestones::default()).collect(),
            is_clean: true,
            torn: None,
        }
    }

    /// Reads and replays a segment. Only the newest has no segment after it.
    fn read(&mut self, index: usize, merge: &mut Merge, replay: &mut dyn Replay) -> Result<(), OpenError> {
        let segment = &self.segments[index];
        let next_first_lsn = self.segments.get(index + 1).map(|next| next.header.first_lsn);
        let place = if next_first_lsn.is_some() { Place::Older } else { Place::Newest };
        // A segment was begun when all below its first lsn was durable.
        self.durable = next_first_lsn.unwrap_or(segment.header.first_lsn) - 1;
        let file = segment.open(self.disk)?;
        let mut reader = segment.reader(&*file);
        self.milestones.push(Milestones::default());
        let mut progress_at = 0;
        loop {
            let offset = reader.offset();
            if offset >= progress_at {
                replay.progress(merge.progress(self.progress(offset)));
                progress_at = offset + PROGRESS_BYTES;
            }
            let frame = reader.next(self.expected).map_err(OpenError::io("read", &segment.path))?;
            let finding = frame.finding();
            if place == Place::Newest && finding != Finding::Intact {
                let durable = reader.durable_behind().map_err(OpenError::io("read", &segment.path))?;
                self.durable = self.durable.max(durable);
            }
            match verdict(place, finding, Claim::of(self.expected, self.durable)) {
                Verdict::Replay => match frame {
                    Frame::Batch(batch) => {
                        self.durable = self.durable.max(batch.durable);
                        self.is_clean = batch.mark == Mark::Closed;
                    }
                    _ => {
                        let lsn = self.expected;
                        self.milestones[index].note(Milestone { lsn, offset });
                        let is_due = merge.before(reader.record(), self.progress(offset), replay)?;
                        if reader.record().kind == RecordKind::LOST {
                            self.lost += 1;
                        } else if is_due {
                            replay.record(reader.record()).map_err(|refused| self.refusal(merge, refused))?;
                        }
                        self.records += u64::from(is_due);
                        self.expected += 1;
                        self.is_clean = false;
                    }
                },
                Verdict::Damaged => {
                    let what = if finding == Finding::Broken { "is broken" } else { "is missing" };
                    let reason =
                        format!("record {} {what}, and all up to {} was synced", self.expected, self.durable);
                    return Err(corrupt(&segment.path, offset, reason));
                }
                end @ (Verdict::Superseded | Verdict::End | Verdict::Torn) => {
                    if end == Verdict::Torn {
                        self.torn = Some(TornTail { file: segment.path.clone(), offset, lsn: self.expected });
                        self.is_clean = false;
                    }
                    self.ends.push(offset);
                    self.bytes += offset;
                    self.total_bytes -= segment.file_bytes - offset;
                    return Ok(());
                }
            }
        }
    }

    /// How far the reading of the log is, with so many bytes of the next segment read.
    fn progress(&self, read_bytes: u64) -> Progress {
        Progress { read_bytes: self.bytes + read_bytes, total_bytes: self.total_bytes, records: self.records }
    }

    /// What a record that was refused means. It was read some time ago, so its place is looked for again.
    fn refusal(&self, merge: &Merge, refused: Refused) -> OpenError {
        if let Some(error) = merge.refusal(&refused) {
            return error;
        }
        let Refused { lsn, reason } = refused;
        let behind =
            self.segments[..self.milestones.len()].partition_point(|segment| segment.header.first_lsn <= lsn);
        let Some(index) = behind.checked_sub(1) else {
            return OpenError::Replay { file: PathBuf::new(), offset: 0, lsn, reason };
        };
        let segment = &self.segments[index];
        let start = Milestone { lsn: segment.header.first_lsn, offset: SEGMENT_HEADER_BYTES as u64 };
        let from = self.milestones[index].before(lsn).unwrap_or(start);
        let seed = segment.header.seed();
        let Ok(file) = segment.open(self.disk) else {
            return OpenError::Replay { file: segment.path.clone(), offset: from.offset, lsn, reason };
        };
        let mut reader = Reader::at(&*file, segment.file_bytes, seed, from.offset, READ_BYTES);
        let mut expected = from.lsn;
        loop {
            let offset = reader.offset();
            match reader.next(expected) {
                Ok(Frame::Record) if expected < lsn => expected += 1,
                Ok(Frame::Batch(_)) => {}
                // Here it is; or what could be read once can't be read again, and it is a little further.
                _ => return OpenError::Replay { file: segment.path.clone(), offset, lsn, reason },
            }
        }
    }
}

/// The records behind the last one that was durable for certain. They are whole, but may be in memory only: a
/// sync that failed leaves pages that look written and never reach the disk. So they are written again.
struct Tail {
    records: Buffer,
    /// Where in the newest segment they begin.
    begins_at: u64,
}

impl Tail {
    /// Reads the tail of the newest segment, after the survey.
    fn read(disk: &dyn Disk, newest: &Found, survey: &Survey<'_>) -> Result<Self, OpenError> {
        let mut tail = Self { records: Buffer::new(), begins_at: SEGMENT_HEADER_BYTES as u64 };
        let file = newest.open(disk)?;
        let mut reader = newest.reader(&*file);
        let mut framed = Records::new();
        let mut expected = newest.header.first_lsn;
        while expected < survey.expected {
            match reader.next(expected).map_err(OpenError::io("read", &newest.path))? {
                Frame::Batch(_) => {}
                Frame::Record => {
                    if expected <= survey.durable {
                        tail.begins_at = reader.offset();
                    } else {
                        let record = reader.record();
                        framed.begin(record.shard, record.kind).extend_from_slice(record.body);
                        framed.end();
                        tail.records.append(framed.framed());
                        framed.clear();
                    }
                    expected += 1;
                }
                Frame::Fault(_) => {
                    let reason = format!("record {expected} could be read once, but not again");
                    return Err(corrupt(&newest.path, reader.offset(), reason));
                }
            }
        }
        Ok(tail)
    }
}

/// The header of this run's segment. It takes the place of one of which nothing was durable, as all that is in that
/// one is written again: so starts by themselves do not make the log longer, and need no space but for a while.
fn next_header(newest: Option<&Found>, durable: Lsn) -> SegmentHeader {
    let first_lsn = durable + 1;
    let Some(SegmentHeader { boot, number, first_lsn: newest_first_lsn }) =
        newest.map(|newest| newest.header)
    else {
        return SegmentHeader { boot: 1, number: 1, first_lsn };
    };
    let number = if newest_first_lsn == first_lsn { number } else { number + 1 };
    SegmentHeader { boot: boot + 1, number, first_lsn }
}

/// Writes the segment of this run, with the tail in it. It gets its name last, after a sync of the whole.
fn begin_segment(
    disk: &dyn Disk,
    pool: &mut Pool,
    header: SegmentHeader,
    mut tail: Buffer,
    durable: Lsn,
) -> Result<Active, OpenError> {
    let path = disk.path(Name::Segment(header.number));
    let spare = match pool.take_first(segment_bytes_for(tail.len())) {
        Err(error) if is_full(&error) => return Err(OpenError::Full { path }),
        taken => taken.map_err(OpenError::io("allocate", &path))?,
    };
    let name = spare.name;
    let begin = || {
        let mut active = Active::begin(spare, header)?;
        if !tail.is_empty() {
            active.append(&mut tail, durable)?;
            assert!(tail.is_empty(), "the segment was made large enough for the tail");
        }
        // It says that the tail is durable, which is true before anyone can read it.
        active.append_watermark(Mark::Open)?;
        active.publish(disk, name)?;
        Ok(active)
    };
    begin().map_err(OpenError::io("write", path))
}

/// What the older segments have become. Space that they reserved and did not use is given back; it does not
/// matter whether that survives a crash, as it is done again.
fn seal(
    disk: &dyn Disk,
    segments: &[Found],
    ends: &[u64],
    milestones: Vec<Milestones>,
    active_first_lsn: Lsn,
) -> Result<Vec<Indexed>, OpenError> {
    let mut sealed = Vec::with_capacity(segments.len());
    for (index, ((segment, &end), mut milestones)) in segments.iter().zip(ends).zip(milestones).enumerate() {
        if segment.file_bytes - end >= TRUNCATE_BYTES_MIN.min(segment.file_bytes / 8) {
            segment.open(disk)?.truncate(end).map_err(OpenError::io("truncate", &segment.path))?;
        }
        let next_first_lsn = segments.get(index + 1).map_or(active_first_lsn, |next| next.header.first_lsn);
        let SegmentHeader { number, first_lsn, .. } = segment.header;
        milestones.cut(end);
        milestones.shrink();
        let segment = Segment { number, first_lsn, last_lsn: next_first_lsn - 1, bytes: end };
        sealed.push(Indexed { segment, milestones });
    }
    Ok(sealed)
}

fn corrupt(file: &Path, offset: u64, reason: impl Into<String>) -> OpenError {
    OpenError::Corrupt { file: file.to_owned(), offset, reason: reason.into() }
}
