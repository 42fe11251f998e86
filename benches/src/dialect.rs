//! What differs between the two queues: how a job is pushed, claimed and acked on the wire.

use std::ops::Range;

use anyhow::Result;

use crate::client::Client;
use crate::ledger::Ledger;
use crate::resp::Reply;

/// The commands of one queue server. A command is appended to a buffer; its replies are read in the same order.
pub(crate) trait Dialect {
    /// Appends one command that pushes these jobs.
    fn push(&mut self, out: &mut Vec<u8>, queue: usize, jobs: Range<u64>);

    /// How many jobs a push added.
    fn added(&self, reply: Reply<'_>) -> Result<u64>;

    /// Appends what claims `count` jobs, and says how many replies come.
    fn claim(&self, out: &mut Vec<u8>, queue: usize, count: usize) -> usize;

    /// Whether a claim carries the acks of the jobs claimed before: one round trip less for each job.
    fn acks_with_claims(&self) -> bool {
        false
    }

    /// Appends one command that acks these receipts and claims `count` jobs.
    fn ack_and_claim(
        &self,
        _out: &mut Vec<u8>,
        _queue: usize,
        _count: usize,
        _receipts: &Receipts,
        _which: Range<usize>,
    ) {
        unreachable!("only a dialect that acks with claims is asked to");
    }

    /// Books the jobs of one reply to a claim and keeps their receipts.
    fn claimed(&self, reply: Reply<'_>, receipts: &mut Receipts, ledger: &mut Ledger) -> Result<()>;

    /// Appends what acks these receipts, and says how many replies come.
    fn ack(&self, out: &mut Vec<u8>, queue: usize, receipts: &Receipts, which: Range<usize>) -> usize;

    /// How many jobs are still there in any state, all traces of them counted.
    fn left(&self, client: &mut Client, queue: usize) -> Result<i64>;
}

/// Receipts of claimed jobs, one after the other in one buffer.
#[derive(Default)]
pub(crate) struct Receipts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Receipts {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn add(&mut self, receipt: &[u8]) {
        self.bytes.extend_from_slice(receipt);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, which: usize) -> &[u8] {
        let start = if which == 0 { 0 } else { self.ends[which - 1] };
        &self.bytes[start..self.ends[which]]
    }
}
