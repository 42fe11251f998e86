//! The workload `attack`: what becomes of a quiet queue while clients of other queues do their worst.
//!
//! The quiet queue's jobs come as an open loop, so that a stop counts for all that was due meanwhile. It is measured alone
//! first and then beside each attack, on the same server, and what counts is the ratio of the two. On a machine of few cores
//! attackers take time that they would not take from elsewhere; so they are few threads, which take only time that nobody
//! else wants, the server and who measures it go before everybody else, and beside the attacks stand the figures of as many
//! threads that do nothing to the server at all.

mod attackers;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use self::attackers::{Attacker, attackers};
use crate::contender::Contender;
use crate::fleet::Until;
use crate::latency::Latencies;
use crate::load::{Crew, Load, Shape};
use crate::pace::{Arrivals, Pace};
use crate::peer::Peer;
use crate::precedence::Precedence;
use crate::spare_time::take_only_spare_time;
use crate::trial::{Choice, Column, Goal, Line, Setting, Trial};

/// Jobs of the quiet queue that are due each second.
const QUIET_JOBS_PER_SECOND: f64 = 500.0;
/// Its connections: one that waits must not hold up what is due next.
const QUIET_CONNECTIONS: usize = 16;
const QUIET_SHAPE: Shape = Shape { depth: 1, batch: 1 };
/// Before the first measurement: tables grow, pages are mapped.
const WARM_UP: Until = Until::Jobs(200);

/// Small segments of the log, so that reclaiming has much to do in little time.
const SEGMENTS: &[(&str, &str)] = &[("STANCHION_SEGMENT_BYTES", "1048576")];

/// What the p99 beside an attack must be below, as a multiple of that alone.
const RATIO_MAX: f64 = 3.0;

/// The line with all attacks at once.
const TOGETHER: &str = "all together";

const PUSH_RATIO: &str = "push-p99-over-alone";
const CLAIM_RATIO: &str = "claim-p99-over-alone";

const fn goal(line: &'static str, column: &'static str) -> Goal {
    Goal { line, column, below: RATIO_MAX }
}

/// The p99 of pushes and claims without an attack, in microseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Alone {
    push: f64,
    claim: f64,
}

/// Who can't be attacked, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("jetstream", "it asks back in the middle of a pipeline, which the flood does not answer"),
    ("floor", "it has commands to push, claim and ack, and no others"),
    ("floor-kept", "it has commands to push, claim and ack, and no others"),
];

/// The trial.
pub(crate) const ATTACK: Trial = Trial {
    columns: &[
        Column::new("push p50, µs", "push-p50-us", 0, Choice::Median),
        Column::new("push p99", "push-p99-us", 0, Choice::Median),
        Column::new("longest push", "push-max-us", 0, Choice::Worst),
        Column::new("push p99 / alone", PUSH_RATIO, 2, Choice::Median),
        Column::new("claim p50, µs", "claim-p50-us", 0, Choice::Median),
        Column::new("claim p99", "claim-p99-us", 0, Choice::Median),
        Column::new("longest claim", "claim-max-us", 0, Choice::Worst),
        Column::new("claim p99 / alone", CLAIM_RATIO, 2, Choice::Median),
        Column::new("generator late p99, µs", "late-p99-us", 0, Choice::Median),
    ],
    goals: &[
        goal(attackers::FLOOD, PUSH_RATIO),
        goal(attackers::FLOOD, CLAIM_RATIO),
        goal(attackers::LIST, PUSH_RATIO),
        goal(attackers::LIST, CLAIM_RATIO),
        goal(attackers::RECLAIM, PUSH_RATIO),
        goal(attackers::RECLAIM, CLAIM_RATIO),
        goal(attackers::PURGE, PUSH_RATIO),
        goal(attackers::PURGE, CLAIM_RATIO),
        goal(TOGETHER, PUSH_RATIO),
        goal(TOGETHER, CLAIM_RATIO),
    ],
    notes: &[
        "500 jobs a second of the quiet queue are due, as a Poisson process; a push is timed from when it was due, without the time for \
         which the generator itself was late, which stands in the last column; a claim from when the push was answered",
        "attackers take only time that nobody else wants (`SCHED_IDLE`), as they would be elsewhere; `busy` is a control: so many such \
         threads that do nothing else; the server goes before them (`SCHED_RR`) and the generator before it (`SCHED_FIFO`), where \
         that is allowed, as it is to root",
        "the ratios are to the best of the lines without an attack, for a core that sleeps wakes more slowly than one that is busy",
        "an attack is left out where a server has no such command, or has no log to reclaim",
    ],
    check,
    run,
};

