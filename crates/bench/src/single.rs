//! One connection that speaks a dialect and waits for its answers, for what is not measured in bulk.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Result, ensure};

use crate::connection::{Connection, Role, Watch};
use crate::dialect::{Dialect, Place};
use crate::ledger::Ledger;
use crate::load::Shape;

/// A connection with at most one pipeline under way.
pub struct Single {
    connection: Connection,
}

impl Single {
    /// Connects; `number` must be no other connection's of this dialect.
    ///
    /// # Errors
    /// The server does not take it.
    pub fn connect(address: SocketAddr, number: usize, dialect: &mut dyn Dialect) -> Result<Single> {
        let place = Place { connection: number, queue: 0 };
        Ok(Single { connection: Connection::connect(address, place, Role::Worker, dialect)? })
    }

    /// Pushes new jobs to a queue and waits for all answers.
    ///
    /// # Errors
    /// The server answers an error or goes away.
    pub fn push(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        queue: usize,
        shape: Shape,
    ) -> Result<()> {
        self.begin(queue, shape);
        self.connection.push(dialect, ledger, shape)?;
        self.wait(dialect, ledger, shape)
    }

    /// Pushes these jobs by one command, whether they are new or not.
    ///
    /// # Errors
    /// The server answers an error or goes away.
    pub fn push_these(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        queue: usize,
        jobs: Range<u64>,
    ) -> Result<()> {
        let shape = Shape { depth: 1, batch: jobs.clone().count() };
        self.begin(queue, shape);
        self.connection.push_these(dialect, jobs)?;
        self.wait(dialect, ledger, shape)
    }

    /// Claims jobs of a queue, acks them and waits for all answers.
    ///
    /// # Errors
    /// The server answers an error, has less to hand out, or goes away.
    pub fn take(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        queue: usize,
        shape: Shape,
    ) -> Result<()> {
        self.begin(queue, shape);
        self.connection.claim(dialect, ledger, shape)?;
        self.wait(dialect, ledger, shape)?;
        let missing = self.connection.missing(shape);
        ensure!(missing == 0, "{missing} of {} jobs were not handed out", shape.depth * shape.batch);
        self.connection.ack(dialect, shape)?;
        self.wait(dialect, ledger, shape)
    }

    fn begin(&mut self, queue: usize, shape: Shape) {
        self.connection.place.queue = queue;
        self.connection.dues.clear();
        self.connection.dues.resize(shape.depth, 0);
    }

    fn wait(&mut self, dialect: &mut dyn Dialect, ledger: &mut Ledger, shape: Shape) -> Result<()> {
        while self.connection.awaits() {
            let watch = Watch { times: None, unhindered: None, whole: None, now: 0 };
            self.connection.receive(dialect, ledger, shape.batch as u64, watch)?;
        }
        Ok(())
    }
}
