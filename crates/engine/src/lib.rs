//! Queues, jobs and leases as a pure state machine.
//!
//! `(state, now, command) → events + reply`. A [`Shard`] owns some queues. A command is validated, then
//! stepped: each step decides one event on the current state, encodes it into the caller's log buffer and
//! applies it. Recovery decodes the same events and applies them through the same functions, so that what is
//! replayed is what happened.
//!
//! This crate must not know I/O, clocks, randomness, threads or bytes on the wire: `now` and entropy come
//! from the caller, events go to a byte buffer, replies are plain data.

mod apply;
mod books;
mod check;
mod checkpoint;
mod chunks;
mod codec;
mod consumers;
mod contents;
mod event;
mod event_view;
mod extras;
mod figures;
mod flush;
mod footprint;
mod group;
mod heap;
mod histogram;
mod hold;
mod index;
mod job;
mod leases;
pub mod limits;
mod line;
mod memory;
mod notes;
mod operators;
mod packed;
mod payload;
mod pool;
mod producers;
mod queue;
mod reclaim;
mod recovery;
mod reply;
mod root;
mod settings;
mod shard;
mod slab;
mod store;
mod survey;
mod tag;
mod terms;
mod timers;
mod views;
mod waiters;
mod workers;

#[cfg(test)]
mod tests;

pub use checkpoint::Checkpoint;
pub use event_view::{EventView, Field, PartView, view_parts};
pub use figures::{Ended, VersionLine};
pub use flush::Flush;
pub use memory::IndexBytes;
pub use notes::{JobEvent, JobNote, Notes};
pub use operators::{Purge, Requeue};
pub use payload::{LoggedPayload, Payload, PayloadBytes, PayloadRoom, ReadPayloads, payloads};
pub use reply::*;
pub use settings::{Durability, Order, Rate, Settings, SettingsError, SettingsPatch};
pub use shard::{FileSettings, Now, Shard, ShardConfig, Step};
pub use survey::{QueueSurvey, SPREAD_ENDS_MS, Spread};

/// A log sequence number, as the server hands it in; the engine only compares them.
pub type Lsn = u64;

/// A part of the log that can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub String);
