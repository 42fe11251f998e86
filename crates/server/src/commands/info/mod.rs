//! INFO: the state of the server in Redis's format, with Redis's names where Redis has one.
//!
//! Dashboards and exporters read these fields by name. Each is true: 0 is written where 0 is the truth, because nothing
//! of the kind exists here, and what can't be known is left out.

mod memory;
mod persistence;
mod stats;

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use stanchion_engine::Counts;
use stanchion_protocol::{Args, Proto};
use stanchion_storage::Durability;

use self::Write::{Alone, WithJobs};
use super::survey::{self, Question};
use super::{Done, upper};
use crate::config::durability_text;
use crate::hold::Hold;
use crate::lane::LANE_NAME;
use crate::limits::LIST_STEP;
use crate::process;
use crate::server::Server;
use crate::turn::Turn;

pub(super) use memory::human;

/// The version of Redis whose replies ours are like: clients sniff it.
pub(super) const REDIS_VERSION: &str = "7.2.4";

/// A section, and who writes it.
struct Section {
    name: &'static str,
    shown: Shown,
    write: Write,
}

/// How a section is written.
#[derive(Clone, Copy)]
enum Write {
    /// By itself.
    Alone(fn(&mut Turn<'_, '_>, &mut String)),
    /// With the jobs of all queues, unless the log is still recovered.
    WithJobs(fn(&mut Turn<'_, '_>, Option<Counts>, &mut String)),
}

/// When a section is shown that is not asked for by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// By `INFO everything`.
    Everything,
    /// By `INFO all`, too.
    All,
    /// By INFO without a word, too.
    Default,
}

/// The sections in the order in which they are shown.
const SECTIONS: &[Section] = &[
    Section { name: "Server", shown: Shown::Default, write: Alone(server) },
    Section { name: "Clients", shown: Shown::Default, write: Alone(clients) },
    Section { name: "Memory", shown: Shown::Default, write: Alone(memory::memory) },
    Section { name: "Persistence", shown: Shown::Default, write: Alone(persistence::persistence) },
    Section { name: "Stats", shown: Shown::Default, write: Alone(stats::stats) },
    Section { name: "Replication", shown: Shown::Default, write: Alone(replication) },
    Section { name: "CPU", shown: Shown::Default, write: Alone(cpu) },
    // There are none, but clients look for the section.
    Section { name: "Modules", shown: Shown::Everything, write: Alone(|_, _| {}) },
    Section { name: "Commandstats", shown: Shown::All, write: Alone(stats::command_stats) },
    Section { name: "Errorstats", shown: Shown::Default, write: Alone(stats::error_stats) },
    Section { name: "Latencystats", shown: Shown::All, write: Alone(stats::latency_stats) },
    Section {
        name: "Cluster",
        shown: Shown::Default,
        write: Alone(|_, out| line(out, "cluster_enabled", 0)),
    },
    Section { name: "Keyspace", shown: Shown::Default, write: Alone(keyspace) },
    Section { name: "Stanchion", shown: Shown::Default, write: WithJobs(stanchion) },
];

/// INFO.
struct Info {
    sections: Vec<&'static Section>,
    jobs: Counts,
}

/// INFO [section ...]: in steps, where the jobs of all queues are wanted.
pub(super) fn info(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let wanted: Vec<_> = args.skip(1).iter().map(upper).collect();
    let is_shown = |section: &&Section| {
        let is_meant = |word: &str| match word {
            "EVERYTHING" => true,
            "ALL" => section.shown >= Shown::All,
            "DEFAULT" => section.shown == Shown::Default,
            word => section.name.eq_ignore_ascii_case(word),
        };
        match wanted.as_slice() {
            [] => section.shown == Shown::Default,
            words => words.iter().any(|word| is_meant(word)),
        }
    };
    let sections: Vec<_> = SECTIONS.iter().filter(is_shown).collect();
    let has_jobs = sections.iter().any(|section| matches!(section.write, WithJobs(_)));
    if has_jobs && turn.holds.is_some() {
        return survey::ask(turn, Info { sections, jobs: Counts::default() });
    }
    write(turn, &sections, None);
    Ok(())
}

impl Question for Info {
    fn look(&mut self, hold: &mut Hold<'_>, cursor: u32, _: Proto) -> u32 {
        let jobs = &mut self.jobs;
        hold.list(cursor, LIST_STEP, &mut |queue| {
            jobs.ready += queue.counts.ready;
            jobs.delayed += queue.counts.delayed;
            jobs.claimed += queue.counts.claimed;
            jobs.dead += queue.counts.dead;
        })
    }

    fn answer(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        write(turn, &self.sections, Some(self.jobs));
        true
    }
}

fn write(turn: &mut Turn<'_, '_>, sections: &[&Section], jobs: Option<Counts>) {
    let mut text = String::new();
    for section in sections {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        _ = write!(text, "# {}\r\n", section.name);
        match section.write {
            Alone(write) => write(turn, &mut text),
            WithJobs(write) => write(turn, jobs, &mut text),
        }
    }
    turn.reply().verbatim(text.as_bytes());
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    _ = write!(out, "{name}:{value}\r\n");
}

