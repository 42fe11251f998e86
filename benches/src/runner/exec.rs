//! `exec`: a process per job, beside a shell that runs the same program as often, one after the other.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use stanchion_bench::stats::Spread;
use stanchion_bench::table::table;

use super::host::Host;
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

const JOBS: usize = 1_000;
/// Before the first round, so that the runner's shims are there as they are in steady state.
const WARM_UP_JOBS: usize = 100;
/// Of the groups that are compared; the last one is that of the first example in docs/runner.md.
const SLOTS: [u32; 3] = [1, 2, 19];
const RATIO_MAX: f64 = 1.0;

const PROGRAM: &str = "/bin/true";

/// Measures, prints, and returns the figures.
pub(super) fn run(setting: &Setting, report: &mut Report) -> Result<Value> {
    let mut hosts = Vec::new();
    for slots in SLOTS {
        let mut host = host(setting, slots)?;
        host.push(WARM_UP_JOBS)?;
        host.wait_all_done()?;
        hosts.push(host);
    }
    say(format!("\nrunner, exec: {JOBS} jobs of {PROGRAM}, {} rounds", setting.rounds))?;
    let mut loops = Vec::new();
    let mut times = vec![Vec::new(); SLOTS.len()];
    for round in 0..setting.rounds {
        loops.push(shell_loop(JOBS)?.as_secs_f64());
        for turn in 0..hosts.len() {
            let which = (round + turn) % hosts.len();
            times[which].push(jobs(&mut hosts[which], JOBS)?.as_secs_f64());
        }
    }
    let mut table = table(&["1,000 jobs of true", "s", "of the loop's time"]);
    let shell = Spread::of(loops.iter().copied());
    table.add_row(["shell loop".to_owned(), format!("{shell:.2}"), "1.00".to_owned()]);
    let mut figures = vec![json!({ "loop-seconds": shell.json() })];
    for (slots, times) in SLOTS.iter().zip(&times) {
        let seconds = Spread::of(times.iter().copied());
        let ratio = Spread::of(times.iter().zip(&loops).map(|(own, shell)| own / shell));
        table.add_row([format!("exec, slots = {slots}"), format!("{seconds:.2}"), format!("{ratio:.2}")]);
        figures.push(json!({ "slots": slots, "seconds": seconds.json(), "ratio": ratio.json() }));
        if *slots == SLOTS[SLOTS.len() - 1] {
            let what = format!("{JOBS} jobs through exec with {slots} slots, over a shell loop's time");
            report.bar(&what, ratio.median, Limit::Below(RATIO_MAX));
        }
    }
    say(table)?;
    hosts.into_iter().try_for_each(Host::finish)?;
    Ok(Value::Array(figures))
}

/// A few jobs, each done once.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    let mut host = host(setting, 2)?;
    jobs(&mut host, 20)?;
    shell_loop(20)?;
    host.finish()
}

fn host(setting: &Setting, slots: u32) -> Result<Host> {
    let mut host = Host::start(setting, "always")?;
    let groups = format!(
        "[groups.all]\nslots = {slots}\ninclude = [\"*\"]\ndispatcher = \"true\"\n\
         [dispatchers.true]\nkind = \"exec\"\ncommand = [\"{PROGRAM}\"]\n"
    );
    host.run(setting, &groups)?;
    Ok(host)
}

/// From the push until the last job was acked.
fn jobs(host: &mut Host, jobs: usize) -> Result<Duration> {
    let begun = Instant::now();
    host.push(jobs)?;
    Ok(host.wait_all_done()?.duration_since(begun))
}

/// What a shell takes for as many.
fn shell_loop(jobs: usize) -> Result<Duration> {
    let script = format!("i=0; while [ $i -lt {jobs} ]; do {PROGRAM} || exit 1; i=$((i+1)); done");
    let begun = Instant::now();
    let status = Command::new("sh").arg("-c").arg(script).status()?;
    ensure!(status.success(), "the shell loop ended with {status}");
    Ok(begun.elapsed())
}
