//! A lane: some shards, and the log that they share.
//!
//! One sync of the log serves all shards of the lane. There is one lane, `default`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;
use stanchion_engine::{Shard, ShardConfig};
use stanchion_protocol::slot;
use stanchion_storage::{Durability, Log, LogEvent, Lsn, RecordKind, Room, Space, WrittenCheckpoint};
use tokio::sync::Notify;

use crate::checkpoint::Checkpoints;
use crate::clock::{Clock, Source};
use crate::durable::DurableWaits;
use crate::hub::Hub;
use crate::latency::{Kind, Latency};
use crate::lifecycle::Lifecycle;
use crate::limits::RESERVE_JOB_BYTES;
use crate::memory::Memory;
use crate::payloads::Payloads;
use crate::shard::{ShardCell, ShardState};
use crate::sync_times::SyncTimes;

/// The name of the only lane.
pub(crate) const LANE_NAME: &str = "default";

/// Records of the engine's events.
pub(crate) const EVENTS: RecordKind = RecordKind::new(1);

/// A lane at work.
pub(crate) struct Lane {
    /// The log of all its shards.
    pub(crate) log: Log,
    /// What the log's writer tells.
    pub(crate) tidings: Arc<Tidings>,
    /// When replies wait, unless a queue says otherwise.
    pub(crate) durability: Durability,
    /// The instant of each hold.
    pub(crate) clock: Clock,
    /// Who listens to what happens to jobs.
    pub(crate) hub: Arc<Hub>,
    /// Asks for syncs that no reply waits for.
    pub(crate) syncer: Syncer,
    /// What is known of its checkpoints.
    pub(crate) checkpoints: Checkpoints,
    /// The log's segment size.
    pub(crate) segment_bytes: u64,
    /// How much of payloads is kept in memory.
    pub(crate) memory: Memory,
    /// Reads those that are not.
    pub(crate) payloads: Arc<Payloads>,
    /// Wakes the reclaiming task when there may be garbage.
    pub(crate) reclaim: Notify,
    /// Bytes staged since the reclaiming task looked last.
    appended_bytes: AtomicU64,
    /// How many of them wake it.
    reclaim_after_bytes: u64,
    /// All bytes that were staged in this run, and those that reclaiming wrote again.
    written: Written,
    shards: Box<[CachePadded<ShardCell>]>,
    /// A bug that a checker has to find.
    #[cfg(feature = "simulation")]
    pub(crate) planted: Option<crate::simulation::Planted>,
}

/// How much was staged in this run, for the statistics.
#[derive(Default)]
struct Written {
    appended_bytes: AtomicU64,
    rewritten_bytes: AtomicU64,
}

/// What the log's writer thread tells: who waits for it registers here.
pub(crate) struct Tidings {
    /// Replies that wait for the disk.
    pub(crate) durable: DurableWaits,
    /// Payloads that can be read once they are in the file.
    pub(crate) written: DurableWaits,
    /// Who waits for the log to have room again.
    room: Mutex<Vec<Arc<Notify>>>,
    /// Notified when segments were freed.
    pub(crate) freed: Notify,
    /// Notified when more was written.
    pub(crate) wrote: Notify,
    /// Notified when there is more or less space on the disk.
    pub(crate) space: Notify,
    /// How long syncs took.
    pub(crate) sync_times: SyncTimes,
    lifecycle: Arc<Lifecycle>,
    latency: Arc<Latency>,
}

/// Queues that want a sync within some time although the lane itself does not.
#[derive(Default)]
pub(crate) struct Syncer {
    due: Mutex<Option<(tokio::time::Instant, Lsn)>>,
    changed: Notify,
}

/// What a lane is made of.
pub(crate) struct LaneParts {
    /// The open log.
    pub(crate) log: Log,
    /// What it tells.
    pub(crate) tidings: Arc<Tidings>,
    /// Who listens to what happens to jobs.
    pub(crate) hub: Arc<Hub>,
    /// The recovered shards.
    pub(crate) shards: Vec<Shard>,
    /// When replies wait.
    pub(crate) durability: Durability,
    /// `maxmemory`; 0: no limit.
    pub(crate) memory_bytes_max: u64,
    /// Where its time comes from.
    pub(crate) time: Source,
    /// The checkpoint that recovery began from.
    pub(crate) checkpoint: Option<WrittenCheckpoint>,
    /// The log's segment size, by which reclaiming and checkpoints are paced.
    pub(crate) segment_bytes: u64,
}

