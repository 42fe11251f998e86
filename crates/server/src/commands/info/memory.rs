//! INFO memory.

use super::{line, sum_shards, zeros};
use crate::process;
use crate::turn::Turn;

pub(super) fn memory(turn: &mut Turn<'_, '_>, out: &mut String) {
    let memory = process::memory();
    let total = process::system_memory();
    let with_human = |out: &mut String, name: &str, bytes: u64| {
        line(out, name, bytes);
        line(out, &format!("{name}_human"), human(bytes));
    };
    with_human(out, "used_memory", memory.used);
    with_human(out, "used_memory_rss", memory.resident);
    with_human(out, "used_memory_peak", memory.resident_peak);
    line(out, "used_memory_peak_perc", percent(memory.used, memory.resident_peak));
    // While the log is recovered nobody asks its queues.
    if turn.holds.is_some() {
        let dataset = sum_shards(turn, |shard| shard.memory_bytes()).min(memory.used);
        line(out, "used_memory_overhead", memory.used - dataset);
        line(out, "used_memory_dataset", dataset);
        line(out, "used_memory_dataset_perc", percent(dataset, memory.used));
    }
    with_human(out, "total_system_memory", total);
    zeros(
        out,
        &["used_memory_lua", "used_memory_scripts", "number_of_cached_scripts", "number_of_functions"],
    );
    with_human(out, "maxmemory", turn.server.memory_bytes_max());
    line(out, "maxmemory_policy", "noeviction");
    let ratio = memory.resident as f64 / memory.used.max(1) as f64;
    line(out, "mem_fragmentation_ratio", format_args!("{ratio:.2}"));
    line(out, "mem_fragmentation_bytes", memory.resident.saturating_sub(memory.used));
    zeros(out, &["mem_not_counted_for_evict", "mem_replication_backlog", "mem_clients_slaves"]);
    zeros(out, &["mem_cluster_links", "active_defrag_running", "lazyfree_pending_objects"]);
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// A size as Redis shows it to people.
pub(in crate::commands) fn human(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1 << 10 {
        return format!("{bytes}B");
    }
    let power = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    format!("{:.2}{}", bytes as f64 / f64::from(1 << 10).powi(power as i32), UNITS[power as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_redis_does() {
        let shown = [0, 1_023, 1_024, 941_480, 6_901_760, 25_276_510_208, u64::MAX].map(human);
        assert_eq!(shown, ["0B", "1023B", "1.00K", "919.41K", "6.58M", "23.54G", "16384.00P"]);
    }
}
