//! Queues, jobs and leases as a pure state machine.
//!
//! `(state, now, command) → events + reply`. A [`Shard`] owns some queues. A command is validated, then
//! stepped: each step decides one event on the current state, encodes it into the caller's log buffer and
//! applies it. Recovery decodes the same events and applies them through the same functions, so that what is
//! replayed is what happened.
//!
//! This crate must not know I/O, clocks, randomness, threads or bytes on the wire: `now` and entropy come
//! from the caller, events go to a byte buffer, replies are plain data.

mod reply;
mod settings;
mod shard;

pub use reply::*;
pub use settings::{Durability, Order, Rate, Settings, SettingsError, SettingsPatch};
pub use shard::{Now, Shard, ShardConfig, Step};

/// A log sequence number, as the server hands it in; the engine only compares them.
pub type Lsn = u64;
