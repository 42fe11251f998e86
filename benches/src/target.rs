//! A server, the connections that load it, and the books that prove its work.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::dialect::{Dialect, Receipts};
use crate::ledger::Ledger;
use crate::load::{Fleet, Run, Shape, Until};
use crate::lua::Lua;
use crate::native::{Acks, Native};
use crate::process::{Cpu, Persistence, Process};

/// How many load a server, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) connections: usize,
    /// The connections take turns over so many queues.
    pub(crate) queues: usize,
    /// Jobs that stand in each queue all the time.
    pub(crate) backlog: u64,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) run: Run,
    pub(crate) server_cpu: Cpu,
}

impl Sample {
    /// Server CPU of one job in microseconds.
    pub(crate) fn server_us(&self) -> f64 {
        self.server_cpu.total().as_secs_f64() * 1e6 / self.run.jobs as f64
    }

    /// The part of it that the kernel spent.
    pub(crate) fn system_us(&self) -> f64 {
        self.server_cpu.system.as_secs_f64() * 1e6 / self.run.jobs as f64
    }

    pub(crate) fn client_us(&self) -> f64 {
        self.run.client_cpu.as_secs_f64() * 1e6 / self.run.jobs as f64
    }

    pub(crate) fn jobs_per_second(&self) -> f64 {
        self.run.jobs as f64 / self.run.elapsed.as_secs_f64()
    }
}

/// A running server under load.
pub(crate) struct Target {
    name: String,
    process: Process,
    dialect: Box<dyn Dialect>,
    fleet: Fleet,
    ledger: Ledger,
    crowd: Crowd,
}

impl Target {
    /// Redis with JobQueueRedis's scripts.
    pub(crate) fn redis(base: &Path, persistence: Persistence, crowd: Crowd) -> Result<Target> {
        let name = match persistence {
            Persistence::None => "redis + Lua, no AOF",
            Persistence::Always | Persistence::Rewritten => "redis + Lua, AOF always",
            Persistence::EverySecond => "redis + Lua, AOF every second",
        };
        let process = Process::redis(base, persistence)?;
        let dialect = Lua::load(&mut Client::connect(process.address())?, crowd.queues)?;
        Target::new(name.to_owned(), process, Box::new(dialect), crowd)
    }

    /// The real Stanchion server.
    pub(crate) fn stanchion(
        binary: &Path,
        base: &Path,
        durability: &str,
        acks: Acks,
        crowd: Crowd,
    ) -> Result<Target> {
        let process = Process::stanchion(binary, base, durability)?;
        let name = match acks {
            Acks::Alone => format!("stanchion, {durability}"),
            Acks::WithClaims => format!("stanchion, {durability}, QCLAIM ACK"),
        };
        Target::new(name, process, Box::new(Native::new(crowd.queues, acks)), crowd)
    }

    fn new(name: String, process: Process, dialect: Box<dyn Dialect>, crowd: Crowd) -> Result<Target> {
        let fleet = Fleet::connect(process.address(), crowd.connections, crowd.queues)?;
        let mut target = Target { name, process, dialect, fleet, ledger: Ledger::default(), crowd };
        target.check_dedupe().and_then(|()| target.fill()).with_context(|| target.name.clone())?;
        Ok(target)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Loads the server and says what it cost.
    pub(crate) fn measure(&mut self, shape: Shape, until: Until) -> Result<Sample> {
        self.try_measure(shape, until).with_context(|| format!("{} at {shape:?}", self.name))
    }

    fn try_measure(&mut self, shape: Shape, until: Until) -> Result<Sample> {
        let before = self.process.cpu()?;
        let run = self.fleet.run(&mut *self.dialect, &mut self.ledger, shape, until)?;
        Ok(Sample { run, server_cpu: self.process.cpu()?.since(before) })
    }

    /// Empties the queues, checks the books and what the server still holds, then ends it.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.check_end().with_context(|| self.name.clone())?;
        self.process.stop().with_context(|| self.name)
    }

    fn check_end(&mut self) -> Result<()> {
        let mut client = Client::connect(self.process.address())?;
        for queue in 0..self.crowd.queues {
            for _ in 0..self.crowd.backlog {
                self.claim_and_ack(&mut client, queue)?;
            }
            let left = self.dialect.left(&mut client, queue)?;
            ensure!(left == 0, "all jobs are acked, but queue {queue} still holds {left}");
        }
        self.ledger.close()
    }

    /// Pushes the backlog.
    fn fill(&mut self) -> Result<()> {
        let mut client = Client::connect(self.process.address())?;
        for queue in 0..self.crowd.queues {
            for _ in 0..self.crowd.backlog {
                let jobs = self.ledger.send(1);
                let added = self.push(&mut client, queue, jobs)?;
                self.ledger.added(added);
            }
        }
        Ok(())
    }

    /// A dedupe key that does nothing would make a push cheap: the second push of a job must be dropped.
    fn check_dedupe(&mut self) -> Result<()> {
        let mut client = Client::connect(self.process.address())?;
        let jobs = self.ledger.send(1);
        let added = self.push(&mut client, 0, jobs.clone())?;
        let again = self.push(&mut client, 0, jobs)?;
        ensure!((added, again) == (1, 0), "a job was pushed twice and added {added} and {again} times");
        self.ledger.added(added);
        self.claim_and_ack(&mut client, 0)
    }

    fn push(&mut self, client: &mut Client, queue: usize, jobs: Range<u64>) -> Result<u64> {
        let mut out = Vec::new();
        self.dialect.push(&mut out, queue, jobs);
        client.send_encoded(&out)?;
        client.receive(|reply| self.dialect.added(reply))
    }

    fn claim_and_ack(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        let (mut out, mut receipts) = (Vec::new(), Receipts::default());
        let _ = self.dialect.claim(&mut out, queue, 1);
        client.send_encoded(&out)?;
        client.receive(|reply| self.dialect.claimed(reply, &mut receipts, &mut self.ledger))?;
        out.clear();
        let _ = self.dialect.ack(&mut out, queue, &receipts, 0..1);
        client.send_encoded(&out)?;
        self.ledger.acked(client.receive(|reply| reply.integer())?.try_into()?);
        Ok(())
    }
}
