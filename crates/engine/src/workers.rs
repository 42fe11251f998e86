//! Who has the claimed jobs: of each queue the workers that its claims named, each with a list of its jobs.
//!
//! So it costs no scan to tell how much a worker has in hand, or to take it all back. A job stands in its
//! worker's list exactly while it is claimed. What a worker's version is comes from the server
//! ([`Shard::set_worker_version`]): it is noted with each claim, so that a job counts for the version that did
//! it, even if the worker has another by then. Nothing of versions is logged; the names are, with each claim.

use std::mem::size_of;
use std::sync::Arc;

use stanchion_protocol::id::{Epoch, JobId, Receipt};

use crate::event::Part;
use crate::figures::Figures;
use crate::index::Index;
use crate::memory::allocated;
use crate::pool::Pool;
use crate::queue::Queue;
use crate::slab::NONE;
use crate::{Now, Shard, Step, limits};

/// The workers of a queue; one that has no job of it is not there.
#[derive(Default, Debug)]
pub(crate) struct Workers {
    pub(crate) entries: Pool<Worker>,
    /// By name; the same name stands once for each version that its jobs were claimed with.
    names: Index,
    /// What became of the jobs of each version.
    pub(crate) figures: Figures,
}

/// A worker, and its jobs of one queue.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) name: Box<[u8]>,
    /// Of what it runs, as far as the server knew when it claimed.
    pub(crate) version: Option<Arc<[u8]>>,
    /// The job that it claimed last; the others follow by their extras.
    first: u32,
    pub(crate) jobs: u32,
}

/// A job's place in the list of its worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InWorker {
    /// `NONE` for a job that is not claimed, or whose claim named no worker.
    pub(crate) worker: u32,
    previous: u32,
    next: u32,
}

impl InWorker {
    /// In no list.
    pub(crate) const NOWHERE: InWorker = InWorker { worker: NONE, previous: NONE, next: NONE };
}

impl Workers {
    fn find(&self, hash: u64, wanted: impl Fn(&Worker) -> bool) -> Option<u32> {
        self.names.find(hash, |ix| wanted(&self.entries[ix]))
    }

    /// What all of it takes in memory.
    pub(crate) fn allocation_bytes(&self) -> usize {
        allocated(size_of::<Workers>())
            + self.entries.allocation_bytes()
            + self.names.allocation_bytes()
            + self.figures.allocation_bytes()
    }

    /// The table finds each of them, and there is no other.
    pub(crate) fn check(&self, hash_of: impl Fn(&Worker) -> u64) -> Result<(), String> {
        self.names.check(|ix| hash_of(&self.entries[ix]))?;
        let named = self.names.iter().count();
        if named == self.entries.len() { Ok(()) } else { Err("the table of workers has others".into()) }
    }
}

impl Queue {
    /// A claimed job is this worker's.
    pub(crate) fn give_to_worker(&mut self, ix: u32, name: &[u8], version: Option<&Arc<[u8]>>) {
        let hash = self.hash_bytes(0, name);
        let hasher = self.hasher.clone();
        let workers = self.workers.get_or_insert_default();
        let same = |worker: &Worker| *worker.name == *name && worker.version.as_ref() == version;
        let entry = workers.find(hash, same).unwrap_or_else(|| {
            let worker = Worker { name: name.into(), version: version.cloned(), first: NONE, jobs: 0 };
            let entry = workers.entries.insert(worker);
            let Workers { entries, names, .. } = &mut **workers;
            names.insert(hash, entry, |ix| crate::queue::hash_bytes(&hasher, 0, &entries[ix].name));
            entry
        });
        let worker = &mut workers.entries[entry];
        worker.jobs += 1;
        let next = std::mem::replace(&mut worker.first, ix);
        self.extras_mut(ix).in_worker = InWorker { worker: entry, previous: NONE, next };
        if next != NONE {
            self.extras_mut(next).in_worker.previous = ix;
        }
        self.snapshot_bytes += name.len() as u64;
    }

    /// Its claim is over.
    pub(crate) fn take_from_worker(&mut self, ix: u32) {
        let InWorker { worker: entry, previous, next } = self.extras(ix).in_worker;
        if entry == NONE {
            return;
        }
        self.extras_mut(ix).in_worker = InWorker::NOWHERE;
        if next != NONE {
            self.extras_mut(next).in_worker.previous = previous;
        }
        if previous != NONE {
            self.extras_mut(previous).in_worker.next = next;
        }
        let hash_of = |name: &[u8]| crate::queue::hash_bytes(&self.hasher, 0, name);
        let workers = self.workers.as_deref_mut().expect("a job's worker is there");
        let worker = &mut workers.entries[entry];
        self.snapshot_bytes -= worker.name.len() as u64;
        worker.jobs -= 1;
        if previous == NONE {
            worker.first = next;
        }
        if worker.jobs == 0 {
            let worker = workers.entries.remove(entry);
            workers.names.remove(hash_of(&worker.name), entry);
        }
    }

