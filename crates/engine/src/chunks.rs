//! A list that grows without moving what is in it.
//!
//! A vector that doubles copies itself, which takes tens of milliseconds when it holds millions of entries,
//! under the lock of its shard. So only the first chunk grows like that; once it is full, another one is added.

use std::ops::{Index, IndexMut};

use crate::memory::allocated;

/// Bytes of a full chunk: allocators fit many of this size, or of half of it, into what they get from the system.
const CHUNK_BYTES_MAX: usize = 28 << 10;

#[derive(Debug)]
pub(crate) struct Chunks<T> {
    /// All but the last one are full; none is empty.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    /// Entries of a full chunk, as a power of two.
    const CHUNK_BITS: u32 = (CHUNK_BYTES_MAX / size_of::<T>()).ilog2();
    const CHUNK: usize = 1 << Self::CHUNK_BITS;

    pub(crate) fn len(&self) -> usize {
        match self.chunks.last() {
            Some(last) => (self.chunks.len() - 1) * Self::CHUNK + last.len(),
            None => 0,
        }
    }

    /// What it takes in memory. The part of the last chunk that was never used is pages that nobody has
    /// touched, so it takes nothing.
    pub(crate) fn allocation_bytes(&self) -> usize {
        let bytes = |entries: usize| allocated(entries * size_of::<T>());
        let entries = match &self.chunks[..] {
            [] => 0,
            [only] => bytes(only.capacity()),
            [full @ .., last] => full.len() * bytes(Self::CHUNK) + last.len() * size_of::<T>(),
        };
        entries + self.chunks.capacity() * size_of::<Vec<T>>()
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.chunks.get(at as usize >> Self::CHUNK_BITS)?.get(at as usize % Self::CHUNK)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.chunks.get_mut(at as usize >> Self::CHUNK_BITS)?.get_mut(at as usize % Self::CHUNK)
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.get(0)
    }

    pub(crate) fn push(&mut self, entry: T) {
        if self.chunks.last().is_none_or(|last| last.len() == Self::CHUNK) {
            // Most lists are of small queues and have one chunk, which grows with its queue.
            if self.chunks.is_empty() {
                self.chunks.reserve_exact(1);
                self.chunks.push(Vec::with_capacity(1));
            } else {
                self.chunks.push(Vec::with_capacity(Self::CHUNK));
            }
        }
        self.chunks.last_mut().expect("a chunk with room").push(entry);
    }

    /// Takes the last entry off.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.chunks.last_mut()?;
        let entry = last.pop();
        if last.is_empty() {
            self.chunks.pop();
        }
        entry
    }

    /// Takes an entry out; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, at: u32) -> T {
        let last = self.pop().expect("an entry to remove");
        if at as usize == self.len() { last } else { std::mem::replace(&mut self[at], last) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Drops up to `count` entries from the end; true when none is left.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        let keep = self.len().saturating_sub(count);
        self.chunks.truncate(keep.div_ceil(Self::CHUNK));
        if let Some(last) = self.chunks.last_mut() {
            last.truncate(keep - (keep - 1) / Self::CHUNK * Self::CHUNK);
        }
        keep == 0
    }
}

impl<T> Index<u32> for Chunks<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        &self.chunks[at as usize >> Self::CHUNK_BITS][at as usize % Self::CHUNK]
    }
}

impl<T> IndexMut<u32> for Chunks<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize >> Self::CHUNK_BITS][at as usize % Self::CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = Chunks::<usize>::CHUNK;

    #[test]
    fn it_is_a_list_whatever_its_length() {
        let mut list = Chunks::default();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            while list.len() < length {
                list.push(list.len());
            }
            assert_eq!(list.len(), length);
            assert!(list.iter().copied().eq(0..length));
            assert_eq!(list.get(length as u32), None);
            assert!((0..length).all(|at| list[at as u32] == at));
        }
        assert_eq!(list.swap_remove(5), 5);
        assert_eq!((list[5], list.len()), (3 * CHUNK - 1, 3 * CHUNK - 1));
        assert_eq!(list.swap_remove(3 * CHUNK as u32 - 2), 3 * CHUNK - 2);
        assert!(!list.dismantle(CHUNK));
        assert_eq!(list.len(), 2 * CHUNK - 2);
        assert_eq!(list.pop(), Some(2 * CHUNK - 3));
        assert!(!list.dismantle(CHUNK - 3));
        assert_eq!(list.len(), CHUNK);
        assert!(list.dismantle(2 * CHUNK));
        assert_eq!((list.len(), list.pop()), (0, None));
    }

    #[test]
    fn a_second_chunk_does_not_move_the_first() {
        let mut list = Chunks::default();
        (0..CHUNK).for_each(|at| list.push(at));
        let first = std::ptr::from_ref(&list[0]);
        (0..4 * CHUNK).for_each(|at| list.push(at));
        assert!(std::ptr::eq(first, &list[0]));
    }
}
