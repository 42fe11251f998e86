//! Memory, the log and its checkpoints, and the space that is left for them.

use std::time::{SystemTime, UNIX_EPOCH};

use stanchion_status::{Kind, Metric, Samples};

use super::flag;
use super::seen::Seen;
use super::survey::Survey;
use crate::checkpoint;
use crate::lane::{Lane, SPACES};
use crate::sync_times::SYNC_ENDS;

pub(super) const METRICS: &[Metric<Seen>] = &[
    Metric::new(
        "stanchion_memory_used_bytes",
        Kind::Gauge,
        &[],
        "Memory that the process asked for and touched: heap and stacks.",
        |seen, samples| samples.add(&[], seen.memory.used as f64),
    ),
    Metric::new(
        "stanchion_memory_budget_bytes",
        Kind::Gauge,
        &[],
        "maxmemory, for jobs and their payloads; 0 without a limit.",
        |seen, samples| samples.add(&[], seen.server.memory_bytes_max() as f64),
    ),
    Metric::new(
        "stanchion_memory_jobs_bytes",
        Kind::Gauge,
        &[],
        "What jobs take of it beside their payloads, which can go to the log; without a limit nobody measures it.",
        |seen, samples| {
            let is_measured = |lane: &Lane| lane.memory.bytes_max() > 0;
            let lane = seen.lane().map(|(lane, _)| lane).filter(|lane| is_measured(lane));
            samples.some(lane.map(|lane| lane.memory.jobs_bytes() as f64));
        },
    ),
    Metric::new(
        "stanchion_memory_full",
        Kind::Gauge,
        &[],
        "1 while jobs alone take all of maxmemory, and pushes are refused.",
        |seen, samples| of_lane(seen, samples, |lane, _| flag(lane.memory.is_full())),
    ),
    Metric::new(
        "stanchion_payload_bytes",
        Kind::Gauge,
        &["place"],
        "Payloads that are in memory, and those that are only in the log.",
        |seen, samples| {
            if let Some(survey) = &seen.survey {
                samples.add(&[("place", "memory")], survey.payloads.here as f64);
                samples.add(&[("place", "log")], survey.payloads.logged as f64);
            }
        },
    ),
    Metric::new(
        "stanchion_payload_cache_bytes",
        Kind::Gauge,
        &[],
        "Pieces of the log that are kept in memory for payloads to come.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.payloads.figures().bytes as f64),
    ),
    Metric::new(
        "stanchion_payload_reads_total",
        Kind::Counter,
        &["from"],
        "Payloads of replies that were not in memory, found in the cache or read from the log.",
        |seen, samples| {
            if let Some((lane, _)) = seen.lane() {
                let figures = lane.payloads.figures();
                samples.add(&[("from", "cache")], figures.hits as f64);
                samples.add(&[("from", "log")], figures.misses as f64);
            }
        },
    ),
    Metric::new("stanchion_log_bytes", Kind::Gauge, &[], "The log.", |seen, samples| {
        of_lane(seen, samples, |lane, _| lane.log.bytes() as f64);
    }),
    Metric::new(
        "stanchion_log_live_bytes",
        Kind::Gauge,
        &[],
        "What of the log is still needed.",
        |seen, samples| of_lane(seen, samples, |_, survey| survey.live_bytes as f64),
    ),
    Metric::new(
        "stanchion_log_file_bytes",
        Kind::Gauge,
        &[],
        "The size of its segments and of the files for further ones.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.log.room().file_bytes as f64),
    ),
    Metric::new("stanchion_log_segments", Kind::Gauge, &[], "Segments that are full.", |seen, samples| {
        of_lane(seen, samples, |lane, _| lane.log.sealed().len() as f64);
    }),
    Metric::new(
        "stanchion_log_unsynced_records",
        Kind::Gauge,
        &[],
        "Records that are not known to be on the disk.",
        |seen, samples| {
            of_lane(seen, samples, |lane, _| {
                (lane.log.next_lsn() - 1).saturating_sub(lane.log.durable()) as f64
            });
        },
    ),
    Metric::new(
        "stanchion_log_sync_seconds",
        Kind::Histogram,
        &[],
        "How long syncs of the log took; replies wait for them under durability always.",
        |seen, samples| {
            let times = &seen.server.tidings.sync_times;
            samples.histogram(&[], &SYNC_ENDS, &times.counts(), times.sum().as_secs_f64());
        },
    ),
    Metric::new(
        "stanchion_log_appended_bytes_total",
        Kind::Counter,
        &[],
        "Bytes that commands and timers wrote to the log.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.written_bytes().0 as f64),
    ),
    Metric::new(
        "stanchion_log_rewritten_bytes_total",
        Kind::Counter,
        &[],
        "Bytes that reclaiming wrote again.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.written_bytes().1 as f64),
    ),
    Metric::new(
        "stanchion_log_write_amplification",
        Kind::Gauge,
        &[],
        "Both of them together to the first, since the start.",
        |seen, samples| {
            of_lane(seen, samples, |lane, _| {
                let (appended, rewritten) = lane.written_bytes();
                (appended + rewritten) as f64 / appended.max(1) as f64
            });
        },
    ),
    Metric::new(
        "stanchion_disk_space",
        Kind::Gauge,
        &["level"],
        "1 for the level of space: ample, low (the reserve is near), full (pushes are refused) or exhausted.",
        |seen, samples| {
            if let Some((lane, _)) = seen.lane() {
                let space = lane.log.space();
                for (level, word) in SPACES {
                    samples.add(&[("level", word)], flag(space == level));
                }
            }
        },
    ),
    Metric::new(
        "stanchion_disk_left_bytes",
        Kind::Gauge,
        &[],
        "How much more the log may take, of the disk or of disk-budget.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.log.room().left_bytes as f64),
    ),
    Metric::new(
        "stanchion_disk_reserve_bytes",
        Kind::Gauge,
        &[],
        "What of it is not for pushes.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.log.room().reserve_bytes as f64),
    ),
    Metric::new(
        "stanchion_disk_budget_bytes",
        Kind::Gauge,
        &[],
        "disk-budget; 0 without one.",
        |seen, samples| samples.add(&[], seen.server.config.disk_budget.unwrap_or(0) as f64),
    ),
    Metric::new(
        "stanchion_checkpoint_age_seconds",
        Kind::Gauge,
        &[],
        "Since the newest checkpoint was written in this run, or since the start before there is one.",
        |seen, samples| {
            of_lane(seen, samples, |lane, _| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                now.as_secs().saturating_sub(lane.checkpoints.saved_at()) as f64
            });
        },
    ),
    Metric::new(
        "stanchion_checkpoint_bytes",
        Kind::Gauge,
        &[],
        "The size of the newest checkpoint; 0 without one.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.checkpoints.status().bytes as f64),
    ),
    Metric::new(
        "stanchion_checkpoint_replay_bytes",
        Kind::Gauge,
        &[],
        "What a start would read of the log, about.",
        |seen, samples| of_lane(seen, samples, |lane, _| checkpoint::replay_bytes(lane) as f64),
    ),
    Metric::new(
        "stanchion_checkpoints_written_total",
        Kind::Counter,
        &[],
        "Checkpoints that were written.",
        |seen, samples| of_lane(seen, samples, |lane, _| lane.checkpoints.status().written as f64),
    ),
    Metric::new(
        "stanchion_checkpoint_failed",
        Kind::Gauge,
        &[],
        "1 when the last checkpoint could not be written: the next start takes longer.",
        |seen, samples| of_lane(seen, samples, |lane, _| flag(lane.checkpoints.status().has_failed)),
    ),
];

/// One value, once the log is read.
fn of_lane(seen: &Seen, samples: &mut Samples, value: impl Fn(&Lane, &Survey) -> f64) {
    samples.some(seen.lane().map(|(lane, survey)| value(lane, survey)));
}
