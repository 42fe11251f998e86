//! Workloads that are trials: one server after the other, each round on a fresh one.

use std::fmt;

use super::{Comparison, Entry, Outcome, TrialRow, tell_rest};
use crate::peer::Peer;
use crate::trial::{Line, Setting, Trial};
use crate::workload::Workload;

impl Comparison {
    /// One trial on all peers.
    pub(super) fn trial(
        &self,
        workload: &'static Workload,
        trial: &'static Trial,
        peers: &[&'static Peer],
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> TrialRow {
        let able = |peer: &'static Peer| match (trial.check)(peer) {
            Err(error) => Outcome::LeftOut(format!("{error:#}")),
            Ok(()) if !peer.keeps(workload.durability) => {
                Outcome::LeftOut(format!("it has no durability {}", workload.durability.name()))
            }
            Ok(()) => Outcome::Measured(Vec::new()),
        };
        let mut entries: Vec<Entry<Vec<Line>>> =
            peers.iter().map(|&peer| Entry { peer, outcome: able(peer) }).collect();
        let setting = Setting {
            programs: &self.programs,
            base: &self.base,
            durability: workload.durability,
            until: self.until,
            size: self.size,
        };
        for round in 0..self.rounds {
            for turn in 0..entries.len() {
                // Each round begins with another one.
                let which = (round + turn) % peers.len();
                let Entry { peer, outcome } = &mut entries[which];
                let Outcome::Measured(rounds) = outcome else { continue };
                match (trial.run)(&setting, peer) {
                    Ok(lines) => {
                        rounds.push(lines);
                        tell(format_args!("  round {}: {} is measured", round + 1, peer.name));
                    }
                    Err(error) => *outcome = Outcome::Failed(format!("{error:#}")),
                }
            }
        }
        tell_rest(&entries, tell);
        TrialRow { workload, work: trial, entries }
    }
}
