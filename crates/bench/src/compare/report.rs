//! The findings as a page for people and as JSON for machines.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Entry, Findings, Outcome, Row, length};
use crate::drive::load_json;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::stats::Spread;
use crate::table::table;
use crate::target::Sample;

/// The page.
pub(super) fn markdown(findings: &Findings) -> String {
    let mut page = String::new();
    // Writing to a string can't fail.
    let _ = write_page(&mut page, findings);
    page
}

fn write_page(page: &mut String, findings: &Findings) -> std::fmt::Result {
    let Findings { comparison, machine, missing, rows } = findings;
    writeln!(page, "# Stanchion and its peers\n")?;
    writeln!(
        page,
        "Measured on {} by\n\n    {}\n\non {} cores of {}, Linux {}. Every figure is the median of {} rounds of {}, with the range; a round \
         measures each server once, and the next one begins with another server. Ratios are taken within a round. No job was lost or doubled \
         where nothing else is said: each was claimed once and acked once, and none was left.\n",
        machine.day,
        comparison.command,
        machine.cores,
        machine.processor,
        machine.kernel,
        comparison.rounds,
        length(comparison.until)
    )?;
    for (name, version) in &machine.versions {
        let peer = comparison.peers.iter().find(|peer| peer.name == *name);
        writeln!(page, "- **{name}**: {}; {version}", peer.map_or("", |peer| peer.what))?;
    }
    for (peer, install) in missing {
        writeln!(page, "- **{}** is left out, for it is not installed; {install}", peer.name)?;
    }
    writeln!(
        page,
        "\nServer CPU is user and system time of the server's process. `CPU / Stanchion's` says how many times as much a job costs \
         there, `Stanchion's jobs/s / this` how many times as many Stanchion does. Latencies are of the whole way of a job, from \
         when its push was due until its ack was answered.\n"
    )?;
    for (name, alt) in [
        ("throughput.svg", "Jobs a second by workload and server"),
        ("cpu.svg", "Server CPU of a job by workload and server"),
        ("latency.svg", "Percentiles of a job's latency by workload and server"),
    ] {
        writeln!(page, "![{alt}]({name})\n")?;
    }
    for row in rows {
        write_row(page, row)?;
    }
    Ok(())
}

fn write_row(page: &mut String, row: &Row) -> std::fmt::Result {
    let workload = row.workload;
    writeln!(
        page,
        "## {}\n\n{}; durability {}.",
        workload.name,
        capital(workload.what),
        workload.durability.name()
    )?;
    if let Ok(load) = workload.load() {
        writeln!(page, "{}.\n", capital(&load.to_string()))?;
    }
    let mut figures = table(&[
        "server",
        "jobs/s",
        "server µs/job",
        "of it kernel",
        "generator µs/job",
        "job p50, µs",
        "job p99, µs",
        "CPU / Stanchion's",
        "Stanchion's jobs/s / this",
    ]);
    let own = stanchion(row);
    for Entry { peer, outcome } in &row.entries {
        let Outcome::Measured(samples) = outcome else { continue };
        let spread = |read: fn(&Sample) -> f64| Spread::of(samples.iter().map(read));
        let ratios = own.map(|own| ratios(own, samples));
        let ratio =
            |which: usize| ratios.map_or_else(|| "-".to_owned(), |ratios| format!("{:.2}", ratios[which]));
        figures.add_row([
            peer.name.to_owned(),
            format!("{:.0}", spread(Sample::jobs_per_second)),
            format!("{:.2}", spread(Sample::server_us)),
            format!("{:.2}", spread(Sample::system_us).median),
            format!("{:.2}", spread(Sample::client_us).median),
            format!("{:.0}", spread(|sample| sample.run.latencies.job.p50).median),
            format!("{:.0}", spread(|sample| sample.run.latencies.job.p99)),
            ratio(0),
            ratio(1),
        ]);
    }
    writeln!(page, "{figures}\n")?;
    for Entry { peer, outcome } in &row.entries {
        match outcome {
            Outcome::Measured(samples) => {
                let unsent: u64 = samples.iter().map(|sample| sample.run.unsent).sum();
                if unsent > 0 {
                    writeln!(
                        page,
                        "- {} did not keep up: {unsent} pushes were due and never sent",
                        peer.name
                    )?;
                }
            }
            Outcome::LeftOut(why) => writeln!(page, "- {} is left out: {why}", peer.name)?,
            Outcome::Failed(why) => writeln!(page, "- **{} failed**: {why}", peer.name)?,
        }
    }
    if workload.is_heavy {
        writeln!(page, "- one server ran after the other, for all at once would not fit into memory")?;
    }
    if workload.pace() != Pace::Closed {
        writeln!(
            page,
            "- the loop is open: at equal rates the server CPU and the latencies compare, not the jobs/s"
        )?;
    }
    writeln!(page)
}

