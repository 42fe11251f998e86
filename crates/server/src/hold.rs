//! A hold of a shard's lock: the only way in which anything happens to queues.
//!
//! Take the lock, read the clock, run commands, stage their records, unlock. The records are staged before the
//! lock is given back, so that the log's order is the order in which things happened.

mod ended;
mod grants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use stanchion_engine::{
    Claimed, Durability as QueueDurability, Lsn, Now, QueueLine, ReadyLine, Shard, Stats, Step,
};
use stanchion_storage::Durability;

use crate::lane::{EVENTS, Lane};
use crate::limits::{HOLD_TIME, HOLD_WORK};
use crate::shard::{ShardCell, ShardState};
use crate::waiter::Waiter;

pub(crate) use ended::Ended;
use grants::Granted;

/// What a reply waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Nothing.
    No,
    /// Everything staged at the end of the hold that decided it.
    Staged,
    /// This record.
    Lsn(Lsn),
}

/// A shard whose lock is held.
pub(crate) struct Hold<'a> {
    lane: &'a Lane,
    cell: &'a ShardCell,
    index: usize,
    /// `None` only while it ends.
    state: Option<MutexGuard<'a, ShardState>>,
    now_ms: u64,
    base: Lsn,
    begun: Instant,
    work: u32,
    /// Events of this hold went into a transaction's record.
    joined: bool,
    /// The records must be synced although the lane does not do it by itself.
    sync: bool,
    /// They must be synced within this time.
    sync_within: Option<Duration>,
    granted: Vec<Granted>,
    waited: Option<Instant>,
}