fn check(peer: &Peer) -> Result<()> {
    ensure!(peer.is_direct(), "its client drives one queue only");
    let left_out = LEFT_OUT.iter().find(|(name, _)| *name == peer.name);
    left_out.map_or(Ok(()), |(_, why)| Err(anyhow!(*why)))
}

fn run(setting: &Setting<'_>, peer: &'static Peer) -> Result<Vec<Line>> {
    let process = peer.start_with(setting.programs, setting.base, setting.durability, SEGMENTS)?;
    let address = process.address();
    let precedence = Precedence::take(process.id());
    let load = Load { prefix: "quiet".to_owned(), crew: Crew::Workers(QUIET_CONNECTIONS), ..Load::default() };
    let mut quiet = Contender::new(peer.name, peer, process, &load)?;
    quiet.measure(QUIET_SHAPE, WARM_UP)?;
    let arrivals = Arrivals::Poisson { seed: 1 };
    let pace = Pace::Open { pushes_per_second: QUIET_JOBS_PER_SECOND, arrivals };
    let mut measure = || Ok(quiet.measure_at(QUIET_SHAPE, pace, setting.until)?.run.latencies);

    let mut attackers = attackers(peer, address, setting.size)?;
    let alone = measure()?;
    let mut controls = vec![("alone".to_owned(), alone)];
    for threads in [1, attackers.len()].into_iter().take(attackers.len()) {
        let s = if threads == 1 { "" } else { "s" };
        let now = beside((0..threads).map(|_| spin as fn(&AtomicBool) -> Result<()>), &mut measure)?;
        controls.push((format!("busy, {threads} thread{s}"), now));
    }
    let alone = best(controls.iter().map(|(_, latencies)| *latencies));
    let mut note = without(precedence.as_ref().err());
    let mut lines: Vec<Line> =
        controls.into_iter().map(|(name, now)| line(name, now, alone, std::mem::take(&mut note))).collect();
    for at in 0..attackers.len() {
        let name = attackers[at].name().to_owned();
        lines.push(attack(name, &mut attackers[at..=at], alone, &mut measure)?);
    }
    if attackers.len() > 1 {
        lines.push(attack(TOGETHER.to_owned(), &mut attackers, alone, &mut measure)?);
    }
    attackers.iter_mut().try_for_each(|attacker| attacker.finish())?;
    quiet.finish()?;
    Ok(lines)
}

/// The lowest p99 of each kind among these. A core that sleeps takes longer to wake than one that spins, so being alone is
/// not the best that can happen to a quiet queue, and would make an attack look better than it is.
fn best(controls: impl Iterator<Item = Latencies>) -> Alone {
    let worst = Alone { push: f64::INFINITY, claim: f64::INFINITY };
    controls.fold(worst, |best, control| Alone {
        push: best.push.min(control.unhindered.p99),
        claim: best.claim.min(control.claim.p99),
    })
}

/// What is to be said where the server and the generator have no precedence.
fn without(refused: Option<&anyhow::Error>) -> String {
    let Some(why) = refused else { return String::new() };
    format!("neither server nor generator went before others ({why}), so their turns count as the server's")
}

/// Measures beside these attackers.
fn attack(
    name: String,
    attackers: &mut [Box<dyn Attacker>],
    alone: Alone,
    measure: &mut dyn FnMut() -> Result<Latencies>,
) -> Result<Line> {
    for attacker in &mut *attackers {
        attacker.prepare().with_context(|| format!("preparing {}", attacker.name()))?;
    }
    let strikes = attackers.iter_mut().map(|attacker| {
        move |stop: &AtomicBool| -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                attacker.strike(stop).with_context(|| attacker.name())?;
            }
            Ok(())
        }
    });
    let now = beside(strikes, measure)?;
    let notes: Result<Vec<String>> = attackers.iter_mut().map(|attacker| attacker.account()).collect();
    Ok(line(name, now, alone, notes?.join("; ")))
}