impl Lane {
    /// Puts a lane together. Its clock starts no lower than the newest instant of its shards.
    pub(crate) fn new(parts: LaneParts, seed: u64) -> Lane {
        let floor_ms = parts.shards.iter().map(Shard::last_now).max().unwrap_or(0);
        parts.tidings.durable.publish(parts.log.durable());
        let clock = Clock::new(parts.time, floor_ms);
        parts.tidings.written.publish(parts.log.written());
        Lane {
            log: parts.log,
            tidings: parts.tidings,
            durability: parts.durability,
            checkpoints: Checkpoints::new(parts.checkpoint, clock.now_ms()),
            clock,
            hub: parts.hub,
            syncer: Syncer::default(),
            segment_bytes: parts.segment_bytes,
            payloads: Arc::new(Payloads::new(Memory::cache_bytes_max(parts.memory_bytes_max))),
            memory: Memory::new(parts.memory_bytes_max),
            reclaim: Notify::new(),
            appended_bytes: AtomicU64::new(0),
            reclaim_after_bytes: (parts.segment_bytes / 8).max(1),
            written: Written::default(),
            shards: parts
                .shards
                .into_iter()
                .enumerate()
                .map(|(index, engine)| {
                    CachePadded::new(ShardCell::new(ShardState::new(engine, seed ^ index as u64)))
                })
                .collect(),
            #[cfg(feature = "simulation")]
            planted: None,
        }
    }

    /// How many shards there are.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// A shard.
    #[inline]
    pub(crate) fn shard(&self, index: usize) -> &ShardCell {
        &self.shards[index]
    }

    /// The shard of a queue.
    #[inline]
    pub(crate) fn shard_of(&self, queue: &[u8]) -> usize {
        shard_of(queue, self.shards.len())
    }

    /// How many bytes of its log live; the log's reserve follows how many jobs there are.
    pub(crate) fn take_stock(&self) -> u64 {
        let (mut live_bytes, mut jobs) = (0, 0);
        for shard in &self.shards {
            let state = shard.state.lock();
            live_bytes += state.engine.live_bytes();
            jobs += state.engine.live_jobs();
        }
        self.log.set_reserve(jobs * RESERVE_JOB_BYTES);
        live_bytes
    }

    /// Records were staged. The first ones since it looked last wake the reclaiming task, which then waits a
    /// while; very many wake it at once.
    #[inline]
    pub(crate) fn appended(&self, bytes: u64) {
        self.written.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 || self.is_many(before + bytes) && !self.is_many(before) {
            self.reclaim.notify_one();
        }
    }

    /// Records were staged that only write again what the log has already.
    pub(crate) fn rewrote(&self, bytes: u64) {
        self.written.rewritten_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes staged in this run for commands and timers, and those that reclaiming wrote again.
    pub(crate) fn written_bytes(&self) -> (u64, u64) {
        let Written { appended_bytes, rewritten_bytes } = &self.written;
        (appended_bytes.load(Ordering::Relaxed), rewritten_bytes.load(Ordering::Relaxed))
    }

    /// Whether so many bytes are worth a look at the log's size at once.
    pub(crate) fn is_many(&self, appended_bytes: u64) -> bool {
        appended_bytes >= self.reclaim_after_bytes
    }

    /// Bytes staged since the reclaiming task looked last.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Relaxed)
    }

    /// The same, for its next look.
    pub(crate) fn take_appended_bytes(&self) -> u64 {
        self.appended_bytes.swap(0, Ordering::Relaxed)
    }
}

/// The shard of a queue among `count`: Redis Cluster's slot, in contiguous ranges.
#[inline]
pub(crate) fn shard_of(queue: &[u8], count: usize) -> usize {
    slot::shard(slot::slot(queue), count)
}

impl Tidings {
    /// Tidings of a log that is about to be opened, for so many threads of connections.
    pub(crate) fn new(threads: usize, lifecycle: Arc<Lifecycle>, latency: Arc<Latency>) -> Tidings {
        Tidings {
            durable: DurableWaits::new(threads),
            written: DurableWaits::new(threads),
            room: Mutex::default(),
            freed: Notify::new(),
            wrote: Notify::new(),
            space: Notify::new(),
            sync_times: SyncTimes::default(),
            lifecycle,
            latency,
        }
    }

