//! From the log to a lane: every record's parts are replayed into the shards of their queues.

mod fuzz;
mod replayer;

use std::path::Path;
use std::sync::Arc;

use stanchion_engine::{Now, Shard};
use stanchion_protocol::id::BOOT_MAX;
use stanchion_storage::{
    CheckpointUse, Log, LogConfig, LogEvent, OpenError, Records, Recovered, RefusedCheckpoint, Replay,
    WrittenCheckpoint,
};

use crate::clock::Source;
use crate::hub::Hub;
use crate::lane::{EVENTS, Lane, LaneParts, Tidings, shard_config};
use crate::loading::Loading;
use crate::memory::Memory;
use crate::{Config, ServerError};

pub use fuzz::fuzz_events;
use replayer::Replayer;

/// A log that was just opened, and what was found in it.
pub(crate) struct OpenedLog {
    /// The log.
    pub(crate) log: Log,
    /// What was found.
    pub(crate) recovered: Recovered,
}

/// Takes what the log's writer tells.
pub(crate) type OnEvent = Arc<dyn Fn(LogEvent) + Send + Sync>;

/// Opens the log in the data directory and replays it. Blocks; not for the runtime's threads.
pub(crate) fn open_lane(
    config: &Config,
    tidings: Arc<Tidings>,
    hub: Arc<Hub>,
    loading: &Loading,
    seed: u64,
) -> Result<Lane, ServerError> {
    open_lane_with(config, tidings, hub, loading, seed, Source::System, |config, replay, on_event| {
        let (log, recovered) = Log::open(config, replay, on_event)?;
        Ok(OpenedLog { log, recovered })
    })
}

/// The same with a log and a clock from elsewhere.
pub(crate) fn open_lane_with(
    config: &Config,
    tidings: Arc<Tidings>,
    hub: Arc<Hub>,
    loading: &Loading,
    seed: u64,
    time: Source,
    mut open: impl FnMut(LogConfig, &mut dyn Replay, OnEvent) -> Result<OpenedLog, OpenError>,
) -> Result<Lane, ServerError> {
    let begun = std::time::Instant::now();
    let threads = match time {
        Source::System => std::thread::available_parallelism().map_or(1, usize::from),
        #[cfg(feature = "simulation")]
        Source::Simulated(_) => 0,
    };
    let mut attempt = |checkpoints: CheckpointUse| {
        let mut shards: Vec<_> =
            (0..config.shards).map(|index| Shard::new(shard_config(config, index, 0))).collect();
        let room = Memory::room_of_replay(config.memory_bytes_max, config.shards);
        shards.iter_mut().for_each(|shard| shard.limit_payloads(room));
        let mut replayer = Replayer::new(shards, threads, loading)
            .map_err(|source| ServerError::System { what: "start threads for the recovery", source })?;
        let log_config = LogConfig {
            dir: config.dir.clone(),
            segment_bytes: config.segment_bytes,
            durability: config.durability,
            staged_bytes_max: config.staged_bytes_max,
            checkpoints,
            budget_bytes: config.disk_budget,
        };
        let events = Arc::clone(&tidings);
        let opened = open(log_config, &mut replayer, Arc::new(move |event| events.take(event)))?;
        let shards = replayer.into_shards().map_err(|refused| ServerError::Failed(refused.reason))?;
        Ok((opened, shards))
    };
    // A checkpoint saves time and is never needed: whatever is wrong with one, the log has everything.
    let (OpenedLog { log, recovered }, mut shards) = match attempt(CheckpointUse::Begin) {
        Err(ServerError::Open(OpenError::Checkpoint { file, reason, instead })) => {
            warn_of_checkpoint(&file, &reason);
            attempt(instead)?
        }
        opened => opened?,
    };
    for RefusedCheckpoint { file, reason } in &recovered.refused_checkpoints {
        warn_of_checkpoint(file, reason);
    }
    if let Some(used) = &recovered.checkpoint {
        tracing::info!(
            file = %used.file.display(), bytes = used.bytes, skipped_bytes = used.skipped_bytes,
            "began from a checkpoint; older segments of the log were not read"
        );
    }
    if recovered.boot > BOOT_MAX {
        return Err(ServerError::Boots { dir: config.dir.clone() });
    }
    if let Some(torn) = &recovered.torn {
        tracing::warn!(
            file = %torn.file.display(), offset = torn.offset, lsn = torn.lsn,
            "cut an unfinished write off the end of the log; nothing in it was ever acknowledged as durable"
        );
    }
    if recovered.lost > 0 {
        tracing::warn!(
            records = recovered.lost,
            "a repair has written off records of this log; `stanchion check` tells which"
        );
    }
    tracing::info!(
        dir = %config.dir.display(), boot = recovered.boot, records = recovered.records, bytes = recovered.bytes,
        clean = recovered.clean, elapsed_ms = begun.elapsed().as_millis() as u64, "log recovered"
    );
    for shard in &mut shards {
        shard.set_boot(recovered.boot);
    }
    let parts = LaneParts {
        log,
        tidings,
        hub,
        shards,
        durability: config.durability,
        memory_bytes_max: config.memory_bytes_max,
        time,
        checkpoint: recovered.checkpoint.map(|used| WrittenCheckpoint { from: used.from, bytes: used.bytes }),
        segment_bytes: config.segment_bytes,
    };
    let lane = Lane::new(parts, seed);
    boot(&lane, config)?;
    // Before the first push, which may be one too many.
    lane.take_stock();
    Ok(lane)
}

/// A checkpoint is of no use.
fn warn_of_checkpoint(file: &Path, reason: &str) {
    tracing::warn!(file = %file.display(), reason, "a checkpoint cannot be used; the log is read as a whole");
}

/// Stages and applies the first event of this run, after which no lease ends sooner than the grace.
fn boot(lane: &Lane, config: &Config) -> Result<(), ServerError> {
    let now = Now { ms: lane.clock.now_ms(), entropy: 0 };
    let mut body = Vec::new();
    Shard::boot_event(now, config.lease_grace.as_millis() as u64, &mut body);
    let mut records = Records::new();
    records.begin(0, EVENTS).extend_from_slice(&body);
    records.end();
    let lsn = lane.log.stage(&mut records).last;
    for index in 0..lane.shard_count() {
        let mut state = lane.shard(index).state.lock();
        for part in Shard::parts(&body) {
            let (_, part) = part.map_err(|damaged| ServerError::Failed(damaged.to_string()))?;
            state.engine.replay(lsn, part).map_err(|damaged| ServerError::Failed(damaged.to_string()))?;
        }
        state.last_ms = now.ms;
    }
    Ok(())
}
