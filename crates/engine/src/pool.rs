//! Slots that are numbered and used again; what a slab is without an order.

use std::ops::{Index, IndexMut};

use crate::chunks::Chunks;
use crate::slab::NONE;

#[derive(Debug)]
pub(crate) struct Pool<T> {
    slots: Chunks<Slot<T>>,
    free: u32,
    len: u32,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    /// And the next vacant one.
    Vacant(u32),
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { slots: Chunks::default(), free: NONE, len: 0 }
    }
}

impl<T> Pool<T> {
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

    pub(crate) fn insert(&mut self, entry: T) -> u32 {
        self.len += 1;
        if self.free == NONE {
            let ix = u32::try_from(self.slots.len()).expect("a pool's slots are numbered by 32 bits");
            assert_ne!(ix, NONE, "a pool holds at most {NONE} entries");
            self.slots.push(Slot::Taken(entry));
            return ix;
        }
        let ix = self.free;
        let Slot::Vacant(next) = std::mem::replace(&mut self.slots[ix], Slot::Taken(entry)) else {
            unreachable!("a free slot is vacant")
        };
        self.free = next;
        ix
    }

    pub(crate) fn remove(&mut self, ix: u32) -> T {
        let Slot::Taken(entry) = std::mem::replace(&mut self.slots[ix], Slot::Vacant(self.free)) else {
            unreachable!("a removed slot is taken")
        };
        self.free = ix;
        self.len -= 1;
        entry
    }

    pub(crate) fn get(&self, ix: u32) -> Option<&T> {
        match self.slots.get(ix)? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, ix: u32) -> Option<&mut T> {
        match self.slots.get_mut(ix)? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant(_) => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.slots()).filter_map(|ix| Some((ix, self.get(ix)?)))
    }

    /// Drops up to `count` slots from the end, whatever they hold; true when none is left. Only for a pool that
    /// nobody will use again.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        self.slots.dismantle(count)
    }
}

impl<T> Index<u32> for Pool<T> {
    type Output = T;

    fn index(&self, ix: u32) -> &T {
        self.get(ix).expect("an indexed slot is taken")
    }
}

impl<T> IndexMut<u32> for Pool<T> {
    fn index_mut(&mut self, ix: u32) -> &mut T {
        self.get_mut(ix).expect("an indexed slot is taken")
    }
}
