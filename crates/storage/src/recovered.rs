//! What recovery found.

use std::path::PathBuf;

use crate::{Lsn, RefusedCheckpoint, UsedCheckpoint};

/// The result of opening a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The number of this run: one more than that of any run before, never used twice.
    pub boot: u32,
    /// The newest record, or 0 if there is none.
    pub last_lsn: Lsn,
    /// How many records there are, those aside that a checkpoint made it pass over.
    pub records: u64,
    /// How many of them a repair has written off; they were not replayed.
    pub lost: u64,
    /// How many bytes of the log were read for it.
    pub bytes: u64,
    /// Whether the run before closed the log; otherwise it crashed or was killed.
    pub clean: bool,
    /// The unfinished write that was cut off the end, if there was one.
    pub torn: Option<TornTail>,
    /// The checkpoint that it began from, if there was one.
    pub checkpoint: Option<UsedCheckpoint>,
    /// Checkpoints that were of no use.
    pub refused_checkpoints: Vec<RefusedCheckpoint>,
}

/// An unfinished write at the end of the log. Nothing in it was ever acknowledged as durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment that it is in.
    pub file: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// The lsn that a record there would have had.
    pub lsn: Lsn,
}
