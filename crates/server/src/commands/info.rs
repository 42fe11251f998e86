//! INFO: the state of the server in Redis's format, with Redis's names where Redis has one.

use std::fmt::Write;
use std::time::Duration;

use stanchion_protocol::Args;
use stanchion_storage::Durability;

use super::browse::for_each_queue;
use super::{Done, upper};
use crate::acl::Reason;
use crate::config::durability_text;
use crate::lane::LANE_NAME;
use crate::lifecycle::Phase;
use crate::server::Server;
use crate::turn::Turn;

/// The version of Redis whose replies ours are like: clients sniff it.
pub(super) const REDIS_VERSION: &str = "7.2.4";

/// A section, and who writes it.
struct Section {
    name: &'static str,
    /// Whether INFO without arguments shows it.
    default: bool,
    write: fn(&mut Turn<'_, '_>, &mut String),
}

/// The sections in the order in which they are shown.
const SECTIONS: &[Section] = &[
    Section { name: "Server", default: true, write: server },
    Section { name: "Clients", default: true, write: clients },
    Section { name: "Memory", default: true, write: memory },
    Section { name: "Persistence", default: true, write: persistence },
    Section { name: "Stats", default: true, write: stats },
    Section { name: "Replication", default: true, write: replication },
    Section { name: "CPU", default: true, write: cpu },
    Section { name: "Commandstats", default: false, write: command_stats },
    Section { name: "Latencystats", default: false, write: latency_stats },
    Section { name: "Cluster", default: true, write: |_, out| line(out, "cluster_enabled", 0) },
    Section { name: "Keyspace", default: true, write: keyspace },
    Section { name: "Stanchion", default: true, write: stanchion },
];

/// INFO [section ...].
pub(super) fn info(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let wanted: Vec<_> = args.skip(1).iter().map(upper).collect();
    let mut text = String::new();
    for section in SECTIONS {
        let shown = match wanted.as_slice() {
            [] => section.default,
            words => words.iter().any(|word| match word.as_str() {
                "ALL" | "EVERYTHING" => true,
                "DEFAULT" => section.default,
                word => section.name.eq_ignore_ascii_case(word),
            }),
        };
        if shown {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            _ = write!(text, "# {}\r\n", section.name);
            (section.write)(turn, &mut text);
        }
    }
    turn.reply().verbatim(text.as_bytes());
    Ok(())
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    _ = write!(out, "{name}:{value}\r\n");
}

fn server(turn: &mut Turn<'_, '_>, out: &mut String) {
    let server = turn.server;
    line(out, "redis_version", REDIS_VERSION);
    line(out, "stanchion_version", env!("CARGO_PKG_VERSION"));
    line(out, "redis_mode", "standalone");
    line(out, "os", std::env::consts::OS);
    line(out, "arch_bits", usize::BITS);
    line(out, "process_id", std::process::id());
    line(out, "run_id", &server.run_id);
    let ports = server.ports();
    line(out, "tcp_port", if ports.plain == 0 { ports.tls } else { ports.plain });
    line(out, "uptime_in_seconds", server.started.elapsed().as_secs());
    line(out, "uptime_in_days", server.started.elapsed().as_secs() / 86_400);
}

fn clients(turn: &mut Turn<'_, '_>, out: &mut String) {
    let clients = &turn.server.clients;
    line(out, "connected_clients", clients.connected());
    line(out, "maxclients", turn.server.live.clients_max());
    line(out, "blocked_clients", clients.blocked());
}

fn memory(_: &mut Turn<'_, '_>, out: &mut String) {
    let rss = proc_status("VmRSS:").unwrap_or(0);
    line(out, "used_memory", rss);
    line(out, "used_memory_rss", rss);
    line(out, "used_memory_peak", proc_status("VmHWM:").unwrap_or(0));
    line(out, "maxmemory", 0);
    line(out, "maxmemory_policy", "noeviction");
}

/// A size in bytes from `/proc/self/status`.
fn proc_status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn persistence(turn: &mut Turn<'_, '_>, out: &mut String) {
    let loading = turn.holds.is_none();
    line(out, "loading", u8::from(loading));
    line(out, "aof_enabled", 1);
    line(
        out,
        "aof_last_write_status",
        if turn.server.lifecycle.phase() == Phase::Failed { "err" } else { "ok" },
    );
    if loading {
        return;
    }
    let lane = turn.lane();
    let log = &lane.log;
    line(out, "aof_current_size", log.bytes());
    line(out, "log_next_lsn", log.next_lsn());
    line(out, "log_durable_lsn", log.durable());
    line(out, "log_segments_sealed", log.sealed().len());
    line(out, "log_live_bytes", live_bytes(turn));
    line(out, "log_disk_full", u8::from(lane.log.is_disk_full()));
}

