//! What commands of others wait while a root fans out and is superseded.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};

use super::leaves::{QUEUE, edit};
use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::latency::{Percentiles, Times};
use crate::resp::Node;

/// Between two pushes, and between two claims.
pub(super) const INTERVAL: Duration = Duration::from_millis(2);
/// The queue that has nothing to do with the leaves.
const OTHER: &[u8] = b"webhooks";

/// What commands waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// Pushes to another queue.
    pub(super) push: Percentiles,
    /// Claims of a leaf, whether there was one or not.
    pub(super) claim: Percentiles,
}

/// A client that pushes to another queue, and one that works on leaves.
pub(super) struct Probe<'a> {
    pusher: Pusher,
    worker: Worker<'a>,
}

impl<'a> Probe<'a> {
    /// Connects; each edit has so many leaves, and `newest` is the edit that has superseded all before it.
    pub(super) fn connect(address: SocketAddr, leaves: u64, newest: &'a AtomicU64) -> Result<Probe<'a>> {
        let pusher =
            Pusher { client: Client::connect(address)?, job: Job::new(&Sizes::default()), pushed: 0 };
        let worker = Worker { client: Client::connect(address)?, leaves, newest, acked: 0 };
        Ok(Probe { pusher, worker })
    }

    /// Leaves that were claimed and acked.
    pub(super) fn acked(&self) -> u64 {
        self.worker.acked
    }

    /// Goes on until `over` says so.
    pub(super) fn watch(&mut self, over: &(dyn Fn() -> bool + Sync)) -> Result<Waits> {
        let Probe { pusher, worker } = self;
        thread::scope(|scope| {
            let claims = scope.spawn(|| worker.watch(over));
            let push = pusher.watch(over);
            let claim = claims.join().map_err(|_| anyhow!("the worker panicked"))??;
            Ok(Waits { push: push?, claim })
        })
    }
}

struct Pusher {
    client: Client,
    job: Job,
    pushed: u64,
}

impl Pusher {
    /// An open loop: what a stop holds up counts from when it was due. That the thread itself wakes up late does not count.
    fn watch(&mut self, over: &(dyn Fn() -> bool + Sync)) -> Result<Percentiles> {
        let mut times = Times::new();
        let start = Instant::now();
        let now = || start.elapsed().as_nanos() as u64;
        let (mut due, mut answered) = (0, 0);
        while !over() {
            thread::sleep(Duration::from_nanos(due).saturating_sub(start.elapsed()));
            let late = now().saturating_sub(due.max(answered));
            self.job.set(self.pushed);
            self.client.call(&[b"QPUSH", OTHER, self.job.payload()], |_| Ok(()))?;
            answered = now();
            times.record(due + late, answered);
            self.pushed += 1;
            due += INTERVAL.as_nanos() as u64;
        }
        Ok(times.percentiles())
    }
}

struct Worker<'a> {
    client: Client,
    /// Of each edit.
    leaves: u64,
    /// The newest edit that the server has said yes to.
    newest: &'a AtomicU64,
    acked: u64,
}

impl Worker<'_> {
    /// A closed loop, as workers are: each claim counts from when it was sent.
    fn watch(&mut self, over: &(dyn Fn() -> bool + Sync)) -> Result<Percentiles> {
        let mut times = Times::new();
        let start = Instant::now();
        let now = || start.elapsed().as_nanos() as u64;
        while !over() {
            let sent = now();
            let receipt = self.claim()?;
            times.record(sent, now());
            if let Some(receipt) = receipt {
                let acked = self.client.integer(&[b"QACK", QUEUE, &receipt])?;
                ensure!(acked == 1, "the ack of a claimed leaf answers {acked}");
                self.acked += 1;
            }
            thread::sleep(INTERVAL);
        }
        Ok(times.percentiles())
    }

    /// Claims a leaf, if there is one that is not superseded; its receipt.
    fn claim(&mut self) -> Result<Option<Vec<u8>>> {
        let newest = self.newest.load(Ordering::Acquire);
        self.client.call(&[b"QCLAIM", QUEUE], |reply| match reply.nodes() {
            [Node::Array(0)] => Ok(None),
            [Node::Array(1), Node::Array(4), _, receipt, payload, _] => {
                let edit = edit(reply.text(*payload)?, self.leaves)?;
                ensure!(
                    edit >= newest,
                    "a leaf of edit {edit} was handed out after edit {newest} had superseded it"
                );
                Ok(Some(reply.text(*receipt)?.to_vec()))
            }
            _ => bail!("expected at most one leaf, got {}", reply.show()),
        })
    }
}