/// Fields that are 0 because nothing of the kind exists here.
fn zeros(out: &mut String, names: &[&str]) {
    for name in names {
        line(out, name, 0);
    }
}

fn server(turn: &mut Turn<'_, '_>, out: &mut String) {
    let server = turn.server;
    let uptime = server.started.elapsed().as_secs();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_default();
    line(out, "redis_version", REDIS_VERSION);
    line(out, "stanchion_version", env!("CARGO_PKG_VERSION"));
    line(out, "redis_mode", "standalone");
    line(out, "os", process::system_name());
    line(out, "arch_bits", usize::BITS);
    line(out, "multiplexing_api", "epoll");
    line(out, "process_id", std::process::id());
    line(out, "process_supervised", "no");
    line(out, "run_id", &server.run_id);
    let ports = server.ports();
    line(out, "tcp_port", if ports.plain == 0 { ports.tls } else { ports.plain });
    line(out, "server_time_usec", now.as_micros());
    line(out, "uptime_in_seconds", uptime);
    line(out, "uptime_in_days", uptime / 86_400);
    line(out, "executable", program.display());
    line(out, "config_file", server.config.file.as_deref().unwrap_or(std::path::Path::new("")).display());
}

fn clients(turn: &mut Turn<'_, '_>, out: &mut String) {
    let clients = &turn.server.clients;
    line(out, "connected_clients", clients.connected());
    zeros(out, &["cluster_connections"]);
    line(out, "maxclients", turn.server.live.clients_max());
    line(out, "blocked_clients", clients.blocked());
    zeros(out, &["tracking_clients"]);
}

fn replication(_: &mut Turn<'_, '_>, out: &mut String) {
    line(out, "role", "master");
    line(out, "connected_slaves", 0);
    line(out, "master_failover_state", "no-failover");
    // Nothing is replicated, so nothing is counted.
    zeros(out, &["master_repl_offset"]);
    line(out, "second_repl_offset", -1);
    zeros(out, &["repl_backlog_active", "repl_backlog_first_byte_offset", "repl_backlog_histlen"]);
}

fn cpu(_: &mut Turn<'_, '_>, out: &mut String) {
    let cpu = process::cpu();
    for (name, time) in [
        ("used_cpu_sys", cpu.system),
        ("used_cpu_user", cpu.user),
        ("used_cpu_sys_children", cpu.system_children),
        ("used_cpu_user_children", cpu.user_children),
    ] {
        line(out, name, format_args!("{:.6}", time.as_secs_f64()));
    }
}

fn keyspace(turn: &mut Turn<'_, '_>, out: &mut String) {
    let queues = sum_shards(turn, |shard| shard.queues());
    if queues > 0 {
        line(out, "db0", format_args!("keys={queues},expires=0,avg_ttl=0"));
    }
}

fn stanchion(turn: &mut Turn<'_, '_>, jobs: Option<Counts>, out: &mut String) {
    let server: &Server = turn.server;
    line(out, "phase", format_args!("{:?}", server.lifecycle.phase()).to_string().to_lowercase());
    line(out, "lane", LANE_NAME);
    line(out, "shards", server.config.shards);
    line(out, "threads", server.config.threads);
    line(out, "durability", durability_text(server.config.durability));
    line(out, "syncs_every_reply", u8::from(server.config.durability == Durability::Always));
    line(out, "job_events_lost", server.hub.lost());
    let (workers, told) = server.workers.counts();
    line(out, "workers", workers);
    line(out, "workers_quiet_or_stopping", told);
    line(out, "workers_lost", server.workers.lost());
    let Some(jobs) = jobs else { return };
    payloads(turn, out);
    line(out, "jobs_ready", jobs.ready);
    line(out, "jobs_delayed", jobs.delayed);
    line(out, "jobs_claimed", jobs.claimed);
    line(out, "jobs_dead", jobs.dead);
}

/// Where the bytes of payloads are, and what those cost that are only in the log.
fn payloads(turn: &mut Turn<'_, '_>, out: &mut String) {
    line(out, "payload_bytes_in_memory", sum_shards(turn, |shard| shard.payload_bytes().here));
    line(out, "payload_bytes_in_log", sum_shards(turn, |shard| shard.payload_bytes().logged));
    let cache = turn.lane().payloads.figures();
    line(out, "payload_cache_bytes", cache.bytes);
    line(out, "payload_cache_hits", cache.hits);
    line(out, "payload_cache_misses", cache.misses);
    line(out, "memory_full", u8::from(turn.lane().memory.is_full()));
}

/// Adds something up over all shards; 0 while the log is recovered.
pub(super) fn sum_shards(turn: &mut Turn<'_, '_>, count: impl Fn(&stanchion_engine::Shard) -> u64) -> u64 {
    if turn.holds.is_none() {
        return 0;
    }
    let (holds, _, outbox) = turn.parts();
    let mut sum = 0;
    for shard in 0..holds.lane().shard_count() {
        holds.enter_shard(shard, outbox);
        sum += count(holds.hold().engine());
    }
    sum
}
