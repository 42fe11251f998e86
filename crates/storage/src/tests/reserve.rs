//! The reserve: a small queue on the log of a full disk, which must always be able to take acks, to reclaim, to
//! start again, and so to take pushes again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::limits::{DISK_FULL_RETRY, SPACE_LOOK};
use crate::simulation::{Driver, Due, Random, SimulatedDisk};
use crate::{Log, LogConfig, Lsn, OpenError, RecordKind, RecordView, Records, Space};

/// Large enough that a restart gives the rest of a segment back.
const SEGMENT_BYTES: u64 = 16 << 10;

const PUSH: u8 = 1;
const ACK: u8 = 2;

/// What a record takes beside its body, when it is a batch of its own.
const FRAME_BYTES: usize = 56;

/// A job: where its newest push is, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Job {
    base: Lsn,
    bytes: usize,
}

/// Jobs that are pushed and acked, and what was promised of them.
struct Queue {
    log: Log,
    driver: Driver,
    now: Instant,
    segment_bytes: u64,
    jobs: BTreeMap<u64, Job>,
    newest_id: u64,
}

impl Queue {
    fn open(disk: &SimulatedDisk) -> Result<Queue, OpenError> {
        let config = LogConfig { segment_bytes: SEGMENT_BYTES, ..LogConfig::new("simulated") };
        Queue::open_configured(disk, config)
    }

    fn open_configured(disk: &SimulatedDisk, config: LogConfig) -> Result<Queue, OpenError> {
        let segment_bytes = config.segment_bytes;
        let (mut jobs, mut newest_id) = (BTreeMap::new(), 0);
        let (log, _, driver) = Log::open_simulated(
            disk.clone(),
            config,
            &mut |record: RecordView<'_>| {
                let id = u64::from_le_bytes(record.body[..8].try_into().expect("eight bytes"));
                newest_id = newest_id.max(id);
                match record.kind.get() {
                    PUSH => drop(jobs.insert(id, Job { base: record.lsn, bytes: record.body.len() - 8 })),
                    _ => drop(jobs.remove(&id)),
                }
                Ok(())
            },
            Arc::new(|_| ()),
            Box::new(|| ()),
        )?;
        let mut queue = Queue { log, driver, now: Instant::now(), segment_bytes, jobs, newest_id };
        queue.reserve();
        queue.wait(SPACE_LOOK);
        Ok(queue)
    }

    /// Takes all turns that are due.
    fn settle(&mut self) {
        while self.driver.due(self.now) == Due::Now {
            self.driver.take_turn(self.now);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.driver.take_turn(self.now);
        self.settle();
    }

    fn reserve(&self) {
        self.log.set_reserve(96 * self.jobs.len() as u64);
    }

    /// Stages a record; its lsn once it is durable.
    fn stage(&mut self, kind: u8, id: u64, bytes: usize) -> Option<Lsn> {
        let mut records = Records::new();
        let body = records.begin(0, RecordKind::new(kind));
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&vec![kind; bytes]);
        records.end();
        let lsn = self.log.stage(&mut records).last;
        self.settle();
        (self.log.durable() >= lsn).then_some(lsn)
    }

    /// Pushes a job, if there is space for it; whether it is durable.
    fn push(&mut self, bytes: usize) -> bool {
        if self.log.is_disk_full() || !self.log.has_space_for((8 + bytes + FRAME_BYTES) as u64) {
            return false;
        }
        self.newest_id += 1;
        let Some(base) = self.stage(PUSH, self.newest_id, bytes) else { return false };
        self.jobs.insert(self.newest_id, Job { base, bytes });
        self.reserve();
        true
    }

    fn fill(&mut self, bytes: usize) -> usize {
        (0..).take_while(|_| self.push(bytes)).count()
    }

    /// Acks a job; whether that is durable.
    fn ack(&mut self, id: u64) -> bool {
        let is_durable = self.stage(ACK, id, 0).is_some();
        if is_durable {
            self.jobs.remove(&id);
            self.reserve();
        }
        is_durable
    }

    fn garbage(&self) -> u64 {
        let live: usize = self.jobs.values().map(|job| 8 + job.bytes + FRAME_BYTES).sum();
        self.log.bytes().saturating_sub(live as u64)
    }

    /// Whether reclaiming makes space.
    fn has_garbage(&self) -> bool {
        self.log.oldest_sealed().is_some() && self.garbage() >= self.segment_bytes / 4
    }

    /// Frees the oldest segment, if that makes space.
    fn reclaim(&mut self) {
        let Some(oldest) = self.log.oldest_sealed().filter(|_| self.has_garbage()) else { return };
        let old: Vec<_> = self.jobs.iter().filter(|(_, job)| job.base <= oldest.last_lsn).collect();
        let old: Vec<_> = old.into_iter().map(|(&id, &job)| (id, job)).collect();
        for (id, Job { bytes, .. }) in old {
            let Some(base) = self.stage(PUSH, id, bytes) else { return };
            self.jobs.insert(id, Job { base, bytes });
        }
        self.log.free_through(oldest.number, self.log.next_lsn() - 1);
        self.settle();
    }

    /// Acks every job, in an order by chance, and reclaims as soon as that makes space.
    fn drain(&mut self, random: &mut Random) {
        while let Some(&last) = self.jobs.keys().last() {
            let from = random.below(last) + 1;
            let id = *self.jobs.range(from..).next().expect("the last one at least").0;
            assert!(
                self.log.space() < Space::Exhausted,
                "{} jobs left, {:?}",
                self.jobs.len(),
                self.log.room()
            );
            assert!(self.ack(id));
            if self.log.space() >= Space::Low {
                self.reclaim();
            }
        }
        while self.has_garbage() {
            self.reclaim();
        }
        self.wait(SPACE_LOOK);
    }
}

