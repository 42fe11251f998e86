//! Plain Redis lists, as many a small queue has them: LPUSH, LMOVE to a list of what is being done, LREM.
//! There are no dedupe keys, no attempts and no leases.

use std::ops::Range;

use anyhow::{Result, bail, ensure};

use super::redis::{Replies, Resp, count, list_keys, list_pages, names};
use super::{Asked, Books, Place, Receipts};
use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::load::Load;
use crate::resp::{self, Node, Reply};

/// Two lists for each queue.
pub struct Lists {
    ready: Vec<String>,
    claimed: Vec<String>,
    job: Job,
    sizes: Sizes,
}

impl Lists {
    /// Speaks as this load wants.
    #[must_use]
    pub fn dialect(load: &Load) -> Resp<Lists> {
        let ready = names(&load.prefix, load.queues);
        let claimed = ready.iter().map(|name| format!("{name}:claimed")).collect();
        Resp::new(Lists { ready, claimed, job: Job::new(&load.payload), sizes: load.payload.clone() })
    }
}

impl Replies for Lists {
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        resp::header(out, 2 + jobs.clone().count());
        resp::word(out, b"LPUSH");
        resp::word(out, self.ready[place.queue].as_bytes());
        for job in jobs {
            self.job.set(job);
            resp::word(out, self.job.payload());
        }
        1
    }

    /// The reply is the list's new length; that all were added shows when they are claimed.
    fn added(&self, reply: Reply<'_>, asked: Asked) -> Result<u64> {
        let length = u64::try_from(reply.integer()?)?;
        ensure!(length >= asked.jobs, "{} jobs were pushed to a list that now has {length}", asked.jobs);
        Ok(asked.jobs)
    }

    /// LMOVE moves one: a batch is so many in one pipeline.
    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        for _ in 0..count {
            let (ready, claimed) = (&self.ready[place.queue], &self.claimed[place.queue]);
            resp::request(out, &[b"LMOVE", ready.as_bytes(), claimed.as_bytes(), b"RIGHT", b"LEFT"]);
        }
        count
    }

    fn claimed(&self, reply: Reply<'_>, books: &mut Books<'_>) -> Result<()> {
        let [payload @ Node::Text(..)] = reply.nodes() else { bail!("expected a job, got {}", reply.show()) };
        let payload = reply.text(*payload)?;
        books.ledger.claimed(self.sizes.number(payload)?)?;
        books.receipts.add(payload);
        Ok(())
    }

    /// LREM has the payload as its receipt. It searches from the end where the oldest are, which are acked first.
    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        let replies = which.len();
        for receipt in which {
            let claimed = self.claimed[place.queue].as_bytes();
            resp::request(out, &[b"LREM", claimed, b"-1", receipts.get(receipt)]);
        }
        replies
    }

    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        count(client, &[("LLEN", &self.ready[queue]), ("LLEN", &self.claimed[queue])])
    }

    fn list(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        list_keys(client)?;
        list_pages(client, &self.ready[queue])
    }

    fn keys(&self, queue: usize) -> Vec<&[u8]> {
        vec![self.ready[queue].as_bytes(), self.claimed[queue].as_bytes()]
    }
}
