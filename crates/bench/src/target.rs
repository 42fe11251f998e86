//! A server that runs, the connections that load it, and the books that prove its work.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::dialect::Dialect;
use crate::fleet::{Fleet, Order, Progress, Run, Until, Work};
use crate::ledger::Ledger;
use crate::load::{Load, Shape};
use crate::pace::Pace;
use crate::peer::Peer;
use crate::single::Single;
use crate::usage::{Cpu, Usage};

/// How a backlog is pushed.
const FILL_SHAPE: Shape = Shape { depth: 8, batch: 32 };
/// The same with less under way, for large payloads.
const FILL_SHAPE_LARGE: Shape = Shape { depth: 8, batch: 1 };
const LARGE_BYTES: usize = 16 * 1024;

/// One measurement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// What the generator saw.
    pub run: Run,
    /// What the server took, where its process is known.
    pub server_cpu: Option<Cpu>,
}

impl Sample {
    /// Server CPU of one job in microseconds; not a number where it is not known.
    #[must_use]
    pub fn server_us(&self) -> f64 {
        self.per_job(self.server_cpu.map(Cpu::total))
    }

    /// The part of it that the kernel spent.
    #[must_use]
    pub fn system_us(&self) -> f64 {
        self.per_job(self.server_cpu.map(|cpu| cpu.system))
    }

    /// CPU that the generator took for one job.
    #[must_use]
    pub fn client_us(&self) -> f64 {
        self.per_job(Some(self.run.client_cpu))
    }

    /// How much of a core the generator took.
    #[must_use]
    pub fn client_share(&self) -> f64 {
        self.run.client_cpu.as_secs_f64() / self.run.elapsed.as_secs_f64()
    }

    /// Jobs that went the whole way.
    #[must_use]
    pub fn jobs_per_second(&self) -> f64 {
        self.run.jobs as f64 / self.run.elapsed.as_secs_f64()
    }

    fn per_job(&self, time: Option<Duration>) -> f64 {
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6 / self.run.jobs as f64)
    }
}

/// A running server under load.
pub struct Target {
    name: String,
    address: SocketAddr,
    usage: Option<Usage>,
    dialect: Box<dyn Dialect>,
    fleet: Fleet,
    ledger: Ledger,
    load: Load,
    /// Jobs that stand.
    standing: u64,
}

impl Target {
    /// Connects the load, checks that queues are empty and that dedupe keys work, and pushes the backlog. `tell` hears
    /// how far that is.
    ///
    /// # Errors
    /// The peer has not what the load asks for, or the server does not do it.
    pub fn connect(
        name: String,
        peer: &Peer,
        address: SocketAddr,
        usage: Option<Usage>,
        load: &Load,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Target> {
        peer.check(load)?;
        let mut client = Client::connect(address)?;
        let mut dialect = peer.dialect(&mut client, load).with_context(|| name.clone())?;
        for queue in 0..load.queues {
            let left = dialect.left(&mut client, queue)?;
            ensure!(
                left == 0,
                "a queue of the load holds {left} jobs already, which it would claim; delete its queues, which begin \
                 with {:?}, or name others with --prefix",
                load.prefix
            );
        }
        let fleet = Fleet::connect(address, load, &mut *dialect)?;
        let load = load.clone();
        let mut target =
            Target { name, address, usage, dialect, fleet, ledger: Ledger::default(), load, standing: 0 };
        target.check_dedupe().and_then(|()| target.fill(tell)).with_context(|| target.name.clone())?;
        Ok(target)
    }

    /// As it is called in tables.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Loads the server and says what it cost.
    ///
    /// # Errors
    /// The server does not do its work.
    pub fn measure(
        &mut self,
        shape: Shape,
        pace: Pace,
        until: Until,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Sample> {
        self.try_measure(Order { work: Work::Cycle, shape, pace, until }, tell)
            .with_context(|| format!("{} at {shape:?}", self.name))
    }

    fn try_measure(&mut self, order: Order, tell: &mut dyn FnMut(Progress)) -> Result<Sample> {
        let before = self.usage.map(Usage::cpu).transpose()?;
        let run = self.fleet.run(&mut *self.dialect, &mut self.ledger, order, tell)?;
        let after = self.usage.map(Usage::cpu).transpose()?;
        Ok(Sample { run, server_cpu: after.zip(before).map(|(after, before)| after.since(before)) })
    }

    /// Checks the books against what the server still holds.
    ///
    /// # Errors
    /// A job was lost or doubled.
    pub fn finish(&mut self) -> Result<()> {
        self.check_end().with_context(|| self.name.clone())
    }

    /// Deletes the queues of the load.
    ///
    /// # Errors
    /// The server refuses.
    pub fn forget(&mut self) -> Result<()> {
        let mut client = Client::connect(self.address)?;
        (0..self.load.queues).try_for_each(|queue| self.dialect.forget(&mut client, queue))
    }

    fn check_end(&mut self) -> Result<()> {
        self.ledger.close(self.standing)?;
        let mut client = Client::connect(self.address)?;
        let mut left = 0;
        for queue in 0..self.load.queues {
            left += self.dialect.left(&mut client, queue)?;
        }
        ensure!(left == self.standing, "{} jobs should be left, but the server holds {left}", self.standing);
        Ok(())
    }

    /// Pushes the backlog.
    fn fill(&mut self, tell: &mut dyn FnMut(Progress)) -> Result<()> {
        if self.load.backlog == 0 {
            return Ok(());
        }
        let shape = if self.load.payload.max() >= LARGE_BYTES { FILL_SHAPE_LARGE } else { FILL_SHAPE };
        let until = Until::Jobs(self.load.backlog);
        let order = Order { work: Work::Fill, shape, pace: Pace::Closed, until };
        let before = self.ledger.sent();
        self.fleet.run(&mut *self.dialect, &mut self.ledger, order, tell).context("pushing the backlog")?;
        // Whole commands: it may be some more than was asked for.
        self.standing = self.ledger.sent() - before;
        Ok(())
    }

    /// A dedupe key that does nothing would make a push cheap: the second push of a job must be dropped.
    fn check_dedupe(&mut self) -> Result<()> {
        if !self.load.dedupe || self.load.delay_ms > 0 {
            return Ok(());
        }
        let number = self.load.crew.connections();
        let mut single = Single::connect(self.address, number, &mut *self.dialect)?;
        // A number of its own: JetStream knows a key for minutes after its job is gone.
        let jobs = self.ledger.send(1);
        let mut added = [0; 2];
        for added in &mut added {
            let before = self.ledger.count_added();
            single.push_these(&mut *self.dialect, &mut self.ledger, 0, jobs.clone())?;
            *added = self.ledger.count_added() - before;
        }
        let [first, again] = added;
        ensure!((first, again) == (1, 0), "a job was pushed twice and added {first} and {again} times");
        single.take(&mut *self.dialect, &mut self.ledger, 0, Shape { depth: 1, batch: 1 })
    }
}