#[test]
fn a_full_disk_is_drained_and_filled_again() {
    for (segments, bytes) in [(6, 100), (6, 300), (8, 1000), (12, 2000), (40, 1700), (12, 8000), (40, 7900)] {
        let disk = SimulatedDisk::new();
        disk.set_bytes_max(Some(segments * SEGMENT_BYTES));
        let mut queue = Queue::open(&disk).unwrap();
        let mut random = Random(segments);
        let mut filled = Vec::new();
        for _ in 0..4 {
            filled.push(queue.fill(bytes));
            let room = queue.log.room();
            assert!(
                room.left_bytes < room.reserve_bytes + SEGMENT_BYTES / 8 + 2 * (bytes + 100) as u64,
                "{room:?}"
            );
            queue.drain(&mut random);
        }
        assert!(filled.iter().all(|&jobs| jobs > 0), "{segments} segments of jobs of {bytes}: {filled:?}");
        let last = filled.pop().expect("four rounds");
        assert!(
            filled[1..].iter().all(|&jobs| jobs.abs_diff(last) <= last / 2),
            "it shrinks: {filled:?} {last}"
        );
    }
}

#[test]
fn a_run_begins_on_a_full_disk_over_and_over() {
    for bytes in [100, 1800] {
        let mut disk = SimulatedDisk::new();
        disk.set_bytes_max(Some(12 * SEGMENT_BYTES));
        let mut queue = Queue::open(&disk).unwrap();
        queue.fill(bytes);
        let jobs = queue.jobs.clone();
        // Others take whatever was free. What a restart gives back is for the next one.
        let bytes_max = disk.bytes();
        for restart in 0..30 {
            let killed = disk.after_kill();
            drop(queue);
            disk = killed;
            disk.set_bytes_max(Some(bytes_max));
            queue = Queue::open(&disk).unwrap_or_else(|error| panic!("restart {restart}: {error}"));
            assert_eq!(queue.jobs, jobs);
            assert!(!queue.push(bytes), "there is no space for pushes");
        }
        queue.drain(&mut Random(7));
        assert!(queue.push(bytes), "there is space again: {:?}", queue.log.room());
    }
}

/// What a full log is on.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// A disk of its own.
    Disk,
    /// A part of one, by its budget.
    Budget,
}

