//! What the peers are compared by: one table, which drives the comparison, its help and the documentation.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::contender::Contender;
use crate::fleet::Until;
use crate::job::{PAYLOAD_BYTES, Sizes};
use crate::load::{Crew, Load, Shape};
use crate::pace::{Arrivals, Pace};
use crate::target::Sample;

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
    /// How it is measured. What is no cycle of jobs brings a function of its own.
    measure: Measure,
}

type Measure = fn(&Workload, &mut Contender, Until) -> Result<Sample>;

/// Before the first measurement: tables grow, pages are mapped.
const WARM_UP: Duration = Duration::from_millis(300);

/// The name of all that are not heavy.
pub const STANDARD: &str = "standard";
/// The name of all.
pub const ALL: &str = "all";

const fn row(name: &'static str, what: &'static str) -> Workload {
    Workload {
        name,
        what,
        durability: Durability::Never,
        is_heavy: false,
        rate: None,
        crew: Crew::Workers(8),
        shape: Shape { depth: 1, batch: 1 },
        queues: 1,
        groups: 0,
        payload: PAYLOAD_BYTES,
        dedupe: false,
        delay_ms: 0,
        backlog: 0,
        measure: cycle,
    }
}

impl Workload {
    const fn workers(self, count: usize) -> Workload {
        Workload { crew: Crew::Workers(count), ..self }
    }

    const fn apart(self, producers: usize, consumers: usize) -> Workload {
        Workload { crew: Crew::Apart { producers, consumers }, ..self }
    }

    const fn depth(self, depth: usize) -> Workload {
        Workload { shape: Shape { depth, batch: self.shape.batch }, ..self }
    }

    const fn batch(self, batch: usize) -> Workload {
        Workload { shape: Shape { depth: self.shape.depth, batch }, ..self }
    }

    const fn queues(self, queues: usize) -> Workload {
        Workload { queues, ..self }
    }

    const fn groups(self, groups: usize) -> Workload {
        Workload { groups, ..self }
    }

    const fn payload(self, payload: usize) -> Workload {
        Workload { payload, ..self }
    }

    const fn dedupe(self) -> Workload {
        Workload { dedupe: true, ..self }
    }

    const fn delay_ms(self, delay_ms: u64) -> Workload {
        Workload { delay_ms, ..self }
    }

    const fn backlog(self, backlog: u64) -> Workload {
        Workload { backlog, ..self }
    }

    const fn durable(self, durability: Durability) -> Workload {
        Workload { durability, ..self }
    }

    const fn rate(self, rate: f64) -> Workload {
        Workload { rate: Some(rate), ..self }
    }

    const fn heavy(self) -> Workload {
        Workload { is_heavy: true, ..self }
    }
}

/// All workloads. Where a row says nothing else, 8 connections push, claim and ack jobs of 200 B on one queue, and no
/// server waits for its disk.
pub const WORKLOADS: &[Workload] = &[
    row("depth-1", "each connection waits for every answer"),
    row("depth-8", "8 commands of each connection under way").depth(8),
    row("depth-32", "32 commands of each connection under way").depth(32),
    row("batch-16", "16 jobs in one command").batch(16),
    row("batch-256", "256 jobs in one command").batch(256),
    row("dedupe-depth-1", "depth-1 with a dedupe key for each job").dedupe(),
    row("dedupe-depth-32", "depth-32 with a dedupe key for each job").depth(32).dedupe(),
    row("dedupe-batch-16", "batch-16 with a dedupe key for each job").batch(16).dedupe(),
    row("apart", "4 connections push, 4 others claim and ack, at depth 8").apart(4, 4).depth(8),
    row("rate-2000", "2,000 jobs a second are due, as a Poisson process: latency at rest").rate(2_000.0),
    row("rate-8000", "8,000 jobs a second are due on 32 connections: latency at work")
        .workers(32)
        .rate(8_000.0),
    row("payload-32", "payloads of 32 B, at depth 8").depth(8).payload(32),
    row("payload-4096", "payloads of 4 KiB, at depth 8").depth(8).payload(4_096),
    row("payload-65536", "payloads of 64 KiB, at depth 1").payload(65_536),
    row("delayed", "jobs are due after 1 s; 4 connections push, 4 others claim, at depth 8")
        .apart(4, 4)
        .depth(8)
        .delay_ms(1_000),
    row("durable-1s", "64 connections; a sync every second").workers(64).durable(Durability::EverySecond),
    row("durable-always", "64 connections; every answer waits for the disk")
        .workers(64)
        .durable(Durability::Always),
    row("connections-64", "64 connections at depth 1").workers(64),
    row("connections-512", "512 connections at depth 1").workers(512),
    row("connections-2000", "2,000 connections at depth 1").workers(2_000),
    row("groups-1", "one group, at depth 32").depth(32).groups(1),
    row("groups-100000", "100,000 groups take turns, a backlog of 100,000 jobs, at depth 32")
        .depth(32)
        .groups(100_000)
        .backlog(100_000),
    row("queues-10000", "10,000 queues take turns, at depth 8").depth(8).queues(10_000),
    row("backlog-1m", "1 million jobs stand behind, at depth 32").depth(32).backlog(1_000_000).heavy(),
    row("backlog-10m", "10 million jobs stand behind, at depth 32").depth(32).backlog(10_000_000).heavy(),
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
        (self.measure)(self, contender, until).map(drop)
    }

    /// Measures it once.
    ///
    /// # Errors
    /// The server does not do its work.
    pub fn measure(&self, contender: &mut Contender, until: Until) -> Result<Sample> {
        (self.measure)(self, contender, until)
    }
}

/// Jobs that are pushed, claimed and acked.
fn cycle(workload: &Workload, contender: &mut Contender, until: Until) -> Result<Sample> {
    contender.measure_at(workload.shape, workload.pace(), until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{PEERS, Peer};

    #[test]
    fn every_row_is_a_load_that_stanchion_takes() {
        for workload in WORKLOADS {
            let load = workload.load().unwrap();
            Peer::stanchion().check(&load).unwrap_or_else(|error| panic!("{}: {error}", workload.name));
        }
    }

    #[test]
    fn every_peer_takes_some_row() {
        for peer in PEERS {
            assert!(WORKLOADS.iter().any(|workload| peer.check(&workload.load().unwrap()).is_ok()));
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
