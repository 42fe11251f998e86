//! `pool`: workers that live on, and do nothing as fast as they can.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stanchion_bench::stats::Spread;
use stanchion_bench::table::table;

use super::host::Host;
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// Wait in the queue before the runner starts; the first of them are not measured, while it starts its workers.
const JOBS: usize = 100_000;
const WARM_UP_JOBS: usize = 10_000;
/// As docs/runner.md advises for jobs of less than a millisecond.
const SLOTS: u32 = 64;
const BATCHES: [u32; 2] = [1, 32];
const JOBS_PER_SECOND_MIN: f64 = 20_000.0;

/// What one run took.
struct Sample {
    jobs_per_second: f64,
    runner_us: f64,
}

/// Measures, prints, and returns the figures.
pub(super) fn run(setting: &Setting, report: &mut Report) -> Result<Value> {
    say(format!("\nrunner, pool: {JOBS} jobs that do nothing, {SLOTS} slots, {} rounds", setting.rounds))?;
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..setting.rounds {
        for (batch, samples) in BATCHES.iter().zip(&mut samples) {
            samples.push(measure(setting, *batch)?);
        }
    }
    let mut table = table(&["jobs that do nothing", "workers", "jobs/s", "runner µs/job"]);
    let mut figures = Vec::new();
    for (batch, samples) in BATCHES.iter().zip(&samples) {
        let rate = Spread::of(samples.iter().map(|sample| sample.jobs_per_second));
        let cost = Spread::of(samples.iter().map(|sample| sample.runner_us));
        let workers = SLOTS.div_ceil(*batch).to_string();
        table.add_row([
            format!("pool, batch = {batch}"),
            workers,
            format!("{rate:.0}"),
            format!("{cost:.1}"),
        ]);
        figures.push(json!({ "batch": batch, "jobs-per-second": rate.json(), "runner-us": cost.json() }));
        if *batch == BATCHES[BATCHES.len() - 1] {
            let what = format!("jobs/s through pool with {SLOTS} slots and batch = {batch}");
            report.bar(&what, rate.median, Limit::AtLeast(JOBS_PER_SECOND_MIN));
        }
    }
    say(table)?;
    Ok(Value::Array(figures))
}

/// A few jobs, each done once.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    let mut host = Host::start(setting, "always")?;
    host.push(500)?;
    host.run(setting, &groups(8, 4)?)?;
    host.wait_all_done()?;
    host.finish()
}

fn measure(setting: &Setting, batch: u32) -> Result<Sample> {
    let mut host = Host::start(setting, "always")?;
    host.push(JOBS)?;
    host.run(setting, &groups(SLOTS, batch)?)?;
    let (before, begun) = host.wait_done(WARM_UP_JOBS)?;
    let cpu = host.runner_cpu()?;
    let ended = host.wait_all_done()?;
    let cpu = host.runner_cpu()?.since(cpu).total();
    host.finish()?;
    let jobs = (JOBS - before) as f64;
    let elapsed: Duration = ended.duration_since(begun);
    Ok(Sample { jobs_per_second: jobs / elapsed.as_secs_f64(), runner_us: cpu.as_secs_f64() * 1e6 / jobs })
}

fn groups(slots: u32, batch: u32) -> Result<String> {
    let worker = std::env::current_exe()?;
    let worker = worker.to_str().context("this program's path is not UTF-8")?;
    Ok(format!(
        "[groups.all]\nslots = {slots}\ninclude = [\"*\"]\ndispatcher = \"pool\"\n\
         [dispatchers.pool]\nkind = \"pool\"\ncommand = [{worker:?}, \"worker\"]\nbatch = {batch}\n"
    ))
}
