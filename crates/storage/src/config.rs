//! What a log is told when it is opened.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{SEGMENT_BYTES_DEFAULT, STAGED_BYTES_MAX_DEFAULT};

/// The configuration of one log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The log's own directory. It is created when it is missing, and nothing else may live there.
    pub dir: PathBuf,
    /// The size of new segments; existing ones keep theirs.
    pub segment_bytes: u64,
    /// When the writer syncs without being asked.
    pub durability: Durability,
    /// How much may be staged before [`crate::Log::has_room`] says no.
    pub staged_bytes_max: usize,
    /// What recovery does with checkpoints.
    pub checkpoints: CheckpointUse,
    /// How large all files of the log may be together, checkpoints included; `None`: as large as the file system has room for.
    pub budget_bytes: Option<u64>,
}

impl LogConfig {
    /// The defaults, for a log in `dir` that syncs always.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            durability: Durability::Always,
            staged_bytes_max: STAGED_BYTES_MAX_DEFAULT,
            checkpoints: CheckpointUse::Begin,
            budget_bytes: None,
        }
    }
}

/// What recovery does with the checkpoints that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointUse {
    /// It begins from the newest that fits. Those that do not fit and those that are older are deleted.
    Begin,
    /// It reads the log as a whole, and leaves them as they are.
    Leave,
    /// It reads the log as a whole, and deletes them.
    Delete,
}

/// When the writer syncs without being asked. [`crate::Log::sync_to`] asks, under every policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After each batch; a batch is all that was staged while the one before was written.
    Always,
    /// Only when some megabytes have gathered, so that the end of a segment does not take long; the operating system
    /// decides when the rest reaches the disk.
    Never,
    /// At most this long after a record was written.
    Interval(Duration),
}
