//! The bad neighbours: each has queues of its own and is as unkind to the server as one client can be.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::dialect::{Asked, Books, Dialect, Heard, Place, Receipts, What};
use crate::ledger::Ledger;
use crate::load::{Load, Shape};
use crate::peer::Peer;
use crate::pipeline::Pipeline;
use crate::single::Single;

/// Their names, which are those of their lines.
pub(super) const FLOOD: &str = "flood";
pub(super) const LIST: &str = "list";
pub(super) const RECLAIM: &str = "reclaim";
pub(super) const PURGE: &str = "purge";

/// Commands of one pipeline of a flood.
const PIPELINE: u64 = 10_000;

/// How jobs are pushed that are no attack themselves.
const FILL_SHAPE: Shape = Shape { depth: 8, batch: 32 };
const FILL_JOBS: u64 = (FILL_SHAPE.depth * FILL_SHAPE.batch) as u64;

/// Of the trial's size, for what is purged: jobs that are listed, queues that are listed, jobs that stand between those
/// that come and go.
const LISTED_SHARE: u64 = 10;
const QUEUES_SHARE: u64 = 100;
const STANDING_SHARE: u64 = 10;

/// In so many jobs that come and go stands one, so that each part of the log has some that must be written again.
const STANDING_EVERY: usize = 8;

/// So long jobs come and go until the log is reclaimed.
const RECLAIM_WAIT_MAX: Duration = Duration::from_secs(60);

/// A client of other queues.
pub(super) trait Attacker: Send {
    /// What it does.
    fn name(&self) -> &'static str;

    /// Makes ready to strike, in its own time.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// Strikes once, and is soon done when it is told to stop.
    fn strike(&mut self, stop: &AtomicBool) -> Result<()>;

    /// What it has done since it was made ready.
    fn account(&mut self) -> Result<String>;

    /// Checks its books.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Those that this peer has the commands for.
pub(super) fn attackers(peer: &Peer, address: SocketAddr, size: u64) -> Result<Vec<Box<dyn Attacker>>> {
    let mut all: Vec<Box<dyn Attacker>> = vec![Box::new(Flood::new(peer, address)?)];
    if let Some(list) = List::new(peer, address, size)? {
        all.push(Box::new(list));
    }
    // Before what purges fills its queue: the log is reclaimed the sooner the less is in it.
    if let Some(reclaim) = Reclaim::new(peer, address, size)? {
        all.push(Box::new(reclaim));
    }
    if let Some(purge) = Purge::new(peer, address, size)? {
        all.push(Box::new(purge));
    }
    Ok(all)
}

/// What all but the flood are: two connections to queues of their own.
struct Neighbour {
    client: Client,
    dialect: Box<dyn Dialect>,
    single: Single,
    ledger: Ledger,
}

impl Neighbour {
    fn new(peer: &Peer, address: SocketAddr, name: &str, queues: u64) -> Result<Neighbour> {
        let mut client = Client::connect(address)?;
        let load = Load { prefix: name.to_owned(), queues: queues as usize, ..Load::default() };
        let mut dialect = peer.dialect(&mut client, &load)?;
        let single = Single::connect(address, 0, &mut *dialect)?;
        Ok(Neighbour { client, dialect, single, ledger: Ledger::default() })
    }

    fn push(&mut self, queue: usize, shape: Shape) -> Result<()> {
        self.single.push(&mut *self.dialect, &mut self.ledger, queue, shape)
    }

    fn left(&mut self, queue: usize) -> Result<u64> {
        self.dialect.left(&mut self.client, queue)
    }
}

/// Sends pipelines of 10,000 commands without end: pushes, then claims, then acks.
struct Flood {
    dialect: Box<dyn Dialect>,
    pipeline: Pipeline,
    ledger: Ledger,
    receipts: Receipts,
    commands: u64,
}

const PLACE: Place = Place { connection: 0, queue: 0 };

impl Flood {
    fn new(peer: &Peer, address: SocketAddr) -> Result<Flood> {
        let load = Load { prefix: FLOOD.to_owned(), ..Load::default() };
        let dialect = peer.dialect(&mut Client::connect(address)?, &load)?;
        let pipeline = Pipeline::connect(address)?;
        let (ledger, receipts) = (Ledger::default(), Receipts::default());
        let mut flood = Flood { dialect, pipeline, ledger, receipts, commands: 0 };
        let answers = flood.dialect.greet(&mut flood.pipeline.out, PLACE);
        flood.exchange(What::Greeting, answers)?;
        Ok(flood)
    }

