//! Workloads that are cycles of jobs: all servers run meanwhile and take turns.

use std::fmt;

use anyhow::Result;

use super::{Comparison, CycleRow, Entry, Outcome, tell_rest};
use crate::contender::Contender;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::process::allow_files;
use crate::target::Sample;
use crate::workload::{Cycle, Workload};

/// Files beside one for each connection.
const FILES_SPARE: u64 = 200;

/// A server between its rounds.
enum Runner {
    Measured(Box<Contender>, Vec<Sample>),
    Over(Outcome<Sample>),
}

impl Comparison {
    /// One workload on all peers.
    pub(super) fn cycle(
        &self,
        workload: &'static Workload,
        cycle: Cycle,
        peers: &[&'static Peer],
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<CycleRow> {
        let connections = cycle.load()?.crew.connections();
        allow_files(connections as u64 * peers.len() as u64 + FILES_SPARE)?;
        let groups: Vec<&[&'static Peer]> =
            if workload.is_heavy { peers.chunks(1).collect() } else { vec![peers] };
        let mut entries = Vec::new();
        for group in groups {
            entries.extend(self.measure(workload, &cycle, group, tell));
        }
        tell_rest(&entries, tell);
        Ok(CycleRow { workload, work: cycle, entries })
    }

    /// One workload on some peers that all run meanwhile.
    fn measure(
        &self,
        workload: &'static Workload,
        cycle: &Cycle,
        peers: &[&'static Peer],
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Vec<Entry<Sample>> {
        let mut runners: Vec<Runner> = peers.iter().map(|peer| self.start(workload, cycle, peer)).collect();
        for round in 0..self.rounds {
            for turn in 0..runners.len() {
                // Each round begins with another one.
                let which = (round + turn) % runners.len();
                let Runner::Measured(contender, samples) = &mut runners[which] else { continue };
                match cycle.measure(contender, self.until) {
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
        peers.iter().zip(ended).map(|(peer, outcome)| Entry { peer, outcome }).collect()
    }

    fn start(&self, workload: &'static Workload, cycle: &Cycle, peer: &'static Peer) -> Runner {
        let load = match cycle.load().and_then(|load| peer.check(&load).map(|()| load)) {
            Ok(load) => load,
            Err(error) => return Runner::Over(Outcome::LeftOut(format!("{error:#}"))),
        };
        if !peer.is_direct() && cycle.pace() != Pace::Closed {
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
            .and_then(|mut contender| cycle.warm_up(&mut contender, self.until).map(|()| contender));
        match started {
            Ok(contender) => Runner::Measured(Box::new(contender), Vec::new()),
            Err(error) => Runner::Over(Outcome::Failed(format!("{error:#}"))),
        }
    }
}

/// Checks the books of a server and ends it.
fn end(runner: Runner) -> Outcome<Sample> {
    match runner {
        Runner::Over(outcome) => outcome,
        Runner::Measured(contender, samples) => match contender.finish() {
            Ok(()) => Outcome::Measured(samples),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        },
    }
}
