//! What is known of one queue besides its jobs.

use std::collections::BTreeMap;

use super::effects::{EffectId, Moment, Seq};
use super::heard::Heard;
use super::pauses::Pauses;
use crate::ask::Serial;

/// What is known of one queue.
#[derive(Default)]
pub(super) struct Book {
    /// Pushes of each group's keys that were added.
    pub(super) keys: BTreeMap<(u64, u64), Vec<KeyPush>>,
    /// Registered timestamps of each group's signatures.
    pub(super) roots: BTreeMap<(u64, u64), Vec<(u64, EffectId)>>,
    /// Values of the setting that tells which it is, those that DEL may have taken left out.
    pub(super) values: Vec<(u64, EffectId)>,
    /// How many values were asked for, in all: none is asked for twice.
    pub(super) values_asked: u64,
    /// Claims of this life that handed something out.
    pub(super) deliveries: Vec<Delivery>,
    /// Claims of this life that found nothing.
    pub(super) empties: Vec<Empty>,
    /// In this life a claim's reply did not come, so jobs may have been away for a while.
    pub(super) has_broken_claims: bool,
    /// Claims that may be live.
    pub(super) live: Vec<usize>,
    /// What is paused.
    pub(super) pauses: Pauses,
    /// Requests to empty it that may yet be done.
    pub(super) wipes: Vec<EffectId>,
    /// When it may have been emptied last, with all that it remembers, by requests that are over.
    wiped: Option<Seq>,
    /// What job events told.
    pub(super) heard: Heard,
}

/// A push that took a key.
pub(super) struct KeyPush {
    pub(super) serial: Serial,
    pub(super) sent: Moment,
    pub(super) replied: Moment,
}

/// A job that was handed out, with its place.
pub(super) struct Delivery {
    pub(super) sent: Moment,
    pub(super) replied: Moment,
    pub(super) group: u64,
    pub(super) place: Place,
}

/// Where a job stands in its group; lower is claimed first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) reversed_priority: u64,
    pub(super) ready_at: i64,
    pub(super) id: String,
}

/// A claim that found nothing.
pub(super) struct Empty {
    pub(super) sent: Moment,
    pub(super) replied: Moment,
    pub(super) group: Option<u64>,
}

impl Book {
    /// What was known of this life is of no use for the next. What was under way was done before this, or never is.
    pub(super) fn end_life(&mut self, now: Seq) {
        self.deliveries.clear();
        self.empties.clear();
        self.live.clear();
        self.has_broken_claims = false;
        self.pauses = Pauses::default();
        if !self.wipes.is_empty() {
            self.wipes.clear();
            self.wiped = Some(now);
        }
    }

    /// A request to empty it was answered.
    pub(super) fn was_wiped(&mut self, effect: EffectId, now: Moment) {
        self.wipes.retain(|wipe| *wipe != effect);
        self.wiped = Some(now.seq);
    }

    /// Whether it may have been emptied since.
    pub(super) fn may_be_wiped_since(&self, moment: Moment) -> bool {
        !self.wipes.is_empty() || self.wiped.is_some_and(|wiped| wiped > moment.seq)
    }

    /// Whether it may ever have been emptied.
    pub(super) fn may_be_wiped(&self) -> bool {
        !self.wipes.is_empty() || self.wiped.is_some()
    }
}
