//! Server CPU per job, beside the Lua queue of JobQueueRedis in the same run.
//!
//! All servers run from the start to the end and are measured in turns, so that what the machine does meanwhile
//! hits them alike; ratios are taken within a round.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use stanchion_bench::contender::Contender;
use stanchion_bench::fleet::Until;
use stanchion_bench::load::{Acks, Shape};
use stanchion_bench::process::Persistence;
use stanchion_bench::stats::Spread;
use stanchion_bench::table::table;
use stanchion_bench::target::Sample;

use crate::contenders;
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// As many as the issue asks for.
const CONNECTIONS: usize = 8;

/// What the connections share. The defaults are the issue's.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sharing {
    /// The connections take turns over so many queues.
    #[arg(long, value_name = "N", default_value = "1")]
    queues: NonZeroUsize,

    /// Jobs that stand in each queue all the time.
    #[arg(long, value_name = "N", default_value_t = 0)]
    backlog: u64,
}

impl Default for Sharing {
    fn default() -> Sharing {
        Sharing { queues: NonZeroUsize::MIN, backlog: 0 }
    }
}

/// Before the first measurement: tables grow, pages are mapped.
const WARM_UP: Duration = Duration::from_millis(300);

/// One way to send jobs, and how many times cheaper than the Lua queue it must be.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    ratio_min: f64,
}

pub(crate) const WAYS: [Way; 3] = [
    Way { name: "depth 1", shape: Shape { depth: 1, batch: 1 }, ratio_min: 2.0 },
    Way { name: "depth 32", shape: Shape { depth: 32, batch: 1 }, ratio_min: 10.0 },
    Way { name: "batch 16", shape: Shape { depth: 1, batch: 16 }, ratio_min: 14.0 },
];

/// Redis without a log first: the others are compared with it. `never` is the fair opponent and has the bars.
const REDIS: usize = 0;
const NEVER: usize = 1;

/// Starts the servers that are compared.
pub(crate) fn targets(setting: &Setting, sharing: Sharing) -> Result<Vec<Contender>> {
    let base = setting.base();
    let load = contenders::load(CONNECTIONS, sharing.queues.get(), sharing.backlog);
    let mut targets = vec![contenders::redis(base, Persistence::None, &load)?];
    for durability in ["never", "1s", "always"] {
        targets.push(contenders::stanchion(setting.binary(), base, durability, Acks::Alone, &load)?);
    }
    targets.push(contenders::stanchion(setting.binary(), base, "never", Acks::WithClaims, &load)?);
    Ok(targets)
}

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, sharing: Sharing, report: &mut Report) -> Result<()> {
    let mut targets = targets(setting, sharing)?;
    say(format!(
        "cost: {CONNECTIONS} connections, {} queue(s) with {} jobs standing in each; 200 B and a dedupe key, \
         push + claim + ack; {} rounds of {:.1} s",
        sharing.queues,
        sharing.backlog,
        setting.rounds,
        setting.slice.as_secs_f64()
    ))?;
    for way in &WAYS {
        for target in &mut targets {
            target.measure(way.shape, Until::Elapsed(WARM_UP))?;
        }
    }
    // samples[way][target][round]
    let mut samples: Vec<Vec<Vec<Sample>>> = vec![vec![Vec::new(); targets.len()]; WAYS.len()];
    for round in 0..setting.rounds {
        for (way, samples) in WAYS.iter().zip(&mut samples) {
            for turn in 0..targets.len() {
                let which = (round + turn) % targets.len();
                samples[which].push(targets[which].measure(way.shape, Until::Elapsed(setting.slice))?);
            }
        }
    }
    let mut figures = Vec::new();
    for (way, samples) in WAYS.iter().zip(&samples) {
        figures.push(tell(way, &targets, samples, report)?);
    }
    report.record("cost", Value::Array(figures));
    targets.into_iter().try_for_each(Contender::finish)
}

/// One way's table and figures.
fn tell(way: &Way, targets: &[Contender], samples: &[Vec<Sample>], report: &mut Report) -> Result<Value> {
    let mut table =
        table(&[way.name, "server µs/job", "of it kernel", "client µs/job", "jobs/s", "Lua queue / this"]);
    let mut figures = Vec::new();
    for (which, (target, own)) in targets.iter().zip(samples).enumerate() {
        let of = |read: fn(&Sample) -> f64| Spread::of(own.iter().map(read));
        let (server, rate) = (of(Sample::server_us), of(Sample::jobs_per_second));
        let ratio = Spread::of(
            samples[REDIS].iter().zip(own).map(|(redis, own)| redis.server_us() / own.server_us()),
        );
        table.add_row([
            target.name().to_owned(),
            format!("{server:.2}"),
            format!("{:.2}", of(Sample::system_us).median),
            format!("{:.2}", of(Sample::client_us).median),
            format!("{:.0}", rate.median),
            format!("{ratio:.1}"),
        ]);
        figures.push(json!({
            "server": target.name(), "server-us-per-job": server.json(), "jobs-per-second": rate.json(), "ratio": ratio.json(),
        }));
        if which == NEVER {
            let what = format!("server CPU of the Lua queue over Stanchion's, {}", way.name);
            report.bar(&what, ratio.median, Limit::AtLeast(way.ratio_min));
        }
    }
    say(format!("\n{table}"))?;
    Ok(json!({ "way": way.name, "servers": figures }))
}
