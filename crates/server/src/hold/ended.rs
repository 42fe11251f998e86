//! The end of a hold: whoever is to know is woken after the lock is given back.

use std::time::Duration;

use stanchion_engine::Lsn;
use stanchion_storage::Durability;
use tokio::sync::Notify;

use super::grants::Granted;
use crate::job_events::JobEvents;
use crate::lane::Lane;

/// A hold whose lock is given back, and which has yet to wake others.
#[must_use = "others wait to be woken"]
pub(crate) struct Ended<'a> {
    pub(super) lane: &'a Lane,
    /// The timer task, when it sleeps too long.
    pub(super) timer: Option<&'a Notify>,
    /// What happened to jobs, when somebody listens.
    pub(super) events: Option<&'a JobEvents>,
    /// Bytes of the records.
    pub(super) bytes: u64,
    /// The newest record that was staged.
    pub(super) last: Lsn,
    /// It must be synced although the lane does not do it by itself.
    pub(super) sync: bool,
    /// It must be synced within this time.
    pub(super) sync_within: Option<Duration>,
    pub(super) granted: Vec<Granted>,
}

impl Ended<'_> {
    /// The same for records that only write again what the log has already; how many bytes they are.
    pub(crate) fn settle_rewriting(mut self) -> (Lsn, u64) {
        let bytes = std::mem::take(&mut self.bytes);
        self.lane.rewrote(bytes);
        (self.settle(), bytes)
    }

    /// The newest record that was staged.
    pub(crate) fn last(&self) -> Lsn {
        self.last
    }

    /// The same as [`Ended::settle`] for a part of a transaction whose newest record is this one.
    pub(crate) fn settle_through(mut self, last: Lsn) {
        self.last = last;
        self.settle();
    }

    /// Wakes whoever is to know, now that no lock is held; says up to which record replies that wait have to wait.
    pub(crate) fn settle(self) -> Lsn {
        let Ended { lane, last, .. } = self;
        if let Some(timer) = self.timer {
            timer.notify_one();
        }
        if self.bytes > 0 {
            lane.appended(self.bytes);
            lane.memory.stir();
        }
        if lane.durability != Durability::Always {
            if self.sync {
                lane.log.sync_to(last);
            }
            if let Some(within) = self.sync_within {
                lane.syncer.ask(last, within);
            }
        }
        for granted in self.granted {
            granted.deliver(lane, last);
        }
        if let Some(events) = self.events {
            events.publish(&lane.hub);
        }
        last
    }
}