    fn exchange(&mut self, what: What, answers: usize) -> Result<()> {
        let Flood { dialect, pipeline, ledger, receipts, .. } = self;
        pipeline.exchange(answers, |nth, bytes| {
            let mut books = Books { ledger, receipts };
            // Each command is of one job; where it has several answers, they take turns.
            let asked = Asked { what, jobs: 1, nth };
            match dialect.hear(asked, bytes, &mut books)? {
                Heard::Incomplete => Ok(None),
                Heard::Answer { length } => Ok(Some(length)),
                Heard::Aside { .. } => anyhow::bail!("the server asks for something itself"),
            }
        })
    }

    fn send(&mut self, what: What) -> Result<()> {
        let out = &mut self.pipeline.out;
        let mut answers = 0;
        for command in 0..PIPELINE {
            answers += match what {
                What::Push => self.dialect.push(out, PLACE, self.ledger.send(1)),
                What::Claim => self.dialect.claim(out, PLACE, 1),
                What::Ack => {
                    let which = command as usize;
                    self.dialect.ack(out, PLACE, &self.receipts, which..which + 1)
                }
                What::Greeting => 0,
            };
        }
        self.exchange(what, answers)?;
        self.commands += PIPELINE;
        Ok(())
    }
}

impl Attacker for Flood {
    fn name(&self) -> &'static str {
        FLOOD
    }

    fn strike(&mut self, _stop: &AtomicBool) -> Result<()> {
        self.receipts.clear();
        self.send(What::Push)?;
        self.send(What::Claim)?;
        ensure!(self.receipts.len() as u64 == PIPELINE, "{} jobs were handed out", self.receipts.len());
        self.send(What::Ack)
    }

    fn account(&mut self) -> Result<String> {
        Ok(format!("{} commands in pipelines of {PIPELINE}", std::mem::take(&mut self.commands)))
    }

    fn finish(&mut self) -> Result<()> {
        self.ledger.close(0).context("the flood")
    }
}

/// Lists all queues, and all jobs of one, again and again.
struct List {
    own: Neighbour,
    queues: u64,
    jobs: u64,
    times: u64,
}

impl List {
    fn new(peer: &Peer, address: SocketAddr, size: u64) -> Result<Option<List>> {
        let queues = (size / QUEUES_SHARE).max(1);
        let mut own = Neighbour::new(peer, address, LIST, queues)?;
        let can = own.dialect.list(&mut own.client, 0)?.is_some();
        Ok(can.then_some(List { own, queues, jobs: size / LISTED_SHARE, times: 0 }))
    }
}

impl Attacker for List {
    fn name(&self) -> &'static str {
        LIST
    }

    fn prepare(&mut self) -> Result<()> {
        if self.own.ledger.sent() > 0 {
            return Ok(());
        }
        for queue in 1..self.queues {
            self.own.push(queue as usize, Shape { depth: 1, batch: 1 })?;
        }
        while self.own.left(0)? < self.jobs {
            self.own.push(0, FILL_SHAPE)?;
        }
        self.jobs = self.own.left(0)?;
        Ok(())
    }

    fn strike(&mut self, _stop: &AtomicBool) -> Result<()> {
        let listed = self.own.dialect.list(&mut self.own.client, 0)?;
        ensure!(listed == Some(self.jobs), "{listed:?} of {} jobs were listed", self.jobs);
        self.times += 1;
        Ok(())
    }

    fn account(&mut self) -> Result<String> {
        let times = std::mem::take(&mut self.times);
        Ok(format!("{} queues and {} jobs listed {times} times", self.queues, self.jobs))
    }
}

/// Has jobs come and go over some that stand, so that the log must be reclaimed.
struct Reclaim {
    own: Neighbour,
    standing_max: u64,
    jobs: u64,
    rewritten: u64,
}

