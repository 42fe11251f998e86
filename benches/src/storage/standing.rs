//! Jobs that stand: their memory, their log, and the start on them.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use stanchion_bench::job::{KEY_BYTES, PAYLOAD_BYTES};
use stanchion_bench::process::End;
use stanchion_bench::table::table;

use super::peer::{Care, KINDS, Kind, Peer};
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// Beyond the bytes of payload and key.
const OVERHEAD_BYTES_MAX: f64 = 120.0;
/// On two cores.
const JOBS_PER_SECOND_MIN: f64 = 4_000_000.0;

/// Jobs that are claimed after each start, so that a start that lost jobs is no fast one.
const SAMPLE: u64 = 100;

/// What was pushed last is in the log after this, under any policy.
const SETTLE: Duration = Duration::from_millis(1_500);

/// What one server takes.
struct Figures {
    resident_bytes: f64,
    log_bytes: f64,
    killed: Duration,
    told: Duration,
}

/// Measures, prints and records.
pub(super) fn run(setting: &Setting, jobs: u64, report: &mut Report) -> Result<()> {
    say(format!(
        "\nstorage: {jobs} jobs of {PAYLOAD_BYTES} B with a dedupe key of {KEY_BYTES} B stand (beanstalkd has no keys)"
    ))?;
    let mut table = table(&[
        "standing jobs",
        "resident B/job of the second half",
        "log B/job",
        "start after kill -9, s",
        "start after SIGTERM, s",
    ]);
    let mut figures_of_all = Vec::new();
    for kind in KINDS {
        let Figures { resident_bytes, log_bytes, killed, told } = measure(setting, kind, jobs)?;
        let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
        table.add_row([
            kind.name().to_owned(),
            format!("{resident_bytes:.0}"),
            format!("{log_bytes:.0}"),
            seconds(killed),
            seconds(told),
        ]);
        figures_of_all.push(json!({
            "server": kind.name(), "jobs": jobs, "resident-bytes-per-job": resident_bytes, "log-bytes-per-job": log_bytes,
            "start-after-kill-s": killed.as_secs_f64(), "start-after-term-s": told.as_secs_f64(),
        }));
        if kind == Kind::Stanchion {
            let overhead = resident_bytes - (PAYLOAD_BYTES + KEY_BYTES) as f64;
            report.bar(
                &format!("bytes of memory beyond payload and key, {jobs} jobs"),
                overhead,
                Limit::Below(OVERHEAD_BYTES_MAX),
            );
            report.bar(
                &format!("jobs a second of the start after kill -9, {jobs} jobs, two cores"),
                jobs as f64 / killed.as_secs_f64(),
                Limit::AtLeast(JOBS_PER_SECOND_MIN),
            );
        }
    }
    say(table)?;
    report.record(&format!("standing-{jobs}"), figures_of_all.into());
    Ok(())
}

/// The same with a few jobs.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    for kind in KINDS {
        measure(setting, kind, 2 * SAMPLE + 50)?;
    }
    Ok(())
}

fn measure(setting: &Setting, kind: Kind, jobs: u64) -> Result<Figures> {
    let mut peer = kind.start(setting, Care::Later)?;
    // The first half also fills buffers, which take the same whatever stands.
    peer.push(jobs / 2)?;
    let half = peer.process.usage().resident_bytes()?;
    peer.push(jobs - jobs / 2)?;
    std::thread::sleep(SETTLE);
    let grown = peer.process.usage().resident_bytes()?.saturating_sub(half);
    let resident_bytes = grown as f64 / (jobs - jobs / 2) as f64;
    let log_bytes = peer.log_bytes()? as f64 / jobs as f64;
    // Starts read the log from the page cache.
    let killed = restart(&mut peer, End::Killed)?;
    let told = restart(&mut peer, End::Told)?;
    Ok(Figures { resident_bytes, log_bytes, killed, told })
}

fn restart(peer: &mut Peer, end: End) -> Result<Duration> {
    let took = peer.restart(end)?;
    peer.take(SAMPLE)?;
    Ok(took)
}
