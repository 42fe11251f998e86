//! `maxmemory`: how much of their payloads shards keep in memory, and when even the rest is too much.
//!
//! Jobs themselves are always in memory, what they carry need not be: payloads get what `maxmemory` leaves beside the
//! jobs, and those beyond that are only in the log. Each hold of a shard's lock adds what it changed to one sum, and
//! asks once how much room there is. How much the jobs take is measured now and then, while anything changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use stanchion_engine::{IndexBytes, PayloadRoom, Step};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hold::Hold;
use crate::lane::Lane;
use crate::limits::{
    GIVE_BACK_BYTES, MEMORY_LOOK_EVERY, PAYLOAD_CACHE_BYTES_MAX, PAYLOAD_CACHE_SHARE, QUEUE_PAYLOAD_BYTES,
    QUEUE_PAYLOAD_SHARE,
};
use crate::server::Server;
use crate::walk;

/// Of a process's time, measuring takes at most one part in so many.
const MEASURING_SHARE: u32 = 20;

/// Queues that are measured under one hold of a lock.
const MEASURED_QUEUES: usize = 256;

/// Payloads of about so many bytes are given up under one hold of a lock.
const SPILLED_BYTES: u64 = 16 << 20;

/// A lane's memory.
pub(crate) struct Memory {
    /// `maxmemory`; 0: no limit.
    bytes_max: AtomicU64,
    /// Payloads in memory, of all shards.
    payloads: AtomicU64,
    /// What jobs take beside their payloads, as measured last; 0 without a limit, for then nobody measures.
    jobs: AtomicU64,
    /// How much of payloads there may be.
    room: AtomicU64,
    /// What a queue keeps of them in any case.
    queue_bytes: AtomicU64,
    /// Jobs alone take more than there may be.
    full: AtomicBool,
    /// Payloads have been left to the log since the last time that there was room for all.
    spilling: AtomicBool,
    /// Nobody measures, since nothing has changed.
    asleep: AtomicBool,
    wake: Notify,
    /// The most that payloads took since much of it was freed.
    peak: AtomicU64,
    /// Much was freed.
    freed: Notify,
}

/// What queues take, as measured.
#[derive(Clone, Copy, Default, Debug)]
struct Measured {
    index: IndexBytes,
    queues: u64,
}

impl Measured {
    /// What jobs take; what is vacant takes the next ones.
    fn needed(&self) -> u64 {
        self.index.taken - self.index.vacant
    }
}

/// What follows from a measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    room: u64,
    queue_bytes: u64,
    full: bool,
}

impl Memory {
    /// Nothing is in memory yet.
    pub(crate) fn new(bytes_max: u64) -> Memory {
        Memory {
            bytes_max: AtomicU64::new(bytes_max),
            payloads: AtomicU64::new(0),
            jobs: AtomicU64::new(0),
            room: AtomicU64::new(if bytes_max == 0 { u64::MAX } else { bytes_max }),
            queue_bytes: AtomicU64::new(Memory::queue_bytes(bytes_max)),
            full: AtomicBool::new(false),
            spilling: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            wake: Notify::new(),
            peak: AtomicU64::new(0),
            freed: Notify::new(),
        }
    }

