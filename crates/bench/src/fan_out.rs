//! The workload `fan-out`: an edit of a template in the style of MediaWiki. Its root fans out to leaves, one for each page that
//! uses the template; before they have run the template is edited again, which supersedes them, three times.
//!
//! Measured are the server's CPU for each leaf, when it is pushed and when it is superseded, and what commands of others
//! wait meanwhile: pushes to another queue and claims of the queue of the leaves.

mod leaves;
mod probe;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use self::leaves::Leaves;
use self::probe::{INTERVAL, Probe, Waits};
use crate::fleet::Until;
use crate::peer::Peer;
use crate::spare_time::take_only_spare_time;
use crate::trial::{Choice, Column, Goal, Line, Setting, Trial};

/// The first edit and three that supersede the one before.
const EDITS: u64 = 4;

const CPU: &str = "server-us-per-leaf";
const PUSH_MAX: &str = "push-max-us";
const CLAIM_MAX: &str = "claim-max-us";

/// What a superseded leaf may cost the server, in microseconds.
const CPU_US_MAX: f64 = 0.5;
/// What a command may wait, in microseconds.
const WAIT_US_MAX: f64 = 5_000.0;

/// The lines that have bars.
const SUPERSEDED: [&str; EDITS as usize - 1] =
    ["edit 1 is superseded", "edit 2 is superseded", "edit 3 is superseded"];

const fn goal(line: &'static str, column: &'static str, below: f64) -> Goal {
    Goal { line, column, below }
}

/// The trial.
pub(crate) const FAN_OUT: Trial = Trial {
    columns: &[
        Column::new("leaves", "leaves", 0, Choice::Median),
        Column::new("s", "seconds", 2, Choice::Median),
        Column::new("server µs/leaf", CPU, 2, Choice::Median),
        Column::new("push p50, µs", "push-p50-us", 0, Choice::Median),
        Column::new("push p99", "push-p99-us", 0, Choice::Median),
        Column::new("longest push, µs", PUSH_MAX, 0, Choice::Worst),
        Column::new("claim p50, µs", "claim-p50-us", 0, Choice::Median),
        Column::new("claim p99", "claim-p99-us", 0, Choice::Median),
        Column::new("longest claim, µs", CLAIM_MAX, 0, Choice::Worst),
    ],
    goals: &[
        goal(SUPERSEDED[0], CPU, CPU_US_MAX),
        goal(SUPERSEDED[0], PUSH_MAX, WAIT_US_MAX),
        goal(SUPERSEDED[0], CLAIM_MAX, WAIT_US_MAX),
        goal(SUPERSEDED[1], CPU, CPU_US_MAX),
        goal(SUPERSEDED[1], PUSH_MAX, WAIT_US_MAX),
        goal(SUPERSEDED[1], CLAIM_MAX, WAIT_US_MAX),
        goal(SUPERSEDED[2], CPU, CPU_US_MAX),
        goal(SUPERSEDED[2], PUSH_MAX, WAIT_US_MAX),
        goal(SUPERSEDED[2], CLAIM_MAX, WAIT_US_MAX),
    ],
    notes: &[
        "each leaf has a payload of 200 B, a dedupe key and a root, and is pushed with 24 others by one command, as MediaWiki does",
        "an edit is superseded by QROOT, once all of its leaves are there and few of them have run; the line ends when the server \
         holds none of them any more",
        "meanwhile one client pushes a job to another queue 500 times a second, timed from when it was due, and one claims leaves with \
         2 ms between; server µs/leaf has these commands in it",
        "who pushes the leaves takes only time that nobody else wants (`SCHED_IDLE`)",
        "no leaf was handed out after it was superseded, and each one pushed was superseded, or claimed and acked, or was there at the end",
    ],
    check,
    run,
};

fn check(peer: &Peer) -> Result<()> {
    ensure!(
        peer.name == Peer::stanchion().name,
        "it knows no roots: who claims a job finds out himself whether it is superseded"
    );
    Ok(())
}

