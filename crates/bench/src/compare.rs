//! Stanchion and its peers by the same workloads, in turns and several times, so that what the machine does meanwhile
//! hits them alike.

mod machine;
mod plot;
mod report;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::contender::Contender;
use crate::fleet::Until;
use crate::pace::Pace;
use crate::peer::{Peer, Programs};
use crate::process::allow_files;
use crate::target::Sample;
use crate::workload::Workload;

/// Files beside one for each connection.
const FILES_SPARE: u64 = 200;

/// What to compare.
pub struct Comparison {
    /// Where the peers' programs are.
    pub programs: Programs,
    /// In the order of the report.
    pub peers: Vec<&'static Peer>,
    /// The same.
    pub workloads: Vec<&'static Workload>,
    /// How often each measurement is repeated.
    pub rounds: usize,
    /// How long each takes.
    pub until: Until,
    /// Where the servers keep their data; a directory of a disk.
    pub base: PathBuf,
    /// The command that asked for it, for the report.
    pub command: String,
}

/// What came of it.
pub struct Findings {
    comparison: Comparison,
    machine: machine::Machine,
    /// Peers that are not installed, and how to install them.
    missing: Vec<(&'static Peer, String)>,
    rows: Vec<Row>,
}

/// One workload.
struct Row {
    workload: &'static Workload,
    entries: Vec<Entry>,
}

/// One workload on one peer.
struct Entry {
    peer: &'static Peer,
    outcome: Outcome,
}

enum Outcome {
    /// One sample of each round.
    Measured(Vec<Sample>),
    /// The peer has not what the workload asks for.
    LeftOut(String),
    /// It did not do its work.
    Failed(String),
}

/// A server between its rounds.
enum Runner {
    Measured(Box<Contender>, Vec<Sample>),
    Over(Outcome),
}

impl Comparison {
    /// The peers of this comparison that are not installed, and how to install them.
    #[must_use]
    pub fn missing(&self) -> Vec<(&'static Peer, String)> {
        let missing = |peer: &&'static Peer| peer.missing(&self.programs).map(|install| (*peer, install));
        self.peers.iter().filter_map(missing).collect()
    }

    /// Runs all. `tell` hears how it goes.
    ///
    /// # Errors
    /// This machine can't run it; what goes wrong with one peer stands in the findings.
    pub fn run(self, tell: &mut dyn FnMut(fmt::Arguments<'_>)) -> Result<Findings> {
        let missing = self.missing();
        let peers: Vec<&'static Peer> = self
            .peers
            .iter()
            .copied()
            .filter(|peer| !missing.iter().any(|(other, _)| other.name == peer.name))
            .collect();
        ensure!(!peers.is_empty(), "no peer of this comparison is installed");
        let mut rows = Vec::new();
        for workload in &self.workloads {
            let connections = workload.load()?.crew.connections();
            allow_files(connections as u64 * peers.len() as u64 + FILES_SPARE)?;
            tell(format_args!("{}: {}", workload.name, workload.what));
            let groups: Vec<&[&'static Peer]> =
                if workload.is_heavy { peers.chunks(1).collect() } else { vec![&peers] };
            let mut entries = Vec::new();
            for group in groups {
                entries.extend(self.measure(workload, group, tell));
            }
            rows.push(Row { workload, entries });
        }
        Ok(Findings {
            machine: machine::Machine::read(&peers, &self.programs),
            comparison: self,
            missing,
            rows,
        })
    }

    /// One workload on some peers that all run meanwhile.
    fn measure(
        &self,
        workload: &'static Workload,
        peers: &[&'static Peer],
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Vec<Entry> {
        let mut runners: Vec<Runner> = peers.iter().map(|peer| self.start(workload, peer)).collect();
        for round in 0..self.rounds {
            for turn in 0..runners.len() {
                // Each round begins with another one.
                let which = (round + turn) % runners.len();
                let Runner::Measured(contender, samples) = &mut runners[which] else { continue };
                match workload.measure(contender, self.until) {
                    Ok(sample) => {
                        let (rate, cost) = (sample.jobs_per_second(), sample.server_us());
                        let (name, round) = (peers[which].name, round + 1);
                        tell(format_args!(
                            "  round {round}: {name} {rate:.0} jobs/s, server {cost:.2} µs/job"
                        ));
                        samples.push(sample);
                    }
                    Err(error) => runners[which] = Runner::Over(Outcome::Failed(format!("{error:#}"))),
                }
            }
        }
        let ended = runners.into_iter().map(end);
        let entries = peers.iter().zip(ended).map(|(peer, outcome)| Entry { peer, outcome });
        entries
            .inspect(|entry| match &entry.outcome {
                Outcome::LeftOut(why) => tell(format_args!("  {} is left out: {why}", entry.peer.name)),
                Outcome::Failed(why) => tell(format_args!("  {} FAILED: {why}", entry.peer.name)),
                Outcome::Measured(_) => {}
            })
            .collect()
    }

    fn start(&self, workload: &'static Workload, peer: &'static Peer) -> Runner {
        let load = match workload.load().and_then(|load| peer.check(&load).map(|()| load)) {
            Ok(load) => load,
            Err(error) => return Runner::Over(Outcome::LeftOut(format!("{error:#}"))),
        };
        if !peer.is_direct() && workload.pace() != Pace::Closed {
            let why = "its client has no schedule, and goes as fast as it gets answers".to_owned();
            return Runner::Over(Outcome::LeftOut(why));
        }
        if !peer.keeps(workload.durability) {
            let why = format!("it has no durability {}", workload.durability.name());
            return Runner::Over(Outcome::LeftOut(why));
        }
        let started = peer
            .start(&self.programs, &self.base, workload.durability)
            .and_then(|process| {
                if peer.is_direct() {
                    Contender::new(peer.name, peer, process, &load)
                } else {
                    Contender::bullmq(process, &load, &self.programs.bullmq)
                }
            })
            .and_then(|mut contender| workload.warm_up(&mut contender, self.until).map(|()| contender));
        match started {
            Ok(contender) => Runner::Measured(Box::new(contender), Vec::new()),
            Err(error) => Runner::Over(Outcome::Failed(format!("{error:#}"))),
        }
    }
}

/// Checks the books of a server and ends it.
fn end(runner: Runner) -> Outcome {
    match runner {
        Runner::Over(outcome) => outcome,
        Runner::Measured(contender, samples) => match contender.finish() {
            Ok(()) => Outcome::Measured(samples),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        },
    }
}

impl Findings {
    /// Writes report.md, results.json and the plots.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))
        };
        std::fs::create_dir_all(directory)
            .with_context(|| format!("{} can't be made", directory.display()))?;
        write("report.md", report::markdown(self))?;
        write("results.json", serde_json::to_string_pretty(&report::json(self))? + "\n")?;
        for (name, text) in plot::plots(self) {
            write(name, text)?;
        }
        Ok(())
    }

    /// What did not do its work: a job lost or doubled, a server that ended.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let entries = self.rows.iter().flat_map(|row| row.entries.iter().map(|entry| (row.workload, entry)));
        entries
            .filter_map(|(workload, entry)| match &entry.outcome {
                Outcome::Failed(why) => Some(format!("{} on {}: {why}", workload.name, entry.peer.name)),
                Outcome::Measured(_) | Outcome::LeftOut(_) => None,
            })
            .collect()
    }
}

/// The time of one measurement, for reports.
fn length(until: Until) -> String {
    match until {
        Until::Elapsed(time) => format!("{:.1} s", Duration::as_secs_f64(&time)),
        Until::Jobs(jobs) => format!("{jobs} jobs"),
    }
}
