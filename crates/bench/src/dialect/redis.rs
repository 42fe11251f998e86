//! What all dialects over RESP share: finding replies, and booking them by what was asked.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::{Asked, Books, Dialect, Heard, PAGE_JOBS, Place, Receipts, What};
use crate::client::Client;
use crate::resp::{Node, Reply, Scanner};

/// A dialect whose answers are RESP replies.
pub trait Replies: Send {
    /// As [`Dialect::push`].
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize;

    /// How many jobs the reply to a push of `asked` jobs says that it added.
    ///
    /// # Errors
    /// It is no reply to a push.
    fn added(&self, reply: Reply<'_>, asked: Asked) -> Result<u64>;

    /// As [`Dialect::claim`].
    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize;

    /// As [`Dialect::ack_and_claim`].
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

    /// Books the jobs of one reply to a claim and keeps their receipts.
    ///
    /// # Errors
    /// It is no reply to a claim, or it hands out a job that is not to be had.
    fn claimed(&self, reply: Reply<'_>, books: &mut Books<'_>) -> Result<()>;

    /// As [`Dialect::ack`].
    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize;

    /// How many jobs the reply to an ack says that it ended.
    ///
    /// # Errors
    /// It is no reply to an ack.
    fn acked(&self, reply: Reply<'_>, _asked: Asked) -> Result<u64> {
        Ok(reply.integer()?.try_into()?)
    }

    /// As [`Dialect::left`].
    ///
    /// # Errors
    /// The server does not say.
    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64>;

    /// As [`Dialect::purge`]; where there is no command for it, the keys are deleted.
    ///
    /// # Errors
    /// The server refuses.
    fn purge(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        delete(client, &self.keys(queue))
    }

    /// As [`Dialect::list`].
    ///
    /// # Errors
    /// The server refuses.
    fn list(&mut self, client: &mut Client, queue: usize) -> Result<u64>;

    /// As [`Dialect::rewritten_bytes`].
    ///
    /// # Errors
    /// The server refuses.
    fn rewritten_bytes(&mut self, _client: &mut Client) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The keys that a queue consists of.
    fn keys(&self, queue: usize) -> Vec<&[u8]>;
}

/// A dialect over RESP.
pub struct Resp<D> {
    replies: D,
    scanner: Scanner,
}

impl<D: Replies> Resp<D> {
    /// That speaks and hears like this.
    pub fn new(replies: D) -> Resp<D> {
        Resp { replies, scanner: Scanner::default() }
    }
}

impl<D: Replies> Dialect for Resp<D> {
    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        self.replies.push(out, place, jobs)
    }

    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        self.replies.claim(out, place, count)
    }

    fn ack_and_claim(
        &mut self,
        out: &mut Vec<u8>,
        place: Place,
        count: usize,
        receipts: &Receipts,
        which: Range<usize>,
    ) -> bool {
        self.replies.ack_and_claim(out, place, count, receipts, which)
    }

    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        self.replies.ack(out, place, receipts, which)
    }

    fn hear(&mut self, asked: Asked, bytes: &[u8], books: &mut Books<'_>) -> Result<Heard> {
        let Some((reply, length)) = self.scanner.next(bytes)? else { return Ok(Heard::Incomplete) };
        match asked.what {
            What::Greeting => {}
            What::Push => books.ledger.added(self.replies.added(reply, asked)?),
            What::Claim => self.replies.claimed(reply, books)?,
            What::Ack => books.ledger.acked(self.replies.acked(reply, asked)?),
        }
        Ok(Heard::Answer { length })
    }

    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        self.replies.left(client, queue)
    }

    fn purge(&mut self, client: &mut Client, queue: usize) -> Result<bool> {
        self.replies.purge(client, queue).map(|()| true)
    }

    fn list(&mut self, client: &mut Client, queue: usize) -> Result<Option<u64>> {
        self.replies.list(client, queue).map(Some)
    }

    fn rewritten_bytes(&mut self, client: &mut Client) -> Result<Option<u64>> {
        self.replies.rewritten_bytes(client)
    }

    fn forget(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        delete(client, &self.replies.keys(queue))
    }
}

fn delete(client: &mut Client, keys: &[&[u8]]) -> Result<()> {
    let words: Vec<&[u8]> = [&b"DEL"[..]].into_iter().chain(keys.iter().copied()).collect();
    client.integer(&words).map(drop)
}

/// Names all keys of Redis.
pub(super) fn list_keys(client: &mut Client) -> Result<()> {
    client.call(&[b"KEYS", b"*"], |_| Ok(()))
}

/// Reads a list of Redis in pages; how many elements it has.
pub(super) fn list_pages(client: &mut Client, key: &str) -> Result<u64> {
    let mut listed = 0;
    loop {
        let (first, last) = (listed.to_string(), (listed + PAGE_JOBS - 1).to_string());
        let range = [&b"LRANGE"[..], key.as_bytes(), first.as_bytes(), last.as_bytes()];
        let page = client.call(&range, |reply| match reply.nodes() {
            [Node::Array(elements), ..] => Ok(*elements as u64),
            _ => bail!("expected elements, got {}", reply.show()),
        })?;
        listed += page;
        if page < PAGE_JOBS {
            return Ok(listed);
        }
    }
}

/// The names of so many queues. Those of JobQueueRedis are as long.
pub(super) fn names(prefix: &str, queues: usize) -> Vec<String> {
    (0..queues).map(|number| format!("{prefix}:jobqueue:refreshLinks{number}")).collect()
}

/// The sum of what some commands count.
pub(super) fn count(client: &mut Client, commands: &[(&str, &str)]) -> Result<u64> {
    let mut sum = 0;
    for (command, key) in commands {
        let counted = client.integer(&[command.as_bytes(), key.as_bytes()])?;
        sum += u64::try_from(counted).with_context(|| format!("{command} counts {counted}"))?;
    }
    Ok(sum)
}

/// Appends a number as a word.
pub(super) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    crate::resp::word(out, itoa::Buffer::new().format(number).as_bytes());
}
