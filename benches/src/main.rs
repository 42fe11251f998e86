//! End-to-end benches of the real processes: what Stanchion costs, beside the Lua queue that it replaces.
//!
//! Figures of two servers are comparable only from one run on one machine, so every bench starts both. What
//! each one measures, and the figures of a known machine, are in `docs/benchmarks.md`.

mod binary;
mod connections;
mod contenders;
mod cost;
mod durable;
mod engine;
mod idle;
mod pushes;
mod report;
mod runner;
mod scale;
mod setting;
mod smoke;
mod storage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::setting::Setting;

/// The server's allocator, so that the engine is measured as it runs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benches of the real server processes.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,

    /// The Stanchion server to measure, instead of building this workspace's.
    #[arg(long, global = true, value_name = "FILE")]
    server: Option<PathBuf>,

    /// Where the servers keep their data; must be on a disk.
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,

    /// How often each measurement is repeated.
    #[arg(long, global = true, value_name = "N", default_value_t = 5, value_parser = 1..=100)]
    rounds: i64,

    /// How long one measurement lasts.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,

    /// Also writes the figures to this file.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Exits non-zero when a bar is missed.
    #[arg(long, global = true)]
    check: bool,
}

#[derive(Clone, Subcommand)]
enum Bench {
    /// Server CPU per job.
    Cost(cost::Sharing),
    /// Jobs per second when every reply waits for the disk.
    Durable,
    /// CPU of a server where everybody waits.
    Idle,
    /// Time to the first reply, and what idle connections take.
    Connections,
    /// Memory, log, starts, churn and latency, beside Redis and beanstalkd. Takes half an hour, and 8 GB of memory.
    Storage(storage::Size),
    /// The runner: processes per job, workers that live on, and a runner without work.
    Runner,
    /// Nanoseconds of the engine alone, in this process.
    Engine(engine::Turns),
    /// From one thread of the server to two, the parts that only one can be in, and what follows for larger machines.
    Scale(scale::Ahead),
    /// Correctness of all of them at a tiny size; no timing.
    Smoke,
    /// A worker of the runner that does nothing.
    #[command(hide = true)]
    Worker,
    /// Cost, durable, idle, connections, runner and engine.
    All,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Nowhere else to say it.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let bench = arguments.bench;
    ensure!(
        matches!(bench, Bench::Smoke | Bench::Worker) || !cfg!(debug_assertions),
        "figures of a debug build mean nothing; use: cargo run --release -p stanchion-benches -- …"
    );
    ensure!(
        (0.1..=600.0).contains(&arguments.seconds),
        "--seconds {} is not between 0.1 and 600",
        arguments.seconds
    );
    let slice = Duration::from_secs_f64(arguments.seconds);
    let rounds = usize::try_from(arguments.rounds)?;
    let setting = || {
        let binary = binary::stanchion(arguments.server.as_deref())?;
        Setting::new(binary, &arguments.dir, rounds, slice)
    };
    let mut report = Report::default();
    match bench {
        Bench::Cost(sharing) => cost::run(&setting()?, sharing, &mut report)?,
        Bench::Durable => durable::run(&setting()?, &mut report)?,
        Bench::Idle => idle::run(&setting()?, &mut report)?,
        Bench::Connections => connections::run(&setting()?, &mut report)?,
        Bench::Storage(size) => storage::run(&setting()?, size, &mut report)?,
        Bench::Runner => runner::run(&setting()?, &mut report)?,
        Bench::Worker => runner::worker::run()?,
        Bench::Engine(turns) => engine::run(&turns, rounds, slice, &mut report)?,
        Bench::Scale(ahead) => scale::run(&setting()?, &ahead, &mut report)?,
        Bench::Smoke => smoke::run(&setting()?)?,
        Bench::All => {
            let setting = setting()?;
            cost::run(&setting, cost::Sharing::default(), &mut report)?;
            durable::run(&setting, &mut report)?;
            idle::run(&setting, &mut report)?;
            connections::run(&setting, &mut report)?;
            runner::run(&setting, &mut report)?;
            engine::run(&engine::Turns::default(), rounds, slice, &mut report)?;
        }
    }
    let missed = report.verdict()?;
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    Ok(if arguments.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
