//! A log that no process has open: looked at, damaged or not, and mended on request.
//!
//! Recovery stops at the first thing that is wrong, because it must not guess. Here somebody wants to know what
//! else is wrong and what is left, so reading goes on behind it. [`OfflineLog::open`] changes nothing, not even
//! the lock file; [`OfflineLog::open_for_repair`] is for those who then apply a [`Plan`].

mod checkpoints;
mod fill;
mod inspect;
mod plan;
mod repair;
mod report;
mod resync;
mod row;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::lock::Lock;
use crate::recovery::parse_names;
use crate::segment::Name;
use crate::{OpenError, RecordView};

pub use plan::{Cut, Place, Plan, RepairError};
pub use repair::BACKUP_NOTE;
pub use report::{CheckpointReport, Damage, End, Inspection, Loss, SegmentReport, SegmentState};

/// A record, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    /// The record.
    pub record: RecordView<'a>,
    /// The number of its segment.
    pub segment: u64,
    /// Where in the segment it begins.
    pub offset: u64,
}

/// Takes a record, or says why it can't be used.
pub type Visit<'a> = dyn FnMut(Located<'_>) -> Result<(), String> + 'a;

/// The files of a log that nobody writes.
pub struct OfflineLog {
    dir: PathBuf,
    segments: Vec<SegmentFile>,
    spares: Vec<PathBuf>,
    checkpoints: Vec<Name>,
    _lock: Option<Lock>,
}

/// A file with a segment's name, whatever is in it.
struct SegmentFile {
    number: u64,
    path: PathBuf,
    bytes: u64,
}

impl SegmentFile {
    /// Opens it to be read, for as long as that takes: there may be more of them than a process may have open.
    fn open(&self) -> Result<File, OpenError> {
        File::open(&self.path).map_err(OpenError::io("open", &self.path))
    }
}

impl OfflineLog {
    /// Opens a log for reading. Nothing in the directory is changed. While this is open, no server starts on it.
    ///
    /// # Errors
    /// There is no log, it is not readable, or a process has it open.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        check_directory(dir)?;
        let lock = Lock::share(dir)?;
        Self::read_directory(dir, Some(lock))
    }

    /// Opens a log that is to be repaired, as its only user.
    ///
    /// # Errors
    /// As [`OfflineLog::open`]; or the directory can't be written.
    pub fn open_for_repair(dir: &Path) -> Result<Self, OpenError> {
        check_directory(dir)?;
        // Before the lock file is made, so that a directory of something else stays as it is.
        Self::read_directory(dir, None)?;
        let lock = Lock::take(dir)?;
        Self::read_directory(dir, Some(lock))
    }

    fn read_directory(dir: &Path, lock: Option<Lock>) -> Result<Self, OpenError> {
        let entries = std::fs::read_dir(dir)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
            .map_err(OpenError::io("list", dir))?;
        let names = parse_names(entries, dir)?;
        let mut log = Self {
            dir: dir.to_owned(),
            segments: Vec::new(),
            spares: Vec::new(),
            checkpoints: Vec::new(),
            _lock: lock,
        };
        for name in names {
            let path = dir.join(name.to_string());
            match name {
                Name::Segment(number) => {
                    let metadata = std::fs::metadata(&path).map_err(OpenError::io("open", &path))?;
                    log.segments.push(SegmentFile { number, path, bytes: metadata.len() });
                }
                Name::Spare(_) => log.spares.push(path),
                Name::Lock | Name::LostAndFound | Name::CheckpointDraft(_) => {}
                Name::Checkpoint(_) => log.checkpoints.push(name),
            }
        }
        if log.segments.is_empty() {
            return Err(OpenError::Empty { dir: dir.to_owned() });
        }
        Ok(log)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Files that are reserved for later segments; nothing in them counts.
    pub fn spares(&self) -> usize {
        self.spares.len()
    }
}

fn check_directory(dir: &Path) -> Result<(), OpenError> {
    let metadata = std::fs::metadata(dir).map_err(OpenError::io("open the directory", dir))?;
    if !metadata.is_dir() {
        return Err(OpenError::io("open the directory", dir)(std::io::ErrorKind::NotADirectory.into()));
    }
    Ok(())
}

impl std::fmt::Debug for OfflineLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfflineLog").field("dir", &self.dir).finish_non_exhaustive()
    }
}
