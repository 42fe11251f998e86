//! A group, its ready jobs in order, and the turn between groups.
//!
//! Ready jobs of one priority stand in an intrusive list in order of (ready-at, id). A push appends; a job
//! that comes back belongs before all that became ready later, so where neither end of the list fits, it goes
//! to a small tree beside the list, and the first of both is the first. Groups with ready jobs stand in a
//! ring; a claim takes from the front group, which then goes to the back: O(1) however many groups there are.

use std::collections::BTreeSet;

use crate::job::{Job, Stand};
use crate::memory::allocated;
use crate::pool::Pool;
use crate::settings::Order;
use crate::slab::{NONE, Slab};

/// What a job takes in a tree: its entry, and its part of a node that is mostly two thirds full.
const TREE_ENTRY_BYTES: usize = 40;

/// Which ring a group stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// In none: it has no ready job.
    Out,
    /// It waits for its turn.
    Waiting,
    /// It has ready jobs, but none that may be claimed: it has as many claimed ones as its cap allows, or all are
    /// superseded.
    Aside,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Box<[u8]>,
    /// Jobs by state: ready, delayed, claimed, dead.
    pub(crate) counts: [u32; 4],
    /// Ready jobs that are superseded.
    pub(crate) superseded: u32,
    /// Jobs in any state, also in the middle of a step.
    pub(crate) jobs: u32,
    /// Holds and roots, which keep the group's name too.
    pub(crate) pins: u32,
    pub(crate) before: u32,
    pub(crate) after: u32,
    pub(crate) turn: Turn,
    /// Priorities in use, highest first.
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    priority: u8,
    head: u32,
    tail: u32,
    /// The last job that a snapshot put back, while it is in the list: the next one most likely follows it.
    put_back: u32,
    /// (ready-at, id, job) of those out of order.
    #[expect(clippy::box_collection, reason = "mostly absent, and a level should stay small")]
    returned: Option<Box<BTreeSet<(u64, u64, u32)>>>,
}

impl Group {
    pub(crate) fn new(name: &[u8]) -> Group {
        Group {
            name: name.into(),
            counts: [0; 4],
            superseded: 0,
            jobs: 0,
            pins: 0,
            before: NONE,
            after: NONE,
            turn: Turn::Out,
            levels: Vec::new(),
        }
    }

    /// What it takes in memory beside its slot.
    pub(crate) fn memory_bytes(&self) -> usize {
        let trees = self.levels.iter().filter_map(|level| level.returned.as_ref());
        let trees = trees.map(|tree| allocated(size_of_val(&**tree)) + tree.len() * TREE_ENTRY_BYTES);
        allocated(self.name.len())
            + allocated(self.levels.capacity() * size_of::<Level>())
            + trees.sum::<usize>()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.levels.is_empty()
    }

    /// How many ready jobs are not superseded.
    pub(crate) fn current(&self) -> u32 {
        self.counts[0] - self.superseded
    }

    /// Puts a job at its place.
    pub(crate) fn insert(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        self.level(jobs[ix].priority).insert(jobs, ix);
    }

    /// The same for a job that a snapshot brings back, among others that came meanwhile.
    pub(crate) fn put_back(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        self.level(jobs[ix].priority).put_back(jobs, ix);
    }

    fn level(&mut self, priority: u8) -> &mut Level {
        let at = self.levels.partition_point(|level| level.priority > priority);
        if self.levels.get(at).is_none_or(|level| level.priority != priority) {
            if self.levels.capacity() == 0 {
                self.levels.reserve_exact(1);
            }
            let level = Level { priority, head: NONE, tail: NONE, put_back: NONE, returned: None };
            self.levels.insert(at, level);
        }
        &mut self.levels[at]
    }

    pub(crate) fn remove(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        let priority = jobs[ix].priority;
        let at = self.levels.iter().position(|level| level.priority == priority);
        let at = at.expect("a ready job's priority is in use in its group");
        self.levels[at].remove(jobs, ix);
        if self.levels[at].is_empty() {
            self.levels.remove(at);
        }
    }

    /// The job to be claimed next.
    pub(crate) fn first(&self, jobs: &Slab<Job>, order: Order) -> Option<u32> {
        self.levels.first().map(|level| level.first(jobs, order))
    }

    /// When its oldest ready job became ready.
    pub(crate) fn oldest_ready_at(&self, jobs: &Slab<Job>) -> Option<u64> {
        self.levels.iter().map(|level| jobs[level.first(jobs, Order::Fifo)].ready_at.get()).min()
    }

    /// Ready jobs, next to be claimed first.
    pub(crate) fn in_order<'a>(
        &'a self,
        jobs: &'a Slab<Job>,
        order: Order,
    ) -> impl Iterator<Item = u32> + 'a {
        self.levels.iter().flat_map(move |level| level.in_order(jobs, order))
    }
}

/// Where a job belongs in its list.
fn place(jobs: &Slab<Job>, ix: u32) -> (u64, u64) {
    let job = &jobs[ix];
    (job.ready_at.get(), job.id)
}

impl Level {
    fn is_empty(&self) -> bool {
        self.head == NONE && self.returned.is_none()
    }

    fn insert(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        let neighbours = self.end_for(jobs, ix);
        self.insert_between(jobs, ix, neighbours);
    }

