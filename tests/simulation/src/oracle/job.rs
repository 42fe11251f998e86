//! What is known of one job, of its claims and of what may have ended it.

use super::effects::{EffectId, Moment};
use crate::ask::{NewJob, Serial};

/// A job that somebody tried to push.
pub(super) struct Job {
    pub(super) queue: usize,
    pub(super) terms: NewJob,
    pub(super) push: EffectId,
    pub(super) outcome: Outcome,
    pub(super) id: Option<String>,
    /// What may have ended it.
    pub(super) ends: Vec<End>,
    /// Its claims, by their numbers.
    pub(super) claims: Vec<usize>,
    /// In this life it is not handed out again before this time.
    pub(super) not_before: Option<(usize, u64)>,
}

/// What a push has led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Unknown,
    Added,
    /// Not added, and never to be seen.
    Dropped,
}

/// Something that ended a job, if it happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) effect: EffectId,
    pub(super) by: EndedBy,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EndedBy {
    /// Of the claim with this number.
    Ack(usize),
    /// By a push with the same key.
    Replacement(Serial),
    Deletion,
    Superseding,
}

/// A claim whose reply came.
pub(super) struct ClaimRecord {
    pub(super) queue: usize,
    pub(super) group: u64,
    pub(super) receipt: String,
    pub(super) epoch: u64,
    pub(super) life: usize,
    pub(super) replied: Moment,
    /// Its lease does not end by itself before this.
    pub(super) until_ms: u64,
    /// How many requests may have ended it.
    pub(super) endings: u32,
    /// The client with whose connection it ends.
    pub(super) bound: Option<i64>,
}

impl ClaimRecord {
    /// Whether it is live for certain.
    pub(super) fn is_live(&self, life: usize, now_ms: u64) -> bool {
        self.life == life && self.endings == 0 && now_ms < self.until_ms
    }
}
