//! A server that was started to be measured, with its load.

use anyhow::{Context, Result};

use crate::fleet::Until;
use crate::load::{Load, Shape};
use crate::pace::Pace;
use crate::peer::Peer;
use crate::process::Process;
use crate::target::{Sample, Target};

/// A process of its own and what loads it.
pub struct Contender {
    process: Process,
    target: Target,
}

impl Contender {
    /// Loads a fresh process.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub fn new(name: impl Into<String>, peer: &Peer, process: Process, load: &Load) -> Result<Contender> {
        let usage = Some(process.usage());
        let target = Target::connect(name.into(), peer, process.address(), usage, load, &mut |_| {})?;
        Ok(Contender { process, target })
    }

    /// As it is called in tables.
    #[must_use]
    pub fn name(&self) -> &str {
        self.target.name()
    }

    /// Loads the server as fast as it goes.
    ///
    /// # Errors
    /// As [`Target::measure`].
    pub fn measure(&mut self, shape: Shape, until: Until) -> Result<Sample> {
        self.target.measure(shape, Pace::Closed, until, &mut |_| {})
    }

    /// Loads it at a pace.
    ///
    /// # Errors
    /// As [`Target::measure`].
    pub fn measure_at(&mut self, shape: Shape, pace: Pace, until: Until) -> Result<Sample> {
        self.target.measure(shape, pace, until, &mut |_| {})
    }

    /// Checks the books and ends the server.
    ///
    /// # Errors
    /// A job was lost or doubled, or the server does not end well.
    pub fn finish(mut self) -> Result<()> {
        self.target.finish()?;
        let name = self.target.name().to_owned();
        self.process.stop().context(name)
    }
}
