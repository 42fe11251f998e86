//! A backlog far larger than memory: pushed as a whole, then claimed as a whole, on a server that may take 1 GiB.
//!
//! The others keep all jobs in memory, so this one is alone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use stanchion_bench::client::Client;
use stanchion_bench::process::Process;
use stanchion_bench::resp::{self, Node};
use stanchion_bench::table::table;

use crate::report::{Limit, Report, say};
use crate::setting::Setting;

const GB: u64 = 1_000_000_000;
const MEMORY: &[(&str, &str)] = &[("STANCHION_MAXMEMORY", "1gb")];
/// Beside payloads and index: buffers, and what the allocator keeps.
const MEMORY_PEAK_MAX: f64 = 1.25 * (1u64 << 30) as f64;

const PAYLOAD_BYTES: usize = 16 * 1024;
/// Jobs of one command.
const BATCH: u64 = 16;
/// The steady rate is that of each such time.
const SLICE: Duration = Duration::from_secs(1);
const QUEUE: &[u8] = b"backlog";

/// What one direction took.
struct Way {
    jobs_per_second: f64,
    slowest_slice: f64,
    /// Of one command.
    longest: Duration,
}

/// Measures, prints and records.
pub(super) fn run(setting: &Setting, gigabytes: u64, report: &mut Report) -> Result<()> {
    let jobs = gigabytes * GB / PAYLOAD_BYTES as u64 / BATCH * BATCH;
    say(format!(
        "\nbacklog: {jobs} jobs of {PAYLOAD_BYTES} B, {gigabytes} GB, on a server with maxmemory 1gb; all are pushed, then all claimed and acked"
    ))?;
    let (push, claim, peak, swap) = measure(setting, jobs)?;
    let mut table = table(&["backlog", "jobs/s", "jobs/s in the slowest second", "longest command, ms"]);
    for (name, way) in [("push", &push), ("claim and ack", &claim)] {
        table.add_row([
            name.to_owned(),
            format!("{:.0}", way.jobs_per_second),
            format!("{:.0}", way.slowest_slice),
            format!("{:.1}", way.longest.as_secs_f64() * 1e3),
        ]);
    }
    say(table)?;
    say(format!("most memory in RAM: {:.0} MB; swapped: {:.0} MB", peak as f64 / 1e6, swap as f64 / 1e6))?;
    report.bar(
        "most memory of a server with maxmemory 1gb, bytes",
        peak as f64,
        Limit::Below(MEMORY_PEAK_MAX),
    );
    report.bar("bytes that it swapped", swap as f64, Limit::Below(1.0));
    let shown = |way: &Way| json!({ "jobs-per-second": way.jobs_per_second, "slowest-second": way.slowest_slice, "longest-ms": way.longest.as_secs_f64() * 1e3 });
    report.record(
        "backlog",
        json!({ "jobs": jobs, "push": shown(&push), "claim": shown(&claim), "memory-peak": peak }),
    );
    Ok(())
}

/// The same with a few jobs.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    measure(setting, 20 * BATCH).map(drop)
}

fn measure(setting: &Setting, jobs: u64) -> Result<(Way, Way, u64, u64)> {
    let process = Process::stanchion_with(setting.binary(), setting.base(), "1s", MEMORY)?;
    let mut client = Client::connect(process.address())?;
    client.call(&[b"QPAUSE", QUEUE], |_| Ok(()))?;
    let mut payload = vec![b'p'; PAYLOAD_BYTES];
    let mut out = Vec::new();
    let push = time(jobs, |first| {
        out.clear();
        resp::header(&mut out, (2 + 2 * BATCH - 1) as usize);
        resp::word(&mut out, b"QMPUSH");
        resp::word(&mut out, QUEUE);
        for number in first..first + BATCH {
            if number > first {
                resp::word(&mut out, b"NEXT");
            }
            payload[..8].copy_from_slice(&number.to_le_bytes());
            resp::word(&mut out, &payload);
        }
        client.send_encoded(&out)?;
        client.receive(|reply| {
            ensure!(reply.nodes().len() as u64 == 1 + BATCH, "a push was answered {}", reply.show());
            Ok(())
        })
    })?;
    client.call(&[b"QRESUME", QUEUE], |_| Ok(()))?;
    let count = BATCH.to_string();
    let mut receipts: Vec<Vec<u8>> = Vec::new();
    let claim = time(jobs, |first| {
        receipts.clear();
        client.call(&[b"QCLAIM", QUEUE, b"COUNT", count.as_bytes()], |reply| {
            let [Node::Array(_), claimed @ ..] = reply.nodes() else { return Ok(()) };
            for (number, job) in (first..).zip(claimed.chunks(5)) {
                let [_, _, receipt, payload, _] = job else { return Ok(()) };
                let payload = reply.text(*payload)?;
                let told = payload.first_chunk().map(|number| u64::from_le_bytes(*number));
                ensure!(
                    payload.len() == PAYLOAD_BYTES && told == Some(number),
                    "job {number} has another payload"
                );
                receipts.push(reply.text(*receipt)?.to_owned());
            }
            Ok(())
        })?;
        ensure!(receipts.len() as u64 == BATCH, "{} of {BATCH} jobs were handed out", receipts.len());
        let words: Vec<&[u8]> =
            [&b"QACK"[..], QUEUE].into_iter().chain(receipts.iter().map(Vec::as_slice)).collect();
        let acked = client.integer(&words)?;
        ensure!(acked as u64 == BATCH, "{acked} of {BATCH} jobs were acked");
        Ok(())
    })?;
    let (peak, swap) = process.usage().memory_peak_and_swap()?;
    process.stop().context("after the backlog")?;
    Ok((push, claim, peak, swap))
}

/// Does `command` for so many jobs, and watches how steady it is.
fn time(jobs: u64, mut command: impl FnMut(u64) -> Result<()>) -> Result<Way> {
    let begun = Instant::now();
    let (mut slice, mut in_slice) = (begun, 0);
    let mut way = Way { jobs_per_second: 0.0, slowest_slice: f64::INFINITY, longest: Duration::ZERO };
    for first in (0..jobs).step_by(BATCH as usize) {
        let sent = Instant::now();
        command(first)?;
        way.longest = way.longest.max(sent.elapsed());
        in_slice += BATCH;
        if slice.elapsed() >= SLICE {
            way.slowest_slice = way.slowest_slice.min(in_slice as f64 / slice.elapsed().as_secs_f64());
            (slice, in_slice) = (Instant::now(), 0);
        }
    }
    way.jobs_per_second = jobs as f64 / begun.elapsed().as_secs_f64();
    way.slowest_slice = way.slowest_slice.min(way.jobs_per_second);
    Ok(way)
}
