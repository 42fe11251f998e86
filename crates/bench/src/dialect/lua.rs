//! JobQueueRedis's queue: eight keys and three scripts. The scripts are ours, written from their description;
//! they run the same Redis commands in the same order.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::redis::{Replies, Resp, count, list_keys, list_pages, names};
use super::{Asked, Books, Place, Receipts};
use crate::client::Client;
use crate::job::{ID_BYTES, Job, Sizes};
use crate::load::Load;
use crate::resp::{self, Node, Reply};

/// The client's time in seconds, which JobQueueRedis passes to its pop script. Any value costs the same.
const NOW_SECONDS: &str = "1780000000";

/// Words of a push before its jobs: EVALSHA, hash, number of keys, six keys, the queue's name.
const PUSH_WORDS: usize = 10;
/// EVALSHA, hash, number of keys, six keys, the time.
const POP_WORDS: usize = 10;
/// EVALSHA, hash, number of keys, three keys, the id.
const ACK_WORDS: usize = 7;

/// The Lua queue, with its scripts loaded.
pub struct Lua {
    queues: Vec<Queue>,
    /// The set of queues that have jobs, which all share.
    busy: String,
    job: Job,
    sizes: Sizes,
    dedupe: bool,
}

/// One queue's commands, encoded up to where they differ.
struct Queue {
    keys: Keys,
    push: Vec<u8>,
    pop: Vec<u8>,
    ack: Vec<u8>,
}

/// The keys of one queue. The eighth, `z-abandoned`, is touched only by jobchron, which does not run here.
struct Keys {
    ready: String,
    key_by_id: String,
    id_by_key: String,
    delayed: String,
    claimed: String,
    attempts: String,
    payloads: String,
}

impl Keys {
    fn of(name: &str) -> Keys {
        let key = |property: &str| format!("{name}:{property}");
        Keys {
            ready: key("l-unclaimed"),
            key_by_id: key("h-sha1ById"),
            id_by_key: key("h-idBySha1"),
            delayed: key("z-delayed"),
            claimed: key("z-claimed"),
            attempts: key("h-attempts"),
            payloads: key("h-data"),
        }
    }
}

impl Lua {
    /// Loads the scripts and prepares the commands of the load's queues.
    ///
    /// # Errors
    /// The server refuses the scripts.
    pub fn dialect(client: &mut Client, load: &Load) -> Result<Resp<Lua>> {
        let push = script(client, include_str!("../../lua/push.lua")).context("loading push.lua")?;
        let pop = script(client, include_str!("../../lua/pop.lua")).context("loading pop.lua")?;
        let ack = script(client, include_str!("../../lua/ack.lua")).context("loading ack.lua")?;
        let busy = format!("{}:jobqueue:s-queuesWithJobs", load.prefix);
        let queue = |name: String| {
            let keys = Keys::of(&name);
            let Keys { ready, key_by_id, id_by_key, delayed, claimed, attempts, payloads } = &keys;
            Queue {
                push: evalsha(
                    &push,
                    &[ready, key_by_id, id_by_key, delayed, payloads, &busy],
                    &[&format!(r#"["{name}"]"#)],
                ),
                pop: evalsha(
                    &pop,
                    &[ready, key_by_id, id_by_key, claimed, attempts, payloads],
                    &[NOW_SECONDS],
                ),
                ack: evalsha(&ack, &[claimed, attempts, payloads], &[]),
                keys,
            }
        };
        Ok(Resp::new(Lua {
            queues: names(&load.prefix, load.queues).into_iter().map(queue).collect(),
            busy,
            job: Job::new(&load.payload),
            sizes: load.payload.clone(),
            dedupe: load.dedupe,
        }))
    }
}

impl Replies for Lua {
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        resp::header(out, PUSH_WORDS + 4 * jobs.clone().count());
        out.extend_from_slice(&self.queues[place.queue].push);
        for number in jobs {
            self.job.set(number);
            resp::word(out, self.job.id());
            resp::word(out, if self.dedupe { self.job.key() } else { b"" });
            resp::word(out, b"0");
            resp::word(out, self.job.payload());
        }
        1
    }

    fn added(&self, reply: Reply<'_>, _asked: Asked) -> Result<u64> {
        Ok(reply.integer()?.try_into()?)
    }

    /// There is no script that pops several jobs: a batch is so many pops in one pipeline.
    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        for _ in 0..count {
            resp::header(out, POP_WORDS);
            out.extend_from_slice(&self.queues[place.queue].pop);
        }
        count
    }

    fn claimed(&self, reply: Reply<'_>, books: &mut Books<'_>) -> Result<()> {
        let [payload @ Node::Text(..)] = reply.nodes() else { bail!("expected a job, got {}", reply.show()) };
        let payload = reply.text(*payload)?;
        books.ledger.claimed(self.sizes.number(payload)?)?;
        books.receipts.add(&payload[..ID_BYTES]);
        Ok(())
    }

    /// Nor one that acks several.
    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        let replies = which.len();
        for receipt in which {
            resp::header(out, ACK_WORDS);
            out.extend_from_slice(&self.queues[place.queue].ack);
            resp::word(out, receipts.get(receipt));
        }
        replies
    }

    /// A job stands in one of three keys and leaves traces in four others.
    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        let Keys { ready, key_by_id, id_by_key, delayed, claimed, attempts, payloads } =
            &self.queues[queue].keys;
        let mut left = count(client, &[("LLEN", ready), ("ZCARD", delayed), ("ZCARD", claimed)])?;
        for hash in [key_by_id, id_by_key, attempts, payloads] {
            left = left.max(count(client, &[("HLEN", hash)])?);
        }
        Ok(left)
    }

    /// As MediaWiki's showJobs does, which reads the ids, but in pages.
    fn list(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        list_keys(client)?;
        list_pages(client, &self.queues[queue].keys.ready)
    }

    fn keys(&self, queue: usize) -> Vec<&[u8]> {
        let Keys { ready, key_by_id, id_by_key, delayed, claimed, attempts, payloads } =
            &self.queues[queue].keys;
        let keys = [ready, key_by_id, id_by_key, delayed, claimed, attempts, payloads, &self.busy];
        keys.into_iter().map(String::as_bytes).collect()
    }
}

/// Loads a script and answers its hash.
fn script(client: &mut Client, text: &str) -> Result<String> {
    client.call(&[b"SCRIPT", b"LOAD", text.as_bytes()], |reply| {
        let hash = reply.text(*reply.nodes().first().context("no hash")?)?;
        Ok(std::str::from_utf8(hash)?.to_owned())
    })
}

/// The words of a call up to its first argument, without the header, which depends on the rest.
fn evalsha(hash: &str, keys: &[&str], first: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    let count = keys.len().to_string();
    for each in ["EVALSHA", hash, &count].iter().chain(keys).chain(first) {
        resp::word(&mut out, each.as_bytes());
    }
    out
}
