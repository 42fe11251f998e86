//! A slab whose entries also stand in order of their base record.
//!
//! Every durable thing has a base: the log record (its push, or its newest snapshot) from which it can be
//! rebuilt. Before a segment of the log is freed, all entries based in it are written again; keeping them in
//! base order makes finding them O(1) each. Bases only grow, so a new or rewritten entry goes to the end.

use std::ops::{Index, IndexMut};

use crate::Lsn;

/// No entry.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: u32,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Slot<T> {
    base: Lsn,
    older: u32,
    /// The next newer entry; of a vacant slot the next vacant one.
    newer: u32,
    entry: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { slots: Vec::new(), free: NONE, len: 0, oldest: NONE, newest: NONE }
    }
}

impl<T> Slab<T> {
    /// What one entry takes, words that it points to aside.
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// What all slots take, vacant ones included. Those that are only reserved are pages that nobody has
    /// touched, so they take nothing.
    pub(crate) fn allocation_bytes(&self) -> usize {
        self.slots.len() * Self::SLOT_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Slots, vacant ones included: the range of a scan.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn insert(&mut self, base: Lsn, entry: T) -> u32 {
        let slot = Slot { base, older: NONE, newer: NONE, entry: Some(entry) };
        let ix = if self.free == NONE {
            assert!(self.slots.len() < NONE as usize, "a slab holds at most {NONE} entries");
            self.slots.push(slot);
            self.slots.len() as u32 - 1
        } else {
            let ix = self.free;
            self.free = self.slots[ix as usize].newer;
            self.slots[ix as usize] = slot;
            ix
        };
        self.len += 1;
        self.link_newest(ix);
        ix
    }

    pub(crate) fn remove(&mut self, ix: u32) -> T {
        self.unlink(ix);
        let slot = &mut self.slots[ix as usize];
        let entry = slot.entry.take().expect("a removed slot is occupied");
        slot.newer = self.free;
        self.free = ix;
        self.len -= 1;
        entry
    }

    pub(crate) fn get(&self, ix: u32) -> Option<&T> {
        self.slots.get(ix as usize)?.entry.as_ref()
    }

    pub(crate) fn base(&self, ix: u32) -> Lsn {
        self.slots[ix as usize].base
    }

    /// The entry has a new base record.
    pub(crate) fn rebase(&mut self, ix: u32, base: Lsn) {
        debug_assert!(self.slots[ix as usize].entry.is_some());
        self.unlink(ix);
        self.slots[ix as usize].base = base;
        self.link_newest(ix);
    }

    /// The entry with the oldest base.
    pub(crate) fn oldest(&self) -> Option<(u32, Lsn)> {
        (self.oldest != NONE).then(|| (self.oldest, self.slots[self.oldest as usize].base))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().enumerate().filter_map(|(ix, slot)| Some((ix as u32, slot.entry.as_ref()?)))
    }

    /// Drops up to `count` slots from the end, whatever they hold; true when none is left. Only for a slab
    /// that nobody will use again: the order of bases is not kept.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        let keep = self.slots.len().saturating_sub(count);
        self.slots.truncate(keep);
        keep == 0
    }

    fn link_newest(&mut self, ix: u32) {
        let last = self.newest;
        debug_assert!(last == NONE || self.slots[last as usize].base <= self.slots[ix as usize].base);
        self.slots[ix as usize].older = last;
        self.slots[ix as usize].newer = NONE;
        if last == NONE {
            self.oldest = ix;
        } else {
            self.slots[last as usize].newer = ix;
        }
        self.newest = ix;
    }

    fn unlink(&mut self, ix: u32) {
        let Slot { older, newer, .. } = self.slots[ix as usize];
        if older == NONE {
            self.oldest = newer;
        } else {
            self.slots[older as usize].newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.slots[newer as usize].older = older;
        }
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, ix: u32) -> &T {
        self.slots[ix as usize].entry.as_ref().expect("an indexed slot is occupied")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, ix: u32) -> &mut T {
        self.slots[ix as usize].entry.as_mut().expect("an indexed slot is occupied")
    }
}
