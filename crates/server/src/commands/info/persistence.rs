//! INFO persistence: the log, in the words of Redis's append-only file.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::save;
use super::{line, sum_shards, zeros};
use crate::lifecycle::Phase;
use crate::turn::Turn;

pub(super) fn persistence(turn: &mut Turn<'_, '_>, out: &mut String) {
    let loading = turn.holds.is_none();
    line(out, "loading", u8::from(loading));
    // There are no snapshots and no forks: the log is all there is, and it is never rewritten as a whole.
    zeros(out, &["async_loading", "rdb_bgsave_in_progress"]);
    line(out, "rdb_last_save_time", save::last_secs(turn.server));
    line(out, "rdb_last_bgsave_status", "ok");
    line(out, "rdb_last_bgsave_time_sec", -1);
    line(out, "rdb_current_bgsave_time_sec", -1);
    zeros(out, &["rdb_saves", "rdb_last_cow_size"]);
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
    line(out, "log_disk_full", u8::from(turn.lane().log.is_disk_full()));
}
