//! What became of a queue's jobs by the version of the workers that did them, for whoever compares two versions.
//!
//! The figures are of this run: they are neither logged nor made again by replay, as latencies are not. A claim
//! without a worker, or by one whose version nobody told, counts for none.

use std::mem::size_of;
use std::sync::Arc;

use crate::memory::allocated;
use crate::queue::{At, Queue};
use crate::slab::NONE;
use crate::workers::Workers;
use crate::{Shard, limits};

/// The versions whose workers did jobs of a queue: those that did some lately.
#[derive(Default, Debug)]
pub(crate) struct Figures {
    versions: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    version: Arc<[u8]>,
    ended: Ended,
    /// When the last of them ended.
    last: u64,
}

/// How the claims of one version ended.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ended {
    /// Jobs done.
    pub acked: u64,
    /// Attempts that failed.
    pub nacked: u64,
    /// Leases that ended by themselves.
    pub lapsed: u64,
}

/// How one version has fared with one queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersionLine<'a> {
    /// The queue.
    pub queue: &'a [u8],
    /// The version.
    pub version: &'a [u8],
    /// How its claims ended.
    pub ended: Ended,
}

/// How a claim ends that counts for a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Acked,
    Nacked,
    Lapsed,
}

impl Figures {
    fn count(&mut self, now: u64, version: &Arc<[u8]>, end: End) {
        let known = self.versions.iter().position(|figure| figure.version == *version);
        let place = known.unwrap_or_else(|| {
            if self.versions.len() >= limits::QUEUE_VERSIONS_MAX {
                self.forget_one();
            }
            let fresh = Figure { version: Arc::clone(version), ended: Ended::default(), last: now };
            self.versions.push(fresh);
            self.versions.len() - 1
        });
        let figure = &mut self.versions[place];
        figure.last = now;
        match end {
            End::Acked => figure.ended.acked += 1,
            End::Nacked => figure.ended.nacked += 1,
            End::Lapsed => figure.ended.lapsed += 1,
        }
    }

    /// The one that has done nothing for the longest time makes room.
    fn forget_one(&mut self) {
        let oldest = self.versions.iter().enumerate().min_by_key(|(_, figure)| figure.last);
        if let Some((place, _)) = oldest {
            self.versions.remove(place);
        }
    }

    /// What it takes in memory beside its own size.
    pub(crate) fn allocation_bytes(&self) -> usize {
        allocated(self.versions.capacity() * size_of::<Figure>())
    }
}

impl Queue {
    /// A claim is about to end: it counts for the version of its worker.
    #[inline]
    pub(crate) fn count_for_version(&mut self, at: At, ix: u32, end: End) {
        let entry = self.extras(ix).in_worker.worker;
        if entry == NONE {
            return;
        }
        let Workers { entries, figures, .. } = self.workers.as_deref_mut().expect("the job has a worker");
        if let Some(version) = &entries[entry].version {
            figures.count(at.now, version, end);
        }
    }
}

impl Shard {
    /// Visits what is known of each version, from a cursor on and in about `count` queues; the next cursor, 0 at
    /// the end.
    pub fn versions(&self, cursor: u32, count: usize, visit: &mut dyn FnMut(VersionLine<'_>)) -> u32 {
        self.visit_workers(cursor, count, &mut |queue, workers: &Workers| {
            for Figure { version, ended, .. } in &workers.figures.versions {
                visit(VersionLine { queue: &queue.name, version, ended: *ended });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_did_nothing_for_longest_makes_room() {
        let mut figures = Figures::default();
        let name = |n: usize| -> Arc<[u8]> { n.to_string().into_bytes().into() };
        for n in 0..limits::QUEUE_VERSIONS_MAX {
            figures.count(n as u64, &name(n), End::Acked);
        }
        figures.count(1_000, &name(0), End::Nacked);
        figures.count(1_001, &name(99), End::Lapsed);
        let known = |n: usize| {
            let mut versions = figures.versions.iter();
            versions.find(|figure| figure.version == name(n)).map(|figure| figure.ended)
        };
        assert_eq!(known(0), Some(Ended { acked: 1, nacked: 1, lapsed: 0 }));
        assert_eq!(known(1), None);
        assert_eq!(known(2), Some(Ended { acked: 1, ..Ended::default() }));
        assert_eq!(known(99), Some(Ended { lapsed: 1, ..Ended::default() }));
        assert_eq!(figures.versions.len(), limits::QUEUE_VERSIONS_MAX);
    }
}