/// Where jobs come and go, and where some stand.
const CHURN: usize = 0;
const STANDING: usize = 1;

impl Reclaim {
    fn new(peer: &Peer, address: SocketAddr, size: u64) -> Result<Option<Reclaim>> {
        let mut own = Neighbour::new(peer, address, RECLAIM, 2)?;
        let can = own.dialect.rewritten_bytes(&mut own.client)?.is_some();
        let standing_max = size / STANDING_SHARE;
        Ok(can.then_some(Reclaim { own, standing_max, jobs: 0, rewritten: 0 }))
    }

    fn rewritten(&mut self) -> Result<u64> {
        Ok(self.own.dialect.rewritten_bytes(&mut self.own.client)?.unwrap_or(0))
    }

    fn churn(&mut self) -> Result<()> {
        let Neighbour { dialect, single, ledger, .. } = &mut self.own;
        single.push(&mut **dialect, ledger, CHURN, FILL_SHAPE)?;
        let standing = Shape { depth: 1, batch: FILL_JOBS as usize / STANDING_EVERY };
        single.push(&mut **dialect, ledger, STANDING, standing)?;
        single.take(&mut **dialect, ledger, CHURN, FILL_SHAPE)?;
        self.jobs += FILL_JOBS;
        if self.jobs.is_multiple_of(FILL_JOBS * 100) && self.own.left(STANDING)? > self.standing_max {
            self.own.dialect.purge(&mut self.own.client, STANDING)?;
        }
        Ok(())
    }
}

impl Attacker for Reclaim {
    fn name(&self) -> &'static str {
        RECLAIM
    }

    /// Has jobs come and go until the log is reclaimed.
    fn prepare(&mut self) -> Result<()> {
        let (before, deadline) = (self.rewritten()?, Instant::now() + RECLAIM_WAIT_MAX);
        while self.rewritten()? == before {
            ensure!(Instant::now() < deadline, "the log was not reclaimed after {} jobs", self.jobs);
            self.churn()?;
        }
        self.rewritten = self.rewritten()?;
        self.jobs = 0;
        Ok(())
    }

    fn strike(&mut self, _stop: &AtomicBool) -> Result<()> {
        self.churn()
    }

    fn account(&mut self) -> Result<String> {
        let rewritten = self.rewritten()? - self.rewritten;
        let mebibytes = rewritten as f64 / f64::from(1 << 20);
        Ok(format!("{} jobs came and went, {mebibytes:.1} MiB of the log were written again", self.jobs))
    }
}

/// Purges a queue of as many jobs as the trial's size, fills it as before, and purges it again.
struct Purge {
    own: Neighbour,
    size: u64,
    purged: u64,
    times: u64,
}

impl Purge {
    fn new(peer: &Peer, address: SocketAddr, size: u64) -> Result<Option<Purge>> {
        let mut own = Neighbour::new(peer, address, PURGE, 1)?;
        let can = own.dialect.purge(&mut own.client, 0)?;
        Ok(can.then_some(Purge { own, size, purged: 0, times: 0 }))
    }

    /// Fills the queue, unless it is told to stop.
    fn fill(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut left = self.own.left(0)?;
        while left < self.size && !stop.load(Ordering::Relaxed) {
            self.own.push(0, FILL_SHAPE)?;
            left += FILL_JOBS;
        }
        Ok(())
    }
}

impl Attacker for Purge {
    fn name(&self) -> &'static str {
        PURGE
    }

    fn prepare(&mut self) -> Result<()> {
        self.fill(&AtomicBool::new(false))
    }

    fn strike(&mut self, stop: &AtomicBool) -> Result<()> {
        let before = self.own.left(0)?;
        self.own.dialect.purge(&mut self.own.client, 0)?;
        let left = self.own.left(0)?;
        ensure!(left == 0, "{left} of {before} jobs are left after a purge");
        self.purged += before;
        self.times += 1;
        self.fill(stop)
    }

    fn account(&mut self) -> Result<String> {
        let (purged, times) = (std::mem::take(&mut self.purged), std::mem::take(&mut self.times));
        Ok(format!("{purged} jobs gone by {times} purge(s), and filled up between"))
    }
}