fn run(setting: &Setting<'_>, peer: &'static Peer) -> Result<Vec<Line>> {
    let process = peer.start(setting.programs, setting.base, setting.durability)?;
    let newest = AtomicU64::new(0);
    let mut probe = Probe::connect(process.address(), setting.size, &newest)?;
    let mut leaves = Leaves::connect(process.address(), setting.size)?;

    let begun = Instant::now();
    let time = match setting.until {
        Until::Elapsed(time) => time,
        Until::Jobs(jobs) => INTERVAL.saturating_mul(u32::try_from(jobs)?),
    };
    let waits = probe.watch(&|| begun.elapsed() >= time)?;
    let mut lines = vec![line("alone", f64::NAN, begun.elapsed(), Duration::ZERO, waits)];
    let mut superseded = 0;
    for edit in 0..EDITS {
        let mut measure = |name: String, work: &mut (dyn FnMut() -> Result<u64> + Send)| -> Result<u64> {
            let (cpu, begun) = (process.usage().cpu()?, Instant::now());
            let (waits, done) = beside(&mut probe, work)?;
            let (elapsed, cpu) = (begun.elapsed(), process.usage().cpu()?.since(cpu).total());
            lines.push(line(&name, done as f64, elapsed, cpu, waits));
            Ok(done)
        };
        measure(format!("edit {} fans out", edit + 1), &mut || leaves.fan_out(edit))?;
        if let Some(name) = SUPERSEDED.get(edit as usize) {
            superseded += measure((*name).to_owned(), &mut || {
                let before = leaves.superseded()?;
                leaves.register(edit + 1)?;
                newest.store(edit + 1, Ordering::Release);
                leaves.wait_until_gone()?;
                Ok(leaves.superseded()? - before)
            })?;
        }
    }
    let (pushed, acked, left) = (EDITS * setting.size, probe.acked(), leaves.left()?);
    ensure!(
        pushed == superseded + acked + left,
        "{pushed} leaves were pushed, {superseded} superseded, {acked} acked, and {left} are left"
    );
    process.stop()?;
    Ok(lines)
}

/// Watches what commands wait while some work is done on a thread that takes only time that nobody else wants.
fn beside(probe: &mut Probe<'_>, work: &mut (dyn FnMut() -> Result<u64> + Send)) -> Result<(Waits, u64)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let done = take_only_spare_time().and_then(|()| work());
            over.store(true, Ordering::Release);
            done
        });
        let waits = probe.watch(&|| over.load(Ordering::Acquire));
        let done = thread.join().map_err(|_| anyhow!("the thread that pushes leaves panicked"))??;
        Ok((waits?, done))
    })
}

fn line(name: &str, leaves: f64, elapsed: Duration, cpu: Duration, waits: Waits) -> Line {
    let values = vec![
        leaves,
        elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / leaves,
        waits.push.p50,
        waits.push.p99,
        waits.push.max,
        waits.claim.p50,
        waits.claim.p99,
        waits.claim.max,
    ];
    Line { name: name.to_owned(), values, note: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Percentiles;

    #[test]
    fn a_line_has_a_figure_for_each_column_and_costs_are_of_one_leaf() {
        let wait = |max| Percentiles { count: 10, max, ..Percentiles::default() };
        let waits = Waits { push: wait(4_000.0), claim: wait(5_000.0) };
        let half = Duration::from_millis(500);
        let lines: Vec<Line> =
            SUPERSEDED.iter().map(|name| line(name, 1_250_000.0, half, half, waits)).collect();
        assert_eq!(lines[0].values.len(), FAN_OUT.columns.len());
        let bars = FAN_OUT.bars("fan-out", &[lines]);
        assert_eq!(bars.len(), 9);
        assert!((bars[0].measured - 0.4).abs() < 1e-9);
        let met: Vec<bool> = bars.iter().take(3).map(crate::bar::Bar::met).collect();
        assert_eq!(met, [true, true, false], "5 ms are not below 5 ms");
    }

    #[test]
    fn who_has_no_roots_is_left_out() {
        assert!(check(Peer::named("stanchion").unwrap()).is_ok());
        assert!(check(Peer::named("lua").unwrap()).is_err());
    }
}
