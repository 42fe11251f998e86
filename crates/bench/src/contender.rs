//! A server that was started to be measured, with its load.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bullmq::Bullmq;
use crate::fleet::Until;
use crate::load::{Load, Shape};
use crate::pace::Pace;
use crate::peer::Peer;
use crate::process::Process;
use crate::target::{Sample, Target};

/// A process of its own and what loads it.
pub struct Contender {
    process: Process,
    load: Loaded,
}

/// Who loads it.
enum Loaded {
    /// This generator.
    Direct(Box<Target>),
    /// The client of BullMQ.
    Bullmq(Bullmq),
}

impl Contender {
    /// Loads a fresh process.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub fn new(name: impl Into<String>, peer: &Peer, process: Process, load: &Load) -> Result<Contender> {
        let usage = Some(process.usage());
        let target = Target::connect(name.into(), peer, process.address(), usage, load, &mut |_| {})?;
        Ok(Contender { process, load: Loaded::Direct(Box::new(target)) })
    }

    /// Loads a fresh Redis by BullMQ's client, which is installed in `directory`.
    ///
    /// # Errors
    /// The client does not start.
    pub fn bullmq(process: Process, load: &Load, directory: &Path) -> Result<Contender> {
        let client = Bullmq::start(directory, process.address(), load)?;
        Ok(Contender { process, load: Loaded::Bullmq(client) })
    }

    /// As it is called in tables.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.load {
            Loaded::Direct(target) => target.name(),
            Loaded::Bullmq(_) => "bullmq",
        }
    }

    /// Loads the server as fast as it goes.
    ///
    /// # Errors
    /// As [`Target::measure`].
    pub fn measure(&mut self, shape: Shape, until: Until) -> Result<Sample> {
        self.measure_at(shape, Pace::Closed, until)
    }

    /// Loads it at a pace.
    ///
    /// # Errors
    /// As [`Target::measure`].
    pub fn measure_at(&mut self, shape: Shape, pace: Pace, until: Until) -> Result<Sample> {
        match &mut self.load {
            Loaded::Direct(target) => target.measure(shape, pace, until, &mut |_| {}),
            Loaded::Bullmq(client) => {
                ensure!(pace == Pace::Closed, "BullMQ's client has no schedule");
                let before = self.process.usage().cpu()?;
                let run = client.measure(until)?;
                Ok(Sample { run, server_cpu: Some(self.process.usage().cpu()?.since(before)) })
            }
        }
    }

    /// Checks the books and ends the server.
    ///
    /// # Errors
    /// A job was lost or doubled, or the server does not end well.
    pub fn finish(mut self) -> Result<()> {
        match &mut self.load {
            Loaded::Direct(target) => target.finish()?,
            Loaded::Bullmq(client) => client.finish()?,
        }
        let name = self.name().to_owned();
        self.process.stop().context(name)
    }
}
