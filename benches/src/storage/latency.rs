//! The latency of pushes, each of which waits for the disk, alone and while another connection makes the server clean
//! its log.
//!
//! The pushes come at a fixed rate whatever the server does, and each is timed from the instant at which it should
//! have been sent, so that one long stop counts for all that it held up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use stanchion_bench::table::table;

use super::peer::{Care, KINDS, Kind, Peer};
use super::speech::Speech;
use crate::report::{Report, say};
use crate::setting::Setting;

/// Timed pushes a second.
const RATE: u32 = 500;
/// How long they are timed, alone and during the churn.
const WATCH: Duration = Duration::from_secs(20);
/// Jobs that stand all the time, so that there is something to rewrite.
const STANDING: u64 = 200_000;
/// What the other connection pushes, and takes, at a time.
const STEP: u64 = 500;
/// At so many steps a second, which is half of what the slowest does.
const STEPS_PER_SECOND: u32 = 10;

/// Latencies in milliseconds.
struct Figures {
    p50: f64,
    p99: f64,
    max: f64,
}

/// Measures, prints and records.
pub(super) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    say(format!(
        "\nlatency: {RATE} pushes a second for {} s, alone and beside {} jobs a second that come and go over {STANDING} that stand; every reply waits for the disk",
        WATCH.as_secs(),
        STEP * u64::from(STEPS_PER_SECOND)
    ))?;
    let mut table = table(&["push latency, ms", "p50", "p99", "max", "churn p50", "churn p99", "churn max"]);
    let mut figures_of_all = Vec::new();
    for kind in KINDS {
        let (alone, beside) = measure(setting, kind, STANDING, WATCH)?;
        let cells = [&alone, &beside].into_iter().flat_map(|figures| [figures.p50, figures.p99, figures.max]);
        table.add_row([kind.name().to_owned()].into_iter().chain(cells.map(|ms| format!("{ms:.2}"))));
        let shown = |figures: &Figures| json!({ "p50-ms": figures.p50, "p99-ms": figures.p99, "max-ms": figures.max });
        figures_of_all
            .push(json!({ "server": kind.name(), "alone": shown(&alone), "churn": shown(&beside) }));
    }
    say(table)?;
    report.record("push-latency", figures_of_all.into());
    Ok(())
}

/// The same for a moment.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    for kind in KINDS {
        measure(setting, kind, STEP, Duration::from_millis(100))?;
    }
    Ok(())
}

fn measure(setting: &Setting, kind: Kind, standing: u64, watch: Duration) -> Result<(Figures, Figures)> {
    let mut peer = kind.start(setting, Care::Synced)?;
    peer.push(standing)?;
    let mut speech = kind.connect(&peer.process)?;
    let mut numbers = 0..;
    let alone = time(&mut speech, &mut numbers, watch)?;
    let over = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        let churn = scope.spawn(|| churn(&mut peer, &over));
        let times = time(&mut speech, &mut numbers, watch);
        over.store(true, Ordering::Relaxed);
        churn.join().expect("the churn does not panic")?;
        times
    })?;
    peer.take(standing)?;
    peer.ledger.close(0)?;
    Ok((alone, beside))
}

/// Pushes and takes at a fixed rate until it is told to end.
fn churn(peer: &mut Peer, over: &AtomicBool) -> Result<()> {
    let begun = Instant::now();
    for step in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(
            (begun + step * Duration::from_secs(1) / STEPS_PER_SECOND)
                .saturating_duration_since(Instant::now()),
        );
        peer.push(STEP)?;
        peer.take(STEP)?;
    }
    Ok(())
}

/// Pushes at a fixed rate.
fn time(speech: &mut Speech, numbers: &mut impl Iterator<Item = u64>, watch: Duration) -> Result<Figures> {
    let begun = Instant::now();
    let mut times = Vec::new();
    for (pushes, number) in (0..).zip(numbers) {
        let due = begun + pushes * Duration::from_secs(1) / RATE;
        if due >= begun + watch {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        speech.probe(number)?;
        times.push(due.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last());
    let at = |share| at(share).copied().unwrap_or(f64::NAN);
    Ok(Figures { p50: at(0.5), p99: at(0.99), max: at(1.0) })
}
