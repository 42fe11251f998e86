//! A shard as the server keeps it: the engine's state machine behind a lock, and what a hold of it needs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use stanchion_engine::{Claimed, Lsn, Shard, WaiterId};
use stanchion_storage::Records;
use tokio::sync::Notify;

use crate::job_events::JobEvents;
use crate::waiter::Waiter;

/// A shard behind its lock.
pub(crate) struct ShardCell {
    pub(crate) state: Mutex<ShardState>,
    /// Wakes the task that fires the shard's timers.
    pub(crate) timer: Notify,
    /// What happened to its jobs, on the way to those who listen.
    pub(crate) events: JobEvents,
}

/// What the lock of a shard protects.
pub(crate) struct ShardState {
    /// The queues.
    pub(crate) engine: Shard,
    /// Records of this hold, staged at its end.
    pub(crate) records: Records,
    /// Which records the recent holds wrote.
    pub(crate) holds: HoldLog,
    /// Blocked claims that are parked here.
    pub(crate) waiters: HashMap<WaiterId, Arc<Waiter>>,
    /// What the timer task sleeps for.
    pub(crate) armed: Option<u64>,
    /// Whether the timer task knows of background work.
    pub(crate) background: bool,
    /// Never goes back, whoever read the clock first.
    pub(crate) last_ms: u64,
    /// The state of the generator of random bits.
    pub(crate) entropy: u64,
    /// What the lane's sum has of the payloads in memory.
    pub(crate) payloads_booked: u64,
    /// Reused for claims.
    pub(crate) claimed: Claimed,
}

/// The records of recent holds, oldest first.
///
/// The engine knows of a job only the base of the hold that pushed it (a lower bound of its record's lsn, for the
/// records get their numbers at the end of the hold). A claim that hands it out waits for that hold's last record.
#[derive(Default)]
pub(crate) struct HoldLog {
    holds: VecDeque<(Lsn, Lsn)>,
}

impl ShardCell {
    pub(crate) fn new(state: ShardState) -> ShardCell {
        ShardCell { state: Mutex::new(state), timer: Notify::new(), events: JobEvents::default() }
    }
}

impl ShardState {
    pub(crate) fn new(engine: Shard, seed: u64) -> ShardState {
        ShardState {
            engine,
            records: Records::new(),
            holds: HoldLog::default(),
            waiters: HashMap::new(),
            armed: None,
            background: false,
            last_ms: 0,
            entropy: seed,
            payloads_booked: 0,
            claimed: Claimed::default(),
        }
    }

    /// Random bits for the engine's jitter: splitmix64, from a seed that differs at each start.
    pub(crate) fn draw(&mut self) -> u64 {
        self.entropy = self.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.entropy;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}

impl HoldLog {
    /// A hold that began at `base` has staged records up to `last`; what is durable is forgotten.
    pub(crate) fn push(&mut self, base: Lsn, last: Lsn, durable: Lsn) {
        while self.holds.front().is_some_and(|(_, last)| *last <= durable) {
            self.holds.pop_front();
        }
        self.holds.push_back((base, last));
    }

    /// The last record of the hold that began at `base`, or `None` when all of them are durable.
    pub(crate) fn last_of(&self, base: Lsn) -> Option<Lsn> {
        let index = self.holds.partition_point(|(begun, _)| *begun < base);
        self.holds.get(index).filter(|(begun, _)| *begun == base).map(|(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_found_by_its_base_until_it_is_durable() {
        let mut log = HoldLog::default();
        log.push(1, 4, 0);
        log.push(9, 9, 0);
        log.push(12, 20, 3);
        assert_eq!((log.last_of(1), log.last_of(9), log.last_of(12)), (Some(4), Some(9), Some(20)));
        assert_eq!(log.last_of(5), None, "no hold began there");
        log.push(30, 31, 9);
        assert_eq!((log.last_of(1), log.last_of(9), log.last_of(12)), (None, None, Some(20)));
    }
}