    /// Takes an event on the log's writer thread.
    pub(crate) fn take(&self, event: LogEvent) {
        match event {
            LogEvent::Written(lsn) => {
                self.wrote.notify_one();
                self.written.publish(lsn);
            }
            LogEvent::Synced(took) => {
                self.sync_times.add(took);
                self.latency.took(Kind::Fsync, took);
            }
            LogEvent::Durable(lsn) => self.durable.publish(lsn),
            LogEvent::Room => self.wake_for_room(),
            LogEvent::Freed(_) => self.freed.notify_one(),
            LogEvent::Space(space, room) => {
                tell_space(space, room);
                self.space.notify_one();
            }
            LogEvent::Poisoned(poison) => {
                // Before anybody is woken, because they look at the phase to learn why.
                self.lifecycle.fail(poison.to_string());
                self.durable.wake_all();
                self.written.wake_all();
                self.wake_for_room();
            }
        }
    }

    /// Passes on to those who wait on this thread what the writer tells; without end.
    pub(crate) async fn relay(&self) {
        tokio::join!(self.durable.relay(), self.written.relay());
    }

    fn wake_for_room(&self) {
        let woken = std::mem::take(&mut *self.room.lock());
        for wake in woken {
            wake.notify_one();
        }
    }

    /// Wakes `wake` once the log has room; false when it has some already.
    pub(crate) fn wait_for_room(&self, log: &Log, wake: &Arc<Notify>) -> bool {
        self.room.lock().push(Arc::clone(wake));
        // After entering the list, because the room may have come before.
        !log.has_room()
    }

    /// A shard broke: nothing that it says is to be trusted, so the server ends as when its log fails.
    pub(crate) fn broken(&self, why: String) {
        self.lifecycle.fail(why);
        self.durable.wake_all();
        self.written.wake_all();
        self.wake_for_room();
    }
}

/// The levels of space with their words, the best one first.
pub(crate) const SPACES: [(Space, &str); 4] =
    [(Space::Ample, "ample"), (Space::Low, "low"), (Space::Full, "full"), (Space::Exhausted, "exhausted")];

/// Tells the operator how much space there is.
fn tell_space(space: Space, room: Room) {
    let (left_bytes, reserve_bytes) = (room.left_bytes, room.reserve_bytes);
    match space {
        Space::Ample => tracing::info!(left_bytes, "the log has room again"),
        Space::Low => tracing::warn!(
            left_bytes,
            reserve_bytes,
            "there is little space left for the log; once only the reserve is left, pushes are refused"
        ),
        Space::Full => tracing::error!(
            left_bytes,
            reserve_bytes,
            "the disk is full: pushes, roots and settings are refused until there is room; claims, acks and deletes \
             go on in the reserve"
        ),
        Space::Exhausted => tracing::error!(
            left_bytes,
            reserve_bytes,
            "the disk is full, and the reserve is used up: all that changes queues is refused until reclaiming has \
             made room; free some space if this does not end soon"
        ),
    }
}

impl Syncer {
    /// Everything up to `lsn` is to be on the disk within `within`.
    pub(crate) fn ask(&self, lsn: Lsn, within: Duration) {
        let at = tokio::time::Instant::now() + within;
        let mut due = self.due.lock();
        let sooner = due.is_none_or(|(due_at, _)| at < due_at);
        *due = Some((due.map_or(at, |(due_at, _)| due_at.min(at)), lsn));
        drop(due);
        if sooner {
            self.changed.notify_one();
        }
    }

    /// Asks the log for syncs when they are due, for ever.
    pub(crate) async fn run(&self, log: &Log) {
        loop {
            let due = *self.due.lock();
            match due {
                None => self.changed.notified().await,
                Some((at, _)) if at > tokio::time::Instant::now() => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(at) => {}
                        () = self.changed.notified() => {}
                    }
                }
                Some(_) => {
                    if let Some((_, lsn)) = self.due.lock().take() {
                        log.sync_to(lsn);
                    }
                }
            }
        }
    }
}

/// The engine's configuration of one shard.
pub(crate) fn shard_config(config: &crate::Config, index: u16, boot: u32) -> ShardConfig {
    let queues = config.queues.clone();
    ShardConfig { index, count: config.shards, boot, file: Arc::new(move |queue| queues.settings(queue)) }
}
