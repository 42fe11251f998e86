//! Checkpoints: what the log comes to up to some record, in a file beside it, so that a start need not read all.
//!
//! A checkpoint is a side log of frames. Recovery reads the log only from where the checkpoint began, and hands
//! over each frame before the first record that is not older. What is in a frame only the caller knows; to it a
//! frame is a record like any other. A checkpoint is never needed: whatever is wrong with one, the log is read
//! as a whole.

mod format;
mod merge;
mod reader;
mod writer;

use std::path::PathBuf;

use crate::Lsn;

pub(crate) use merge::Merge;
pub(crate) use reader::{CheckpointReader, Fault};
pub use writer::CheckpointWriter;

/// Bytes of the nonce by which a checkpoint knows its log.
pub const NONCE_BYTES: usize = 16;

/// What a checkpoint says of itself when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointStart {
    /// The log is needed from this record on. Its body ends with the nonce.
    pub from: Lsn,
    /// How many shards write it; only for those who look at the file.
    pub shards: u16,
    /// Bytes that no other checkpoint has.
    pub nonce: [u8; NONCE_BYTES],
}

/// A checkpoint that is there, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenCheckpoint {
    /// The log is needed from this record on.
    pub from: Lsn,
    /// How large its file is.
    pub bytes: u64,
}

/// The checkpoint that a recovery began from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedCheckpoint {
    /// Its file.
    pub file: PathBuf,
    /// How large that is.
    pub bytes: u64,
    /// How many frames are in it.
    pub frames: u64,
    /// The log was read from this record on.
    pub from: Lsn,
    /// So many bytes of older segments were not read.
    pub skipped_bytes: u64,
}

/// A checkpoint that was of no use. The log was read without it, and its file is deleted, unless the system could not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCheckpoint {
    /// Its file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}
