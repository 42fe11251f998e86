//! The locks that a run of commands works under: one shard's at a time, or all of a transaction's.
//!
//! Commands don't know which of the two it is. A pipeline keeps the lock from one command to the next as long as
//! their queues are in the same shard; a transaction holds the locks of all its shards from its first command to
//! its last, and its events are one record.

use std::time::Instant;

use stanchion_engine::{Claimed, Now, Shard};
use stanchion_storage::Records;

use crate::hold::{Ended, Handover, Hold};
use crate::lane::{EVENTS, Lane};
use crate::outbox::Outbox;
use crate::waiter::Name;

/// The locks of a run of commands.
pub(crate) struct Holds<'a> {
    lane: &'a Lane,
    one: Option<Hold<'a>>,
    /// A queue of the shard whose lock is held. Hashing a name to its slot takes longer than comparing it.
    entered: Name,
    transaction: Option<Transaction<'a>>,
    /// A transaction runs; one without queues has no locks.
    executing: bool,
    /// Since when the newest command waited for a lock, if it had to.
    waited: Option<Instant>,
    /// Work that was counted, in commands and jobs.
    units: u32,
}

/// The locks of a transaction.
struct Transaction<'a> {
    /// In the order of their indexes, which is the order in which they were taken.
    holds: Vec<Hold<'a>>,
    /// The shard of the current command.
    current: usize,
    /// The first shard's records, in which the transaction's own is being written.
    records: Records,
}

impl<'a> Holds<'a> {
    /// No lock yet.
    pub(crate) fn new(lane: &'a Lane) -> Holds<'a> {
        Holds {
            lane,
            one: None,
            entered: Name::new(),
            transaction: None,
            executing: false,
            waited: None,
            units: 0,
        }
    }

    /// The lane that the shards belong to.
    pub(crate) fn lane(&self) -> &'a Lane {
        self.lane
    }

    /// Holds the lock of a queue's shard; that of another one is given back first.
    #[inline]
    pub(crate) fn enter(&mut self, queue: &[u8], outbox: &mut Outbox) {
        if self.one.is_none() || *self.entered != *queue {
            self.enter_shard(self.lane.shard_of(queue), outbox);
            self.entered.clear();
            self.entered.extend_from_slice(queue);
        }
    }

    /// The same for a shard by its index.
    #[inline]
    pub(crate) fn enter_shard(&mut self, index: usize, outbox: &mut Outbox) {
        if let Some(transaction) = &mut self.transaction {
            transaction.current = transaction
                .holds
                .binary_search_by_key(&index, Hold::index)
                .expect("a transaction holds the locks of all its commands");
            return;
        }
        if self.one.as_ref().is_none_or(|hold| hold.index() != index) {
            self.end(outbox);
            self.entered.clear();
            let hold = Hold::begin(self.lane, index);
            self.waited = self.waited.or(hold.waited());
            self.one = Some(hold);
        }
    }

    /// Whether a command waited for a lock since [`Holds::take_waited`] was asked last.
    #[inline]
    pub(crate) fn has_waited(&self) -> bool {
        self.waited.is_some()
    }

    /// Since when it did.
    #[inline]
    pub(crate) fn take_waited(&mut self) -> Option<Instant> {
        self.waited.take()
    }

    /// The shard that was entered last.
    #[inline]
    pub(crate) fn hold(&mut self) -> &mut Hold<'a> {
        match &mut self.transaction {
            None => self.one.as_mut().expect("a command enters a shard first"),
            Some(transaction) => &mut transaction.holds[transaction.current],
        }
    }

    /// Runs a command on it; its events go into a record of its own or the transaction's.
    #[inline]
    pub(crate) fn record<R>(&mut self, run: impl FnOnce(&mut Shard, Now, &mut Vec<u8>) -> R) -> R {
        self.record_claims(|engine, now, log, _| run(engine, now, log))
    }

    /// The same, with a place for the jobs that it claims.
    #[inline]
    pub(crate) fn record_claims<R>(
        &mut self,
        run: impl FnOnce(&mut Shard, Now, &mut Vec<u8>, &mut Claimed) -> R,
    ) -> R {
        match &mut self.transaction {
            None => self.hold().record_claims(run),
            Some(transaction) => {
                let log = transaction.records.body();
                transaction.holds[transaction.current].join(log, run)
            }
        }
    }

    /// Serves the blocked claims that the last command made possible; a transaction does that at its end.
    #[inline]
    pub(crate) fn serve(&mut self) {
        if self.transaction.is_none() {
            self.hold().serve();
        }
    }

    /// Counts work, and hands the lock over when it was held for long enough.
    #[inline]
    pub(crate) fn worked(&mut self, units: u32, outbox: &mut Outbox) {
        self.units += units;
        if let Some(hold) = &mut self.one
            && hold.worked(units)
        {
            let hold = self.one.take().expect("it is there");
            outbox.end_hold(hold.end_fairly());
        }
    }

    /// How much work was counted.
    #[inline]
    pub(crate) fn units(&self) -> u32 {
        self.units
    }

    /// Gives the lock back, if one is held outside of a transaction.
    #[inline]
    pub(crate) fn end(&mut self, outbox: &mut Outbox) {
        if let Some(hold) = self.one.take() {
            outbox.end_hold(hold.end());
        }
    }

    /// Whether a transaction runs.
    pub(crate) fn in_transaction(&self) -> bool {
        self.executing
    }

    /// Takes the locks of these shards, sorted and without repeats, and begins a record for all that follows.
    pub(crate) fn begin_transaction(&mut self, shards: &[usize], outbox: &mut Outbox) {
        self.end(outbox);
        self.executing = true;
        assert!(shards.is_sorted_by(|one, next| one < next), "locks are taken in the order of their indexes");
        let mut holds: Vec<_> = shards.iter().map(|index| Hold::begin(self.lane, *index)).collect();
        let Some(first) = holds.first_mut() else { return };
        let mut records = first.take_records();
        records.begin(shards[0] as u16, EVENTS);
        self.transaction = Some(Transaction { holds, current: 0, records });
    }

    /// Ends the record, serves the blocked claims, stages everything and gives the locks back.
    pub(crate) fn end_transaction(&mut self, outbox: &mut Outbox) {
        self.executing = false;
        let Some(mut transaction) = self.transaction.take() else { return };
        transaction.records.end();
        // The transaction's record comes before those of the claims that it makes possible.
        transaction.holds[0].put_records(transaction.records);
        for hold in &mut transaction.holds {
            hold.serve();
        }
        // Staging in this order keeps it so. Nobody is woken before all locks are given back.
        let ended: Vec<Ended<'_>> =
            transaction.holds.into_iter().map(|hold| hold.unlock(Handover::Quick)).collect();
        let last = ended.iter().map(Ended::last).max().unwrap_or(0);
        // The replies wait for all of it, so whoever asked for a sync asks for all of it.
        ended.into_iter().for_each(|ended| ended.settle_through(last));
        outbox.end_hold(last);
    }
}
