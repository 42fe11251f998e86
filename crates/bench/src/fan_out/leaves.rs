//! The leaves of a root: how they are pushed, and how a newer edit supersedes them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::pipeline::Pipeline;
use crate::resp::{self, Node, Scanner};

/// The queue of the leaves, and the signature of their root.
pub(super) const QUEUE: &[u8] = b"refreshLinks";
const SIGNATURE: &[u8] = b"refreshlinks:templatelinks:Infobox";

/// Leaves of one command: JobQueueRedis's `MAX_PUSH_SIZE`.
const BATCH: u64 = 25;
/// Commands under way at once.
const COMMANDS: u64 = 40;
/// A leaf's words: the payload, ROOT with two words, DEDUPE with one; and NEXT between two leaves.
const LEAF_WORDS: usize = 6;

/// Between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const GONE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Who edits the template.
pub(super) struct Leaves {
    client: Client,
    pipeline: Pipeline,
    scanner: Scanner,
    /// Its payload tells the edit and the page.
    job: Job,
    /// Its key tells the page alone: a leaf of a later edit has the same.
    page: Job,
    count: u64,
}

impl Leaves {
    /// Connects; each edit has so many leaves.
    pub(super) fn connect(address: SocketAddr, count: u64) -> Result<Leaves> {
        let sizes = Sizes::default();
        Ok(Leaves {
            client: Client::connect(address)?,
            pipeline: Pipeline::connect(address)?,
            scanner: Scanner::default(),
            job: Job::new(&sizes),
            page: Job::new(&sizes),
            count,
        })
    }

    /// Pushes the leaves of an edit; how many.
    pub(super) fn fan_out(&mut self, edit: u64) -> Result<u64> {
        let (mut page, timestamp) = (0, timestamp(edit));
        while page < self.count {
            let mut answers = 0;
            while answers < COMMANDS && page < self.count {
                let end = self.count.min(page + BATCH);
                let words = (end - page) as usize * (LEAF_WORDS + 1) - 1;
                let out = &mut self.pipeline.out;
                resp::header(out, 2 + words);
                resp::word(out, b"QMPUSH");
                resp::word(out, QUEUE);
                for leaf in page..end {
                    if leaf > page {
                        resp::word(out, b"NEXT");
                    }
                    self.job.set(edit * self.count + leaf);
                    self.page.set(leaf);
                    resp::word(out, self.job.payload());
                    for word in [b"ROOT", SIGNATURE, timestamp.as_bytes(), b"DEDUPE", self.page.key()] {
                        resp::word(out, word);
                    }
                }
                page = end;
                answers += 1;
            }
            self.hear(answers as usize)?;
        }
        Ok(self.count)
    }

    /// All must be added: what has the same key is superseded or gone.
    fn hear(&mut self, answers: usize) -> Result<()> {
        let Leaves { pipeline, scanner, .. } = self;
        pipeline.exchange(answers, |_, bytes| {
            let Some((reply, length)) = scanner.next(bytes)? else { return Ok(None) };
            let [Node::Array(_), ids @ ..] = reply.nodes() else {
                bail!("expected ids, got {}", reply.show())
            };
            let all = ids.iter().all(|id| matches!(id, Node::Text(..)));
            ensure!(all, "a leaf of a new edit was not added: {}", reply.show());
            Ok(Some(length))
        })
    }

    /// Says that this edit is the newest, which supersedes all leaves of older ones.
    pub(super) fn register(&mut self, edit: u64) -> Result<()> {
        let timestamp = timestamp(edit);
        let newest = self.client.integer(&[b"QROOT", QUEUE, SIGNATURE, timestamp.as_bytes()])?;
        ensure!(newest == 1, "QROOT says that a newer root is registered than {timestamp}");
        Ok(())
    }

    /// Waits until the server holds no leaf.
    pub(super) fn wait_until_gone(&mut self) -> Result<()> {
        let deadline = Instant::now() + GONE_WAIT_MAX;
        loop {
            let left = self.left()?;
            if left == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{left} leaves are left");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Leaves that the server holds.
    pub(super) fn left(&mut self) -> Result<u64> {
        Ok(self.client.integer(&[b"QLEN", QUEUE, b"ALL"])?.try_into()?)
    }

    /// Leaves that were superseded since the server was started.
    pub(super) fn superseded(&mut self) -> Result<u64> {
        self.client.call(&[b"QSTATS", QUEUE], |reply| {
            let nodes = reply.nodes();
            let at = nodes.iter().position(|node| reply.text(*node).is_ok_and(|text| text == b"superseded"));
            match at.and_then(|at| nodes.get(at + 1)) {
                Some(Node::Integer(count)) => Ok(u64::try_from(*count)?),
                _ => bail!("QSTATS has no superseded: {}", reply.show()),
            }
        })
    }
}

/// When an edit was made, as MediaWiki writes it.
fn timestamp(edit: u64) -> String {
    format!("{}", 20_261_122_120_000 + edit)
}

/// The edit of the leaf with this payload.
pub(super) fn edit(payload: &[u8], count: u64) -> Result<u64> {
    Ok(Sizes::default().number(payload).context("a leaf that was never pushed")? / count)
}
