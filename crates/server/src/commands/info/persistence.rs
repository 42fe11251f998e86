//! INFO persistence: the log, in the words of Redis's append-only file, and checkpoints, in those of its snapshots.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stanchion_storage::Space;

use super::super::save;
use super::{line, sum_shards, zeros};
use crate::checkpoint;
use crate::lane::SPACES;
use crate::lifecycle::Phase;
use crate::turn::Turn;

pub(super) fn persistence(turn: &mut Turn<'_, '_>, out: &mut String) {
    let loading = turn.holds.is_none();
    line(out, "loading", u8::from(loading));
    zeros(out, &["async_loading"]);
    let status = turn.server.lane().map(|lane| lane.checkpoints.status()).unwrap_or_default();
    let seconds = |time: Option<Duration>| time.map_or(-1, |time| time.as_secs() as i64);
    line(out, "rdb_bgsave_in_progress", u8::from(status.running.is_some()));
    line(out, "rdb_last_save_time", save::last_secs(turn.server));
    line(out, "rdb_last_bgsave_status", if status.has_failed { "err" } else { "ok" });
    line(out, "rdb_last_bgsave_time_sec", seconds(status.took));
    line(out, "rdb_current_bgsave_time_sec", seconds(status.running));
    line(out, "rdb_saves", status.written);
    // Nothing forks, and the log is never rewritten as a whole.
    zeros(out, &["rdb_last_cow_size"]);
    line(out, "aof_enabled", 1);
    zeros(out, &["aof_rewrite_in_progress", "aof_rewrite_scheduled"]);
    line(out, "aof_last_rewrite_time_sec", -1);
    line(out, "aof_current_rewrite_time_sec", -1);
    line(out, "aof_last_bgrewrite_status", "ok");
    zeros(out, &["aof_rewrites", "aof_last_cow_size"]);
    let failed = turn.server.lifecycle.phase() == Phase::Failed;
    line(out, "aof_last_write_status", if failed { "err" } else { "ok" });
    zeros(out, &["module_fork_in_progress"]);
    if loading {
        let state = turn.server.loading.state();
        let begun = SystemTime::now().checked_sub(state.elapsed).unwrap_or(UNIX_EPOCH);
        line(out, "loading_start_time", begun.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        line(out, "loading_total_bytes", state.total_bytes);
        line(out, "loading_loaded_bytes", state.read_bytes);
        line(out, "loading_loaded_perc", format_args!("{:.2}", state.percent()));
        // As Redis has it, 1 while nothing can be said.
        line(out, "loading_eta_seconds", state.left_secs().unwrap_or(1));
        return;
    }
    let log = &turn.lane().log;
    line(out, "aof_current_size", log.bytes());
    line(out, "log_next_lsn", log.next_lsn());
    line(out, "log_durable_lsn", log.durable());
    line(out, "log_segments_sealed", log.sealed().len());
    // What a full snapshot would take.
    line(out, "log_live_bytes", sum_shards(turn, |shard| shard.live_bytes()));
    line(out, "checkpoint_lsn", status.from);
    line(out, "checkpoint_bytes", status.bytes);
    // What a start would read of the log.
    line(out, "checkpoint_replay_bytes", checkpoint::replay_bytes(turn.lane()));
    let lane = turn.lane();
    let (appended, rewritten) = lane.written_bytes();
    line(out, "log_appended_bytes", appended);
    line(out, "log_rewritten_bytes", rewritten);
    let amplification = (appended + rewritten) as f64 / appended.max(1) as f64;
    line(out, "write_amplification", format_args!("{amplification:.3}"));
    let (space, room) = (lane.log.space(), lane.log.room());
    line(out, "log_disk_full", u8::from(space >= Space::Full));
    line(out, "log_space", space_word(space));
    line(out, "log_left_bytes", room.left_bytes);
    line(out, "log_reserve_bytes", room.reserve_bytes);
    line(out, "log_allocated_bytes", room.allocated_bytes);
    line(out, "log_file_bytes", room.file_bytes);
    line(out, "log_budget_bytes", turn.server.config.disk_budget.unwrap_or(0));
}

fn space_word(space: Space) -> &'static str {
    SPACES.iter().find(|(level, _)| *level == space).map_or("", |(_, word)| word)
}
