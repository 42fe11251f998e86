//! What the peers are compared by: one table, which drives the comparison, its help and the documentation.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::attack::ATTACK;
use crate::contender::Contender;
use crate::fan_out::FAN_OUT;
use crate::fleet::Until;
use crate::job::{PAYLOAD_BYTES, Sizes};
use crate::load::{Crew, Load, Shape};
use crate::pace::{Arrivals, Pace};
use crate::target::Sample;
use crate::trial::Trial;

/// When a reply may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Whether or not anything is on the disk.
    Never,
    /// The same, with a sync every second.
    EverySecond,
    /// Once what it says is on the disk.
    Always,
}

impl Durability {
    /// As Stanchion's setting has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Durability::Never => "never",
            Durability::EverySecond => "1s",
            Durability::Always => "always",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// As it is named on the command line.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// What the servers are told to wait for.
    pub durability: Durability,
    /// Whether it takes so much memory or time that it runs only when it is named, and one server after the other.
    pub is_heavy: bool,
    /// What is done.
    pub kind: Kind,
}

/// What a workload does.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Jobs are pushed, claimed and acked, and what one costs is measured.
    Cycle(Cycle),
    /// What is no cycle of jobs: it starts its servers itself and has figures of its own.
    Trial(&'static Trial),
}

/// A load and when its jobs are due.
#[derive(Clone, Copy, Debug)]
pub struct Cycle {
    /// Jobs that are due each second; none for a closed loop.
    rate: Option<f64>,
    crew: Crew,
    shape: Shape,
    queues: usize,
    groups: usize,
    payload: usize,
    dedupe: bool,
    delay_ms: u64,
    backlog: u64,
}

/// Before the first measurement: tables grow, pages are mapped.
const WARM_UP: Duration = Duration::from_millis(300);

/// The name of all that are not heavy.
pub const STANDARD: &str = "standard";
/// The name of all.
pub const ALL: &str = "all";

/// What a row does that says nothing else.
const CYCLE: Cycle = Cycle {
    rate: None,
    crew: Crew::Workers(8),
    shape: Shape { depth: 1, batch: 1 },
    queues: 1,
    groups: 0,
    payload: PAYLOAD_BYTES,
    dedupe: false,
    delay_ms: 0,
    backlog: 0,
};

const fn cycle(name: &'static str, what: &'static str, cycle: Cycle) -> Workload {
    let durability = Durability::Never;
    Workload { name, what, durability, is_heavy: false, kind: Kind::Cycle(cycle) }
}

const fn trial(name: &'static str, what: &'static str, trial: &'static Trial) -> Workload {
    let durability = Durability::Never;
    Workload { name, what, durability, is_heavy: true, kind: Kind::Trial(trial) }
}

impl Cycle {
    const fn workers(self, count: usize) -> Cycle {
        Cycle { crew: Crew::Workers(count), ..self }
    }

    const fn apart(self, producers: usize, consumers: usize) -> Cycle {
        Cycle { crew: Crew::Apart { producers, consumers }, ..self }
    }

    const fn depth(self, depth: usize) -> Cycle {
        Cycle { shape: Shape { depth, batch: self.shape.batch }, ..self }
    }

    const fn batch(self, batch: usize) -> Cycle {
        Cycle { shape: Shape { depth: self.shape.depth, batch }, ..self }
    }

    const fn queues(self, queues: usize) -> Cycle {
        Cycle { queues, ..self }
    }

    const fn groups(self, groups: usize) -> Cycle {
        Cycle { groups, ..self }
    }

    const fn payload(self, payload: usize) -> Cycle {
        Cycle { payload, ..self }
    }

    const fn dedupe(self) -> Cycle {
        Cycle { dedupe: true, ..self }
    }

    const fn delay_ms(self, delay_ms: u64) -> Cycle {
        Cycle { delay_ms, ..self }
    }

    const fn backlog(self, backlog: u64) -> Cycle {
        Cycle { backlog, ..self }
    }

    const fn rate(self, rate: f64) -> Cycle {
        Cycle { rate: Some(rate), ..self }
    }
}

impl Workload {
    const fn durable(self, durability: Durability) -> Workload {
        Workload { durability, ..self }
    }

    const fn heavy(self) -> Workload {
        Workload { is_heavy: true, ..self }
    }
}

