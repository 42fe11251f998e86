//! Stanchion and its peers by the same workloads, in turns and several times, so that what the machine does meanwhile
//! hits them alike.

mod cycles;
mod machine;
mod plot;
mod report;
mod trials;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bar::Bar;
use crate::disk::is_in_memory;
use crate::fleet::Until;
use crate::peer::{Peer, Programs};
use crate::target::Sample;
use crate::trial::{Line, Trial};
use crate::workload::{Cycle, Kind, Workload};

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
    /// Jobs of a trial's work.
    pub size: u64,
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
    /// Whether the servers' data was in memory.
    in_memory: bool,
    cycles: Vec<CycleRow>,
    trials: Vec<TrialRow>,
}

/// One workload, with what one measurement of it is.
struct Row<W, M> {
    workload: &'static Workload,
    work: W,
    entries: Vec<Entry<M>>,
}

type CycleRow = Row<Cycle, Sample>;
type TrialRow = Row<&'static Trial, Vec<Line>>;

/// One workload on one peer.
struct Entry<M> {
    peer: &'static Peer,
    outcome: Outcome<M>,
}

enum Outcome<M> {
    /// One of each round.
    Measured(Vec<M>),
    /// The peer has not what the workload asks for.
    LeftOut(String),
    /// It did not do its work.
    Failed(String),
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
        let in_memory = is_in_memory(&self.base).context("--dir")?;
        if in_memory {
            tell(format_args!("{}", warning(&self.base)));
        }
        let (mut cycles, mut trials) = (Vec::new(), Vec::new());
        for &workload in &self.workloads {
            tell(format_args!("{}: {}", workload.name, workload.what));
            match workload.kind {
                Kind::Cycle(cycle) => cycles.push(self.cycle(workload, cycle, &peers, tell)?),
                Kind::Trial(trial) => trials.push(self.trial(workload, trial, &peers, tell)),
            }
        }
        Ok(Findings {
            machine: machine::Machine::read(&peers, &self.programs),
            comparison: self,
            missing,
            in_memory,
            cycles,
            trials,
        })
    }
}

impl<W, M> Row<W, M> {
    /// Stanchion's measurements.
    fn stanchion(&self) -> Option<&[M]> {
        self.entries.iter().find_map(|entry| match &entry.outcome {
            Outcome::Measured(measured) if entry.peer.name == Peer::stanchion().name => Some(&measured[..]),
            _ => None,
        })
    }

    /// What did not do its work.
    fn failures(&self) -> impl Iterator<Item = String> {
        self.entries.iter().filter_map(|entry| match &entry.outcome {
            Outcome::Failed(why) => Some(format!("{} on {}: {why}", self.workload.name, entry.peer.name)),
            Outcome::Measured(_) | Outcome::LeftOut(_) => None,
        })
    }
}

/// Says which peers of a row were not measured.
fn tell_rest<M>(entries: &[Entry<M>], tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
    for Entry { peer, outcome } in entries {
        match outcome {
            Outcome::LeftOut(why) => tell(format_args!("  {} is left out: {why}", peer.name)),
            Outcome::Failed(why) => tell(format_args!("  {} FAILED: {why}", peer.name)),
            Outcome::Measured(_) => {}
        }
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
        for (name, text) in plot::plots(&self.cycles) {
            write(name, text)?;
        }
        Ok(())
    }

    /// What did not do its work: a job lost or doubled, a server that ended.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let cycles = self.cycles.iter().flat_map(Row::failures);
        cycles.chain(self.trials.iter().flat_map(Row::failures)).collect()
    }

    /// What Stanchion must reach in the workloads that say so, if it was measured.
    #[must_use]
    pub fn bars(&self) -> Vec<Bar> {
        let bars = |row: &TrialRow| {
            row.stanchion().map(|rounds| row.work.bars(row.workload.name, rounds)).unwrap_or_default()
        };
        self.trials.iter().flat_map(bars).collect()
    }
}

/// What is wrong with figures that were measured there.
fn warning(base: &Path) -> String {
    format!(
        "{} is in memory (tmpfs), where a sync costs nothing: what waits for the disk is not measured; name a directory on a disk with --dir",
        base.display()
    )
}

/// The time of one measurement, for reports.
fn length(until: Until) -> String {
    match until {
        Until::Elapsed(time) => format!("{:.1} s", Duration::as_secs_f64(&time)),
        Until::Jobs(jobs) => format!("{jobs} jobs"),
    }
}
