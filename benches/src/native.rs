//! Stanchion's own commands.

use std::ops::Range;

use anyhow::{Result, bail};

use crate::client::Client;
use crate::dialect::{Dialect, Receipts};
use crate::job::{self, Job};
use crate::ledger::Ledger;
use crate::resp::{self, Node, Reply};

/// Stanchion's queue commands.
pub(crate) struct Native {
    queues: Vec<String>,
    job: Job,
    acks: Acks,
}

/// How a worker acks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acks {
    /// By QACK.
    Alone,
    /// By its next QCLAIM, as workers in steady state do.
    WithClaims,
}

impl Native {
    /// Prepares the names of so many queues, as long as those of the Lua queue.
    pub(crate) fn new(queues: usize, acks: Acks) -> Native {
        let name = |number| format!("enwiki:jobqueue:refreshLinks{number}");
        Native { queues: (0..queues).map(name).collect(), job: Job::new(), acks }
    }

    fn start(&self, out: &mut Vec<u8>, words: usize, command: &str, queue: usize) {
        resp::header(out, words);
        resp::word(out, command.as_bytes());
        resp::word(out, self.queues[queue].as_bytes());
    }
}

impl Dialect for Native {
    fn push(&mut self, out: &mut Vec<u8>, queue: usize, jobs: Range<u64>) {
        let count = jobs.clone().count();
        // Command and queue, then a job's three words each, and NEXT between two of them.
        let command = if count == 1 { "QPUSH" } else { "QMPUSH" };
        self.start(out, 2 + 3 * count + (count - 1), command, queue);
        for (at, number) in jobs.enumerate() {
            if at > 0 {
                resp::word(out, b"NEXT");
            }
            self.job.set(number);
            resp::word(out, self.job.payload());
            resp::word(out, b"DEDUPE");
            resp::word(out, self.job.key());
        }
    }

    fn added(&self, reply: Reply<'_>) -> Result<u64> {
        let jobs = match reply.nodes() {
            [Node::Array(_), jobs @ ..] => jobs,
            job => job,
        };
        let mut added = 0;
        for job in jobs {
            match job {
                Node::Text(..) => added += 1,
                Node::Nil => {}
                _ => bail!("expected ids, got {}", reply.show()),
            }
        }
        Ok(added)
    }

    fn claim(&self, out: &mut Vec<u8>, queue: usize, count: usize) -> usize {
        if count == 1 {
            self.start(out, 2, "QCLAIM", queue);
        } else {
            self.start(out, 4, "QCLAIM", queue);
            resp::word(out, b"COUNT");
            resp::word(out, itoa::Buffer::new().format(count).as_bytes());
        }
        1
    }

    fn acks_with_claims(&self) -> bool {
        self.acks == Acks::WithClaims
    }

    fn ack_and_claim(
        &self,
        out: &mut Vec<u8>,
        queue: usize,
        count: usize,
        receipts: &Receipts,
        which: Range<usize>,
    ) {
        self.start(out, 6 + which.len(), "QCLAIM", queue);
        resp::word(out, b"COUNT");
        resp::word(out, itoa::Buffer::new().format(count).as_bytes());
        resp::word(out, b"ACK");
        resp::word(out, itoa::Buffer::new().format(which.len()).as_bytes());
        for receipt in which {
            resp::word(out, receipts.get(receipt));
        }
    }

    fn claimed(&self, reply: Reply<'_>, receipts: &mut Receipts, ledger: &mut Ledger) -> Result<()> {
        let [Node::Array(_), jobs @ ..] = reply.nodes() else { bail!("expected jobs, got {}", reply.show()) };
        // A job is an array of four and its elements.
        for job in jobs.chunks(5) {
            let [Node::Array(4), _, receipt, payload, Node::Integer(1)] = job else {
                bail!("expected a job at its first attempt, got {}", reply.show())
            };
            ledger.claimed(job::number(reply.text(*payload)?)?)?;
            receipts.add(reply.text(*receipt)?);
        }
        Ok(())
    }

    fn ack(&self, out: &mut Vec<u8>, queue: usize, receipts: &Receipts, which: Range<usize>) -> usize {
        self.start(out, 2 + which.len(), "QACK", queue);
        for receipt in which {
            resp::word(out, receipts.get(receipt));
        }
        1
    }

    fn left(&self, client: &mut Client, queue: usize) -> Result<i64> {
        client.integer(&[b"QLEN", self.queues[queue].as_bytes(), b"ALL"])
    }
}
