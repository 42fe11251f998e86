//! What a run has found, and what follows from it, as tables that can be pasted.

use anyhow::Result;
use serde_json::{Value, json};
use stanchion_bench::stats::Spread;
use stanchion_bench::table::table;

use crate::report::say;
use crate::scale::model::{DurableForecast, DurableJob, Forecast, Machine, Setup, Visit, line_through};
use crate::scale::parts::{DOOR_THREADS, Parts};
use crate::scale::side::{THREADS, Taken};
use crate::scale::{Durable, Loaded, median};

/// As many as a server may have: what an operator can set.
const SHARDS_MAX: usize = 256;

/// Connections that wait for the disk, ahead of what was measured.
const DURABLE_AHEAD: [usize; 3] = [64, 1_000, 10_000];

fn queues(count: usize) -> String {
    if count == 1 { "one queue".to_owned() } else { format!("{count} queues") }
}

fn spread(rounds: &[Taken], read: impl Fn(&Taken) -> f64) -> Spread {
    Spread::of(rounds.iter().map(read))
}

/// What a job takes of the server with two threads, over what it takes with one, round by round.
fn ratio(rounds: &[Vec<Taken>; 2]) -> Spread {
    let [one, two] = rounds;
    Spread::of(one.iter().zip(two).map(|(one, two)| two.server_us / one.server_us))
}

/// Jobs a second, as people read them.
fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate.is_infinite() => "-".to_owned(),
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate => format!("{:.0} k", rate / 1e3),
    }
}

/// One thread and two.
pub(crate) fn threads(loaded: &[Loaded]) -> Result<()> {
    let header = [
        "never synced",
        "threads",
        "jobs/s",
        "server µs/job",
        "connections' µs",
        "in laps µs",
        "writer µs",
        "client µs",
        "CPU 2 / 1",
    ];
    let mut table = table(&header);
    for load in loaded {
        for (threads, rounds) in THREADS.into_iter().zip(&load.rounds) {
            let of = |read: fn(&Taken) -> f64| spread(rounds, read).median;
            table.add_row([
                format!("{}, {}", load.way, queues(load.queues)),
                threads.to_string(),
                format!("{:.0}", of(|taken| taken.jobs_per_second)),
                format!("{:.2}", spread(rounds, |taken| taken.server_us)),
                format!("{:.2}", of(Taken::threads_us)),
                format!("{:.2}", of(Taken::laps_us)),
                format!("{:.2}", of(Taken::writer_us)),
                format!("{:.2}", of(|taken| taken.client_us)),
                if threads == 1 { String::new() } else { format!("{:.2}", ratio(&load.rounds)) },
            ]);
        }
    }
    say(format!("\n{table}"))
}

/// The same when each reply waits for the disk.
pub(crate) fn durable(durable: &[Durable]) -> Result<()> {
    let header = [
        "always synced, depth 1",
        "threads",
        "jobs/s",
        "server µs/job",
        "connections' µs",
        "writer µs",
        "jobs/sync",
        "µs/sync",
        "CPU 2 / 1",
    ];
    let mut table = table(&header);
    for load in durable {
        for (threads, rounds) in THREADS.into_iter().zip(&load.rounds) {
            table.add_row([
                format!("{} connections", load.connections),
                threads.to_string(),
                format!("{:.0}", spread(rounds, |taken| taken.jobs_per_second)),
                format!("{:.1}", spread(rounds, |taken| taken.server_us)),
                format!("{:.1}", spread(rounds, Taken::threads_us).median),
                format!("{:.1}", spread(rounds, Taken::writer_us).median),
                format!("{:.1}", 1.0 / spread(rounds, |taken| taken.syncs).median),
                format!("{:.0}", spread(rounds, |taken| taken.sync_us).median),
                if threads == 1 { String::new() } else { format!("{:.2}", ratio(&load.rounds)) },
            ]);
        }
    }
    let (job_us, sync_us) = writer_costs(durable);
    say(format!(
        "\n{table}\nthe writer's CPU by least squares: {sync_us:.0} µs a sync, and {job_us:.1} µs a job to seal, write and wake"
    ))
}

