//! Blocked claims: first come, first served per queue, and nobody waits while there is a job for them.

use crate::{Grant, WaiterId};

use super::{Model, Verdict, must};

/// A blocked claim, parked on one queue, or on all of them.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    /// None: `MATCH *`.
    pub(crate) queue: Option<Vec<u8>>,
    pub(crate) group: Option<Vec<u8>>,
}

impl Waiter {
    fn waits_for(&self, queue: &[u8]) -> bool {
        self.queue.as_ref().is_none_or(|own| own == queue)
    }
}

impl Model {
    /// The engine serves this one next: nobody on that queue came earlier and could be served.
    pub(crate) fn grant(&self, now: u64, grant: &Grant) -> Verdict {
        let Some(queue) = self.queue(&grant.queue) else {
            return Err(format!("{grant:?} of a missing queue"));
        };
        let mut waiting = self.waiters.iter().filter(|waiter| waiter.waits_for(&grant.queue));
        let first = waiting
            .find(|waiter| waiter.id == grant.waiter || queue.must_serve(now, waiter.group.as_deref()));
        let first = first.map(|waiter| waiter.id);
        must!(first == Some(grant.waiter), "{first:?} came before {grant:?}");
        Ok(())
    }

    /// The engine serves nobody: nobody can be served.
    pub(crate) fn no_grant(&self, now: u64) -> Verdict {
        for waiter in &self.waiters {
            let served = self.queues.iter().find(|queue| {
                waiter.waits_for(&queue.name) && queue.must_serve(now, waiter.group.as_deref())
            });
            must!(served.is_none(), "{waiter:?} waits though there is a job for it: {served:?}");
        }
        Ok(())
    }
}
