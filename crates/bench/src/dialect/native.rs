//! Stanchion's own commands.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::redis::{Replies, Resp, names, number};
use super::{Asked, Books, PAGE_JOBS, Place, Receipts};
use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::load::Load;
use crate::resp::{self, Node, Reply};

/// A claim of a delayed job waits at most so long before it is sent again.
const BLOCK_MS: u64 = 1_000;

/// Stanchion's queue commands.
pub struct Native {
    queues: Vec<String>,
    job: Job,
    sizes: Sizes,
    terms: Terms,
}

/// What each push says beside its payload.
struct Terms {
    dedupe: bool,
    /// Jobs take turns over so many groups; 0 for none.
    groups: u64,
    delay_ms: u64,
}

impl Native {
    /// Speaks as this load wants.
    #[must_use]
    pub fn dialect(load: &Load) -> Resp<Native> {
        Resp::new(Native {
            queues: names(&load.prefix, load.queues),
            job: Job::new(&load.payload),
            sizes: load.payload.clone(),
            terms: Terms { dedupe: load.dedupe, groups: load.groups as u64, delay_ms: load.delay_ms },
        })
    }

    fn start(&self, out: &mut Vec<u8>, words: usize, command: &str, queue: usize) {
        resp::header(out, words);
        resp::word(out, command.as_bytes());
        resp::word(out, self.queues[queue].as_bytes());
    }
}

impl Replies for Native {
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        let count = jobs.clone().count();
        let Terms { dedupe, groups, delay_ms } = self.terms;
        let options = usize::from(dedupe) + usize::from(groups > 0) + usize::from(delay_ms > 0);
        // Command and queue, then a job's words, and NEXT between two of them.
        let words = 2 + (1 + 2 * options) * count + (count - 1);
        self.start(out, words, if count == 1 { "QPUSH" } else { "QMPUSH" }, place.queue);
        for (at, job) in jobs.enumerate() {
            if at > 0 {
                resp::word(out, b"NEXT");
            }
            self.job.set(job);
            resp::word(out, self.job.payload());
            if dedupe {
                resp::word(out, b"DEDUPE");
                resp::word(out, self.job.key());
            }
            if groups > 0 {
                resp::word(out, b"GROUP");
                number(out, job % groups);
            }
            if delay_ms > 0 {
                resp::word(out, b"DELAY");
                number(out, delay_ms);
            }
        }
        1
    }

    fn added(&self, reply: Reply<'_>, _asked: Asked) -> Result<u64> {
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

    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        let blocks = self.terms.delay_ms > 0;
        let words = 2 + 2 * usize::from(count > 1) + 2 * usize::from(blocks);
        self.start(out, words, "QCLAIM", place.queue);
        if count > 1 {
            resp::word(out, b"COUNT");
            number(out, count);
        }
        if blocks {
            resp::word(out, b"BLOCK");
            number(out, BLOCK_MS);
        }
        1
    }

    fn ack_and_claim(
        &mut self,
        out: &mut Vec<u8>,
        place: Place,
        count: usize,
        receipts: &Receipts,
        which: Range<usize>,
    ) -> bool {
        self.start(out, 6 + which.len(), "QCLAIM", place.queue);
        resp::word(out, b"COUNT");
        number(out, count);
        resp::word(out, b"ACK");
        number(out, which.len());
        for receipt in which {
            resp::word(out, receipts.get(receipt));
        }
        true
    }

    fn claimed(&self, reply: Reply<'_>, books: &mut Books<'_>) -> Result<()> {
        let [Node::Array(_), jobs @ ..] = reply.nodes() else { bail!("expected jobs, got {}", reply.show()) };
        // A job is an array of four and its elements.
        for job in jobs.chunks(5) {
            let [Node::Array(4), _, receipt, payload, Node::Integer(1)] = job else {
                bail!("expected a job at its first attempt, got {}", reply.show())
            };
            books.ledger.claimed(self.sizes.number(reply.text(*payload)?)?)?;
            books.receipts.add(reply.text(*receipt)?);
        }
        Ok(())
    }

    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        self.start(out, 2 + which.len(), "QACK", place.queue);
        for receipt in which {
            resp::word(out, receipts.get(receipt));
        }
        1
    }

    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        let all = client.integer(&[b"QLEN", self.queues[queue].as_bytes(), b"ALL"])?;
        Ok(all.try_into()?)
    }

    fn purge(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        client.integer(&[b"QPURGE", self.queues[queue].as_bytes()]).map(drop)
    }

    fn list(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        client.call(&[b"QLIST"], |_| Ok(()))?;
        let (page, mut cursor, mut listed) = (PAGE_JOBS.to_string(), b"0".to_vec(), 0);
        loop {
            let scan = [&b"QSCAN"[..], self.queues[queue].as_bytes(), &cursor, b"COUNT", page.as_bytes()];
            let (next, ids) = client.call(&scan, |reply| match reply.nodes() {
                [Node::Array(2), next, Node::Array(ids), ..] => Ok((reply.text(*next)?.to_vec(), *ids)),
                _ => bail!("expected a cursor and ids, got {}", reply.show()),
            })?;
            listed += ids as u64;
            cursor = next;
            if cursor == b"0" {
                return Ok(listed);
            }
        }
    }

    fn rewritten_bytes(&mut self, client: &mut Client) -> Result<Option<u64>> {
        client.call(&[b"INFO", b"persistence"], |reply| {
            let text = std::str::from_utf8(reply.text(*reply.nodes().first().context("no INFO")?)?)?;
            let line = text.lines().find_map(|line| line.strip_prefix("log_rewritten_bytes:"));
            Ok(Some(line.context("INFO has no log_rewritten_bytes")?.trim().parse()?))
        })
    }

    fn keys(&self, queue: usize) -> Vec<&[u8]> {
        vec![self.queues[queue].as_bytes()]
    }
}
