//! Jobs per second when every reply waits for the disk, beside Redis with `appendfsync always`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
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

/// Many workers that each wait for their reply.
const CONNECTIONS: usize = 64;
const QUEUES: usize = 4;
pub(crate) const SHAPE: Shape = Shape { depth: 1, batch: 1 };

const WARM_UP: Duration = Duration::from_millis(300);
const RATIO_MIN: f64 = 3.0;

/// Starts the servers that are compared: Redis, then Stanchion with acks alone and with claims.
pub(crate) fn targets(setting: &Setting) -> Result<[Contender; 3]> {
    let (binary, base, load) = (setting.binary(), setting.base(), contenders::load(CONNECTIONS, QUEUES, 0));
    Ok([
        contenders::redis(base, Persistence::Always, &load)?,
        contenders::stanchion(binary, base, "always", Acks::Alone, &load)?,
        contenders::stanchion(binary, base, "always", Acks::WithClaims, &load)?,
    ])
}

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut targets = targets(setting)?;
    let syncs = syncs_per_second(setting.base(), setting.slice.min(Duration::from_secs(1)))?;
    say(format!(
        "\ndurable: {} connections at depth 1; {} rounds of {:.1} s; this disk does {syncs:.0} appends of 4 KiB with fdatasync a second",
        CONNECTIONS,
        setting.rounds,
        setting.slice.as_secs_f64()
    ))?;
    for target in &mut targets {
        target.measure(SHAPE, Until::Elapsed(WARM_UP))?;
    }
    let mut samples = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..setting.rounds {
        for turn in 0..targets.len() {
            let which = (round + turn) % targets.len();
            samples[which].push(targets[which].measure(SHAPE, Until::Elapsed(setting.slice))?);
        }
    }
    let mut table = table(&["", "jobs/s", "server µs/job"]);
    for (target, samples) in targets.iter().zip(&samples) {
        let rate = Spread::of(samples.iter().map(Sample::jobs_per_second));
        let cost = Spread::of(samples.iter().map(Sample::server_us));
        table.add_row([target.name().to_owned(), format!("{rate:.0}"), format!("{:.1}", cost.median)]);
    }
    let [redis, stanchion, with_claims] = &samples;
    let rate = |samples: &[Sample]| Spread::of(samples.iter().map(Sample::jobs_per_second));
    let ratio_of = |own: &[Sample]| {
        let pairs = redis.iter().zip(own);
        Spread::of(pairs.map(|(redis, own)| own.jobs_per_second() / redis.jobs_per_second()))
    };
    let (ratio, ratio_with_claims) = (ratio_of(stanchion), ratio_of(with_claims));
    say(format!(
        "{table}\nStanchion does {ratio:.2} times as many jobs, {ratio_with_claims:.2} times with acks in its claims"
    ))?;
    // The bar is for workers as they are in steady state: acks travel with the next claim.
    let what = "durable jobs/s of Stanchion, acks in its claims, over the Lua queue's";
    report.bar(what, ratio_with_claims.median, Limit::AtLeast(RATIO_MIN));
    let figures = json!({
        "disk-syncs-per-second": syncs,
        "redis-jobs-per-second": rate(redis).json(),
        "stanchion-jobs-per-second": rate(stanchion).json(),
        "ratio": ratio.json(),
        "ratio-with-claims": ratio_with_claims.json(),
    });
    report.record("durable", figures);
    targets.into_iter().try_for_each(Contender::finish)
}

/// What the disk can do at all, for a reader on another machine.
fn syncs_per_second(base: &Path, slice: Duration) -> Result<f64> {
    let path = base.join("syncs");
    let mut file = File::create(&path).context("a file for counting syncs")?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < slice {
        file.write_all(&[b's'; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
