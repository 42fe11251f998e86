//! The servers that are compared, and one connection to each.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use stanchion_bench::ledger::Ledger;
use stanchion_bench::peer::Peer as Known;
use stanchion_bench::process::{End, Persistence, Process};

use super::speech::Speech;
use crate::setting::Setting;

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Stanchion,
    Redis,
    Beanstalkd,
}

pub(super) const KINDS: [Kind; 3] = [Kind::Stanchion, Kind::Redis, Kind::Beanstalkd];

/// When a reply may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Care {
    /// Before the job is on the disk: to fill a server.
    Later,
    /// After.
    Synced,
}

/// Jobs of one pipeline.
const PIPELINE: u64 = 1_000;

/// A running server and its books.
pub(super) struct Peer {
    pub(super) kind: Kind,
    pub(super) process: Process,
    pub(super) speech: Speech,
    pub(super) ledger: Ledger,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Stanchion => "stanchion",
            Kind::Redis => "redis + Lua, AOF",
            Kind::Beanstalkd => "beanstalkd -b",
        }
    }

    /// Starts it on an empty directory.
    pub(super) fn start(self, setting: &Setting, care: Care) -> Result<Peer> {
        let base = setting.base();
        let process = match (self, care) {
            (Kind::Stanchion, Care::Later) => Process::stanchion(setting.binary(), base, "1s")?,
            (Kind::Stanchion, Care::Synced) => Process::stanchion(setting.binary(), base, "always")?,
            (Kind::Redis, Care::Later) => Process::redis(base, Persistence::EverySecond)?,
            (Kind::Redis, Care::Synced) => Process::redis(base, Persistence::Rewritten)?,
            (Kind::Beanstalkd, Care::Later) => Process::beanstalkd(base, "-F")?,
            (Kind::Beanstalkd, Care::Synced) => Process::beanstalkd(base, "-f0")?,
        };
        let speech = self.connect(&process)?;
        Ok(Peer { kind: self, process, speech, ledger: Ledger::default() })
    }

    /// Another connection.
    pub(super) fn connect(self, process: &Process) -> Result<Speech> {
        let peer = match self {
            Kind::Stanchion => "stanchion",
            Kind::Redis => "lua",
            Kind::Beanstalkd => "beanstalkd",
        };
        Speech::connect(Known::named(peer)?, process.address(), self != Kind::Beanstalkd)
    }
}

impl Peer {
    /// Pushes so many.
    pub(super) fn push(&mut self, count: u64) -> Result<()> {
        let ledger = &mut self.ledger;
        in_pipelines(count, |part| self.speech.push(ledger, part)).context(self.kind.name())
    }

    /// Claims and acks so many.
    pub(super) fn take(&mut self, count: u64) -> Result<()> {
        let ledger = &mut self.ledger;
        in_pipelines(count, |part| self.speech.take(ledger, part)).context(self.kind.name())
    }

    /// Ends it and starts it again; how long the start took.
    pub(super) fn restart(&mut self, end: End) -> Result<Duration> {
        let took = self.process.restart(end).context(self.kind.name())?;
        self.speech = self.kind.connect(&self.process)?;
        Ok(took)
    }

    /// How large its log is.
    pub(super) fn log_bytes(&mut self) -> Result<u64> {
        if let Some(bytes) = self.speech.log_bytes()? {
            return Ok(bytes);
        }
        let mut bytes = 0;
        for entry in fs::read_dir(self.process.data())? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }
}

fn in_pipelines(count: u64, mut run: impl FnMut(u64) -> Result<()>) -> Result<()> {
    let mut left = count;
    while left > 0 {
        let part = left.min(PIPELINE);
        run(part)?;
        left -= part;
    }
    Ok(())
}