/// Measures while others work, each on a thread that takes only time that nobody else wants, until they are told to stop.
fn beside<W>(
    others: impl Iterator<Item = W>,
    measure: &mut dyn FnMut() -> Result<Latencies>,
) -> Result<Latencies>
where
    W: FnOnce(&AtomicBool) -> Result<()> + Send,
{
    let others: Vec<W> = others.collect();
    let (stop, begun) = (AtomicBool::new(false), Barrier::new(others.len() + 1));
    thread::scope(|scope| {
        let spawn = |work: W| {
            let (stop, begun) = (&stop, &begun);
            scope.spawn(move || {
                let ready = take_only_spare_time();
                // Nobody is measured beside those that have not begun.
                begun.wait();
                ready.and_then(|()| work(stop))
            })
        };
        let threads: Vec<_> = others.into_iter().map(spawn).collect();
        begun.wait();
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow!("an attacker panicked"))??;
        }
        measured
    })
}

/// Takes time and does nothing else.
fn spin(stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
    Ok(())
}

fn line(name: String, now: Latencies, alone: Alone, note: String) -> Line {
    let values = vec![
        now.unhindered.p50,
        now.unhindered.p99,
        now.unhindered.max,
        now.unhindered.p99 / alone.push,
        now.claim.p50,
        now.claim.p99,
        now.claim.max,
        now.claim.p99 / alone.claim,
        now.late.p99,
    ];
    Line { name, values, note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Percentiles;

    fn latencies(p99: f64) -> Latencies {
        let percentiles =
            Percentiles { count: 100, p50: p99 / 2.0, p99, max: 2.0 * p99, ..Percentiles::default() };
        Latencies { unhindered: percentiles, claim: percentiles, ..Latencies::default() }
    }

    const ALONE: Alone = Alone { push: 200.0, claim: 200.0 };

    #[test]
    fn what_is_alone_is_the_best_without_an_attack() {
        assert_eq!(best([300.0, 200.0, 250.0].into_iter().map(latencies)), ALONE);
    }

    #[test]
    fn a_line_has_a_figure_for_each_column_and_ratios_to_alone() {
        let line = line("flood".to_owned(), latencies(600.0), ALONE, String::new());
        assert_eq!(line.values.len(), ATTACK.columns.len());
        let value = |key: &str| {
            let at = ATTACK.columns.iter().position(|column| column.key == key).unwrap();
            line.values[at]
        };
        assert_eq!((value(PUSH_RATIO), value(CLAIM_RATIO)), (3.0, 3.0));
        assert_eq!((value("push-p50-us"), value("claim-max-us")), (300.0, 1_200.0));
    }

    #[test]
    fn it_is_said_when_nobody_goes_first() {
        assert_eq!(without(None), "");
        assert!(without(Some(&anyhow!("you are not root"))).contains("(you are not root)"));
    }

    #[test]
    fn who_has_not_the_commands_is_left_out() {
        for peer in crate::peer::PEERS {
            let can = ["stanchion", "lua", "lists", "streams", "beanstalkd"].contains(&peer.name);
            assert_eq!(check(peer).is_ok(), can, "{}", peer.name);
        }
    }

    #[test]
    fn the_bar_is_below_three_times_alone() {
        let rounds = |p99| vec![vec![line(TOGETHER.to_owned(), latencies(p99), ALONE, String::new())]];
        let together = |p99| ATTACK.bars("attack", &rounds(p99)).pop().unwrap();
        assert!(together(599.0).met());
        assert!(!together(600.0).met());
    }

    #[test]
    fn others_work_until_the_measurement_is_over_and_their_errors_are_told() {
        let count = |stop: &AtomicBool| spin(stop);
        let measured = beside(std::iter::repeat_n(count, 2), &mut || Ok(latencies(1.0))).unwrap();
        assert_eq!(measured.claim.p99, 1.0);
        let fail = |_: &AtomicBool| Err(anyhow!("it hit back"));
        let failed = beside(std::iter::once(fail), &mut || Ok(latencies(1.0))).unwrap_err();
        assert_eq!(failed.to_string(), "it hit back");
    }
}
