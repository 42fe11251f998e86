//! `stanchion bench`: load on a server, and what it costs.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use stanchion_bench::compare::Comparison;
use stanchion_bench::drive::Plan;
use stanchion_bench::fleet::Until;
use stanchion_bench::job::Sizes;
use stanchion_bench::load::{Acks, Crew, Load, Shape};
use stanchion_bench::peer::{PEERS, Peer, Programs};
use stanchion_bench::workload::{Kind, STANDARD, WORKLOADS, Workload};
use stanchion_bench::{Arrivals, Pace};
use stanchion_runner::config::duration;

use crate::{exit, floor};

/// No run is longer.
const SECONDS_MAX: f64 = 7.0 * 24.0 * 3_600.0;

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Load a server that runs, and prove that it loses and doubles no job
    Run(RunArgs),
    /// Start Stanchion and its peers, measure them in turns, and write a report with tables and plots
    Compare(CompareArgs),
    /// Serve pushes, claims and acks from lists, with nothing behind them: the least that a job can cost, to be measured beside
    /// servers that do more
    Floor {
        /// The port, of this machine only
        #[arg(long, value_name = "PORT")]
        port: u16,
        /// Keep each job until its ack, hold its dedupe key until its claim, and write all of it to this file
        #[arg(long, value_name = "FILE")]
        keep: Option<PathBuf>,
    },
}

/// Each peer is started from its package on a free port and a fresh directory. A round measures each of them once; ratios are taken
/// within a round.
#[derive(Debug, Args)]
#[command(after_help = lists())]
struct CompareArgs {
    /// Whom to compare
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', value_parser = PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>(),
        default_values_t = PEERS.iter().map(|peer| peer.name.to_owned()), hide_default_value = true, hide_possible_values = true)]
    peers: Vec<String>,
    /// By what: names of workloads; `standard` is all but the heavy ones, `all` is all
    #[arg(long, value_name = "WORKLOAD,…", value_delimiter = ',', default_value = STANDARD)]
    workloads: Vec<String>,
    /// How often each measurement is repeated
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long one measurement lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, conflicts_with = "jobs")]
    seconds: f64,
    /// Measure for so many jobs instead
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// Of `attack`, the jobs that are purged at once, and a tenth of that is listed; of `fan-out`, the leaves of a root
    #[arg(long, value_name = "JOBS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    size: u64,
    /// Exit with 1 when Stanchion misses a bar; `attack` and `fan-out` have some
    #[arg(long)]
    check: bool,
    /// Where report.md, results.json and the plots go
    #[arg(long, value_name = "DIR", default_value = "bench-report")]
    out: PathBuf,
    /// Where the servers keep their data; should be on a disk [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// BullMQ's client: a copy of crates/bench/bullmq of the source in which `npm ci --ignore-scripts` was run
    #[arg(long, value_name = "DIR", default_value = "crates/bench/bullmq")]
    bullmq: PathBuf,
    /// Fail when a peer is not installed, instead of leaving it out
    #[arg(long)]
    require_all: bool,
}

/// The tables of peers and workloads, for help.
fn lists() -> String {
    let mut text = "Peers, by default all that are installed:\n".to_owned();
    for peer in PEERS {
        text += &format!("  {:<16} {}\n", peer.name, peer.what);
    }
    text += "\nWorkloads; where nothing else is said, 8 connections push, claim and ack jobs of 200 B on one queue:\n";
    for workload in WORKLOADS {
        let heavy = if workload.is_heavy { " (heavy)" } else { "" };
        text += &format!("  {:<16} {}{heavy}\n", workload.name, workload.what);
    }
    text
}

