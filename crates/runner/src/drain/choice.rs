//! Which places get the free slots.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A place with ready jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting<P> {
    pub(super) place: P,
    pub(super) ready: u64,
    pub(super) oldest_ms: u64,
    /// Processes that it has.
    pub(super) running: u32,
}

impl<P> Waiting<P> {
    /// Nothing is known about it yet.
    pub(super) fn new(place: P) -> Waiting<P> {
        Waiting { place, ready: 0, oldest_ms: 0, running: 0 }
    }
}

/// A place for each of up to `count` slots: the one with the fewest processes, among those the one whose jobs have
/// waited longest; never more processes than ready jobs.
pub(super) fn choose<P: Ord + Clone>(waiting: Vec<Waiting<P>>, count: u32) -> Vec<P> {
    let ranked = |one: Waiting<P>| (Reverse(one.running), one.oldest_ms, Reverse(one.place), one.ready);
    let has_more = |one: &Waiting<P>| u64::from(one.running) < one.ready;
    let mut heap: BinaryHeap<_> = waiting.into_iter().filter(has_more).map(ranked).collect();
    let mut chosen = Vec::new();
    while chosen.len() < count as usize {
        let Some((Reverse(running), oldest_ms, Reverse(place), ready)) = heap.pop() else { break };
        chosen.push(place.clone());
        let next = Waiting { place, ready, oldest_ms, running: running + 1 };
        if has_more(&next) {
            heap.push(ranked(next));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(place: &'static str, ready: u64, oldest_ms: u64, running: u32) -> Waiting<&'static str> {
        Waiting { place, ready, oldest_ms, running }
    }

    #[test]
    fn fewest_processes_first_then_the_oldest() {
        let cases = [
            (vec![], 3, vec![]),
            (vec![waiting("a", 9, 5, 0)], 0, vec![]),
            (vec![waiting("a", 9, 5, 0), waiting("b", 9, 7, 0)], 1, vec!["b"]),
            (vec![waiting("a", 9, 5, 1), waiting("b", 9, 7, 2)], 2, vec!["a", "b"]),
            (vec![waiting("a", 9, 5, 0), waiting("b", 9, 7, 0)], 5, vec!["b", "a", "b", "a", "b"]),
            (vec![waiting("a", 1, 5, 0), waiting("b", 2, 7, 0)], 9, vec!["b", "a", "b"]),
            (vec![waiting("a", 1, 5, 1)], 9, vec![]),
        ];
        for (waiting, count, expected) in cases {
            assert_eq!(choose(waiting.clone(), count), expected, "{waiting:?}");
        }
    }
}