/// The parts one by one, and what each lets through at most.
pub(crate) fn parts(parts: &Parts, loaded: &[Loaded]) -> Result<()> {
    let mut table = table(&["only one thread at a time", "measured", "at most"]);
    let ns = |spread: Spread| format!("{spread:.0} ns");
    table.add_row([
        "shard lock: the engine's part of a job".to_owned(),
        ns(parts.engine_alone_ns),
        format!("{} jobs/s a shard", rate(1e9 / parts.engine_alone_ns.median)),
    ]);
    for load in loaded.iter().filter(|load| load.queues == 1) {
        let laps = spread(&load.rounds[0], Taken::laps_us);
        table.add_row([
            format!("shard lock: as it is held, {}", load.way),
            format!("{laps:.2} µs a job"),
            format!("{} jobs/s a queue", rate(1e6 / laps.median)),
        ]);
    }
    table.add_row([
        "staging lock: next to nothing".to_owned(),
        ns(parts.staging_small_ns),
        format!("{} holds/s", rate(1e9 / parts.staging_small_ns.median)),
    ]);
    table.add_row([
        "staging lock: each KiB more".to_owned(),
        format!("{:.0} ns", parts.staging_kib_ns()),
        format!("{:.1} GB/s", 1024.0 / parts.staging_kib_ns()),
    ]);
    for load in loaded.iter().filter(|load| load.queues > 1) {
        let writer = spread(&load.rounds[0], Taken::writer_us);
        table.add_row([
            format!("log's writer: {}", load.way),
            format!("{writer:.2} µs a job"),
            format!("{} jobs/s", rate(1e6 / writer.median)),
        ]);
    }
    table.add_row([
        "accepting a connection".to_owned(),
        format!("{:.1} µs", parts.visit.accept_us),
        format!("{} a second", rate(1e6 / parts.visit.accept_us)),
    ]);
    say(format!("\n{table}"))?;
    say(format!(
        "a visit: {:.1} µs with one thread; with {DOOR_THREADS} of them {:.1} µs of the first and {:.1} of the others\n\
         a cache line comes from the other core in {:.0} ns\n\
         sleeping for a lock and being woken takes {:.1} µs of CPU\n\
         the engine's part of a job: {:.0} ns alone, {:.0} with as much beside it that shares nothing, {:.0} when the queue \
         was on the other core before",
        parts.visit_alone_us,
        parts.visit_first_us,
        parts.visit_further_us,
        parts.line_ns,
        parts.handover_us,
        parts.engine_alone_ns,
        parts.engine_beside_ns,
        parts.engine_moved_ns,
    ))
}

/// What the model says of two threads here, from what one took, beside what two took.
pub(crate) fn check(loaded: &[Loaded], machine: &Machine, cores: usize) -> Result<()> {
    let mut table =
        table(&["two threads here", "jobs/s forecast", "measured", "CPU 2 / 1 forecast", "measured"]);
    for load in loaded {
        let (job, client_us) = (load.job(), median(load.rounds[0].iter(), |taken| taken.client_us));
        let shards = load.setup(2, Setup::by_default(cores).shards).shards;
        let (forecast, jobs) = Forecast::of_two(&job, machine, shards, cores, client_us);
        table.add_row([
            format!("{}, {}", load.way, queues(load.queues)),
            format!("{jobs:.0}"),
            format!("{:.0}", spread(&load.rounds[1], |taken| taken.jobs_per_second)),
            format!("{:.2}", forecast.server_us / job.server_us()),
            format!("{:.2}", ratio(&load.rounds)),
        ]);
    }
    say(format!("\n{table}"))
}

/// What the server would do with more cores, the load being elsewhere.
pub(crate) fn forecast(loaded: &[Loaded], machine: &Machine, cores: &[usize]) -> Result<()> {
    let header = [
        "jobs/s at most",
        "cores",
        "threads",
        "shards",
        "processors",
        "shard locks",
        "staging",
        "writer",
        "line",
        "wall",
    ];
    let mut table = table(&header);
    for load in loaded {
        for &cores in cores {
            let by_default = Setup::by_default(cores);
            let mut setups = vec![load.setup(by_default.threads, by_default.shards)];
            if load.queues > 1 && by_default.threads > 1 && by_default.shards < SHARDS_MAX {
                setups.push(load.setup(by_default.threads, SHARDS_MAX));
            }
            for setup in setups {
                let forecast = Forecast::of(&load.job(), machine, setup);
                table.add_row([
                    // The load has few, but what it takes is what many take.
                    format!("{}, {}", load.way, if load.queues == 1 { "one queue" } else { "many queues" }),
                    cores.to_string(),
                    setup.threads.to_string(),
                    if load.queues == 1 { "its own".to_owned() } else { setup.shards.to_string() },
                    rate(forecast.processors),
                    rate(forecast.shards),
                    rate(forecast.staging),
                    rate(forecast.writer),
                    rate(forecast.line),
                    format!("{}: {}", rate(forecast.jobs_per_second()), forecast.wall()),
                ]);
            }
        }
    }
    say(format!("\n{table}"))
}

