//! A blocked claim: what it asks for, and the slot in which its answer is left.
//!
//! A claim over several queues is parked in several shards. The one that sets `taken` serves it; so does the
//! connection itself when it gives up, and from then on nobody else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use stanchion_engine::{HandedOut, WaiterId};
use stanchion_protocol::Proto;
use stanchion_protocol::command::Take;
use stanchion_protocol::id::Receipt;
use stanchion_storage::Lsn;
use tokio::sync::Notify;

use crate::holes::Hole;

/// A queue's name, kept without an allocation when it is short.
pub(crate) type Name = SmallVec<[u8; 32]>;

/// A job that was handed out: what to give back when it can't be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    /// Its queue.
    pub(crate) queue: Name,
    /// Its claim.
    pub(crate) receipt: Receipt,
}

impl Handed {
    /// What to remember of a job.
    #[inline]
    pub(crate) fn of(job: &HandedOut<'_>) -> Handed {
        Handed { queue: Name::from_slice(job.queue), receipt: job.receipt }
    }
}

/// A claim's reply, ready to be written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The reply in the waiter's protocol.
    pub(crate) bytes: Vec<u8>,
    /// It is held until this record is durable; 0 for no record.
    pub(crate) lsn: Lsn,
    /// The jobs in it.
    pub(crate) jobs: Vec<Handed>,
    /// Payloads that are yet to be read into it.
    pub(crate) holes: Vec<Hole>,
}

/// A blocked claim.
pub(crate) struct Waiter {
    /// Its name in the engine.
    pub(crate) id: WaiterId,
    /// What it asks for.
    pub(crate) ask: Ask,
    /// The protocol that its answer is written in.
    pub(crate) proto: Proto,
    taken: AtomicBool,
    slot: Mutex<Slot>,
    wake: Arc<Notify>,
}

/// A [`Take`] that outlives the request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    count: u32,
    lease_ms: Option<u64>,
    group: Option<Box<[u8]>>,
    worker: Option<Box<[u8]>>,
    bound: bool,
    meta: bool,
}

/// Where the answer is left.
enum Slot {
    Empty,
    Filled(Answer),
    /// The connection is gone: the answer goes back to whoever brings it.
    Gone,
}

impl Ask {
    /// Copies what a claim asks for.
    pub(crate) fn new(take: &Take<'_>) -> Ask {
        Ask {
            count: take.count,
            lease_ms: take.lease_ms,
            group: take.group.map(Into::into),
            worker: take.worker.map(Into::into),
            bound: take.bound,
            meta: take.meta,
        }
    }

    /// The claim again; it does not block.
    pub(crate) fn take(&self) -> Take<'_> {
        Take {
            count: self.count,
            lease_ms: self.lease_ms,
            block_ms: None,
            group: self.group.as_deref(),
            worker: self.worker.as_deref(),
            bound: self.bound,
            meta: self.meta,
        }
    }
}

impl Waiter {
    /// A claim that nobody serves yet.
    pub(crate) fn new(id: WaiterId, ask: Ask, proto: Proto, wake: Arc<Notify>) -> Waiter {
        Waiter { id, ask, proto, taken: AtomicBool::new(false), slot: Mutex::new(Slot::Empty), wake }
    }

    /// Takes the right to serve it, or to give up; whoever gets `false` is too late.
    pub(crate) fn try_take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }

    /// Gives the right back, since there was nothing to serve it with.
    pub(crate) fn untake(&self) {
        self.taken.store(false, Ordering::Release);
    }

    /// Whether somebody has the right.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// Leaves the answer; it comes back when the connection is gone.
    pub(crate) fn fill(&self, answer: Answer) -> Option<Answer> {
        let mut slot = self.slot.lock();
        if matches!(*slot, Slot::Gone) {
            return Some(answer);
        }
        *slot = Slot::Filled(answer);
        drop(slot);
        self.wake.notify_one();
        None
    }

    /// The answer, when it is there.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Filled(answer) => Some(answer),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The connection is gone; gives the answer that came before that.
    pub(crate) fn abandon(&self) -> Option<Answer> {
        match std::mem::replace(&mut *self.slot.lock(), Slot::Gone) {
            Slot::Filled(answer) => Some(answer),
            Slot::Empty | Slot::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter() -> Waiter {
        let take = Take { block_ms: Some(0), ..Take::ONE };
        Waiter::new(WaiterId(1), Ask::new(&take), Proto::Resp2, Arc::new(Notify::new()))
    }

    fn answer() -> Answer {
        Answer { bytes: b"*0\r\n".to_vec(), lsn: 3, jobs: Vec::new(), holes: Vec::new() }
    }

    #[test]
    fn one_serves_and_the_answer_arrives() {
        let waiter = waiter();
        assert!(waiter.try_take());
        assert!(!waiter.try_take(), "the second is too late");
        assert!(waiter.answer().is_none());
        assert!(waiter.fill(answer()).is_none());
        assert_eq!(waiter.answer().unwrap().lsn, 3);
        assert!(waiter.answer().is_none(), "it is delivered once");
    }

    #[test]
    fn an_answer_that_nobody_waits_for_comes_back() {
        let late = waiter();
        assert!(late.abandon().is_none());
        assert!(late.fill(answer()).is_some());
        let early = waiter();
        assert!(early.fill(answer()).is_none());
        assert!(early.abandon().is_some());
    }
}