    fn put_back(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        let neighbours = self.end_for(jobs, ix).or_else(|| {
            let (before, key) = (self.put_back, place(jobs, ix));
            let after = if before == NONE { NONE } else { jobs[before].link_b };
            let fits = after != NONE && place(jobs, before) < key && key < place(jobs, after);
            fits.then_some((before, after))
        });
        self.insert_between(jobs, ix, neighbours);
        if neighbours.is_some() {
            self.put_back = ix;
        }
    }

    /// The neighbours of a job at the end of the list where it fits, if it does.
    fn end_for(&self, jobs: &Slab<Job>, ix: u32) -> Option<(u32, u32)> {
        let key = place(jobs, ix);
        if self.tail == NONE || place(jobs, self.tail) < key {
            Some((self.tail, NONE))
        } else {
            (key < place(jobs, self.head)).then_some((NONE, self.head))
        }
    }

    /// Puts a job between two of the list, or into the tree.
    fn insert_between(&mut self, jobs: &mut Slab<Job>, ix: u32, neighbours: Option<(u32, u32)>) {
        let Some((before, after)) = neighbours else {
            let (ready_at, id) = place(jobs, ix);
            self.returned.get_or_insert_default().insert((ready_at, id, ix));
            jobs[ix].stand = Stand::Tree;
            return;
        };
        let job = &mut jobs[ix];
        (job.link_a, job.link_b, job.stand) = (before, after, Stand::List);
        match before {
            NONE => self.head = ix,
            before => jobs[before].link_b = ix,
        }
        match after {
            NONE => self.tail = ix,
            after => jobs[after].link_a = ix,
        }
    }

    fn remove(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        if jobs[ix].stand == Stand::Tree {
            let key = (jobs[ix].ready_at.get(), jobs[ix].id, ix);
            let returned = self.returned.as_mut().expect("a job in the tree has a tree");
            assert!(returned.remove(&key), "a job in the tree is found there");
            if returned.is_empty() {
                self.returned = None;
            }
        } else {
            let (before, after) = (jobs[ix].link_a, jobs[ix].link_b);
            self.relink(jobs, before, after);
            if self.put_back == ix {
                self.put_back = before;
            }
        }
        jobs[ix].stand = Stand::Nowhere;
    }

    /// Makes two neighbours know each other; `NONE` is the list's end.
    fn relink(&mut self, jobs: &mut Slab<Job>, before: u32, after: u32) {
        if before == NONE {
            self.head = after;
        } else {
            jobs[before].link_b = after;
        }
        if after == NONE {
            self.tail = before;
        } else {
            jobs[after].link_a = before;
        }
    }

    fn first(&self, jobs: &Slab<Job>, order: Order) -> u32 {
        let (listed, returned) = match order {
            Order::Fifo => (self.head, self.returned.as_ref().and_then(|tree| tree.first())),
            Order::Lifo => (self.tail, self.returned.as_ref().and_then(|tree| tree.last())),
        };
        match returned {
            None => listed,
            Some(&(_, _, returned)) if listed == NONE => returned,
            Some(&(ready_at, id, returned)) => {
                let listed_first = (jobs[listed].ready_at.get(), jobs[listed].id) < (ready_at, id);
                if listed_first == (order == Order::Fifo) { listed } else { returned }
            }
        }
    }

    fn in_order<'a>(&'a self, jobs: &'a Slab<Job>, order: Order) -> impl Iterator<Item = u32> + 'a {
        let mut listed = match order {
            Order::Fifo => self.head,
            Order::Lifo => self.tail,
        };
        let mut returned = self.returned.iter().flat_map(|tree| tree.iter()).copied();
        let mut take_returned = move || match order {
            Order::Fifo => returned.next(),
            Order::Lifo => returned.next_back(),
        };
        let mut waiting = take_returned();
        std::iter::from_fn(move || {
            let listed_first = match waiting {
                None => true,
                Some(_) if listed == NONE => false,
                Some((ready_at, id, _)) => {
                    ((jobs[listed].ready_at.get(), jobs[listed].id) < (ready_at, id))
                        == (order == Order::Fifo)
                }
            };
            if !listed_first {
                return std::mem::replace(&mut waiting, take_returned()).map(|(_, _, ix)| ix);
            }
            (listed != NONE).then(|| {
                let next = match order {
                    Order::Fifo => jobs[listed].link_b,
                    Order::Lifo => jobs[listed].link_a,
                };
                std::mem::replace(&mut listed, next)
            })
        })
    }
}

/// A ring of groups: a list through `before` and `after` with both ends known.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) front: u32,
    back: u32,
}

impl Default for Ring {
    fn default() -> Self {
        Ring { front: NONE, back: NONE }
    }
}

impl Ring {
    pub(crate) fn push_back(&mut self, groups: &mut Pool<Group>, ix: u32) {
        groups[ix].before = self.back;
        groups[ix].after = NONE;
        if self.back == NONE {
            self.front = ix;
        } else {
            let back = self.back;
            groups[back].after = ix;
        }
        self.back = ix;
    }

    pub(crate) fn remove(&mut self, groups: &mut Pool<Group>, ix: u32) {
        let (before, after) = (groups[ix].before, groups[ix].after);
        if before == NONE {
            self.front = after;
        } else {
            groups[before].after = after;
        }
        if after == NONE {
            self.back = before;
        } else {
            groups[after].before = before;
        }
    }

    pub(crate) fn iter<'a>(&self, groups: &'a Pool<Group>) -> impl Iterator<Item = u32> + 'a {
        let mut at = self.front;
        std::iter::from_fn(move || {
            (at != NONE).then(|| {
                let next = groups[at].after;
                std::mem::replace(&mut at, next)
            })
        })
    }
}