    /// Who has a claimed job, if its claim said.
    pub(crate) fn worker(&self, ix: u32) -> Option<&Worker> {
        let entry = self.extras(ix).in_worker.worker;
        if entry == NONE {
            return None;
        }
        Some(&self.workers.as_deref().expect("a job's worker is there").entries[entry])
    }

    /// The jobs in a worker's list, the newest claim first.
    pub(crate) fn jobs_of(&self, worker: &Worker) -> impl Iterator<Item = u32> {
        let after = |ix: u32| Some(self.extras(ix).in_worker.next).filter(|&next| next != NONE);
        std::iter::successors(Some(worker.first).filter(|&first| first != NONE), move |&ix| after(ix))
    }

    /// Up to `count` jobs that a worker claimed until then, whatever its version was.
    pub(crate) fn claimed_by(&self, name: &[u8], through: u64, count: usize) -> Vec<u32> {
        let Some(workers) = self.workers.as_deref() else { return Vec::new() };
        let hash = self.hash_bytes(0, name);
        if workers.find(hash, |worker| *worker.name == *name).is_none() {
            return Vec::new();
        }
        // There is one entry for each version, and next to nobody changes those while it has jobs.
        let same = workers.entries.iter().map(|(_, worker)| worker).filter(|worker| *worker.name == *name);
        let jobs = same.flat_map(|worker| self.jobs_of(worker));
        jobs.filter(|&ix| self.extras(ix).claimed_at.get() <= through).take(count).collect()
    }
}

impl Shard {
    /// From now on this worker's claims count for this version; `None`: for none.
    pub fn set_worker_version(&mut self, worker: &[u8], version: Option<Arc<[u8]>>) {
        match version {
            Some(version) => self.worker_versions.insert(worker.into(), version),
            None => self.worker_versions.remove(worker),
        };
    }

    /// Visits the workers that have claimed jobs, with how many of one queue, from a cursor on and in about
    /// `count` queues; the next cursor, 0 at the end. A worker is visited for each queue, and perhaps more often.
    pub fn workers(&self, cursor: u32, count: usize, visit: &mut dyn FnMut(&[u8], u64)) -> u32 {
        self.visit_workers(cursor, count, &mut |_, workers| {
            for (_, worker) in workers.entries.iter() {
                visit(&worker.name, u64::from(worker.jobs));
            }
        })
    }

    /// Gives back the jobs that a worker claimed until `through`: those of some queues from a cursor on, and
    /// about a thousand. No attempt is used. How many; when there are more, call again.
    pub fn release_worker(
        &mut self,
        now: Now,
        worker: &[u8],
        through: u64,
        cursor: &mut u32,
        log: &mut Vec<u8>,
    ) -> Step<u64> {
        let at = self.at(now);
        let (mut released, mut looked) = (0, 0);
        while *cursor < self.queues.slots() {
            let left = limits::STEP_JOBS_MAX - released;
            if left == 0 || looked == limits::WORKER_QUEUES_MAX {
                return Step::More(released as u64);
            }
            looked += 1;
            let ix = *cursor;
            let jobs =
                self.queues.get(ix).map_or(Vec::new(), |queue| queue.claimed_by(worker, through, left));
            if !jobs.is_empty() {
                let mut part = Part::new(log, at.now);
                let queue = &mut self.queues[ix];
                for &job in &jobs {
                    let receipt =
                        Receipt { id: JobId(queue.jobs[job].id), epoch: Epoch(queue.extras(job).epoch) };
                    queue.decide_release(at, &mut part, receipt, None);
                }
                self.after(at, ix, part);
                released += jobs.len();
            }
            // There may be more of this queue when there were as many as this step may have.
            *cursor += u32::from(jobs.len() < left);
        }
        Step::Done(released as u64)
    }

    /// Visits the queues that have had workers.
    pub(crate) fn visit_workers<'a>(
        &'a self,
        cursor: u32,
        count: usize,
        visit: &mut dyn FnMut(&'a Queue, &'a Workers),
    ) -> u32 {
        let end = self.queues.slots();
        let stop = end.min(cursor.saturating_add(u32::try_from(count).unwrap_or(u32::MAX)));
        for queue in (cursor..stop).filter_map(|ix| self.queues.get(ix)) {
            if let Some(workers) = queue.workers.as_deref() {
                visit(queue, workers);
            }
        }
        if stop < end { stop } else { 0 }
    }
}
