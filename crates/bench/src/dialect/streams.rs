//! A Redis stream with one consumer group, each entry deleted once it is acked: XADD, XREADGROUP, XACK, XDEL.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::redis::{Replies, Resp, count, list_keys, names, number};
use super::{Asked, Books, PAGE_JOBS, Place, Receipts};
use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::load::Load;
use crate::resp::{self, Node, Reply};

const GROUP: &[u8] = b"workers";
const FIELD: &[u8] = b"job";

/// One stream for each queue; each connection is a consumer of its own.
pub struct Streams {
    streams: Vec<String>,
    job: Job,
    sizes: Sizes,
}

impl Streams {
    /// Makes the streams and their groups.
    ///
    /// # Errors
    /// The server refuses.
    pub fn dialect(client: &mut Client, load: &Load) -> Result<Resp<Streams>> {
        let streams = names(&load.prefix, load.queues);
        for stream in &streams {
            let make = [&b"XGROUP"[..], b"CREATE", stream.as_bytes(), GROUP, b"0", b"MKSTREAM"];
            client.call(&make, |_| Ok(()))?;
        }
        Ok(Resp::new(Streams { streams, job: Job::new(&load.payload), sizes: load.payload.clone() }))
    }
}

impl Replies for Streams {
    /// XADD adds one: a batch is so many in one pipeline.
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        let replies = jobs.clone().count();
        for job in jobs {
            self.job.set(job);
            let stream = self.streams[place.queue].as_bytes();
            resp::request(out, &[b"XADD", stream, b"*", FIELD, self.job.payload()]);
        }
        replies
    }

    fn added(&self, reply: Reply<'_>, _asked: Asked) -> Result<u64> {
        match reply.nodes() {
            [Node::Text(..)] => Ok(1),
            _ => bail!("expected an entry's id, got {}", reply.show()),
        }
    }

    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        resp::header(out, 9);
        for word in [b"XREADGROUP", &b"GROUP"[..], GROUP] {
            resp::word(out, word);
        }
        number(out, place.connection);
        resp::word(out, b"COUNT");
        number(out, count);
        resp::word(out, b"STREAMS");
        resp::word(out, self.streams[place.queue].as_bytes());
        resp::word(out, b">");
        1
    }

    fn claimed(&self, reply: Reply<'_>, books: &mut Books<'_>) -> Result<()> {
        let [Node::Array(1), Node::Array(2), _, Node::Array(_), entries @ ..] = reply.nodes() else {
            bail!("expected entries of one stream, got {}", reply.show())
        };
        // An entry is an array of its id and an array of one field and its value.
        for entry in entries.chunks(5) {
            let [Node::Array(2), id, Node::Array(2), _, payload] = entry else {
                bail!("expected an entry with one field, got {}", reply.show())
            };
            books.ledger.claimed(self.sizes.number(reply.text(*payload)?)?)?;
            books.receipts.add(reply.text(*id)?);
        }
        Ok(())
    }

    /// XACK leaves the entry in the stream, so XDEL follows.
    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        let stream = self.streams[place.queue].as_bytes();
        resp::header(out, 3 + which.len());
        for word in [b"XACK", stream, GROUP] {
            resp::word(out, word);
        }
        which.clone().for_each(|receipt| resp::word(out, receipts.get(receipt)));
        resp::header(out, 2 + which.len());
        for word in [b"XDEL", stream] {
            resp::word(out, word);
        }
        which.for_each(|receipt| resp::word(out, receipts.get(receipt)));
        2
    }

    /// Of each pair of replies the first counts: XACK says whether the claim was still this consumer's. That XDEL did
    /// its part shows at the end, when nothing may be left.
    fn acked(&self, reply: Reply<'_>, asked: Asked) -> Result<u64> {
        let count = reply.integer()?.try_into()?;
        Ok(if asked.nth.is_multiple_of(2) { count } else { 0 })
    }

    /// Entries that are acked and not deleted count, and those that are deleted and not acked.
    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        let stream = &self.streams[queue];
        let entries = count(client, &[("XLEN", stream)])?;
        let pending = client.call(&[b"XPENDING", stream.as_bytes(), GROUP], |reply| match reply.nodes() {
            [Node::Array(4), Node::Integer(count), ..] => Ok(u64::try_from(*count)?),
            _ => bail!("expected a summary, got {}", reply.show()),
        });
        Ok(entries.max(pending.context("what is pending")?))
    }

    /// The group stays.
    fn purge(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        client.integer(&[b"XTRIM", self.streams[queue].as_bytes(), b"MAXLEN", b"0"]).map(drop)
    }

    fn list(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        list_keys(client)?;
        let (stream, page) = (self.streams[queue].clone(), PAGE_JOBS.to_string());
        let (mut after, mut listed) = (b"-".to_vec(), 0);
        loop {
            let range = [&b"XRANGE"[..], stream.as_bytes(), &after, b"+", b"COUNT", page.as_bytes()];
            let (entries, last) = client.call(&range, |reply| {
                let [Node::Array(entries), nodes @ ..] = reply.nodes() else {
                    bail!("expected entries, got {}", reply.show())
                };
                // As in a claim.
                let last = match nodes.chunks(5).last() {
                    Some([Node::Array(2), id, ..]) => reply.text(*id)?.to_vec(),
                    _ => Vec::new(),
                };
                Ok((*entries as u64, last))
            })?;
            listed += entries;
            if entries < PAGE_JOBS {
                return Ok(listed);
            }
            after = [b"(", &last[..]].concat();
        }
    }

    fn keys(&self, queue: usize) -> Vec<&[u8]> {
        vec![self.streams[queue].as_bytes()]
    }
}
