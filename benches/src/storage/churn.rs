//! Jobs that come and go while the backlog grows and shrinks: what is written for each, and how large the log becomes.

use std::f64::consts::TAU;

use anyhow::Result;
use serde_json::json;
use stanchion_bench::job::{KEY_BYTES, PAYLOAD_BYTES};
use stanchion_bench::table::table;

use super::peer::{Care, KINDS, Kind};
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// The backlog swings between nothing and this many jobs.
const BACKLOG_MAX: f64 = 200_000.0;
/// How often it does, over the whole run.
const SWINGS: f64 = 6.0;
/// Jobs that are pushed between two looks at the backlog.
const STEP: u64 = 5_000;
/// beanstalkd syncs each of its writes alone, so it gets so many times fewer jobs.
const BEANSTALKD_SHARE: u64 = 10;
/// Of the log's bytes: those written over those appended for clients.
const AMPLIFICATION_MAX: f64 = 2.0;

struct Figures {
    written_bytes: f64,
    log_bytes_max: u64,
    /// The server's own count.
    amplification: Option<f64>,
}

/// Measures, prints and records.
pub(super) fn run(setting: &Setting, jobs: u64, report: &mut Report) -> Result<()> {
    say(format!(
        "\nchurn: {jobs} jobs come and go, every write synced, the backlog swings {SWINGS:.0} times between 0 and {BACKLOG_MAX:.0} (beanstalkd: a tenth of all)"
    ))?;
    let mut table = table(&[
        "churn",
        "B written to the disk / job",
        "over payload and key",
        "largest log, MB",
        "write amplification",
    ]);
    let mut figures_of_all = Vec::new();
    for kind in KINDS {
        let Figures { written_bytes, log_bytes_max, amplification } = measure(setting, kind, jobs)?;
        let ratio = written_bytes / (PAYLOAD_BYTES + KEY_BYTES) as f64;
        table.add_row([
            kind.name().to_owned(),
            format!("{written_bytes:.0}"),
            format!("{ratio:.2}"),
            format!("{:.0}", log_bytes_max as f64 / 1e6),
            amplification.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]);
        figures_of_all.push(json!({
            "server": kind.name(), "bytes-written-per-job": written_bytes, "over-payload-and-key": ratio,
            "log-bytes-max": log_bytes_max, "write-amplification": amplification,
        }));
        if let Some(amplification) = amplification {
            report.bar(
                "write amplification of the log over the churn",
                amplification,
                Limit::Below(AMPLIFICATION_MAX),
            );
        }
    }
    say(table)?;
    report.record("churn", figures_of_all.into());
    Ok(())
}

/// The same with a few jobs.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    for kind in KINDS {
        measure(setting, kind, 3 * STEP)?;
    }
    Ok(())
}

fn measure(setting: &Setting, kind: Kind, jobs: u64) -> Result<Figures> {
    let share = if kind == Kind::Beanstalkd { BEANSTALKD_SHARE } else { 1 };
    let (jobs, swing) = ((jobs / share).max(STEP), BACKLOG_MAX / share as f64);
    let mut peer = kind.start(setting, Care::Synced)?;
    let before = peer.process.usage().written_bytes()?;
    let (mut pushed, mut taken, mut log_bytes_max) = (0, 0, 0);
    while pushed < jobs {
        let part = STEP.min(jobs - pushed);
        peer.push(part)?;
        pushed += part;
        let turn = pushed as f64 / jobs as f64 * SWINGS * TAU;
        let wanted = (swing * (1.0 - turn.cos()) / 2.0) as u64;
        let surplus = (pushed - taken).saturating_sub(wanted);
        peer.take(surplus)?;
        taken += surplus;
        log_bytes_max = peer.log_bytes()?.max(log_bytes_max);
    }
    peer.take(pushed - taken)?;
    peer.ledger.close(0)?;
    Ok(Figures {
        written_bytes: (peer.process.usage().written_bytes()? - before) as f64 / jobs as f64,
        log_bytes_max,
        amplification: peer.speech.figure("write_amplification")?,
    })
}
