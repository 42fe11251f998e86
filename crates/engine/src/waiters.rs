//! Blocked claims of one shard, first come, first served.
//!
//! A waiter waits for a queue by name, which need not exist yet, or for any queue that matches. It is state
//! of this run alone: nothing of it is logged, and a claim is an event only when it is granted.
//!
//! Runners mostly wait with the same patterns, thousands of them, and each change of any queue asks who waits for
//! it. So those with the same patterns stand together, and by the group that they wait for: one answer is that of all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stanchion_protocol::glob;

use crate::{WaitFor, WaiterId};

#[derive(Default)]
pub(crate) struct Waiters {
    /// Rises with every parking, so that it tells who came first.
    next: u64,
    by_queue: HashMap<Box<[u8]>, BTreeMap<u64, Waiter>>,
    /// Ordered by the patterns, so that a simulation asks in the same order each time.
    matching: BTreeMap<Arc<Patterns>, Alike>,
    /// Where each waiter stands.
    places: HashMap<WaiterId, Vec<Place>>,
}

/// Those that wait with the same patterns, by group.
type Alike = BTreeMap<Option<Box<[u8]>>, BTreeMap<u64, WaiterId>>;

struct Waiter {
    id: WaiterId,
    group: Option<Box<[u8]>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Patterns {
    globs: Vec<Box<[u8]>>,
    except: Vec<Box<[u8]>>,
}

/// A waiter's number, and what it waits for.
enum Place {
    Queue(u64, Box<[u8]>),
    Match(u64, Arc<Patterns>, Option<Box<[u8]>>),
}

impl Waiters {
    pub(crate) fn park(&mut self, id: WaiterId, on: WaitFor<'_>, group: Option<&[u8]>) {
        self.next += 1;
        let (number, group) = (self.next, group.map(Into::into));
        let boxed = |words: &[&[u8]]| words.iter().map(|&word| word.into()).collect();
        let place = match on {
            WaitFor::Queue(queue) => {
                self.by_queue.entry(queue.into()).or_default().insert(number, Waiter { id, group });
                Place::Queue(number, queue.into())
            }
            WaitFor::Match { globs, except } => {
                let patterns = self.share(Patterns { globs: boxed(globs), except: boxed(except) });
                let alike = self.matching.entry(Arc::clone(&patterns)).or_default();
                alike.entry(group.clone()).or_default().insert(number, id);
                Place::Match(number, patterns, group)
            }
        };
        self.places.entry(id).or_default().push(place);
    }

    /// The same patterns as somebody has already, if anybody does.
    fn share(&self, patterns: Patterns) -> Arc<Patterns> {
        match self.matching.get_key_value(&patterns) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(patterns),
        }
    }

    /// Forgets a waiter and tells the queues that it waited for by name.
    pub(crate) fn unpark(&mut self, id: WaiterId) -> Vec<Box<[u8]>> {
        let places = self.places.remove(&id).unwrap_or_default();
        let mut queues = Vec::new();
        for place in places {
            match place {
                Place::Queue(number, queue) => {
                    if let Some(waiting) = self.by_queue.get_mut(&queue) {
                        waiting.remove(&number);
                        if waiting.is_empty() {
                            self.by_queue.remove(&queue);
                        }
                    }
                    queues.push(queue);
                }
                Place::Match(number, patterns, group) => self.leave(number, &patterns, &group),
            }
        }
        queues
    }

    fn leave(&mut self, number: u64, patterns: &Patterns, group: &Option<Box<[u8]>>) {
        let Some(alike) = self.matching.get_mut(patterns) else { return };
        if let Some(waiting) = alike.get_mut(group) {
            waiting.remove(&number);
            if waiting.is_empty() {
                alike.remove(group);
            }
        }
        if alike.is_empty() {
            self.matching.remove(patterns);
        }
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
        let named = named.find(|(_, waiter)| can_serve(waiter.group.as_deref()));
        let mut first = named.map(|(&number, waiter)| (number, waiter.id));
        let wanting = self.matching.iter().filter(|(patterns, _)| patterns.want(queue));
        for (group, waiting) in wanting.flat_map(|(_, alike)| alike) {
            let (&number, &id) = waiting.first_key_value().expect("nobody stands where nobody waits");
            if first.is_none_or(|(other, _)| number < other) && can_serve(group.as_deref()) {
                first = Some((number, id));
            }
        }
        first.map(|(_, id)| id)
    }
}

impl Patterns {
    fn want(&self, queue: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    const A: WaitFor<'static> = WaitFor::Match { globs: &[b"a*"], except: &[] };
    const ALL: WaitFor<'static> = WaitFor::Match { globs: &[b"*"], except: &[] };
    const NOT_A: WaitFor<'static> = WaitFor::Match { globs: &[b"*"], except: &[b"a*"] };

    #[test]
    fn a_thousand_who_wait_alike_are_asked_once() {
        let mut waiters = Waiters::default();
        for id in 0..3_000 {
            let on = [A, ALL, NOT_A][id as usize % 3];
            waiters.park(WaiterId(id), on, (id % 2 == 0).then_some(b"g"));
        }
        assert_eq!(waiters.matching.len(), 3, "as many as a change of a queue is matched with");
        let mut asked = Vec::new();
        let served = waiters.first(b"a1", |group| {
            asked.push(group.map(<[u8]>::to_vec));
            false
        });
        assert_eq!(served, None);
        assert_eq!(asked, [None, Some(b"g".to_vec()), None, Some(b"g".to_vec())]);
        (0..3_000).for_each(|id| assert!(waiters.unpark(WaiterId(id)).is_empty()));
        assert!(!waiters.has_matching() && waiters.places.is_empty());
    }

    #[test]
    fn who_came_first_is_first_whatever_it_waits_with() {
        let mut waiters = Waiters::default();
        let on = [A, ALL, WaitFor::Queue(b"a1"), A, NOT_A, ALL, WaitFor::Queue(b"a1"), A];
        for (id, on) in on.into_iter().enumerate() {
            waiters.park(WaiterId(id as u64), on, (id == 3).then_some(b"g"));
        }
        let mut next = |queue: &[u8], group: Option<&[u8]>| {
            let first = waiters.first(queue, |wanted| wanted.is_none() || wanted == group)?;
            waiters.unpark(first);
            Some(first.0)
        };
        let served: Vec<u64> = std::iter::from_fn(|| next(b"a1", None)).collect();
        assert_eq!(served, [0, 1, 2, 5, 6, 7]);
        assert_eq!((next(b"a1", Some(b"g")), next(b"b1", None), next(b"b1", None)), (Some(3), Some(4), None));
    }
}
