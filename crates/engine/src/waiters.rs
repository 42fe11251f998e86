//! Blocked claims of one shard, first come, first served.
//!
//! A waiter waits for a queue by name, which need not exist yet, or for any queue that matches. It is state
//! of this run alone: nothing of it is logged, and a claim is an event only when it is granted.

use std::collections::{BTreeMap, HashMap};

use stanchion_protocol::glob;

use crate::{WaitFor, WaiterId};

#[derive(Default)]
pub(crate) struct Waiters {
    /// Rises with every parking, so that it tells who came first.
    next: u64,
    by_queue: HashMap<Box<[u8]>, BTreeMap<u64, Waiter>>,
    matching: BTreeMap<u64, Matching>,
    /// Where each waiter stands: its numbers, with the queue unless it matches.
    places: HashMap<WaiterId, Vec<Place>>,
}

/// A waiter's number, with its queue unless it waits by pattern.
type Place = (u64, Option<Box<[u8]>>);

struct Waiter {
    id: WaiterId,
    group: Option<Box<[u8]>>,
}

struct Matching {
    waiter: Waiter,
    globs: Vec<Box<[u8]>>,
    except: Vec<Box<[u8]>>,
}

impl Waiters {
    pub(crate) fn park(&mut self, id: WaiterId, on: WaitFor<'_>, group: Option<&[u8]>) {
        self.next += 1;
        let waiter = Waiter { id, group: group.map(Into::into) };
        let boxed = |words: &[&[u8]]| words.iter().map(|&word| word.into()).collect();
        let queue = match on {
            WaitFor::Queue(queue) => {
                self.by_queue.entry(queue.into()).or_default().insert(self.next, waiter);
                Some(queue.into())
            }
            WaitFor::Match { globs, except } => {
                let matching = Matching { waiter, globs: boxed(globs), except: boxed(except) };
                self.matching.insert(self.next, matching);
                None
            }
        };
        self.places.entry(id).or_default().push((self.next, queue));
    }

    /// Forgets a waiter and tells the queues that it waited for by name.
    pub(crate) fn unpark(&mut self, id: WaiterId) -> Vec<Box<[u8]>> {
        let places = self.places.remove(&id).unwrap_or_default();
        let mut queues = Vec::new();
        for (number, queue) in places {
            let Some(queue) = queue else {
                self.matching.remove(&number);
                continue;
            };
            if let Some(waiting) = self.by_queue.get_mut(&queue) {
                waiting.remove(&number);
                if waiting.is_empty() {
                    self.by_queue.remove(&queue);
                }
            }
            queues.push(queue);
        }
        queues
    }

    /// How many wait for this queue by name.
    pub(crate) fn count(&self, queue: &[u8]) -> usize {
        self.by_queue.get(queue).map_or(0, BTreeMap::len)
    }

    /// Whether anybody waits for queues by pattern.
    pub(crate) fn has_matching(&self) -> bool {
        !self.matching.is_empty()
    }

    /// The first who waits for this queue and whom `can_serve` lets through.
    pub(crate) fn first(
        &self,
        queue: &[u8],
        mut can_serve: impl FnMut(Option<&[u8]>) -> bool,
    ) -> Option<WaiterId> {
        let mut named = self.by_queue.get(queue).into_iter().flatten();
        let mut matching = self.matching.iter().filter(|(_, matching)| matching.wants(queue));
        let (mut next_named, mut next_matching) = (named.next(), matching.next());
        loop {
            let waiter = match (next_named, next_matching) {
                (None, None) => return None,
                (Some((n, waiter)), Some((m, _))) if n < m => {
                    next_named = named.next();
                    waiter
                }
                (Some((_, waiter)), None) => {
                    next_named = named.next();
                    waiter
                }
                (_, Some((_, candidate))) => {
                    next_matching = matching.next();
                    &candidate.waiter
                }
            };
            if can_serve(waiter.group.as_deref()) {
                return Some(waiter.id);
            }
        }
    }
}

impl Matching {
    fn wants(&self, queue: &[u8]) -> bool {
        wanted(queue, self.globs.iter().map(|glob| &**glob), self.except.iter().map(|glob| &**glob))
    }
}

/// Whether a queue matches one of the globs and none of the exceptions.
pub(crate) fn wanted<'g>(
    queue: &[u8],
    mut globs: impl Iterator<Item = &'g [u8]>,
    mut except: impl Iterator<Item = &'g [u8]>,
) -> bool {
    globs.any(|pattern| glob::matches(pattern, queue)) && !except.any(|pattern| glob::matches(pattern, queue))
}
