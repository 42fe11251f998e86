//! Blocked claims are served by whoever changes the shard, in the same hold, so that nobody has to be woken only
//! to find that somebody else was quicker.

use std::sync::Arc;

use stanchion_engine::Lsn;
use stanchion_protocol::Reply;

use super::{Hold, Wait};
use crate::claims;
use crate::holes::Hole;
use crate::lane::Lane;
use crate::waiter::{Answer, Handed, Waiter};

/// A blocked claim that was served in this hold.
pub(super) struct Granted {
    waiter: Arc<Waiter>,
    bytes: Vec<u8>,
    jobs: Vec<Handed>,
    holes: Vec<Hole>,
    wait: Wait,
}

impl Hold<'_> {
    /// Grants until nobody can be served; true when that is not known yet.
    pub(super) fn serve_waiters(&mut self) -> bool {
        loop {
            let now = self.now();
            let state = self.state();
            let Some(grant) = state.engine.next_grant(now) else { return false };
            let Some(waiter) = state.waiters.get(&grant.waiter).map(Arc::clone) else {
                state.engine.unpark(grant.waiter);
                continue;
            };
            if !waiter.try_take() {
                self.unpark(&waiter);
                continue;
            }
            let take = waiter.ask.take();
            self.record_claims(|engine, now, log, claimed| {
                engine.claim(now, &grant.queue, &take, log, claimed)
            });
            if self.claimed().1.is_empty() {
                // The claim stepped over as many superseded jobs as one may. The sweep goes on with them, and each
                // of its steps comes back here; going on at once would hold the lock for as long as it takes.
                waiter.untake();
                return true;
            }
            let newest_base = self.claimed().1.newest_base;
            let wait = self.wait_after(&grant.queue);
            let wait = self.wait_pushed(wait, newest_base);
            let mut bytes = Vec::new();
            let (mut jobs, mut holes) = (Vec::new(), Vec::new());
            let (engine, claimed) = self.claimed();
            let mut reply = Reply::new(&mut bytes, waiter.proto);
            reply.array(claimed.len());
            claims::write_jobs(engine, claimed, take.meta, &mut reply, &mut holes, |job| {
                jobs.push(Handed::of(job));
            });
            self.unpark(&waiter);
            self.granted.push(Granted { waiter, bytes, jobs, holes, wait });
        }
    }
}

impl Granted {
    /// Hands the answer to its connection, or gives its jobs back when that is gone.
    pub(super) fn deliver(self, lane: &Lane, last: Lsn) {
        let lsn = match self.wait {
            Wait::No => 0,
            Wait::Staged => last,
            Wait::Lsn(lsn) => lsn,
        };
        let answer = Answer { bytes: self.bytes, lsn, jobs: self.jobs, holes: self.holes };
        if let Some(undelivered) = self.waiter.fill(answer) {
            claims::give_back(lane, &undelivered.jobs);
        }
    }
}
