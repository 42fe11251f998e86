//! The workers that are heard: who they are, and what operators have told them.
//!
//! Nothing of it is on disk: beats make it again after a restart. Which jobs a worker has is the engine's to know,
//! and so is what its claims count for, once it is told the worker's version. Whoever tells it holds
//! [`Workers::telling`] from the change here until all shards know, so that they end with what was said last; that
//! lock comes before those of shards, and the registry's own after them.

mod registry;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use stanchion_protocol::command::Told;
use tokio::sync::Notify;

use crate::lane::Lane;
use registry::Registry;

pub(crate) use registry::{Beaten, Order, TooMany, Worker};
pub(crate) use watch::watch;

/// The workers of a server.
#[derive(Default)]
pub(crate) struct Workers {
    registry: Mutex<Registry>,
    telling: Mutex<()>,
    /// Notified when there may be somebody to wait for.
    joined: Notify,
    lost: AtomicU64,
    /// One was heard in this run.
    were_there: AtomicBool,
}

/// The workers of one version.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Crew {
    /// How many they are.
    pub(crate) workers: u64,
    /// How many jobs they may do at once, as far as they said.
    pub(crate) slots: u64,
    /// How many they do, as far as they said.
    pub(crate) jobs: u64,
}

impl Workers {
    /// A worker is alive; the shards learn its version. The caller holds no shard's lock.
    pub(crate) fn beat(&self, lane: &Lane, name: &[u8], told: &Told<'_>) -> Result<Order, TooMany> {
        let _telling = self.telling.lock();
        let Beaten { order, joined, new_version } =
            self.registry.lock().beat(lane.clock.now_ms(), name, told)?;
        if let Some(version) = new_version {
            tell_version(lane, name, version.as_ref());
        }
        if joined {
            self.were_there.store(true, Ordering::Relaxed);
            self.joined.notify_one();
        }
        Ok(order)
    }

    /// A worker ends; false when the one of this name is another process. The caller holds no shard's lock.
    pub(crate) fn bye(&self, lane: &Lane, name: &[u8], host: Option<&[u8]>, pid: Option<u32>) -> bool {
        let _telling = self.telling.lock();
        let gone = self.registry.lock().bye(name, host, pid);
        if gone {
            tell_version(lane, name, None);
        }
        gone
    }

    /// Tells a worker what to do from its next beat on; false when there is none of this name.
    pub(crate) fn order(&self, name: &[u8], order: Order) -> bool {
        self.registry.lock().order(name, order)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> BTreeMap<Box<[u8]>, Worker> {
        self.registry.lock().workers().clone()
    }

    /// How many there are, and how many of them are told to be quiet or to stop.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let registry: MutexGuard<'_, Registry> = self.registry.lock();
        let told = registry.workers().values().filter(|worker| worker.order != Order::Ok).count();
        (registry.workers().len(), told)
    }

    /// The workers of each version; those that said none have an empty one.
    pub(crate) fn crews(&self) -> BTreeMap<Arc<[u8]>, Crew> {
        let mut crews: BTreeMap<Arc<[u8]>, Crew> = BTreeMap::new();
        for worker in self.registry.lock().workers().values() {
            let crew = crews.entry(worker.version.clone().unwrap_or_default()).or_default();
            crew.workers += 1;
            crew.slots += u64::from(worker.slots.unwrap_or(0));
            crew.jobs += u64::from(worker.jobs.unwrap_or(0));
        }
        crews
    }

    /// Whether workers were heard in this run, and none of them is any more.
    pub(crate) fn are_gone(&self) -> bool {
        self.were_there.load(Ordering::Relaxed) && self.registry.lock().workers().is_empty()
    }

    /// How many went without a word since the start, or since CONFIG RESETSTAT.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Counts anew.
    pub(crate) fn reset_counters(&self) {
        self.lost.store(0, Ordering::Relaxed);
    }
}

/// Every shard learns a worker's version.
fn tell_version(lane: &Lane, name: &[u8], version: Option<&Arc<[u8]>>) {
    for index in 0..lane.shard_count() {
        lane.shard(index).state.lock().engine.set_worker_version(name, version.cloned());
    }
}
