//! From one thread to two, and from there to machines that are not here: what a second thread costs, the parts that only
//! one thread can be in, and what they would let a larger machine do.
//!
//! The generator shares this machine with the server, so jobs a second say little about threads. CPU of the server for a
//! job does: what two threads take more than one is what they cost each other. The arithmetic is in [`model`], and its
//! tables are made from what this run has measured on the machine that it runs on.

mod cores;
mod insight;
mod model;
mod parts;
mod side;
mod tables;
mod visits;

use std::time::Duration;

use anyhow::{Result, ensure};
use stanchion_bench::fleet::Until;
use stanchion_bench::load::Shape;
use stanchion_bench::process;
use stanchion_bench::stats::Spread;

use crate::cost::WAYS;
use crate::durable;
use crate::report::{Report, say};
use crate::scale::model::{Job, Machine, Setup};
use crate::scale::parts::Parts;
use crate::scale::side::{Plan, Side, THREADS, Taken};
use crate::setting::Setting;

/// Which machines to look ahead to.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Ahead {
    /// Numbers of cores to forecast.
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = CORES, value_parser = parse_cores)]
    cores: Vec<usize>,

    /// Nanoseconds until a cache line has come from another core there, instead of what it takes here.
    #[arg(long, value_name = "NS")]
    line_ns: Option<f64>,
}

const CORES: [usize; 3] = [2, 16, 64];

fn parse_cores(text: &str) -> Result<usize, String> {
    let cores = text.parse().ok().filter(|cores| (1..=4096).contains(cores));
    cores.ok_or_else(|| format!("'{text}' is not a number of cores from 1 to 4096"))
}

/// So many that neither the server's threads nor the load run out of work while the other is at its own.
const CONNECTIONS: usize = 64;

/// One hot queue, and so many that two connections rarely meet in one.
const QUEUES: [usize; 2] = [1, 64];

/// Connections of the load whose replies wait for the disk.
const DURABLE_CONNECTIONS: [usize; 2] = [64, 512];
const DURABLE_QUEUES: usize = 64;

/// Files beside one for each connection.
const FILES_SPARE: u64 = 200;

/// Before the first measurement: tables grow, pages are mapped.
const WARM_UP: Duration = Duration::from_millis(300);

/// What one load took, with one thread and with two.
pub(crate) struct Loaded {
    pub(crate) way: &'static str,
    pub(crate) queues: usize,
    /// By the place in [`THREADS`].
    pub(crate) rounds: [Vec<Taken>; 2],
}

/// The same for a load whose replies wait for the disk.
pub(crate) struct Durable {
    pub(crate) connections: usize,
    pub(crate) rounds: [Vec<Taken>; 2],
}

impl Loaded {
    /// What a job takes with one thread.
    pub(crate) fn job(&self) -> Job {
        let of = |read: fn(&Job) -> f64| median(self.rounds[0].iter().map(Taken::job), |job| read(&job));
        Job {
            locked_us: of(|job| job.locked_us),
            outside_us: of(|job| job.outside_us),
            writer_us: of(|job| job.writer_us),
            others_us: of(|job| job.others_us),
            holds: of(|job| job.holds),
            log_kib: of(|job| job.log_kib),
        }
    }

    /// How the server is set up for it on a machine of so many cores. One queue is in one shard.
    pub(crate) fn setup(&self, threads: usize, shards: usize) -> Setup {
        Setup { threads, shards: if self.queues == 1 { 1 } else { shards } }
    }
}

pub(crate) fn median<T>(samples: impl Iterator<Item = T>, read: impl Fn(T) -> f64) -> f64 {
    Spread::of(samples.map(read)).median
}

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, ahead: &Ahead, report: &mut Report) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(cores >= 2, "a machine of one core can't tell what two threads cost each other");
    process::allow_files(DURABLE_CONNECTIONS[1] as u64 + FILES_SPARE)?;
    say(format!(
        "\nscale: {CONNECTIONS} connections, 200 B and a dedupe key, never synced, {cores} cores, of which the load takes \
         its part; {} rounds of {:.1} s",
        setting.rounds,
        setting.slice.as_secs_f64()
    ))?;
    let loaded = measure_loads(setting)?;
    tables::threads(&loaded)?;
    let durable = measure_durable(setting)?;
    tables::durable(&durable)?;
    let parts = Parts::measure(setting)?;
    tables::parts(&parts, &loaded)?;
    let here = parts.machine();
    tables::check(&loaded, &here, cores)?;
    let there = Machine { line_ns: ahead.line_ns.unwrap_or(here.line_ns), ..here };
    tables::forecast(&loaded, &there, &ahead.cores)?;
    tables::durable_forecast(&durable, &ahead.cores)?;
    tables::visits(&parts.visit, &ahead.cores)?;
    report.record("scale", tables::json(&loaded, &durable, &parts));
    Ok(())
}

