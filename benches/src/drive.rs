//! Loads a Stanchion server that runs already, for a profiler or a tracer beside it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use crate::ledger::Ledger;
use crate::load::{Fleet, Shape, Until};
use crate::native::{Acks, Native};
use crate::report::say;

/// Whom to load, and how.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Drive {
    /// The server's address, as in 127.0.0.1:7379.
    address: SocketAddr,

    /// Commands sent before the first reply is read.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    depth: u16,

    /// Jobs in one command.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=512))]
    batch: u16,

    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,

    /// The connections take turns over so many queues, which should be empty.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    queues: u16,
}

/// Loads it for this long and says how much it did.
pub(crate) fn run(drive: Drive, time: Duration) -> Result<()> {
    let shape = Shape { depth: drive.depth.into(), batch: drive.batch.into() };
    let mut ledger = Ledger::default();
    let mut fleet = Fleet::connect(drive.address, drive.connections.into(), drive.queues.into())?;
    let run = fleet.run(
        &mut Native::new(drive.queues.into(), Acks::Alone),
        &mut ledger,
        shape,
        Until::Elapsed(time),
    )?;
    ledger.close()?;
    say(format!(
        "{} jobs in {:.1} s, {:.0} a second; the load took {:.2} µs of CPU a job",
        run.jobs,
        run.elapsed.as_secs_f64(),
        run.jobs as f64 / run.elapsed.as_secs_f64(),
        run.client_cpu.as_secs_f64() * 1e6 / run.jobs as f64
    ))
}
