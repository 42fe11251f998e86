//! A slab whose entries also stand in order of their base record.
//!
//! Every durable thing has a base: the log record (its push, or its newest snapshot) from which it can be
//! rebuilt. Before a segment of the log is freed, all entries based in it are written again; keeping them in
//! base order makes finding them O(1) each. Bases only grow, so a new or rewritten entry goes to the end.
//!
//! A checkpoint goes through the entries in this order while they change; its cursor moves on when its entry
//! goes. What a recovery puts back from one is older than what the log has brought meanwhile, so it goes to its
//! place, which is next to the place of the one before.

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
    /// Where a checkpoint goes on, or where the last entry from one was put back.
    cursor: u32,
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
        Slab { slots: Chunks::default(), free: NONE, len: 0, oldest: NONE, newest: NONE, cursor: NONE }
    }
}

impl<T> Slab<T> {
    /// What one entry takes, words that it points to aside.
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// What all slots take, vacant ones included.
    pub(crate) fn allocation_bytes(&self) -> usize {
        self.slots.allocation_bytes()
    }

    /// What vacant slots take.
    pub(crate) fn vacant_bytes(&self) -> u64 {
        ((self.slots.len() - self.len as usize) * Self::SLOT_BYTES) as u64
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
            let ix = self.slots.len();
            assert!(ix < NONE as usize, "a slab holds at most {NONE} entries");
            self.slots.push(slot);
            ix as u32
        } else {
            let ix = self.free;
            let vacant = &mut self.slots[ix];
            self.free = vacant.newer;
            *vacant = slot;
            ix
        };
        self.len += 1;
        self.link(ix, base);
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
        self.link(ix, base);
    }

    /// The entry with the oldest base.
    pub(crate) fn oldest(&self) -> Option<(u32, Lsn)> {
        (self.oldest != NONE).then(|| (self.oldest, self.slots[self.oldest].base.get()))
    }

    /// Puts the cursor at the oldest entry.
    pub(crate) fn rewind(&mut self) {
        self.cursor = self.oldest;
    }

    /// The entry at the cursor, if its base is below `below`.
    pub(crate) fn at_cursor(&self, below: Lsn) -> Option<u32> {
        (self.cursor != NONE && self.base(self.cursor) < below).then_some(self.cursor)
    }

    /// Moves the cursor to the next newer entry.
    pub(crate) fn advance(&mut self) {
        self.cursor = self.slots[self.cursor].newer;
    }

    /// Whether the entries stand in order of their bases, all of them.
    pub(crate) fn is_in_order(&self) -> bool {
        let (mut at, mut before, mut count) = (self.oldest, 0, 0);
        while at != NONE {
            let base = self.base(at);
            if base < before {
                return false;
            }
            (at, before, count) = (self.slots[at].newer, base, count + 1);
        }
        count == self.len
    }

    /// Those with a base below `below`, the oldest first.
    pub(crate) fn oldest_first(&self, below: Lsn) -> impl Iterator<Item = u32> {
        let is_below = move |&ix: &u32| ix != NONE && self.base(ix) < below;
        let next = move |&ix: &u32| Some(self.slots[ix].newer).filter(is_below);
        std::iter::successors(Some(self.oldest).filter(is_below), next)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().enumerate().filter_map(|(ix, slot)| Some((ix as u32, slot.entry.as_ref()?)))
    }

    /// Drops up to `count` slots from the end, whatever they hold; true when none is left. Only for a slab
    /// that nobody will use again: the order of bases is not kept.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        self.slots.dismantle(count)
    }

    /// Puts an entry at the end, unless its base is older than what is there.
    fn link(&mut self, ix: u32, base: Lsn) {
        let (older, newer) = match self.newest {
            NONE => (NONE, NONE),
            newest if self.base(newest) <= base => (newest, NONE),
            _ => self.find_neighbours(ix),
        };
        let slot = &mut self.slots[ix];
        (slot.older, slot.newer) = (older, newer);
        match older {
            NONE => self.oldest = ix,
            older => self.slots[older].newer = ix,
        }
        match newer {
            NONE => self.newest = ix,
            newer => self.slots[newer].older = ix,
        }
    }

    /// The entries that one with an older base than the newest belongs between. They are searched for from the last
    /// such place on: such entries come in order, so that is a step or two.
    #[cold]
    fn find_neighbours(&mut self, ix: u32) -> (u32, u32) {
        let base = self.base(ix);
        let mut at = if self.cursor == NONE { self.oldest } else { self.cursor };
        while at != NONE && self.base(at) > base {
            at = self.slots[at].older;
        }
        loop {
            let next = if at == NONE { self.oldest } else { self.slots[at].newer };
            if next == NONE || self.base(next) > base {
                self.cursor = ix;
                return (at, next);
            }
            at = next;
        }
    }

    /// Makes two neighbours know each other; `NONE` is the end.
    fn relink(&mut self, older: u32, newer: u32) {
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

    fn unlink(&mut self, ix: u32) {
        let Slot { older, newer, .. } = self.slots[ix];
        if self.cursor == ix {
            self.cursor = newer;
        }
        self.relink(older, newer);
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