/// Every load with one thread and with two, in turns.
fn measure_loads(setting: &Setting) -> Result<Vec<Loaded>> {
    let mut sides = Vec::new();
    for queues in QUEUES {
        for threads in THREADS {
            let plan = Plan { threads, queues, connections: CONNECTIONS, durability: "never" };
            sides.push(Side::start(setting, plan)?);
        }
    }
    let mut loaded = Vec::new();
    for queues in QUEUES {
        loaded.extend(WAYS.iter().map(|way| Loaded {
            way: way.name,
            queues,
            rounds: [const { Vec::new() }; 2],
        }));
    }
    for side in &mut sides {
        for way in &WAYS {
            side.measure(way.shape, Until::Elapsed(WARM_UP))?;
        }
    }
    for round in 0..setting.rounds {
        for way in &WAYS {
            for turn in 0..sides.len() {
                let which = (round + turn) % sides.len();
                let side = &mut sides[which];
                let taken = side.measure(way.shape, Until::Elapsed(setting.slice))?;
                let queues = side.queues;
                if let Some(load) =
                    loaded.iter_mut().find(|load| load.way == way.name && load.queues == queues)
                {
                    load.rounds[usize::from(side.threads > 1)].push(taken);
                }
            }
        }
    }
    sides.into_iter().try_for_each(Side::finish)?;
    Ok(loaded)
}

fn measure_durable(setting: &Setting) -> Result<Vec<Durable>> {
    let mut all = Vec::new();
    for connections in DURABLE_CONNECTIONS {
        let mut rounds = [const { Vec::new() }; 2];
        let mut sides = THREADS.iter().map(|&threads| {
            Side::start(setting, Plan { threads, queues: DURABLE_QUEUES, connections, durability: "always" })
        });
        let mut sides = sides.by_ref().collect::<Result<Vec<_>>>()?;
        for side in &mut sides {
            side.measure(durable::SHAPE, Until::Elapsed(WARM_UP))?;
        }
        for round in 0..setting.rounds {
            for turn in 0..sides.len() {
                let which = (round + turn) % sides.len();
                rounds[which].push(sides[which].measure(durable::SHAPE, Until::Elapsed(setting.slice))?);
            }
        }
        sides.into_iter().try_for_each(Side::finish)?;
        all.push(Durable { connections, rounds });
    }
    Ok(all)
}

/// Some jobs, some visits and some turns of each, for the smoke test; the forecasts must be made of figures.
pub(crate) fn exercise(setting: &Setting) -> Result<()> {
    const JOBS: u64 = 200;
    for threads in THREADS {
        let plan = Plan { threads, queues: 2, connections: 4, durability: "always" };
        let mut side = Side::start(setting, plan)?;
        let taken = side.measure(Shape { depth: 8, batch: 1 }, Until::Jobs(JOBS))?;
        side.finish()?;
        let job = taken.job();
        ensure!(
            job.locked_us > 0.0 && job.writer_us > 0.0 && job.log_kib > 0.2,
            "{threads} thread(s) took nothing for their jobs: {job:?}"
        );
        ensure!(taken.syncs > 0.0, "replies did not wait for the disk");
    }
    let parts = Parts::exercise(setting)?;
    let machine = parts.machine();
    ensure!(
        machine.line_ns > 0.0
            && machine.staging_ns > 0.0
            && parts.visit.alone_us > 0.0
            && parts.visit.serve_us > 0.0,
        "{machine:?} was measured, {:?}",
        parts.visit
    );
    Ok(())
}
