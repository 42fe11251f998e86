//! Why a log could not be opened, and why an open one stopped.

use std::io;
use std::path::PathBuf;

use crate::disk::may_pass;
use crate::{CheckpointUse, Lsn};

/// Why a log could not be opened. Apart from [`OpenError::Io`], nothing that matters on the disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the log open.
    #[error("{} is in use by process {pid}; a log has one writer, so stop that process or use another directory", dir.display())]
    Locked {
        /// The log's directory.
        dir: PathBuf,
        /// The other process, or `unknown` while it is just starting, or when somebody deleted its lock file.
        pid: String,
    },
    /// The directory holds something else.
    #[error("{} is not a directory of this log: it contains {}, which no log writes; name an empty or a new directory", dir.display(), name.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// An entry that does not belong to a log.
        name: PathBuf,
    },
    /// There is no log to look at.
    #[error("{} holds no log: there is no segment in it; name the data directory of a server", dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer version of the program wrote the log.
    #[error("{} has format version {found}, and this program reads up to {supported}; start the newer program that wrote it", file.display())]
    NewerFormat {
        /// The segment.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// Something that was on the disk for certain is damaged or missing.
    #[error("{} is damaged at byte {offset}: {reason}; nothing was changed; restore the file from a copy, or see `stanchion check` and `stanchion repair`", file.display())]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The caller refused a record.
    #[error("record {lsn} at byte {offset} of {} cannot be replayed: {reason}", file.display())]
    Replay {
        /// The segment.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// The record.
        lsn: Lsn,
        /// What the caller said.
        reason: String,
    },
    /// A checkpoint turned out to be of no use after some of it was handed over. What was is to be thrown away; the log has
    /// everything, and is read as a whole.
    #[error("the checkpoint {} cannot be used: {reason}", file.display())]
    Checkpoint {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// How to open the log without it: it is deleted for what is in it, and not for what the system could not read.
        instead: CheckpointUse,
    },
    /// There is no space for the segment that a run begins with, and no file of an earlier run to take.
    #[error("the disk has no room for {}, with which this run begins; nothing was changed, free some space and start again", path.display())]
    Full {
        /// The segment.
        path: PathBuf,
    },
    /// The configuration asks for what cannot be.
    #[error("{0}")]
    Config(String),
    /// The operating system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl OpenError {
    /// Wraps the answer of the operating system.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

/// Why records of an open log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The segment that held the record was freed: what still lives of it was written again, further on.
    #[error("record {lsn} is gone: its segment was freed, and what lives of it was written again")]
    Gone {
        /// The record.
        lsn: Lsn,
    },
    /// What is in the file is not what was written.
    #[error("{} is damaged at byte {offset}, where record {lsn} was written", file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// The record that should be there.
        lsn: Lsn,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl ReadError {
    /// Whether the same may be read later: the system lacks something just now (descriptors, memory), and says nothing
    /// of what is on the disk.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { source, .. } if may_pass(source))
    }
}

/// Why a log stopped: after a failed write or sync, what is on the disk is unknown. It is never tried again,
/// for a second sync may succeed although the system has already dropped the pages that the first one lost.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}; the log has stopped, and records after {durable} may be lost", path.display())]
pub struct Poison {
    /// What was tried, as a verb.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system answered.
    pub source: io::Error,
    /// What is on the disk for certain.
    pub durable: Lsn,
}
