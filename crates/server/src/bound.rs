//! Claims that end with their connection: the receipts of BOUND claims.

use std::collections::HashMap;

use stanchion_protocol::id::Receipt;

use crate::lane::Lane;
use crate::limits::BOUND_SWEEP;
use crate::waiter::{Handed, Name};

/// The receipts of a connection's BOUND claims that may still be claimed.
#[derive(Default)]
pub(crate) struct Bound {
    receipts: HashMap<Receipt, Name>,
    /// When there are so many, those that others have ended are looked for.
    sweep_at: usize,
}

impl Bound {
    /// Remembers a claim.
    pub(crate) fn add(&mut self, job: &Handed) {
        self.receipts.insert(job.receipt, job.queue.clone());
    }

    /// Forgets claims that this connection has ended itself.
    #[inline]
    pub(crate) fn forget(&mut self, receipts: &[Receipt]) {
        if !self.receipts.is_empty() {
            for receipt in receipts {
                self.receipts.remove(receipt);
            }
        }
    }

    /// Whether it is time for [`Bound::sweep`].
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.receipts.len() >= self.sweep_at.max(BOUND_SWEEP)
    }

    /// Forgets claims that are over, so that a connection that lives for weeks while others ack its jobs does not
    /// remember them all.
    pub(crate) fn sweep(&mut self, lane: &Lane) {
        use stanchion_protocol::command::{State, Which};
        self.receipts.retain(|receipt, queue| {
            let state = lane.shard(lane.shard_of(queue)).state.lock();
            state.engine.job(queue, Which::Id(receipt.id)).is_some_and(|job| {
                let view = state.engine.view(job);
                view.receipt == *receipt && view.state == State::Claimed
            })
        });
        self.sweep_at = 2 * self.receipts.len();
    }

    /// All that is left, by queue: the connection is gone.
    pub(crate) fn take(&mut self) -> Vec<Handed> {
        let mut jobs: Vec<_> =
            self.receipts.drain().map(|(receipt, queue)| Handed { queue, receipt }).collect();
        jobs.sort_by(|one, other| (&one.queue, one.receipt.id).cmp(&(&other.queue, other.receipt.id)));
        jobs
    }
}
