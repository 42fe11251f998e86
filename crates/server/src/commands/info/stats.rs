//! INFO stats, commandstats, errorstats and latencystats.

use std::time::Instant;

use super::{line, zeros};
use crate::acl::Reason;
use crate::stats::CommandTotal;
use crate::turn::Turn;

/// The percentiles that latencystats shows, with their names: Redis's default.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

pub(super) fn stats(turn: &mut Turn<'_, '_>, out: &mut String) {
    let server = turn.server;
    let (traffic, rates) = (server.traffic.totals(), server.stats.per_second(Instant::now()));
    let kib = |bytes: f64| format!("{:.2}", bytes / 1_024.0);
    line(out, "total_connections_received", server.clients.accepted_lately());
    line(out, "total_commands_processed", server.stats.calls());
    line(out, "instantaneous_ops_per_sec", rates.commands.round() as u64);
    line(out, "total_net_input_bytes", traffic.read);
    line(out, "total_net_output_bytes", traffic.written);
    zeros(out, &["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    line(out, "instantaneous_input_kbps", kib(rates.read));
    line(out, "instantaneous_output_kbps", kib(rates.written));
    line(out, "rejected_connections", server.clients.refused());
    line(out, "client_output_buffer_limit_disconnections", server.disconnects.too_slow());
    zeros(out, &["sync_full", "sync_partial_ok", "sync_partial_err"]);
    // Nothing is evicted, and no key has a time to live; jobs that expire are in QSTATS.
    zeros(out, &["expired_keys", "evicted_keys", "evicted_clients"]);
    line(out, "pubsub_channels", server.hub.channels());
    line(out, "pubsub_patterns", server.hub.patterns());
    zeros(out, &["pubsubshard_channels"]);
    for reason in Reason::ALL {
        line(out, &format!("acl_access_denied_{}", reason.info_word()), server.acl.log.count(reason));
    }
    zeros(out, &["latest_fork_usec", "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys"]);
    zeros(out, &["active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits"]);
    zeros(out, &["active_defrag_key_misses", "tracking_total_keys", "tracking_total_items"]);
    zeros(out, &["tracking_total_prefixes", "unexpected_error_replies"]);
    line(out, "total_error_replies", server.errors.totals().map(|(_, count)| count).sum::<u64>());
    line(out, "total_reads_processed", traffic.reads);
    line(out, "total_writes_processed", traffic.writes);
}

pub(super) fn command_stats(turn: &mut Turn<'_, '_>, out: &mut String) {
    for total in turn.server.stats.totals() {
        let usec = total.time.as_micros();
        let each = total.time.as_secs_f64() * 1e6 / total.calls.max(1) as f64;
        line(
            out,
            &format!("cmdstat_{}", total.name),
            format_args!(
                "calls={},usec={usec},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
                total.calls, total.rejected, total.failed
            ),
        );
    }
}

pub(super) fn error_stats(turn: &mut Turn<'_, '_>, out: &mut String) {
    for (code, count) in turn.server.errors.totals() {
        line(out, &format!("errorstat_{}", code.word()), format_args!("count={count}"));
    }
}

pub(super) fn latency_stats(turn: &mut Turn<'_, '_>, out: &mut String) {
    for total in turn.server.stats.totals().iter().filter(|total| total.calls > 0) {
        line(out, &format!("latency_percentiles_usec_{}", total.name), percentiles(total));
    }
}

fn percentiles(total: &CommandTotal) -> String {
    let shown = PERCENTILES.map(|(name, quantile)| {
        format!("{name}={:.3}", total.latency.value_at_quantile(quantile) as f64 / 1e3)
    });
    shown.join(",")
}
