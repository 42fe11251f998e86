//! The findings as a page for people and as JSON for machines.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{CycleRow, Entry, Findings, Outcome, TrialRow, length, warning};
use crate::bar::Bar;
use crate::drive::load_json;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::stats::Spread;
use crate::table::table;
use crate::target::Sample;
use crate::trial::{Line, Trial};
use crate::workload::Workload;

/// The page.
pub(super) fn markdown(findings: &Findings) -> String {
    let mut page = String::new();
    // Writing to a string can't fail.
    let _ = write_page(&mut page, findings);
    page
}

fn write_page(page: &mut String, findings: &Findings) -> std::fmt::Result {
    let Findings { comparison, machine, missing, .. } = findings;
    writeln!(page, "# Stanchion and its peers\n")?;
    writeln!(
        page,
        "Measured on {} by\n\n    {}\n\non {} cores of {}, Linux {}. Every figure is the median of {} rounds of {}, with the range where one is \
         shown; a round measures each server once, and the next one begins with another server. Ratios are taken within a round.\n",
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
    if findings.in_memory {
        writeln!(page, "- **{}**", warning(&comparison.base))?;
    }
    writeln!(page)?;
    if !findings.cycles.is_empty() {
        write_cycles(page, &findings.cycles)?;
    }
    findings.trials.iter().try_for_each(|row| write_trial(page, row, comparison.size))
}

fn write_cycles(page: &mut String, rows: &[CycleRow]) -> std::fmt::Result {
    writeln!(
        page,
        "Server CPU is user and system time of the server's process. `CPU / Stanchion's` says how many times as much a job costs \
         there, `Stanchion's jobs/s / this` how many times as many Stanchion does. Latencies are of the whole way of a job, from \
         when its push was due until its ack was answered. No job was lost or doubled where nothing else is said: each was \
         claimed once and acked once, and none was left.\n"
    )?;
    for (name, alt) in [
        ("throughput.svg", "Jobs a second by workload and server"),
        ("cpu.svg", "Server CPU of a job by workload and server"),
        ("latency.svg", "Percentiles of a job's latency by workload and server"),
    ] {
        writeln!(page, "![{alt}]({name})\n")?;
    }
    rows.iter().try_for_each(|row| write_cycle(page, row))
}

fn write_heading(page: &mut String, workload: &Workload) -> std::fmt::Result {
    let (name, what, durability) = (workload.name, capital(workload.what), workload.durability.name());
    writeln!(page, "## {name}\n\n{what}; durability {durability}.")
}

/// The peers of a row that were not measured.
fn write_rest<M>(page: &mut String, entries: &[Entry<M>]) -> std::fmt::Result {
    for Entry { peer, outcome } in entries {
        match outcome {
            Outcome::LeftOut(why) => writeln!(page, "- {} is left out: {why}", peer.name)?,
            Outcome::Failed(why) => writeln!(page, "- **{} failed**: {why}", peer.name)?,
            Outcome::Measured(_) => {}
        }
    }
    Ok(())
}

/// A table for each server, with what was noted in the last round, then the bars.
fn write_trial(page: &mut String, row: &TrialRow, size: u64) -> std::fmt::Result {
    write_heading(page, row.workload)?;
    writeln!(page, "The size is {size} jobs.\n")?;
    let measured = row.entries.iter().filter_map(|Entry { peer, outcome }| match outcome {
        Outcome::Measured(rounds) => Some((peer, rounds)),
        Outcome::LeftOut(_) | Outcome::Failed(_) => None,
    });
    for (peer, rounds) in measured {
        let header: Vec<&str> =
            std::iter::once(peer.name).chain(row.work.columns.iter().map(|column| column.name)).collect();
        let mut figures = table(&header);
        for (name, spreads) in row.work.spreads(rounds) {
            let columns = row.work.columns.iter().zip(spreads);
            let cells = columns.map(|(column, spread)| column.show(column.figure(spread)));
            figures.add_row(std::iter::once(name).chain(cells));
        }
        writeln!(page, "{figures}\n")?;
        for line in rounds.last().into_iter().flatten().filter(|line| !line.note.is_empty()) {
            writeln!(page, "- {}: {}", line.name, line.note)?;
        }
        if rounds.last().into_iter().flatten().any(|line| !line.note.is_empty()) {
            writeln!(page)?;
        }
    }
    for note in row.work.notes {
        writeln!(page, "- {note}")?;
    }
    write_rest(page, &row.entries)?;
    writeln!(page, "- one server ran after the other, each round on a fresh one")?;
    if let Some(rounds) = row.stanchion() {
        writeln!(page, "\nThe bars:\n")?;
        for bar in row.work.bars(row.workload.name, rounds) {
            writeln!(page, "    {bar}")?;
        }
    }
    writeln!(page)
}

fn write_cycle(page: &mut String, row: &CycleRow) -> std::fmt::Result {
    write_heading(page, row.workload)?;
    if let Ok(load) = row.work.load() {
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
    let own = row.stanchion();
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
        let Outcome::Measured(samples) = outcome else { continue };
        let unsent: u64 = samples.iter().map(|sample| sample.run.unsent).sum();
        if unsent > 0 {
            writeln!(page, "- {} did not keep up: {unsent} pushes were due and never sent", peer.name)?;
        }
    }
    write_rest(page, &row.entries)?;
    if row.workload.is_heavy {
        writeln!(page, "- one server ran after the other, for all at once would not fit into memory")?;
    }
    if row.work.pace() != Pace::Closed {
        writeln!(
            page,
            "- the loop is open: at equal rates the server CPU and the latencies compare, not the jobs/s"
        )?;
    }
    writeln!(page)
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
    let Findings { comparison, machine, missing, in_memory, cycles, trials } = findings;
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
        "data-in-memory": in_memory,
        "workloads": cycles.iter().map(cycle_json).collect::<Vec<_>>(),
        "trials": trials.iter().map(trial_json).collect::<Vec<_>>(),
        "size": comparison.size,
        "bars": findings.bars().iter().map(Bar::json).collect::<Vec<_>>(),
    })
}