/// What a full snapshot would take in the log.
fn live_bytes(turn: &mut Turn<'_, '_>) -> u64 {
    let (holds, _, outbox) = turn.parts();
    let mut bytes = 0;
    for shard in 0..holds.lane().shard_count() {
        holds.enter_shard(shard, outbox);
        bytes += holds.hold().engine().live_bytes();
    }
    bytes
}

fn stats(turn: &mut Turn<'_, '_>, out: &mut String) {
    let server = turn.server;
    let commands: u64 = server.stats.totals().iter().map(|total| total.calls).sum();
    line(out, "total_connections_received", server.clients.accepted());
    line(out, "total_commands_processed", commands);
    line(out, "rejected_connections", server.clients.refused());
    line(out, "pubsub_channels", server.hub.channels());
    line(out, "pubsub_patterns", server.hub.patterns());
    line(out, "job_events_lost", server.hub.lost());
    for reason in Reason::ALL {
        line(out, &format!("acl_access_denied_{}", reason.info_word()), server.acl.log.count(reason));
    }
}

fn replication(_: &mut Turn<'_, '_>, out: &mut String) {
    line(out, "role", "master");
    line(out, "connected_slaves", 0);
}

fn cpu(_: &mut Turn<'_, '_>, out: &mut String) {
    let (system, user) = cpu_time();
    line(out, "used_cpu_sys", format_args!("{:.6}", system.as_secs_f64()));
    line(out, "used_cpu_user", format_args!("{:.6}", user.as_secs_f64()));
}

/// The process's CPU time in the kernel and outside of it, from `/proc/self/stat`.
fn cpu_time() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in parentheses, which may hold spaces.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = |nth: usize| {
        let ticks = after_name.split(' ').nth(nth).and_then(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.unwrap_or(0) * 1_000 / rustix::param::clock_ticks_per_second().max(1))
    };
    (ticks(12), ticks(11))
}

fn command_stats(turn: &mut Turn<'_, '_>, out: &mut String) {
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

fn latency_stats(turn: &mut Turn<'_, '_>, out: &mut String) {
    for total in turn.server.stats.totals() {
        let [p50, p99, p999] = total.percentiles_ns.map(|ns| ns as f64 / 1e3);
        line(
            out,
            &format!("latency_percentiles_usec_{}", total.name),
            format_args!("p50={p50:.3},p99={p99:.3},p99.9={p999:.3}"),
        );
    }
}

fn keyspace(turn: &mut Turn<'_, '_>, out: &mut String) {
    if turn.holds.is_none() {
        return;
    }
    let (holds, _, outbox) = turn.parts();
    let mut queues = 0;
    for shard in 0..holds.lane().shard_count() {
        holds.enter_shard(shard, outbox);
        queues += holds.hold().engine().queues();
    }
    if queues > 0 {
        line(out, "db0", format_args!("keys={queues},expires=0,avg_ttl=0"));
    }
}

fn stanchion(turn: &mut Turn<'_, '_>, out: &mut String) {
    let server: &Server = turn.server;
    line(out, "phase", format_args!("{:?}", server.lifecycle.phase()).to_string().to_lowercase());
    line(out, "lane", LANE_NAME);
    line(out, "shards", server.config.shards);
    line(out, "durability", durability_text(server.config.durability));
    line(out, "syncs_every_reply", u8::from(server.config.durability == Durability::Always));
    if turn.holds.is_none() {
        return;
    }
    let mut sum = stanchion_engine::Counts::default();
    for_each_queue(turn, |queue| {
        sum.ready += queue.counts.ready;
        sum.delayed += queue.counts.delayed;
        sum.claimed += queue.counts.claimed;
        sum.dead += queue.counts.dead;
    });
    line(out, "jobs_ready", sum.ready);
    line(out, "jobs_delayed", sum.delayed);
    line(out, "jobs_claimed", sum.claimed);
    line(out, "jobs_dead", sum.dead);
}