#[test]
fn starts_by_themselves_never_use_the_reserve_up() {
    for (segment_bytes, kept, acks) in [
        (4 << 10, Kept::Disk, false),
        (4 << 10, Kept::Budget, false),
        (SEGMENT_BYTES, Kept::Disk, false),
        (SEGMENT_BYTES, Kept::Budget, false),
        (SEGMENT_BYTES, Kept::Disk, true),
        (SEGMENT_BYTES, Kept::Budget, true),
    ] {
        let bytes_max = 10 * segment_bytes;
        let config = LogConfig {
            segment_bytes,
            budget_bytes: matches!(kept, Kept::Budget).then_some(bytes_max),
            ..LogConfig::new("simulated")
        };
        let limit = |disk: &SimulatedDisk| {
            disk.set_bytes_max(matches!(kept, Kept::Disk).then_some(bytes_max));
        };
        let mut disk = SimulatedDisk::new();
        limit(&disk);
        let mut queue = Queue::open_configured(&disk, config.clone()).unwrap();
        queue.fill(300);
        let (mut jobs, mut bytes) = (queue.jobs.clone(), Vec::new());
        for restart in 0..200 {
            let killed = disk.after_kill();
            drop(queue);
            disk = killed;
            limit(&disk);
            queue = Queue::open_configured(&disk, config.clone())
                .unwrap_or_else(|error| panic!("{kept:?} {segment_bytes}, restart {restart}: {error}"));
            assert_eq!(queue.jobs, jobs);
            let space = queue.log.space();
            assert!(space < Space::Exhausted, "{kept:?} {segment_bytes} {restart}: {:?}", queue.log.room());
            if acks && restart % 50 == 0 {
                let id = *jobs.first_key_value().expect("there are more jobs").0;
                assert!(queue.ack(id));
                jobs = queue.jobs.clone();
            }
            bytes.push(disk.bytes());
        }
        assert!(bytes.iter().all(|&bytes| bytes <= bytes_max + segment_bytes), "{bytes:?}");
        queue.drain(&mut Random(7));
        assert!(queue.push(300), "there is space again: {:?}", queue.log.room());
    }
}

#[test]
fn space_that_comes_from_elsewhere_is_noticed() {
    let disk = SimulatedDisk::new();
    disk.set_bytes_max(Some(8 * SEGMENT_BYTES));
    let mut queue = Queue::open(&disk).unwrap();
    queue.fill(500);
    assert!(!queue.push(500));
    disk.set_bytes_max(Some(30 * SEGMENT_BYTES));
    assert!(matches!(queue.driver.due(queue.now), Due::At(at) if at <= queue.now + DISK_FULL_RETRY));
    queue.wait(DISK_FULL_RETRY);
    assert!(queue.push(500));
}

#[test]
fn a_crash_at_any_operation_on_a_full_disk_loses_nothing_and_can_start_again() {
    let disk = SimulatedDisk::new();
    disk.set_bytes_max(Some(8 * SEGMENT_BYTES));
    let mut queue = Queue::open(&disk).unwrap();
    queue.fill(2000);
    let (full, jobs) = (disk.after_kill(), queue.jobs.len());
    let bytes_max = Some(full.bytes());
    assert!(jobs > 20);
    for stop in 0.. {
        let mut disk = full.after_kill();
        disk.set_bytes_max(bytes_max);
        let mut queue = Queue::open(&disk).unwrap();
        assert_eq!(queue.jobs.len(), jobs);
        disk.stop_after(stop);
        // Acks and rewrites until the machine stops.
        let mut unknown = None;
        for id in 1..=queue.newest_id {
            if !queue.ack(id) {
                unknown = Some(id);
                break;
            }
            queue.reclaim();
        }
        let kept = queue.jobs.clone();
        drop(queue);
        for seed in 0..3 {
            disk = disk.after_crash(&mut Random(stop * 10 + seed));
            disk.set_bytes_max(bytes_max);
            let queue = Queue::open(&disk).unwrap_or_else(|error| panic!("stop {stop}: {error}"));
            let is_same =
                |id: &u64| queue.jobs.contains_key(id) == kept.contains_key(id) || Some(*id) == unknown;
            assert!((1..=queue.newest_id).all(|id| is_same(&id)), "stop {stop}: {:?} {kept:?}", queue.jobs);
            if unknown.is_none() {
                return assert!(stop > 40, "{stop} operations prove little");
            }
            // It crashes while it starts, too.
            disk = disk.after_kill();
            disk.set_bytes_max(bytes_max);
            disk.stop_after(seed * 2);
            drop(Queue::open(&disk));
        }
    }
}

#[test]
fn any_allocation_may_fail() {
    for allocations in 2..16 {
        let disk = SimulatedDisk::new();
        disk.set_bytes_max(Some(allocations * SEGMENT_BYTES));
        let mut queue = Queue::open(&disk).unwrap();
        let jobs = queue.fill(500);
        assert_eq!(jobs > 0, allocations > 3, "{allocations} segments, {jobs} jobs");
        assert!(queue.log.poisoned().is_none() && disk.bytes() <= allocations * SEGMENT_BYTES);
        queue.drain(&mut Random(allocations));
        assert!(queue.log.poisoned().is_none());
    }
}
