//! Checkpoints, verified to their last frame. None of them is needed, so what is wrong with one is no damage.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::OfflineLog;
use super::report::{CheckpointReport, Inspection};
use crate::checkpoint::{CheckpointReader, Fault, NONCE_BYTES};
use crate::disk::{Disk, DiskFile};
use crate::segment::Name;
use crate::{Lsn, RecordView};

/// The checkpoints of a log, while its records are read.
pub(super) struct Checkpoints {
    opened: Vec<(PathBuf, Result<CheckpointReader, Fault>)>,
    /// What the records end with by which a checkpoint knows its log.
    marks: BTreeMap<Lsn, Option<[u8; NONCE_BYTES]>>,
}

impl Checkpoints {
    /// Reads headers and end marks.
    pub(super) fn open(log: &OfflineLog) -> Self {
        let disk = Looking { dir: log.dir() };
        let opened: Vec<_> = log
            .checkpoints
            .iter()
            .map(|&name| (disk.path(name), CheckpointReader::open(&disk, name)))
            .collect();
        let readers = opened.iter().filter_map(|(_, reader)| reader.as_ref().ok());
        let marks = readers.flat_map(|reader| [reader.header().start.from, reader.end().through]);
        Self { marks: marks.map(|lsn| (lsn, None)).collect(), opened }
    }

    /// A record of the log.
    pub(super) fn note(&mut self, record: RecordView<'_>) {
        if let Some(mark) = self.marks.get_mut(&record.lsn) {
            *mark = record.body.last_chunk().copied();
        }
    }

    /// Verifies them, after all of the log was read.
    pub(super) fn judge(self, found: &Inspection) -> Vec<CheckpointReport> {
        let Self { opened, marks } = self;
        let report = |(file, reader): (PathBuf, Result<CheckpointReader, Fault>)| match reader {
            Err(fault) => {
                CheckpointReport { file, from: None, frames: 0, bytes: 0, fault: Some(fault.to_string()) }
            }
            Ok(mut reader) => {
                let fault = fault_of(&mut reader, &marks, found);
                let (from, frames, bytes) =
                    (Some(reader.header().start.from), reader.end().frames, reader.file_bytes());
                CheckpointReport { file, from, frames, bytes, fault }
            }
        };
        opened.into_iter().map(report).collect()
    }
}

fn fault_of(
    reader: &mut CheckpointReader,
    marks: &BTreeMap<Lsn, Option<[u8; NONCE_BYTES]>>,
    found: &Inspection,
) -> Option<String> {
    let (start, through) = (reader.header().start, reader.end().through);
    if start.from < found.first_lsn {
        let first = found.first_lsn;
        return Some(format!("it needs the log from record {} on, and that begins with {first}", start.from));
    }
    if found.last_lsn < through {
        return Some(format!("it knows of record {through}, and the log ends at {}", found.last_lsn));
    }
    if [start.from, through].iter().any(|lsn| marks[lsn] != Some(start.nonce)) {
        return Some("it is the checkpoint of another log".to_owned());
    }
    loop {
        match reader.next_due(Lsn::MAX) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(fault) => return Some(fault.to_string()),
        }
    }
}

/// A log's directory in which nothing can be changed.
struct Looking<'a> {
    dir: &'a Path,
}

impl Disk for Looking<'_> {
    fn path(&self, name: Name) -> PathBuf {
        self.dir.join(name.to_string())
    }

    fn list(&self) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(self.dir)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn file_bytes(&self, name: Name) -> io::Result<u64> {
        Ok(std::fs::metadata(self.path(name))?.len())
    }

    fn open(&self, name: Name) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn create(&self, _: Name, _: u64) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: Name, _: Name) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: Name) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }
}
