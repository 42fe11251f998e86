//! The engine's face: a shard owns queues.

use std::sync::Arc;

use stanchion_protocol::command::{
    Count, Nack, NewJob, Pause, RootTag, Selection, State, Take, Which,
};
use stanchion_protocol::id::{JobId, Receipt};

use crate::{
    Claimed, Counts, Durability, Grant, JobRef, JobView, Lsn, Nacked, Pushed, QueueLine, ReadyLine, Refusal,
    SettingsPatch, Source, Stats, WaitFor, WaiterId,
};

/// The instant of a command.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Unix milliseconds; never below an earlier one.
    pub ms: u64,
    /// Random bits, for jitter; drawn values go into the events.
    pub entropy: u64,
}

/// What a shard must know at its start.
pub struct ShardConfig {
    /// Which shard this is.
    pub index: u16,
    /// How many there are.
    pub count: u16,
    /// This run's boot number.
    pub boot: u32,
    /// What the configuration file says about a queue of this name; asked when a queue is made.
    pub file: Arc<dyn Fn(&[u8]) -> SettingsPatch + Send + Sync>,
}

/// How far a bounded piece of work got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<T> {
    /// There is more: call again, in another hold.
    More(T),
    /// Finished.
    Done(T),
}

/// One owner of its queues.
pub struct Shard {}