    /// `maxmemory`; 0: no limit.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Relaxed)
    }

    /// Changes it, while the server runs.
    pub(crate) fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Relaxed);
        self.wake.notify_one();
    }

    /// What the cache of payloads may take of it.
    pub(crate) fn cache_bytes_max(bytes_max: u64) -> u64 {
        match bytes_max {
            0 => PAYLOAD_CACHE_BYTES_MAX,
            bytes_max => (bytes_max / PAYLOAD_CACHE_SHARE).min(PAYLOAD_CACHE_BYTES_MAX),
        }
    }

    /// How much a shard that has `here` bytes of payloads in memory may have.
    #[inline]
    pub(crate) fn room(&self, here: u64) -> PayloadRoom {
        let left = self.room.load(Relaxed).saturating_sub(self.payloads.load(Relaxed));
        PayloadRoom { bytes_max: here.saturating_add(left), queue_bytes: self.queue_bytes.load(Relaxed) }
    }

    /// A shard had `before` bytes of payloads in memory, and has now `after`.
    #[inline]
    pub(crate) fn changed(&self, before: u64, after: u64) {
        if before != after {
            let more = after.wrapping_sub(before);
            let level = self.payloads.fetch_add(more, Relaxed).wrapping_add(more);
            let peak = self.peak.load(Relaxed);
            if level > peak {
                self.peak.store(level, Relaxed);
            } else if peak - level >= GIVE_BACK_BYTES {
                self.peak.store(level, Relaxed);
                self.give_back();
            }
        }
    }

    /// Something was staged, so it is worth measuring again.
    #[inline]
    pub(crate) fn stir(&self) {
        if self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed) {
            self.wake.notify_one();
        }
    }

    /// What was freed is to be given back to the system.
    #[cold]
    pub(crate) fn give_back(&self) {
        self.freed.notify_one();
    }

    /// Waits until something is to be given back; for one task only.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Whether jobs alone take more than `maxmemory`, so that no more may come.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// What jobs take beside their payloads, as it was measured last; 0 without a limit.
    pub(crate) fn jobs_bytes(&self) -> u64 {
        self.jobs.load(Relaxed)
    }

    /// How much a shard keeps of payloads while the log is replayed: half of the limit is left for the jobs.
    pub(crate) fn room_of_replay(bytes_max: u64, shards: u16) -> PayloadRoom {
        match bytes_max {
            0 => PayloadRoom::UNLIMITED,
            bytes_max => PayloadRoom {
                bytes_max: bytes_max / 2 / u64::from(shards),
                queue_bytes: Memory::queue_bytes(bytes_max),
            },
        }
    }

    /// What a queue keeps until it is known how many there are.
    fn queue_bytes(bytes_max: u64) -> u64 {
        match bytes_max {
            0 => QUEUE_PAYLOAD_BYTES,
            bytes_max => QUEUE_PAYLOAD_BYTES.min(bytes_max / QUEUE_PAYLOAD_SHARE),
        }
    }

    /// What was measured decides until the next time.
    fn follow(&self, plan: Plan) {
        self.room.store(plan.room, Relaxed);
        self.queue_bytes.store(plan.queue_bytes, Relaxed);
        let bytes_max = self.bytes_max();
        if self.full.swap(plan.full, Relaxed) != plan.full {
            if plan.full {
                tracing::error!(bytes_max, "jobs alone take more than maxmemory: pushes are refused");
            } else {
                tracing::info!(bytes_max, "there is memory for more jobs again");
            }
        }
        let payloads = self.payloads.load(Relaxed);
        let spilling = payloads >= plan.room;
        let had = self.spilling.load(Relaxed);
        // Once there is room for much more than there is, so that it is not told again and again.
        if spilling && !had || !spilling && had && payloads < plan.room / 2 {
            self.spilling.store(spilling, Relaxed);
            if spilling {
                tracing::info!(
                    bytes_max,
                    "memory for payloads is full: further ones are kept in the log only"
                );
            }
        }
    }

    /// How many bytes of payloads are to be given up; 0 while it is only a little.
    fn surplus(&self) -> u64 {
        let (payloads, room) = (self.payloads.load(Relaxed), self.room.load(Relaxed));
        let slack = self.bytes_max() / 64;
        if payloads > room.saturating_add(slack) { payloads - room } else { 0 }
    }
}

impl Plan {
    /// Of what jobs leave, an eighth is for what the allocator rounds up.
    fn new(bytes_max: u64, cache_bytes: u64, measured: Measured, was_full: bool) -> Plan {
        if bytes_max == 0 {
            return Plan { room: u64::MAX, queue_bytes: QUEUE_PAYLOAD_BYTES, full: false };
        }
        let left = bytes_max.saturating_sub(cache_bytes).saturating_sub(measured.index.taken);
        let room = left - left / 8;
        // Once full, it takes a little more room before it is not.
        let most = if was_full { bytes_max - bytes_max / 32 } else { bytes_max };
        Plan {
            room,
            queue_bytes: QUEUE_PAYLOAD_BYTES.min(room / 4 / measured.queues.max(1)),
            full: measured.needed() >= most,
        }
    }
}

/// Measures for ever, while anything changes.
pub(crate) async fn run(server: Arc<Server>) {
    let lane = server.lane().expect("memory is measured after recovery");
    let mut seen = 0;
    loop {
        let begun = Instant::now();
        let next_lsn = lane.log.next_lsn();
        look(lane).await;
        let took = begun.elapsed();
        if next_lsn == seen {
            lane.memory.asleep.store(true, Relaxed);
            // After it says so, because what was staged before did not wake it.
            if lane.log.next_lsn() == seen {
                lane.memory.wake.notified().await;
            }
            lane.memory.asleep.store(false, Relaxed);
        }
        seen = next_lsn;
        tokio::time::sleep(MEMORY_LOOK_EVERY.max(took * MEASURING_SHARE)).await;
    }
}