/// One load on one server. Jobs are pushed, claimed and acked; the queues are the load's own and deleted at the end.
#[derive(Debug, Args)]
#[command(
    after_help = "With --rate the loop is open: pushes are due by the schedule, whatever the server does, and each is timed from then. \
    A claim is due when its job can be claimed, an ack when the job is there; `job` is the whole way from the schedule to the \
    answered ack. `late` says by how much the generator itself was behind while a connection was free."
)]
struct RunArgs {
    /// Where the server listens [default: 127.0.0.1 and the peer's port]
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// What the server is
    #[arg(long, value_name = "PEER", default_value = "stanchion", value_parser = PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>())]
    peer: String,
    /// Jobs that are due each second; without it, as fast as the connections get answers
    #[arg(long, value_name = "JOBS/S", value_parser = rate)]
    rate: Option<f64>,
    /// How the jobs of --rate are spread over time
    #[arg(long, value_enum, default_value = "fixed", requires = "rate")]
    arrivals: ArrivalsName,
    /// Of the gaps of `--arrivals poisson`: the same seed gives the same gaps
    #[arg(long, value_name = "N", default_value_t = 1, requires = "rate")]
    seed: u64,
    /// Connections, each of which pushes, claims and acks
    #[arg(long, value_name = "N", default_value_t = 8, conflicts_with_all = ["producers", "consumers"])]
    connections: usize,
    /// Connections that only push
    #[arg(long, value_name = "N", requires = "consumers")]
    producers: Option<usize>,
    /// Connections that only claim and ack
    #[arg(long, value_name = "N", requires = "producers")]
    consumers: Option<usize>,
    /// Commands of a connection under way at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// Jobs of one command; where a peer has no such command, so many in one pipeline
    #[arg(long, value_name = "JOBS", default_value_t = 1)]
    batch: usize,
    /// Queues, over which the jobs take turns
    #[arg(long, value_name = "N", default_value_t = 1)]
    queues: usize,
    /// Groups of each queue, over which the jobs take turns [default: jobs without a group]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    groups: usize,
    /// Bytes of a payload; of several sizes, as in 32,200,65536, the jobs take turns
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "200")]
    payload: Vec<usize>,
    /// Push each job with a dedupe key of its own
    #[arg(long)]
    dedupe: bool,
    /// Jobs may be claimed after this, as in 250ms or 2s; needs --producers and --consumers
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0ms", hide_default_value = true)]
    delay: Duration,
    /// How workers ack: by a command of its own, or with the next claim
    #[arg(long, value_enum, default_value = "alone")]
    acks: AcksName,
    /// Jobs that stand in the queues all the time; pushed before the measurement
    #[arg(long, value_name = "JOBS", default_value_t = 0)]
    backlog: u64,
    /// How long the measurement lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, conflicts_with = "jobs")]
    seconds: f64,
    /// Measure for so many jobs instead
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// The same load for so many seconds before the measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    warm_up: f64,
    /// The names of the load's queues begin with it
    #[arg(long, value_name = "NAME", default_value = "bench")]
    prefix: String,
    /// The server's process, whose CPU is read [default: who listens on ADDRESS, when that is this machine]
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ArrivalsName {
    /// At equal intervals
    Fixed,
    /// As of many clients that don't know each other
    Poisson,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum AcksName {
    /// By a command of its own
    Alone,
    /// With the next claim
    WithClaims,
}

fn rate(word: &str) -> Result<f64, String> {
    let rate = word.parse().ok().filter(|rate: &f64| (0.001..=1e8).contains(rate));
    rate.ok_or_else(|| "it is a number of jobs a second, as in 5000".to_owned())
}

fn time(word: &str) -> Result<Duration, String> {
    duration(word).ok_or_else(|| "it is a whole number and one of ms, s, m, h, d, as in 250ms".to_owned())
}

/// Measures and says what came of it.
pub fn main(args: BenchArgs) -> ExitCode {
    match args.command {
        BenchCommand::Run(args) => run(&args),
        BenchCommand::Compare(args) => compare(&args),
        BenchCommand::Floor { port, keep } => match floor::serve(port, keep.as_deref()) {
            Ok(never) => match never {},
            Err(error) => exit::with_message(exit::FAILURE, format_args!("stanchion bench: {error:#}")),
        },
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(error) => return exit::with_message(exit::USAGE, format_args!("stanchion bench: {error:#}")),
    };
    if cfg!(debug_assertions) {
        tell(format_args!("this is a debug build: its figures mean nothing"));
    }
    let outcome = match plan.run(&mut |line| tell(line)) {
        Ok(outcome) => outcome,
        Err(error) => return exit::with_message(exit::FAILURE, format_args!("stanchion bench: {error:#}")),
    };
    if let Some(file) = &args.json
        && let Err(error) = write_json(file, &outcome.json())
    {
        return exit::with_message(exit::FAILURE, format_args!("stanchion bench: {error:#}"));
    }
    exit::say(outcome);
    ExitCode::SUCCESS
}

fn compare(args: &CompareArgs) -> ExitCode {
    let comparison = match comparison(args) {
        Ok(comparison) => comparison,
        Err(error) => return exit::with_message(exit::USAGE, format_args!("stanchion bench: {error:#}")),
    };
    let missing = comparison.missing();
    for (peer, install) in &missing {
        tell(format_args!("{} is not installed; {install}", peer.name));
    }
    if args.require_all && !missing.is_empty() {
        return exit::with_message(exit::USAGE, "stanchion bench: --require-all: a peer is missing");
    }
    if cfg!(debug_assertions) {
        tell(format_args!("this is a debug build: its figures mean nothing"));
    }
    let written = comparison.run(&mut |line| tell(line)).and_then(|findings| {
        findings.write(&args.out)?;
        Ok(findings)
    });
    let findings = match written {
        Err(error) => return exit::with_message(exit::FAILURE, format_args!("stanchion bench: {error:#}")),
        Ok(findings) => findings,
    };
    exit::say(format_args!("the report is {}", args.out.join("report.md").display()));
    let bars = findings.bars();
    bars.iter().for_each(exit::say);
    let failures = findings.failures();
    if !failures.is_empty() {
        let (count, failures) = (failures.len(), failures.join("\n"));
        return exit::with_message(
            exit::FAILURE,
            format_args!("stanchion bench: {count} measurement(s) failed:\n{failures}"),
        );
    }
    let missed = bars.iter().filter(|bar| !bar.met()).count();
    if args.check && missed > 0 {
        return exit::with_message(
            exit::FAILURE,
            format_args!("stanchion bench: --check: {missed} bar(s) missed"),
        );
    }
    ExitCode::SUCCESS
}

fn comparison(args: &CompareArgs) -> Result<Comparison> {
    check_seconds(args.seconds)?;
    let peers = args.peers.iter().map(|name| Peer::named(name)).collect::<Result<Vec<_>>>()?;
    let workloads = Workload::named(&args.workloads).context("--workloads")?;
    let has_bars = |workload: &&Workload| matches!(workload.kind, Kind::Trial(_));
    ensure!(
        !args.check
            || workloads.iter().any(has_bars) && peers.iter().any(|peer| peer.name == Peer::stanchion().name),
        "--check: Stanchion has no bar in these workloads; attack and fan-out have some"
    );
    Ok(Comparison {
        programs: Programs {
            stanchion: std::env::current_exe().context("where this program is")?,
            bullmq: args.bullmq.clone(),
        },
        peers,
        workloads,
        rounds: args.rounds.into(),
        until: until(args.jobs, args.seconds),
        size: args.size,
        base: args.dir.clone().unwrap_or_else(std::env::temp_dir),
        command: std::env::args().enumerate().fold(String::new(), |line, (at, word)| match at {
            0 => "stanchion".to_owned(),
            _ => format!("{line} {word}"),
        }),
    })
}

fn until(jobs: Option<u64>, seconds: f64) -> Until {
    jobs.map_or_else(|| Until::Elapsed(Duration::from_secs_f64(seconds)), Until::Jobs)
}

fn check_seconds(seconds: f64) -> Result<()> {
    ensure!(
        (0.001..=SECONDS_MAX).contains(&seconds),
        "--seconds {seconds}: it takes seconds, at most a week"
    );
    Ok(())
}

fn plan(args: &RunArgs) -> Result<Plan> {
    let peer = Peer::named(&args.peer)?;
    let crew = match (args.producers, args.consumers) {
        (Some(producers), Some(consumers)) => Crew::Apart { producers, consumers },
        _ => Crew::Workers(args.connections),
    };
    let load = Load {
        prefix: args.prefix.clone(),
        crew,
        shape: Shape { depth: args.depth, batch: args.batch },
        queues: args.queues,
        groups: args.groups,
        payload: Sizes::new(args.payload.clone()).context("--payload")?,
        dedupe: args.dedupe,
        delay_ms: args.delay.as_millis().try_into().context("--delay")?,
        backlog: args.backlog,
        acks: match args.acks {
            AcksName::Alone => Acks::Alone,
            AcksName::WithClaims => Acks::WithClaims,
        },
    };
    ensure!(
        peer.is_direct(),
        "--peer: {} is spoken by its own client only, which stanchion bench compare drives",
        peer.name
    );
    peer.check(&load)?;
    let pace = match args.rate {
        None => Pace::Closed,
        Some(rate) => Pace::Open {
            pushes_per_second: rate / args.batch as f64,
            arrivals: match args.arrivals {
                ArrivalsName::Fixed => Arrivals::Fixed,
                ArrivalsName::Poisson => Arrivals::Poisson { seed: args.seed },
            },
        },
    };
    check_seconds(args.seconds)?;
    ensure!((0.0..=SECONDS_MAX).contains(&args.warm_up), "--warm-up takes seconds, at most a week");
    Ok(Plan {
        peer,
        address: address(args.address.as_deref(), peer.port)?,
        pid: args.pid,
        load,
        pace,
        until: until(args.jobs, args.seconds),
        warm_up: Duration::from_secs_f64(args.warm_up),
    })
}

fn address(given: Option<&str>, port: u16) -> Result<SocketAddr> {
    let Some(given) = given else { return Ok(([127, 0, 0, 1], port).into()) };
    let mut found = given.to_socket_addrs().with_context(|| {
        format!("{given:?} is no address; write a host and a port, as in 127.0.0.1:{port}")
    })?;
    found.next().with_context(|| format!("{given:?} names no machine"))
}

fn write_json(file: &Path, value: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    std::fs::write(file, text).with_context(|| format!("--json: {} can't be written", file.display()))
}

/// How it goes, beside what comes of it.
fn tell(line: std::fmt::Arguments<'_>) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}
