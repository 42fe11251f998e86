//! The append-only log: the database of a lane.
//!
//! This crate knows records, segments, sync and recovery. It must not know what a job is, and it knows no
//! async runtime: one thread per log writes, and says what it did through a callback. What is on the disk is
//! described in `docs/FORMAT.md`.
//!
//! The way of a record:
//!
//! ```text
//! Records (a shard's scratch) ─▶ Log::stage: one copy and an lsn, under the staging lock
//!   ─▶ the writer thread takes all that is staged as one batch: CRCs, one write, one sync
//!   ─▶ LogEvent::Durable(lsn) ─▶ replies that wait for it
//! ```

mod active;
mod batch;
mod budget;
mod catalog;
mod checkpoint;
mod config;
mod copy;
mod disk;
mod doorbell;
mod error;
mod event;
pub mod limits;
mod lock;
mod log;
mod milestones;
pub mod offline;
mod pool;
mod read;
mod reader;
mod record;
mod records;
mod recovered;
mod recovery;
mod replay;
mod segment;
mod shared;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod snapshot;
mod space;
mod staging;
mod verdict;
mod writer;

pub use checkpoint::{
    CheckpointStart, CheckpointWriter, NONCE_BYTES, RefusedCheckpoint, UsedCheckpoint, WrittenCheckpoint,
};
pub use config::{CheckpointUse, Durability, LogConfig};
pub use copy::{CopyFault, CopyVerifier, closing_segment};
pub use error::{OpenError, Poison, ReadError};
pub use event::LogEvent;
pub use log::{Log, Staged};
pub use record::{RecordKind, RecordView};
pub use records::Records;
pub use recovered::{Recovered, TornTail};
pub use replay::{Progress, Refused, Replay};
pub use segment::Segment;
pub use snapshot::Snapshot;
pub use space::{Room, Space};

/// The number of a record: the first is 1, each next one is one more, over the whole life of a log.
pub type Lsn = u64;

#[cfg(test)]
mod tests;