/// All workloads. Where a row says nothing else, 8 connections push, claim and ack jobs of 200 B on one queue, and no
/// server waits for its disk.
pub const WORKLOADS: &[Workload] = &[
    cycle("depth-1", "each connection waits for every answer", CYCLE),
    cycle("depth-8", "8 commands of each connection under way", CYCLE.depth(8)),
    cycle("depth-32", "32 commands of each connection under way", CYCLE.depth(32)),
    cycle("batch-16", "16 jobs in one command", CYCLE.batch(16)),
    cycle("batch-256", "256 jobs in one command", CYCLE.batch(256)),
    cycle("dedupe-depth-1", "depth-1 with a dedupe key for each job", CYCLE.dedupe()),
    cycle("dedupe-depth-32", "depth-32 with a dedupe key for each job", CYCLE.depth(32).dedupe()),
    cycle("dedupe-batch-16", "batch-16 with a dedupe key for each job", CYCLE.batch(16).dedupe()),
    cycle("apart", "4 connections push, 4 others claim and ack, at depth 8", CYCLE.apart(4, 4).depth(8)),
    cycle(
        "rate-2000",
        "2,000 jobs a second are due, as a Poisson process: latency at rest",
        CYCLE.rate(2_000.0),
    ),
    cycle(
        "rate-8000",
        "8,000 jobs a second are due on 32 connections: latency at work",
        CYCLE.workers(32).rate(8_000.0),
    ),
    cycle("payload-32", "payloads of 32 B, at depth 8", CYCLE.depth(8).payload(32)),
    cycle("payload-4096", "payloads of 4 KiB, at depth 8", CYCLE.depth(8).payload(4_096)),
    cycle("payload-65536", "payloads of 64 KiB, at depth 1", CYCLE.payload(65_536)),
    cycle(
        "delayed",
        "jobs are due after 1 s; 4 connections push, 4 others claim, at depth 8",
        CYCLE.apart(4, 4).depth(8).delay_ms(1_000),
    ),
    cycle("durable-1s", "64 connections; a sync every second", CYCLE.workers(64))
        .durable(Durability::EverySecond),
    cycle("durable-always", "64 connections; every answer waits for the disk", CYCLE.workers(64))
        .durable(Durability::Always),
    cycle("connections-64", "64 connections at depth 1", CYCLE.workers(64)),
    cycle("connections-512", "512 connections at depth 1", CYCLE.workers(512)),
    cycle("connections-2000", "2,000 connections at depth 1", CYCLE.workers(2_000)),
    cycle(
        "groups-1",
        "one group, a backlog of 100,000 jobs, at depth 32",
        CYCLE.depth(32).groups(1).backlog(100_000),
    ),
    cycle(
        "groups-100000",
        "100,000 groups take turns, a backlog of 100,000 jobs, at depth 32",
        CYCLE.depth(32).groups(100_000).backlog(100_000),
    ),
    cycle("queues-10000", "10,000 queues take turns, at depth 8", CYCLE.depth(8).queues(10_000)),
    cycle("backlog-1m", "1 million jobs stand behind, at depth 32", CYCLE.depth(32).backlog(1_000_000))
        .heavy(),
    cycle("backlog-10m", "10 million jobs stand behind, at depth 32", CYCLE.depth(32).backlog(10_000_000))
        .heavy(),
    trial(
        "attack",
        "a quiet queue while clients of others flood, purge, list and make the log be reclaimed",
        &ATTACK,
    ),
    trial(
        "fan-out",
        "an edit of a template: one root fans out to a million leaves, superseded three times while they run",
        &FAN_OUT,
    ),
];

impl Workload {
    /// The workloads of these names; `standard` and `all` name several.
    ///
    /// # Errors
    /// One is none.
    pub fn named(names: &[String]) -> Result<Vec<&'static Workload>> {
        let mut found: Vec<&'static Workload> = Vec::new();
        for name in names {
            let some: Vec<_> = match &name[..] {
                STANDARD => WORKLOADS.iter().filter(|workload| !workload.is_heavy).collect(),
                ALL => WORKLOADS.iter().collect(),
                name => vec![WORKLOADS.iter().find(|workload| workload.name == name).with_context(|| {
                    let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
                    format!(
                        "there is no workload {name:?}; it is {STANDARD}, {ALL} or one of {}",
                        names.join(", ")
                    )
                })?],
            };
            for workload in some {
                if !found.iter().any(|other| other.name == workload.name) {
                    found.push(workload);
                }
            }
        }
        Ok(found)
    }
}

impl Cycle {
    /// What is asked of a server.
    ///
    /// # Errors
    /// The row is wrong.
    pub fn load(&self) -> Result<Load> {
        let load = Load {
            crew: self.crew,
            shape: self.shape,
            queues: self.queues,
            groups: self.groups,
            payload: Sizes::new(vec![self.payload])?,
            dedupe: self.dedupe,
            delay_ms: self.delay_ms,
            backlog: self.backlog,
            ..Load::default()
        };
        load.check()?;
        Ok(load)
    }

    /// When its jobs are due.
    #[must_use]
    pub fn pace(&self) -> Pace {
        match self.rate {
            None => Pace::Closed,
            Some(rate) => Pace::Open {
                pushes_per_second: rate / self.shape.batch as f64,
                arrivals: Arrivals::Poisson { seed: 1 },
            },
        }
    }

    /// Makes a server ready to be measured.
    ///
    /// # Errors
    /// The server does not do its work.
    pub fn warm_up(&self, contender: &mut Contender, until: Until) -> Result<()> {
        let until = match until {
            Until::Elapsed(time) => Until::Elapsed(time.min(WARM_UP)),
            Until::Jobs(jobs) => Until::Jobs(jobs),
        };
        self.measure(contender, until).map(drop)
    }

    /// Measures it once.
    ///
    /// # Errors
    /// The server does not do its work.
    pub fn measure(&self, contender: &mut Contender, until: Until) -> Result<Sample> {
        contender.measure_at(self.shape, self.pace(), until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{PEERS, Peer};

    /// Whether the peer can do what the row asks for.
    fn check(workload: &Workload, peer: &Peer) -> Result<()> {
        match workload.kind {
            Kind::Cycle(cycle) => peer.check(&cycle.load()?),
            Kind::Trial(trial) => (trial.check)(peer),
        }
    }

    #[test]
    fn every_row_is_one_that_stanchion_takes() {
        for workload in WORKLOADS {
            check(workload, Peer::stanchion()).unwrap_or_else(|error| panic!("{}: {error}", workload.name));
        }
    }

    #[test]
    fn every_peer_takes_some_row() {
        for peer in PEERS {
            assert!(WORKLOADS.iter().any(|workload| check(workload, peer).is_ok()));
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            Workload::named(&words)
        };
        assert_eq!(names(&[ALL]).unwrap().len(), WORKLOADS.len());
        assert_eq!(names(&["depth-1", STANDARD]).unwrap()[0].name, "depth-1");
        let heavy = WORKLOADS.iter().filter(|workload| workload.is_heavy).count();
        assert_eq!(names(&["depth-1", STANDARD]).unwrap().len(), WORKLOADS.len() - heavy);
        assert!(names(&["depth-2"]).is_err());
    }
}
