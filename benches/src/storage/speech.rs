//! How a bench of storage speaks to a server: so many pushes in one pipeline, so many claims and acks.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use stanchion_bench::client::Client;
use stanchion_bench::dialect::Dialect;
use stanchion_bench::ledger::Ledger;
use stanchion_bench::load::{Load, Shape};
use stanchion_bench::peer::{Feature, Peer};
use stanchion_bench::single::Single;

/// Jobs of one command, where the server has commands of several.
const BATCH: u64 = 100;

/// The queue whose jobs stand or churn, and the one of the pushes that are timed: nobody claims from that.
const QUEUE: usize = 0;
const PROBED: usize = 1;
const QUEUES: usize = 2;

/// One connection to a server, and what it speaks.
pub(super) struct Speech {
    single: Single,
    dialect: Box<dyn Dialect>,
    client: Client,
    /// Whether the server has INFO.
    informs: bool,
}

impl Speech {
    /// With dedupe keys where the peer has them.
    pub(super) fn connect(peer: &Peer, address: SocketAddr, informs: bool) -> Result<Speech> {
        let load = Load {
            prefix: "enwiki".to_owned(),
            queues: QUEUES,
            dedupe: peer.knows(Feature::Dedupe),
            ..Load::default()
        };
        let mut client = Client::connect(address)?;
        let mut dialect = peer.dialect(&mut client, &load)?;
        Ok(Speech { single: Single::connect(address, 0, &mut *dialect)?, dialect, client, informs })
    }

    /// Pushes so many and waits for all replies.
    pub(super) fn push(&mut self, ledger: &mut Ledger, count: u64) -> Result<()> {
        shapes(count).try_for_each(|shape| self.single.push(&mut *self.dialect, ledger, QUEUE, shape))
    }

    /// Claims so many, the oldest first, and acks them.
    pub(super) fn take(&mut self, ledger: &mut Ledger, count: u64) -> Result<()> {
        shapes(count).try_for_each(|shape| self.single.take(&mut *self.dialect, ledger, QUEUE, shape))
    }

    /// Pushes the job of this number to a queue of its own and waits for the reply.
    pub(super) fn probe(&mut self, number: u64) -> Result<()> {
        let mut ledger = Ledger::default();
        self.single.push_these(&mut *self.dialect, &mut ledger, PROBED, number..number + 1)?;
        ensure!(ledger.count_added() == 1, "a timed push was dropped");
        Ok(())
    }

    /// How many bytes of its log the server says that it uses; `None` if it doesn't say.
    pub(super) fn log_bytes(&mut self) -> Result<Option<u64>> {
        Ok(self.figure("aof_current_size")?.map(|bytes| bytes as u64))
    }

    /// A figure of INFO, where there is such a thing.
    pub(super) fn figure(&mut self, name: &str) -> Result<Option<f64>> {
        if !self.informs {
            return Ok(None);
        }
        let info = self.client.call(&[b"INFO"], |reply| {
            let text = reply.text(*reply.nodes().first().context("INFO is empty")?)?;
            Ok(String::from_utf8_lossy(text).into_owned())
        })?;
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .map(|value| value.trim().parse().with_context(|| format!("INFO's {name} is {value}")))
            .transpose()
    }
}

/// Whole commands, and a last one for the rest.
fn shapes(count: u64) -> impl Iterator<Item = Shape> {
    let whole = Shape { depth: (count / BATCH) as usize, batch: BATCH as usize };
    let rest = Shape { depth: 1, batch: (count % BATCH) as usize };
    [whole, rest].into_iter().filter(|shape| shape.depth * shape.batch > 0)
}
