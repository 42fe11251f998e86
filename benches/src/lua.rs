//! JobQueueRedis's queue: eight keys and three scripts. The scripts are ours, written from their description;
//! they run the same Redis commands in the same order.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use crate::client::Client;
use crate::dialect::{Dialect, Receipts};
use crate::job::{self, ID_BYTES, Job};
use crate::ledger::Ledger;
use crate::resp::{self, Node, Reply};

const BUSY_QUEUES: &str = "global:jobqueue:s-queuesWithJobs";

/// The client's time in seconds, which JobQueueRedis passes to its pop script. Any value costs the same.
const NOW_SECONDS: &str = "1780000000";

/// Words of a push before its jobs: EVALSHA, hash, number of keys, six keys, the queue's name.
const PUSH_WORDS: usize = 10;
/// EVALSHA, hash, number of keys, six keys, the time.
const POP_WORDS: usize = 10;
/// EVALSHA, hash, number of keys, three keys, the id.
const ACK_WORDS: usize = 7;

/// The Lua queue, with its scripts loaded.
pub(crate) struct Lua {
    queues: Vec<Queue>,
    job: Job,
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
        let key = |property: &str| format!("enwiki:jobqueue:{name}:{property}");
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
    /// Loads the scripts and prepares the commands of so many queues.
    pub(crate) fn load(client: &mut Client, queues: usize) -> Result<Lua> {
        let push = load(client, include_str!("../lua/push.lua")).context("loading push.lua")?;
        let pop = load(client, include_str!("../lua/pop.lua")).context("loading pop.lua")?;
        let ack = load(client, include_str!("../lua/ack.lua")).context("loading ack.lua")?;
        let queue = |number: usize| {
            let name = format!("refreshLinks{number}");
            let keys = Keys::of(&name);
            let Keys { ready, key_by_id, id_by_key, delayed, claimed, attempts, payloads } = &keys;
            Queue {
                push: evalsha(
                    &push,
                    &[ready, key_by_id, id_by_key, delayed, payloads, BUSY_QUEUES],
                    &[&format!(r#"["{name}","enwiki"]"#)],
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
        Ok(Lua { queues: (0..queues).map(queue).collect(), job: Job::new() })
    }
}

impl Dialect for Lua {
    fn push(&mut self, out: &mut Vec<u8>, queue: usize, jobs: Range<u64>) {
        resp::header(out, PUSH_WORDS + 4 * jobs.clone().count());
        out.extend_from_slice(&self.queues[queue].push);
        for number in jobs {
            self.job.set(number);
            resp::word(out, self.job.id());
            resp::word(out, self.job.key());
            resp::word(out, b"0");
            resp::word(out, self.job.payload());
        }
    }

    fn added(&self, reply: Reply<'_>) -> Result<u64> {
        Ok(reply.integer()?.try_into()?)
    }

    /// There is no script that pops several jobs: a batch is so many pops in one pipeline.
    fn claim(&self, out: &mut Vec<u8>, queue: usize, count: usize) -> usize {
        for _ in 0..count {
            resp::header(out, POP_WORDS);
            out.extend_from_slice(&self.queues[queue].pop);
        }
        count
    }

    fn claimed(&self, reply: Reply<'_>, receipts: &mut Receipts, ledger: &mut Ledger) -> Result<()> {
        let [payload @ Node::Text(..)] = reply.nodes() else { bail!("expected a job, got {}", reply.show()) };
        let payload = reply.text(*payload)?;
        ledger.claimed(job::number(payload)?)?;
        receipts.add(&payload[..ID_BYTES]);
        Ok(())
    }

    /// Nor one that acks several.
    fn ack(&self, out: &mut Vec<u8>, queue: usize, receipts: &Receipts, which: Range<usize>) -> usize {
        let replies = which.len();
        for receipt in which {
            resp::header(out, ACK_WORDS);
            out.extend_from_slice(&self.queues[queue].ack);
            resp::word(out, receipts.get(receipt));
        }
        replies
    }

    fn left(&self, client: &mut Client, queue: usize) -> Result<i64> {
        let Keys { ready, key_by_id, id_by_key, delayed, claimed, attempts, payloads } =
            &self.queues[queue].keys;
        let mut left = client.integer(&[b"LLEN", ready.as_bytes()])?;
        for zset in [delayed, claimed] {
            left += client.integer(&[b"ZCARD", zset.as_bytes()])?;
        }
        for hash in [key_by_id, id_by_key, attempts, payloads] {
            left += client.integer(&[b"HLEN", hash.as_bytes()])?;
        }
        Ok(left)
    }
}

/// Loads a script and answers its hash.
fn load(client: &mut Client, script: &str) -> Result<String> {
    client.call(&[b"SCRIPT", b"LOAD", script.as_bytes()], |reply| {
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
