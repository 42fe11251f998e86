//! What differs between the peers: how a job is pushed, claimed and acked on the wire, and how answers are read.

pub mod beanstalk;
pub mod jetstream;
pub mod lists;
pub mod lua;
pub mod native;
pub mod redis;
pub mod streams;

use std::ops::Range;

use anyhow::Result;

use crate::client::Client;
use crate::ledger::Ledger;

/// Jobs of one page of a list: as many as Stanchion's QSCAN gives at once.
pub const PAGE_JOBS: u64 = 10_000;

/// Who speaks of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The connection's number.
    pub connection: usize,
    /// The queue's.
    pub queue: usize,
}

/// What the next answer of a connection answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The kind of command.
    pub what: What,
    /// Jobs of each command.
    pub jobs: u64,
    /// Answers that came before this one since the commands were sent.
    pub nth: usize,
}

/// The kinds of command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A connection's first words.
    Greeting,
    /// Pushes.
    Push,
    /// Claims, with or without acks of jobs claimed before.
    Claim,
    /// Acks.
    Ack,
}

/// What a dialect finds at the beginning of what was received. Lengths are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The answer is not all here yet.
    Incomplete,
    /// One answer, which is booked.
    Answer {
        /// How long it is.
        length: usize,
    },
    /// What nobody asked for, and what to say to it.
    Aside {
        /// How long it is.
        length: usize,
        /// What the connection must send back.
        reply: &'static [u8],
    },
}

/// Where answers are booked.
pub struct Books<'a> {
    /// The proof that no job is lost or doubled.
    pub ledger: &'a mut Ledger,
    /// Of the connection that hears.
    pub receipts: &'a mut Receipts,
}

/// The commands of one queue server. Commands are appended to a buffer; their answers come in the same order.
pub trait Dialect: Send {
    /// Appends what a connection says before all else, and says how many answers come.
    fn greet(&mut self, _out: &mut Vec<u8>, _place: Place) -> usize {
        0
    }

    /// Appends one command that pushes these jobs, or one for each where there is none for several; how many
    /// answers come.
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize;

    /// Appends what claims `count` jobs; how many answers come.
    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize;

    /// Appends one command that acks these receipts and claims `count` jobs: one round trip less for each job. Says
    /// whether it did; a dialect that has no such command appends nothing.
    fn ack_and_claim(
        &mut self,
        _out: &mut Vec<u8>,
        _place: Place,
        _count: usize,
        _receipts: &Receipts,
        _which: Range<usize>,
    ) -> bool {
        false
    }

    /// Appends what acks these receipts; how many answers come.
    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize;

    /// Reads the first answer of `bytes` and books it.
    ///
    /// # Errors
    /// The server answered an error, or what this dialect does not know.
    fn hear(&mut self, asked: Asked, bytes: &[u8], books: &mut Books<'_>) -> Result<Heard>;

    /// How many jobs of a queue are still there in any state, all traces of them counted.
    ///
    /// # Errors
    /// The server does not say.
    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64>;

    /// Deletes the jobs of a queue in the way that the server has for it; whether it has one.
    ///
    /// # Errors
    /// The server refuses.
    fn purge(&mut self, _client: &mut Client, _queue: usize) -> Result<bool> {
        Ok(false)
    }

    /// Reads the names of all queues of the server, and all jobs of a queue in pages of [`PAGE_JOBS`]; how many jobs, or
    /// nothing where the server has no way to list them.
    ///
    /// # Errors
    /// The server refuses.
    fn list(&mut self, _client: &mut Client, _queue: usize) -> Result<Option<u64>> {
        Ok(None)
    }

    /// What the server has written a second time to make room in its log, where it says that.
    ///
    /// # Errors
    /// The server refuses.
    fn rewritten_bytes(&mut self, _client: &mut Client) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Deletes a queue and all that it holds.
    ///
    /// # Errors
    /// The server refuses.
    fn forget(&mut self, client: &mut Client, queue: usize) -> Result<()>;
}

/// Receipts of claimed jobs, one after the other in one buffer.
#[derive(Default)]
pub struct Receipts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Receipts {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Keeps one more.
    pub fn add(&mut self, receipt: &[u8]) {
        self.bytes.extend_from_slice(receipt);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, which: usize) -> &[u8] {
        let start = if which == 0 { 0 } else { self.ends[which - 1] };
        &self.bytes[start..self.ends[which]]
    }
}

#[cfg(test)]
mod tests;