impl<'a> Hold<'a> {
    /// Takes the lock of a shard. The caller holds no other, or takes them in the order of their indexes.
    pub(crate) fn begin(lane: &'a Lane, index: usize) -> Hold<'a> {
        let cell = lane.shard(index);
        let (mut state, waited) = match cell.state.try_lock() {
            Some(state) => (state, None),
            None => {
                // Whoever has to wait has the time to look at the clock.
                let since = Instant::now();
                (cell.state.lock(), Some(since))
            }
        };
        let base = lane.log.next_lsn();
        state.engine.begin(base);
        let here = state.engine.payload_bytes().here;
        state.engine.limit_payloads(lane.memory.room(here));
        let (begun, clock_ms) = lane.clock.read();
        let now_ms = clock_ms.max(state.last_ms);
        state.last_ms = now_ms;
        Hold {
            lane,
            cell,
            index,
            state: Some(state),
            now_ms,
            base,
            begun,
            work: 0,
            joined: false,
            sync: false,
            sync_within: None,
            granted: Vec::new(),
            waited,
        }
    }

    /// When it got the lock.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Since when it waited for the lock, if it had to.
    #[inline]
    pub(crate) fn waited(&self) -> Option<Instant> {
        self.waited
    }

    /// Which shard it is.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    #[inline]
    fn state(&mut self) -> &mut ShardState {
        self.state.as_mut().expect("a hold has its lock until it ends")
    }

    /// Reads; changes nothing.
    #[inline]
    pub(crate) fn engine(&self) -> &Shard {
        &self.state.as_ref().expect("a hold has its lock until it ends").engine
    }

    /// Runs one command, whose events are in one record, which small ones share; [`Hold::serve`] then serves the claims that
    /// it unblocks.
    #[inline]
    pub(crate) fn record<R>(&mut self, run: impl FnOnce(&mut Shard, Now, &mut Vec<u8>) -> R) -> R {
        self.record_claims(|engine, now, log, _| run(engine, now, log))
    }

    /// The same, with a place for the jobs that it claims, valid until [`Hold::serve`].
    #[inline]
    pub(crate) fn record_claims<R>(
        &mut self,
        run: impl FnOnce(&mut Shard, Now, &mut Vec<u8>, &mut Claimed) -> R,
    ) -> R {
        let (index, now) = (self.index, self.now());
        let state = self.state();
        state.claimed.clear();
        let log = state.records.resume(index as u16, EVENTS);
        let result = run(&mut state.engine, now, log, &mut state.claimed);
        state.records.pause();
        result
    }

    /// A lower bound of the lsn of its records; what happened before it has a lower one.
    pub(crate) fn base(&self) -> Lsn {
        self.base
    }

    /// Does what changes nothing that is logged.
    pub(crate) fn look<R>(&mut self, run: impl FnOnce(&mut Shard, Now) -> R) -> R {
        let now = self.now();
        run(&mut self.state().engine, now)
    }

    /// Runs a command of a transaction, whose events go into the transaction's record.
    pub(crate) fn join<R>(
        &mut self,
        log: &mut Vec<u8>,
        run: impl FnOnce(&mut Shard, Now, &mut Vec<u8>, &mut Claimed) -> R,
    ) -> R {
        self.joined = true;
        let now = self.now();
        let state = self.state();
        state.claimed.clear();
        run(&mut state.engine, now, log, &mut state.claimed)
    }

    /// Begins the record of a transaction, of which this is the first shard.
    pub(crate) fn take_records(&mut self) -> stanchion_storage::Records {
        std::mem::take(&mut self.state().records)
    }

    /// Gives the buffer with the transaction's record back.
    pub(crate) fn put_records(&mut self, records: stanchion_storage::Records) {
        self.state().records = records;
    }

    /// The jobs that the last command claimed.
    #[inline]
    pub(crate) fn claimed(&self) -> (&Shard, &Claimed) {
        let state = self.state.as_ref().expect("a hold has its lock until it ends");
        (&state.engine, &state.claimed)
    }

    /// Counts work; true when the hold has lasted long enough and should end.
    #[inline]
    pub(crate) fn worked(&mut self, units: u32) -> bool {
        self.work += units;
        if self.work < HOLD_WORK {
            return false;
        }
        self.work = 0;
        self.lane.clock.since(self.begun) >= HOLD_TIME
    }

    /// What a reply about this queue waits for: everything staged, or nothing.
    #[inline]
    pub(crate) fn wait(&mut self, queue: &[u8]) -> Wait {
        self.wait_as(self.engine().durability(queue))
    }

    /// The same after a command about this queue.
    #[inline]
    pub(crate) fn wait_after(&mut self, queue: &[u8]) -> Wait {
        self.wait_as(self.engine().durability_of_found(queue))
    }

    #[inline]
    fn wait_as(&mut self, durability: QueueDurability) -> Wait {
        match durability {
            QueueDurability::Lane => match self.lane.durability {
                Durability::Always => Wait::Staged,
                Durability::Never | Durability::Interval(_) => Wait::No,
            },
            QueueDurability::Always => self.wait_synced(),
            QueueDurability::Never => Wait::No,
            QueueDurability::Interval(ms) => {
                let within = Duration::from_millis(ms);
                self.sync_within = Some(self.sync_within.map_or(within, |other| other.min(within)));
                Wait::No
            }
        }
    }

    /// What a reply about no queue in particular waits for.
    pub(crate) fn wait_any(&self) -> Wait {
        match self.lane.durability {
            Durability::Always => Wait::Staged,
            Durability::Never | Durability::Interval(_) => Wait::No,
        }
    }

    /// For how long nothing happened to a queue, in milliseconds.
    pub(crate) fn idle_ms(&self, queue: &[u8]) -> Option<u64> {
        self.engine().idle_since(queue).map(|since| self.now_ms.saturating_sub(since))
    }

    /// QSTATS.
    pub(crate) fn stats(&mut self, queue: &[u8]) -> Option<Stats> {
        let now = self.now();
        self.engine().stats(now, queue)
    }

    /// Visits about `count` queues from `cursor` on; gives the next cursor, 0 at the end.
    pub(crate) fn list(&mut self, cursor: u32, count: usize, visit: &mut dyn FnMut(QueueLine<'_>)) -> u32 {
        let now = self.now();
        self.engine().list(now, cursor, count, visit)
    }

    /// The groups with ready jobs; gives the next cursor, 0 at the end.
    pub(crate) fn ready(
        &mut self,
        cursor: u64,
        glob: Option<&[u8]>,
        count: usize,
        out: &mut Vec<ReadyLine>,
    ) -> u64 {
        let now = self.now();
        self.engine().ready(now, cursor, glob, count, out)
    }

    /// Random bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.state().draw()
    }

    /// The instant and the random bits of one command.
    #[inline]
    fn now(&mut self) -> Now {
        let ms = self.now_ms;
        Now { ms, entropy: self.state().draw() }
    }

    /// Waits for the disk whatever the lane does by itself.
    pub(crate) fn wait_synced(&mut self) -> Wait {
        self.sync = true;
        Wait::Staged
    }

    /// What the reply of the last claim waits for, where one of its queue waits for this: the pushes that it hands out.
    pub(crate) fn wait_pushed(&mut self, wait: Wait, newest_base: Lsn) -> Wait {
        if wait == Wait::No || newest_base >= self.base {
            return wait;
        }
        self.state().holds.last_of(newest_base).map_or(Wait::No, Wait::Lsn)
    }

    /// Parks a blocked claim here.
    pub(crate) fn park(&mut self, waiter: &Arc<Waiter>, park: impl FnOnce(&mut Shard)) {
        let state = self.state();
        park(&mut state.engine);
        state.waiters.insert(waiter.id, Arc::clone(waiter));
    }

    /// Unparks it, if it is still parked here.
    pub(crate) fn unpark(&mut self, waiter: &Waiter) {
        let state = self.state();
        if state.waiters.remove(&waiter.id).is_some() {
            state.engine.unpark(waiter.id);
        }
    }

    /// Serves the blocked claims that can be served now, first come, first served. To be called after each change;
    /// costs nothing while nobody waits. True when there may be a job for one of them behind superseded ones.
    #[inline]
    pub(crate) fn serve(&mut self) -> bool {
        !self.state().waiters.is_empty() && self.serve_waiters()
    }

    /// Fires the timers that are due; true when there is more to do after others were let at the lock.
    pub(crate) fn tick(&mut self) -> bool {
        let more = self.record(|engine, now, log| engine.tick(now, log));
        self.serve();
        self.state().armed = None;
        more
    }

    /// Does a step of background work; true when there is more.
    pub(crate) fn background(&mut self) -> bool {
        let more = self.record(|engine, now, log| engine.background(now, log));
        self.serve();
        self.state().background = more;
        more
    }

    /// Gives up the memory of payloads, about so many bytes of them; a bounded step.
    pub(crate) fn spill(&mut self, bytes: u64) -> Step<u64> {
        self.state().engine.spill(bytes)
    }

    /// Stages the records and gives the lock back; says up to which record replies that wait have to wait.
    pub(crate) fn end(self) -> Lsn {
        self.unlock(Handover::Quick).settle()
    }

    /// The same after a long hold: whoever waits for the lock gets it before us.
    pub(crate) fn end_fairly(self) -> Lsn {
        self.unlock(Handover::Fair).settle()
    }

    /// The same for records that only write again what the log has already; how many bytes they are.
    pub(crate) fn end_rewriting(self) -> (Lsn, u64) {
        self.unlock(Handover::Fair).settle_rewriting()
    }

    /// Stages the records and gives the lock back, but wakes nobody yet: for a transaction, which has more locks.
    pub(crate) fn unlock(mut self, handover: Handover) -> Ended<'a> {
        let mut state = self.state.take().expect("a hold ends once");
        let lane = self.lane;
        state.records.finish();
        let bytes = state.records.len_bytes() as u64;
        let last = if state.records.is_empty() {
            lane.log.next_lsn() - 1
        } else {
            lane.log.stage(&mut state.records).last
        };
        if bytes > 0 || self.joined {
            state.holds.push(self.base, last, lane.tidings.durable.durable());
        }
        let here = state.engine.payload_bytes().here;
        lane.memory.changed(std::mem::replace(&mut state.payloads_booked, here), here);
        let wake_timer = rearm(&mut state);
        let mut events = false;
        if state.engine.has_notes() {
            let waits = self.sync || lane.durability == Durability::Always;
            #[cfg(feature = "simulation")]
            let waits = waits && lane.planted != Some(crate::simulation::Planted::EarlyEvents);
            events = self.cell.events.collect(&mut state.engine, &lane.hub, if waits { last } else { 0 });
        }
        match handover {
            Handover::Quick => drop(state),
            Handover::Fair => MutexGuard::unlock_fair(state),
        }
        Ended {
            lane,
            timer: wake_timer.then_some(&self.cell.timer),
            events: events.then_some(&self.cell.events),
            bytes,
            last,
            sync: self.sync,
            sync_within: self.sync_within,
            granted: std::mem::take(&mut self.granted),
        }
    }
}

/// How the lock is given back.
#[derive(Clone, Copy)]
pub(crate) enum Handover {
    /// As cheaply as possible.
    Quick,
    /// To whoever waits for it.
    Fair,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        // A hold that was not ended: the engine panicked within it, and the shard is not to be trusted.
        if self.state.is_some() {
            self.lane.tidings.broken(format!(
                "shard {} failed in the middle of a command; its state can't be trusted, so the server ends and reads its log again at the next start",
                self.index
            ));
        }
    }
}

/// Notes the next deadline; true when the timer task sleeps for a later one, or not at all.
fn rearm(state: &mut ShardState) -> bool {
    let mut wake = false;
    if let Some(deadline) = state.engine.next_deadline()
        && state.armed.is_none_or(|armed| deadline < armed)
    {
        state.armed = Some(deadline);
        wake = true;
    }
    if !state.background && state.engine.has_background() {
        state.background = true;
        wake = true;
    }
    wake
}
