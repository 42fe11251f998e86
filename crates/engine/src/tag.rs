//! A tag: one timestamp of a root, for all the jobs that carry it. A root whose event fanned out into a million
//! jobs has one or two.

use crate::footprint;
use crate::job::InRoot;
use crate::queue::Queue;
use crate::slab::NONE;

#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) root: u32,
    pub(crate) timestamp: u64,
    /// Jobs that carry it.
    pub(crate) jobs: u32,
}

impl Queue {
    pub(crate) fn tag_of(&self, job: u32) -> Option<&Tag> {
        match self.jobs[job].tag {
            NONE => None,
            tag => Some(&self.tags[tag]),
        }
    }

    /// Whether a newer root is registered than the job's.
    pub(crate) fn superseded(&self, job: u32) -> bool {
        self.tag_of(job).is_some_and(|tag| tag.timestamp < self.roots[tag.root].newest)
    }

    /// The job carries this root from now on.
    pub(crate) fn tag(&mut self, job: u32, root: u32, timestamp: u64) {
        self.busy_root(root);
        self.roots[root].jobs += 1;
        self.snapshot_bytes += footprint::of_tag(&self.roots[root].signature);
        self.put_tag(job, root, timestamp);
    }

    /// The job carries no root any more; it must stand in none of its lists.
    pub(crate) fn untag(&mut self, job: u32) {
        let Some(root) = self.take_tag(job) else { return };
        self.roots[root].jobs -= 1;
        self.snapshot_bytes -= footprint::of_tag(&self.roots[root].signature);
        if self.roots[root].jobs == 0 {
            self.idle_root(root);
        }
    }

    /// The job is tagged with another timestamp of the same root.
    pub(crate) fn move_in_root(&mut self, job: u32, timestamp: u64) {
        self.leave_root(job, self.jobs[job].state());
        let Some(root) = self.take_tag(job) else { return };
        self.put_tag(job, root, timestamp);
        if self.is_waiting(job) {
            self.enter_root(job);
            self.bring_back_first(self.jobs[job].group);
        }
    }

    /// A root mostly has jobs of its newest timestamp and of one that is older: those two tags are found again.
    fn put_tag(&mut self, job: u32, root: u32, timestamp: u64) {
        let known = self.roots[root].tags.into_iter().filter(|&tag| tag != NONE);
        let known = known.into_iter().find(|&tag| self.tags[tag].timestamp == timestamp);
        let tag = known.unwrap_or_else(|| {
            let tag = self.tags.insert(Tag { root, timestamp, jobs: 0 });
            self.roots[root].tags.rotate_right(1);
            self.roots[root].tags[0] = tag;
            tag
        });
        self.tags[tag].jobs += 1;
        self.jobs[job].tag = tag;
    }

    /// Takes a job's tag away; its root.
    fn take_tag(&mut self, job: u32) -> Option<u32> {
        debug_assert_eq!(self.jobs[job].in_root, InRoot::No);
        let tag = std::mem::replace(&mut self.jobs[job].tag, NONE);
        if tag == NONE {
            return None;
        }
        let Tag { root, ref mut jobs, .. } = self.tags[tag];
        *jobs -= 1;
        if *jobs == 0 {
            self.tags.remove(tag);
            let known = self.roots[root].tags.iter_mut().find(|known| **known == tag);
            known.into_iter().for_each(|known| *known = NONE);
        }
        Some(root)
    }
}
