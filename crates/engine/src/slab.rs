//! A slab whose entries also stand in order of their base record.
//!
//! Every durable thing has a base: the log record (its push, or its newest snapshot) from which it can be
//! rebuilt. Before a segment of the log is freed, all entries based in it are written again; keeping them in
//! base order makes finding them O(1) each. Bases only grow, so a new or rewritten entry goes to the end.

use std::ops::{Index, IndexMut};

use crate::Lsn;
use crate::chunks::Chunks;
use crate::packed::Packed48;

/// No entry.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Chunks<Slot<T>>,
    free: u32,
    len: u32,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Slot<T> {
    base: Packed48,
    older: u32,
    /// The next newer entry; of a vacant slot the next vacant one.
    newer: u32,
    entry: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { slots: Chunks::default(), free: NONE, len: 0, oldest: NONE, newest: NONE }
    }
}

impl<T> Slab<T> {
    /// What one entry takes, words that it points to aside.
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// What all slots take, vacant ones included.
    pub(crate) fn allocation_bytes(&self) -> usize {
        self.slots.allocation_bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Slots, vacant ones included: the range of a scan.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn insert(&mut self, base: Lsn, entry: T) -> u32 {
        let slot = Slot { base: base.into(), older: NONE, newer: NONE, entry: Some(entry) };
        let ix = if self.free == NONE {
            assert!(self.slots.len() < NONE as usize, "a slab holds at most {NONE} entries");
            self.slots.push(slot);
            self.slots.len() as u32 - 1
        } else {
            let ix = self.free;
            self.free = self.slots[ix].newer;
            self.slots[ix] = slot;
            ix
        };
        self.len += 1;
        self.link_newest(ix);
        ix
    }

    pub(crate) fn remove(&mut self, ix: u32) -> T {
        self.unlink(ix);
        let slot = &mut self.slots[ix];
        let entry = slot.entry.take().expect("a removed slot is occupied");
        slot.newer = self.free;
        self.free = ix;
        self.len -= 1;
        entry
    }

    pub(crate) fn get(&self, ix: u32) -> Option<&T> {
        self.slots.get(ix)?.entry.as_ref()
    }

    pub(crate) fn base(&self, ix: u32) -> Lsn {
        self.slots[ix].base.get()
    }

    /// The entry has a new base record.
    pub(crate) fn rebase(&mut self, ix: u32, base: Lsn) {
        debug_assert!(self.slots[ix].entry.is_some());
        self.unlink(ix);
        self.slots[ix].base = base.into();
        self.link_newest(ix);
    }

    /// The entry with the oldest base.
    pub(crate) fn oldest(&self) -> Option<(u32, Lsn)> {
        (self.oldest != NONE).then(|| (self.oldest, self.slots[self.oldest].base.get()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().enumerate().filter_map(|(ix, slot)| Some((ix as u32, slot.entry.as_ref()?)))
    }

    /// Drops up to `count` slots from the end, whatever they hold; true when none is left. Only for a slab
    /// that nobody will use again: the order of bases is not kept.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        self.slots.dismantle(count)
    }

    fn link_newest(&mut self, ix: u32) {
        let last = self.newest;
        debug_assert!(last == NONE || self.base(last) <= self.base(ix));
        self.slots[ix].older = last;
        self.slots[ix].newer = NONE;
        if last == NONE {
            self.oldest = ix;
        } else {
            self.slots[last].newer = ix;
        }
        self.newest = ix;
    }

    fn unlink(&mut self, ix: u32) {
        let Slot { older, newer, .. } = self.slots[ix];
        if older == NONE {
            self.oldest = newer;
        } else {
            self.slots[older].newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.slots[newer].older = older;
        }
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, ix: u32) -> &T {
        self.slots[ix].entry.as_ref().expect("an indexed slot is occupied")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, ix: u32) -> &mut T {
        self.slots[ix].entry.as_mut().expect("an indexed slot is occupied")
    }
}