fn cycle_json(row: &CycleRow) -> Value {
    let own = row.stanchion();
    let servers = row.entries.iter().map(|Entry { peer, outcome }| match outcome {
        Outcome::LeftOut(why) => left_out_json(peer, why),
        Outcome::Failed(why) => failed_json(peer, why),
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
        "load": row.work.load().ok().map(|load| load_json(&load)),
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn left_out_json(peer: &Peer, why: &str) -> Value {
    json!({ "peer": peer.name, "left-out": why })
}

fn failed_json(peer: &Peer, why: &str) -> Value {
    json!({ "peer": peer.name, "failed": why })
}

fn trial_json(row: &TrialRow) -> Value {
    let servers = row.entries.iter().map(|Entry { peer, outcome }| match outcome {
        Outcome::LeftOut(why) => left_out_json(peer, why),
        Outcome::Failed(why) => failed_json(peer, why),
        Outcome::Measured(rounds) => {
            let rounds = rounds
                .iter()
                .map(|lines| lines.iter().map(|line| line_json(row.work, line)).collect::<Vec<_>>());
            json!({ "peer": peer.name, "rounds": rounds.collect::<Vec<_>>() })
        }
    });
    json!({
        "name": row.workload.name,
        "what": row.workload.what,
        "durability": row.workload.durability.name(),
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn line_json(trial: &Trial, line: &Line) -> Value {
    let figures = trial.columns.iter().zip(&line.values);
    // Not a number becomes null.
    let figures: serde_json::Map<_, _> =
        figures.map(|(column, value)| (column.key.to_owned(), json!(value))).collect();
    json!({ "line": line.name, "note": line.note, "figures": figures })
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
