//! How a bench of storage speaks to a server: so many pushes in one pipeline, so many claims and acks.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::dialect::{Dialect, Receipts};
use crate::ledger::Ledger;
use crate::lua::Lua;
use crate::native::{Acks, Native};

/// Jobs of one command, where the server has commands of several.
const BATCH: u64 = 100;

/// The queue whose jobs stand or churn, and the one of the pushes that are timed: nobody claims from that.
const QUEUE: usize = 0;
const PROBED: usize = 1;
const QUEUES: usize = 2;

/// One connection to a server.
pub(super) trait Speech: Send {
    /// Pushes so many and waits for all replies.
    fn push(&mut self, ledger: &mut Ledger, count: u64) -> Result<()>;

    /// Claims so many, the oldest first, and acks them.
    fn take(&mut self, ledger: &mut Ledger, count: u64) -> Result<()>;

    /// Pushes the job of this number to a queue of its own and waits for the reply.
    fn probe(&mut self, number: u64) -> Result<()>;

    /// How many bytes of its log the server says that it uses; `None` if it doesn't say.
    fn log_bytes(&mut self) -> Result<Option<u64>>;

    /// A figure of INFO, where there is such a thing.
    fn figure(&mut self, name: &str) -> Result<Option<f64>>;
}

/// Stanchion, or Redis with the Lua queue.
pub(super) struct Resp {
    client: Client,
    dialect: Box<dyn Dialect + Send>,
    out: Vec<u8>,
    receipts: Receipts,
}

impl Resp {
    /// Stanchion's own commands.
    pub(super) fn native(address: SocketAddr) -> Result<Resp> {
        Resp::new(Client::connect(address)?, Box::new(Native::new(QUEUES, Acks::Alone)))
    }

    /// The scripts of the Lua queue, which Redis forgets when it ends.
    pub(super) fn lua(address: SocketAddr) -> Result<Resp> {
        let mut client = Client::connect(address)?;
        let lua = Lua::load(&mut client, QUEUES)?;
        Resp::new(client, Box::new(lua))
    }

    fn new(client: Client, dialect: Box<dyn Dialect + Send>) -> Result<Resp> {
        Ok(Resp { client, dialect, out: Vec::new(), receipts: Receipts::default() })
    }

    fn send(&mut self) -> Result<()> {
        self.client.send_encoded(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// INFO, whole.
    fn info(&mut self) -> Result<String> {
        self.client.call(&[b"INFO"], |reply| {
            let text = reply.text(*reply.nodes().first().context("INFO is empty")?)?;
            Ok(String::from_utf8_lossy(text).into_owned())
        })
    }
}

impl Speech for Resp {
    fn push(&mut self, ledger: &mut Ledger, count: u64) -> Result<()> {
        let mut commands = 0;
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.dialect.push(&mut self.out, QUEUE, ledger.send(batch));
            (left, commands) = (left - batch, commands + 1);
        }
        self.send()?;
        for _ in 0..commands {
            ledger.added(self.client.receive(|reply| self.dialect.added(reply))?);
        }
        Ok(())
    }

    fn take(&mut self, ledger: &mut Ledger, count: u64) -> Result<()> {
        let (mut replies, mut left) = (0, count);
        while left > 0 {
            let batch = left.min(BATCH);
            replies += self.dialect.claim(&mut self.out, QUEUE, batch as usize);
            left -= batch;
        }
        self.send()?;
        self.receipts.clear();
        for _ in 0..replies {
            self.client.receive(|reply| self.dialect.claimed(reply, &mut self.receipts, ledger))?;
        }
        let claimed = self.receipts.len();
        ensure!(claimed as u64 == count, "{claimed} of {count} jobs were handed out");
        let mut replies = 0;
        for first in (0..claimed).step_by(BATCH as usize) {
            let which = first..claimed.min(first + BATCH as usize);
            replies += self.dialect.ack(&mut self.out, QUEUE, &self.receipts, which);
        }
        self.send()?;
        for _ in 0..replies {
            ledger.acked(self.client.receive(|reply| reply.integer())?.try_into()?);
        }
        Ok(())
    }

    fn probe(&mut self, number: u64) -> Result<()> {
        self.dialect.push(&mut self.out, PROBED, number..number + 1);
        self.send()?;
        let added = self.client.receive(|reply| self.dialect.added(reply))?;
        ensure!(added == 1, "a timed push was dropped");
        Ok(())
    }

    fn log_bytes(&mut self) -> Result<Option<u64>> {
        Ok(self.figure("aof_current_size")?.map(|bytes| bytes as u64))
    }

    fn figure(&mut self, name: &str) -> Result<Option<f64>> {
        let info = self.info()?;
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .map(|value| value.trim().parse().with_context(|| format!("INFO's {name} is {value}")))
            .transpose()
    }
}