/// The same when each reply waits for the disk.
pub(crate) fn durable_forecast(durable: &[Durable], cores: &[usize]) -> Result<()> {
    let Some(most) = durable.last() else { return Ok(()) };
    let of = |read: fn(&Taken) -> f64| spread(&most.rounds[0], read).median;
    let (writer_us, _) = writer_costs(durable);
    // The fastest, for here the writer also waits for a core: it shares them with the load.
    let rounds = durable.iter().flat_map(|load| &load.rounds[0]);
    let sync_us = Spread::of(rounds.map(|taken| taken.sync_us)).low;
    let job = DurableJob { thread_us: of(Taken::threads_us), writer_us, sync_us };
    let header = ["jobs/s at most, always", "cores", "threads", "processors", "disk", "writer", "wall"];
    let mut table = table(&header);
    for connections in DURABLE_AHEAD {
        for &cores in cores {
            let threads = Setup::by_default(cores).threads;
            let forecast = DurableForecast::of(&job, threads, connections);
            table.add_row([
                format!("{connections} connections"),
                cores.to_string(),
                threads.to_string(),
                rate(forecast.processors),
                rate(forecast.disk),
                rate(forecast.writer),
                format!("{}: {}", rate(forecast.jobs_per_second()), forecast.wall()),
            ]);
        }
    }
    say(format!("\n{table}"))
}

/// CPU of the writer for a job and for a sync, from loads that share a sync among few jobs and among many.
fn writer_costs(durable: &[Durable]) -> (f64, f64) {
    let rounds = durable.iter().flat_map(|load| &load.rounds[0]);
    line_through(&rounds.map(|taken| (taken.syncs, taken.writer_us())).collect::<Vec<_>>())
}

/// Connections that come and go.
pub(crate) fn visits(visit: &Visit, cores: &[usize]) -> Result<()> {
    let mut table =
        table(&["visits a second at most", "cores", "threads", "one accepts", "each accepts its own"]);
    for &cores in cores {
        let threads = Setup::by_default(cores).threads;
        table.add_row([
            "connect, PING, close".to_owned(),
            cores.to_string(),
            threads.to_string(),
            rate(visit.per_second(threads)),
            rate(visit.per_second_with_doors(threads)),
        ]);
    }
    say(format!("\n{table}"))
}

/// All that was measured, for machines.
pub(crate) fn json(loaded: &[Loaded], durable: &[Durable], parts: &Parts) -> Value {
    let sides = |rounds: &[Vec<Taken>; 2]| -> Value {
        let sides = THREADS.into_iter().zip(rounds).map(|(threads, rounds)| {
            json!({
                "threads": threads,
                "jobs-per-second": spread(rounds, |taken| taken.jobs_per_second).json(),
                "server-us": spread(rounds, |taken| taken.server_us).json(),
                "connections-us": spread(rounds, Taken::threads_us).json(),
                "laps-us": spread(rounds, Taken::laps_us).json(),
                "writer-us": spread(rounds, Taken::writer_us).json(),
                "client-us": spread(rounds, |taken| taken.client_us).json(),
                "syncs": spread(rounds, |taken| taken.syncs).json(),
                "sync-us": spread(rounds, |taken| taken.sync_us).json(),
            })
        });
        sides.collect()
    };
    let loads = loaded.iter().map(|load| {
        let log_kib = load.job().log_kib;
        json!({ "way": load.way, "queues": load.queues, "log-kib": log_kib, "sides": sides(&load.rounds) })
    });
    let (durable_job_us, sync_us) = writer_costs(durable);
    let waiting =
        durable.iter().map(|load| json!({ "connections": load.connections, "sides": sides(&load.rounds) }));
    json!({
        "loads": loads.collect::<Vec<_>>(),
        "durable": waiting.collect::<Vec<_>>(),
        "writer-us-per-durable-job": durable_job_us,
        "writer-us-per-sync": sync_us,
        "staging-small-ns": parts.staging_small_ns.json(),
        "staging-large-ns": parts.staging_large_ns.json(),
        "line-ns": parts.line_ns.json(),
        "handover-us": parts.handover_us.json(),
        "engine-alone-ns": parts.engine_alone_ns.json(),
        "engine-beside-ns": parts.engine_beside_ns.json(),
        "engine-moved-ns": parts.engine_moved_ns.json(),
        "accept-us": parts.visit.accept_us,
        "serve-us": parts.visit.serve_us,
    })
}
