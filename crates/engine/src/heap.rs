//! A timer queue: a binary heap in order of (instant, id) from which any entry can be removed.
//!
//! Each entry's owner keeps its place in the heap, told by the `moved` callback, so that removal needs no
//! search. Instants mostly rise as they come in, and then an insert costs no move at all. The order is total,
//! so the same entries leave in the same order however the heap is laid out: replay agrees with what ran.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::chunks::Chunks;

/// An instant and an id that makes it unique.
pub(crate) type Moment = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct Heap {
    entries: Chunks<(Moment, u32)>,
}

impl Heap {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What it takes in memory.
    pub(crate) fn allocation_bytes(&self) -> usize {
        self.entries.allocation_bytes()
    }

    /// The first entry: its moment and owner.
    pub(crate) fn first(&self) -> Option<(Moment, u32)> {
        self.entries.first().copied()
    }

    /// The moment at a place.
    pub(crate) fn at(&self, place: u32) -> Moment {
        self.entries[place].0
    }

    pub(crate) fn insert(&mut self, moment: Moment, owner: u32, moved: impl FnMut(u32, u32)) {
        self.entries.push((moment, owner));
        self.rise(self.entries.len() as u32 - 1, moved);
    }

    pub(crate) fn remove(&mut self, place: u32, mut moved: impl FnMut(u32, u32)) {
        self.entries.swap_remove(place);
        if (place as usize) < self.entries.len() {
            let parent = place.saturating_sub(1) / 2;
            if place > 0 && self.entries[place].0 < self.entries[parent].0 {
                self.rise(place, moved);
            } else {
                self.sink(place, &mut moved);
            }
        }
    }

    /// The entry at `place` has a new moment.
    pub(crate) fn reschedule(&mut self, place: u32, moment: Moment, mut moved: impl FnMut(u32, u32)) {
        let earlier = moment < self.entries[place].0;
        self.entries[place].0 = moment;
        if earlier {
            self.rise(place, moved);
        } else {
            self.sink(place, &mut moved);
        }
    }

    /// Entries in order of their moments, found without sorting or copying the whole heap.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (Moment, u32)> {
        let mut front = BinaryHeap::new();
        if let Some(&(moment, _)) = self.entries.first() {
            front.push(Reverse((moment, 0)));
        }
        std::iter::from_fn(move || {
            let Reverse((_, place)) = front.pop()?;
            for child in [2 * place + 1, 2 * place + 2] {
                if let Some(&(moment, _)) = self.entries.get(child) {
                    front.push(Reverse((moment, child)));
                }
            }
            Some(self.entries[place])
        })
    }

    fn rise(&mut self, mut place: u32, mut moved: impl FnMut(u32, u32)) {
        let entry = self.entries[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            let above = self.entries[parent];
            if above.0 <= entry.0 {
                break;
            }
            self.entries[place] = above;
            moved(above.1, place);
            place = parent;
        }
        self.entries[place] = entry;
        moved(entry.1, place);
    }

    fn sink(&mut self, mut place: u32, moved: &mut impl FnMut(u32, u32)) {
        let (entry, len) = (self.entries[place], self.entries.len() as u32);
        loop {
            let mut child = 2 * place + 1;
            if child >= len {
                break;
            }
            let mut below = self.entries[child];
            if child + 1 < len {
                let other = self.entries[child + 1];
                if other.0 < below.0 {
                    (child, below) = (child + 1, other);
                }
            }
            if entry.0 <= below.0 {
                break;
            }
            self.entries[place] = below;
            moved(below.1, place);
            place = child;
        }
        self.entries[place] = entry;
        moved(entry.1, place);
    }
}