/// Measures once, and gives up payloads if there are too many.
async fn look(lane: &Lane) {
    let measured = if lane.memory.bytes_max() == 0 { Measured::default() } else { measure(lane).await };
    let bytes_max = lane.memory.bytes_max();
    let cache_bytes = Memory::cache_bytes_max(bytes_max);
    lane.payloads.set_cache_bytes_max(cache_bytes);
    lane.memory.jobs.store(measured.needed(), Relaxed);
    lane.memory.follow(Plan::new(bytes_max, cache_bytes, measured, lane.memory.is_full()));
    for index in 0..lane.shard_count() {
        loop {
            let surplus = lane.memory.surplus();
            if surplus == 0 {
                return;
            }
            let step = {
                let mut hold = Hold::begin(lane, index);
                let step = hold.spill(surplus.min(SPILLED_BYTES));
                hold.end_fairly();
                step
            };
            tokio::task::yield_now().await;
            if matches!(step, Step::Done(_)) {
                break;
            }
        }
    }
}

async fn measure(lane: &Lane) -> Measured {
    let mut measured = Measured::default();
    walk::for_each_step(lane, |engine, from| {
        let next = engine.measure_index(from, MEASURED_QUEUES, &mut measured.index);
        if next == 0 {
            measured.queues += engine.queues();
        }
        next
    })
    .await;
    measured
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn plan(taken: u64, vacant: u64, was_full: bool) -> Plan {
        let measured = Measured { index: IndexBytes { taken, vacant }, queues: 10 };
        Plan::new(1 << 30, 32 << 20, measured, was_full)
    }

    #[test]
    fn payloads_get_what_jobs_leave() {
        assert_eq!(plan(0, 0, false).room, ((1 << 30) - (32 << 20)) / 8 * 7);
        assert_eq!(plan(0, 0, false).queue_bytes, QUEUE_PAYLOAD_BYTES);
        let tight = plan((1 << 30) - (33 << 20), 0, false);
        assert_eq!(tight, Plan { room: 7 << 17, queue_bytes: (7 << 17) / 40, full: false });
        assert_eq!(plan(1 << 30, 0, false), Plan { room: 0, queue_bytes: 0, full: true });
    }

    #[test]
    fn room_for_jobs_is_where_others_were() {
        let most = 1 << 30;
        for (taken, vacant, was_full, full) in [
            (most - 1, 0, false, false),
            (most, 0, false, true),
            (most, 1, false, false),
            (most, 1, true, true),
            (most, most / 32 + 1, true, false),
        ] {
            assert_eq!(plan(taken, vacant, was_full).full, full, "{taken} {vacant} {was_full}");
        }
    }

    #[test]
    fn without_a_limit_all_is_kept() {
        let memory = Memory::new(0);
        memory.changed(0, 1 << 40);
        assert_eq!(memory.room(1 << 40).bytes_max, u64::MAX);
        assert_eq!(memory.surplus(), 0);
        assert_eq!(Plan::new(0, 1 << 20, Measured::default(), false).room, u64::MAX);
    }

    #[test]
    fn what_is_beyond_the_room_is_given_up_when_it_is_much() {
        let memory = Memory::new(64_000);
        memory.follow(Plan { room: 1_000, queue_bytes: 100, full: false });
        memory.changed(0, 900);
        assert_eq!(memory.room(300), PayloadRoom { bytes_max: 400, queue_bytes: 100 });
        memory.changed(300, 400);
        assert_eq!(memory.room(400).bytes_max, 400);
        memory.changed(0, 1_000);
        assert_eq!(memory.surplus(), 0, "a 64th of the limit is little");
        memory.changed(0, 1);
        assert_eq!(memory.surplus(), 1_001);
        memory.changed(2_001, 0);
        assert_eq!(memory.room(0).bytes_max, 1_000);
    }

    #[test]
    fn once_much_less_is_there_than_was_it_goes_back() {
        let memory = Memory::new(0);
        let has_freed = || pin!(memory.freed()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        memory.changed(0, 3 * GIVE_BACK_BYTES);
        memory.changed(GIVE_BACK_BYTES, 1);
        assert!(!has_freed());
        memory.changed(1, 0);
        assert!(has_freed());
        assert!(!has_freed(), "it was told");
        // What comes and goes is used again.
        for _ in 0..10 {
            memory.changed(0, GIVE_BACK_BYTES - 1);
            memory.changed(GIVE_BACK_BYTES - 1, 0);
        }
        assert!(!has_freed());
        memory.changed(1, 0);
        assert!(has_freed());
    }
}