/// Stanchion's samples of a workload.
fn stanchion(row: &Row) -> Option<&[Sample]> {
    row.entries.iter().find_map(|entry| match &entry.outcome {
        Outcome::Measured(samples) if entry.peer.name == Peer::stanchion().name => Some(&samples[..]),
        _ => None,
    })
}

/// CPU of a job over Stanchion's, and Stanchion's jobs a second over these, each within its round.
fn ratios(own: &[Sample], other: &[Sample]) -> [Spread; 2] {
    let pairs = || own.iter().zip(other);
    [
        Spread::of(pairs().map(|(own, other)| other.server_us() / own.server_us())),
        Spread::of(pairs().map(|(own, other)| own.jobs_per_second() / other.jobs_per_second())),
    ]
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The object.
pub(super) fn json(findings: &Findings) -> Value {
    let Findings { comparison, machine, missing, rows } = findings;
    let versions: serde_json::Map<_, _> =
        machine.versions.iter().map(|(name, version)| ((*name).to_owned(), json!(version))).collect();
    json!({
        "command": comparison.command,
        "machine": {
            "day": machine.day, "processor": machine.processor, "cores": machine.cores, "kernel": machine.kernel,
        },
        "versions": versions,
        "rounds": comparison.rounds,
        "length": length(comparison.until),
        "missing": missing.iter().map(|(peer, install)| json!({ "peer": peer.name, "install": install })).collect::<Vec<_>>(),
        "workloads": rows.iter().map(row_json).collect::<Vec<_>>(),
    })
}

fn row_json(row: &Row) -> Value {
    let own = stanchion(row);
    let servers = row.entries.iter().map(|Entry { peer, outcome }| match outcome {
        Outcome::LeftOut(why) => json!({ "peer": peer.name, "left-out": why }),
        Outcome::Failed(why) => json!({ "peer": peer.name, "failed": why }),
        Outcome::Measured(samples) => {
            let spread = |read: fn(&Sample) -> f64| Spread::of(samples.iter().map(read)).json();
            let ratios = own.map(|own| ratios(own, samples).map(Spread::json));
            json!({
                "peer": peer.name,
                "jobs-per-second": spread(Sample::jobs_per_second),
                "server-us-per-job": spread(Sample::server_us),
                "server-kernel-us-per-job": spread(Sample::system_us),
                "generator-us-per-job": spread(Sample::client_us),
                "cpu-over-stanchion": ratios.as_ref().map(|[cpu, _]| cpu),
                "stanchion-jobs-over-this": ratios.as_ref().map(|[_, rate]| rate),
                "samples": samples.iter().map(sample_json).collect::<Vec<_>>(),
            })
        }
    });
    json!({
        "name": row.workload.name,
        "what": row.workload.what,
        "durability": row.workload.durability.name(),
        "load": row.workload.load().ok().map(|load| load_json(&load)),
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn sample_json(sample: &Sample) -> Value {
    let latencies = sample.run.latencies.rows();
    let latencies: serde_json::Map<_, _> =
        latencies.into_iter().map(|(name, percentiles)| (name.to_owned(), percentiles.json())).collect();
    json!({
        "jobs": sample.run.jobs, "seconds": sample.run.elapsed.as_secs_f64(), "unsent-pushes": sample.run.unsent,
        "server-us-per-job": sample.server_us(), "latencies": latencies,
    })
}
