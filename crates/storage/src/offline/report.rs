//! What an inspection tells: the segments, the damage, and how the log ends.

use std::ops::Range;
use std::path::PathBuf;

use super::plan::Mend;
use crate::{Lsn, TornTail};

/// The result of reading all of a log.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The files with a segment's name, by number.
    pub segments: Vec<SegmentReport>,
    /// The checkpoints beside it.
    pub checkpoints: Vec<CheckpointReport>,
    /// All that is wrong, in the order of the log. A server starts only when there is none.
    pub damages: Vec<Damage>,
    /// Records that could be read.
    pub records: u64,
    /// Records that a repair has written off.
    pub lost_records: u64,
    /// The oldest lsn of the log.
    pub first_lsn: Lsn,
    /// The newest record; `first_lsn - 1` if there is none.
    pub last_lsn: Lsn,
    /// How it ends.
    pub end: End,
}

/// A file with a segment's name.
#[derive(Debug, Clone)]
pub struct SegmentReport {
    /// The number in its name.
    pub number: u64,
    /// Where it is.
    pub file: PathBuf,
    /// The run that began it, if its header can be read.
    pub boot: Option<u32>,
    /// The lsns of its records; empty when there is none.
    pub lsns: Range<Lsn>,
    /// Bytes up to the end of its last record.
    pub used_bytes: u64,
    /// The length of the file.
    pub file_bytes: u64,
    /// Records that could be read.
    pub records: u64,
    /// Records that a repair has written off.
    pub lost_records: u64,
    /// What it is.
    pub state: SegmentState,
}

/// A checkpoint beside the log.
#[derive(Debug, Clone)]
pub struct CheckpointReport {
    /// Its file.
    pub file: PathBuf,
    /// A start that uses it reads the log from this record on.
    pub from: Option<Lsn>,
    /// How many frames are in it.
    pub frames: u64,
    /// How large it is.
    pub bytes: u64,
    /// Why a start makes no use of it, and reads all of the log instead. That is no damage of the log.
    pub fault: Option<String>,
}

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// Another one follows.
    Sealed,
    /// The newest, where the next start goes on.
    Newest,
    /// Something in it is damaged.
    Damaged,
    /// Nothing of it can be read.
    Unreadable,
}

/// How a log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server was stopped in order.
    Closed,
    /// The process was killed, or the machine crashed, between two writes.
    Killed,
    /// The same in a write. It is cut at the next start: nobody was promised that it stays.
    Torn(TornTail),
    /// It can't be seen, for what is there last is damaged.
    Unknown,
}

/// Something that is wrong, so that no server starts.
#[derive(Debug, Clone)]
pub struct Damage {
    /// The number of the segment.
    pub segment: u64,
    /// Its file.
    pub file: PathBuf,
    /// Where the damage begins.
    pub offset: u64,
    /// Where the log can be read again: behind it in this file, or the end of the file.
    pub end: u64,
    /// What is wrong there.
    pub reason: String,
    /// What can't be read for it.
    pub loss: Loss,
    /// How it is written off.
    pub(crate) mend: Option<Mend>,
}

/// Which records damage has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None: only what the log says about itself.
    Nothing,
    /// These, both included.
    Records {
        /// The first.
        first: Lsn,
        /// The last.
        last: Lsn,
    },
    /// All up to this one, from a first that nothing tells.
    UpTo(Lsn),
    /// From this one on; nothing tells how many there were.
    From(Lsn),
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("no record is lost"),
            Self::Records { first, last } if first == last => write!(f, "record {first} is lost"),
            Self::Records { first, last } => {
                write!(f, "records {first} to {last} are lost, {} of them", last - first + 1)
            }
            Self::UpTo(last) => write!(f, "older records up to {last} are lost, nothing tells how many"),
            Self::From(first) => {
                write!(f, "records from {first} on may be lost, nothing tells how many")
            }
        }
    }
}
