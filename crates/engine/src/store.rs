//! The bytes of a queue's jobs, their keys and payloads, packed without gaps.
//!
//! An allocation for each job would take 16 bytes to point to it and be rounded up by an eighth in the mean; and
//! where every second job is gone, the memory of those gaps would neither be free nor be known. Here items are
//! appended to chunks. Queues mostly empty in the order in which they were filled, so whole chunks become free by
//! themselves; where they don't, the chunk with the largest gaps is emptied, one at a time, by moving its items to
//! the end. So gaps are at most a quarter of what lives, a chunk aside, and what is taken is known exactly.
//!
//! An item has a head: its owner, who is told when it moves, and its length. A long item has a chunk of its own.

use crate::memory::allocated;
use crate::pool::Pool;
use crate::slab::NONE;

/// Bytes of a full chunk.
const CHUNK_BYTES: usize = 1 << 16;

/// A longer item has a chunk of its own, which leaves less of others' chunks unused.
const SHARED_BYTES_MAX: usize = 1 << 13;

/// The least that is worth to be reserved.
const RESERVED_BYTES_MIN: usize = 64;

/// A chunk that is empty keeps no more than this.
const KEPT_BYTES_MAX: usize = 1 << 12;

/// Bytes of an item's head: owner and length.
const HEAD_BYTES: usize = 4 + 2;

/// Chunks among which the one with the largest gaps is looked for.
const VICTIMS: u32 = 64;

/// Where an item is: its chunk, and its head's place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    chunk: [u16; 2],
    at: u16,
}

#[derive(Debug)]
pub(crate) struct Store {
    chunks: Pool<Chunk>,
    /// The chunk that is being filled; `NONE`: none yet.
    filled: u32,
    /// Bytes of all shared chunks, and of their items.
    used: usize,
    live: usize,
    /// What the items with chunks of their own take.
    alone: usize,
    /// Where the next search for gaps begins.
    next_victim: u32,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Bytes of its items, heads included.
    live: usize,
}

impl Default for Store {
    fn default() -> Self {
        Store { chunks: Pool::default(), filled: NONE, used: 0, live: 0, alone: 0, next_victim: 0 }
    }
}

impl Store {
    /// What it takes in memory.
    pub(crate) fn allocation_bytes(&self) -> usize {
        // What is reserved beyond some pages is pages that nobody has touched.
        let reserved = self.chunks.get(self.filled).map_or(0, |filled| {
            let touched = filled.bytes.len().next_multiple_of(KEPT_BYTES_MAX);
            allocated(filled.bytes.capacity()).min(touched) - filled.bytes.len()
        });
        self.used + reserved + self.alone + self.chunks.allocation_bytes()
    }

    /// What of it is gaps, which the next items take.
    pub(crate) fn gap_bytes(&self) -> usize {
        self.used - self.live
    }

    /// The item at a place.
    pub(crate) fn get(&self, place: Place) -> &[u8] {
        let item = &self.chunks[place.chunk()].bytes[usize::from(place.at)..];
        let (head, rest) = item.split_at(HEAD_BYTES);
        match u16::from_le_bytes([head[4], head[5]]) {
            0 => rest,
            length => &rest[..usize::from(length) - 1],
        }
    }

    /// Adds an item made of parts; `moved` is told the new places of others that moved.
    pub(crate) fn put(&mut self, owner: u32, parts: [&[u8]; 2], moved: impl FnMut(u32, Place)) -> Place {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let bytes = HEAD_BYTES + length;
        let (chunk, length_in_head) = if length > SHARED_BYTES_MAX {
            self.alone += allocated(bytes);
            (self.chunks.insert(Chunk { bytes: Vec::with_capacity(bytes), live: 0 }), 0)
        } else {
            (self.used, self.live) = (self.used + bytes, self.live + bytes);
            (self.room_for(bytes, moved), length as u16 + 1)
        };
        let into = &mut self.chunks[chunk];
        let place = Place::new(chunk, into.bytes.len());
        let ([a, b, c, d], [e, f]) = (owner.to_le_bytes(), length_in_head.to_le_bytes());
        into.bytes.extend_from_slice(&[a, b, c, d, e, f]);
        parts.iter().for_each(|part| into.bytes.extend_from_slice(part));
        into.live += bytes;
        place
    }

    /// Takes an item out; `moved` as for [`Store::put`].
    pub(crate) fn remove(&mut self, place: Place, moved: impl FnMut(u32, Place)) {
        let bytes = HEAD_BYTES + self.get(place).len();
        let ix = place.chunk();
        let chunk = &mut self.chunks[ix];
        if is_alone(&chunk.bytes) {
            self.alone -= allocated(bytes);
            self.chunks.remove(ix);
            return;
        }
        let at = usize::from(place.at);
        chunk.bytes[at..at + 4].copy_from_slice(&NONE.to_le_bytes());
        chunk.live -= bytes;
        self.live -= bytes;
        if chunk.live == 0 {
            self.used -= chunk.bytes.len();
            if ix != self.filled {
                self.chunks.remove(ix);
            } else if chunk.bytes.capacity() <= KEPT_BYTES_MAX {
                chunk.bytes.clear();
            } else {
                chunk.bytes = Vec::new();
            }
        }
        if self.used - self.live > self.live / 4 + CHUNK_BYTES {
            self.empty_one(moved);
        }
    }

    /// Drops up to `count` chunks; true when none is left. Only for a store that nobody will use again.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        self.chunks.dismantle(count)
    }

    /// A chunk that so many bytes can be appended to.
    fn room_for(&mut self, bytes: usize, moved: impl FnMut(u32, Place)) -> u32 {
        let Some(filled) = self.chunks.get(self.filled) else {
            let reserved = bytes.next_power_of_two().max(RESERVED_BYTES_MIN);
            self.filled = self.chunks.insert(Chunk { bytes: Vec::with_capacity(reserved), live: 0 });
            return self.filled;
        };
        if filled.bytes.len() + bytes > filled.bytes.capacity() {
            if filled.live + bytes <= CHUNK_BYTES / 2 {
                self.compact(bytes, moved);
            } else {
                self.filled = self.chunks.insert(Chunk { bytes: Vec::with_capacity(CHUNK_BYTES), live: 0 });
            }
        }
        self.filled
    }

    /// Copies the items of the chunk that is being filled to one without gaps, and with room for as much again.
    fn compact(&mut self, bytes: usize, mut moved: impl FnMut(u32, Place)) {
        let chunk = &mut self.chunks[self.filled];
        let reserved = (2 * (chunk.live + bytes)).next_power_of_two().max(RESERVED_BYTES_MIN);
        let old = std::mem::replace(&mut chunk.bytes, Vec::with_capacity(reserved));
        for (owner, item) in items(&old) {
            moved(owner, Place::new(self.filled, chunk.bytes.len()));
            chunk.bytes.extend_from_slice(item);
        }
        self.used = self.used - old.len() + chunk.bytes.len();
    }

    /// Moves the items of the chunk with the largest gaps to the end.
    fn empty_one(&mut self, mut moved: impl FnMut(u32, Place)) {
        let slots = self.chunks.slots();
        let looked_at = (0..VICTIMS.min(slots)).map(|n| (self.next_victim + n) % slots);
        let gaps = |ix: &u32| self.chunks.get(*ix).map_or(0, |chunk| chunk.bytes.len() - chunk.live);
        let victim = looked_at.filter(|&ix| ix != self.filled).max_by_key(gaps);
        let Some(victim) = victim.filter(|ix| gaps(ix) > CHUNK_BYTES / 8) else {
            self.next_victim = (self.next_victim + VICTIMS) % slots;
            return;
        };
        let old = std::mem::take(&mut self.chunks[victim].bytes);
        for (owner, item) in items(&old) {
            let into = self.room_for(item.len(), &mut moved);
            let chunk = &mut self.chunks[into];
            moved(owner, Place::new(into, chunk.bytes.len()));
            chunk.bytes.extend_from_slice(item);
            chunk.live += item.len();
            self.used += item.len();
        }
        self.used -= old.len();
        self.chunks.remove(victim);
    }

    /// Checks that each item is its owner's and that nothing is miscounted.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn check(&self, place_of: impl Fn(u32) -> Option<Place>) -> Result<(), String> {
        let fault = |wrong: bool, fault: &str| if wrong { Err(format!("store: {fault}")) } else { Ok(()) };
        let (mut used, mut live, mut alone) = (0, 0, 0);
        for (ix, chunk) in self.chunks.iter() {
            let mut live_here = 0;
            for (owner, item) in items(&chunk.bytes) {
                let at = item.as_ptr() as usize - chunk.bytes.as_ptr() as usize;
                fault(place_of(owner) != Some(Place::new(ix, at)), "an item is elsewhere for its owner")?;
                live_here += item.len();
            }
            fault(chunk.live != live_here, "a chunk's bytes are miscounted")?;
            fault(chunk.live == 0 && ix != self.filled, "an empty chunk is kept")?;
            if is_alone(&chunk.bytes) {
                alone += allocated(live_here);
            } else {
                (used, live) = (used + chunk.bytes.len(), live + live_here);
            }
        }
        fault((used, live, alone) != (self.used, self.live, self.alone), "its bytes are miscounted")
    }
}

impl Place {
    /// No item.
    pub(crate) const NOWHERE: Place = Place { chunk: [u16::MAX; 2], at: 0 };

    fn new(chunk: u32, at: usize) -> Place {
        let at = u16::try_from(at).expect("a chunk is at most 64 KiB, or holds one item");
        Place { chunk: [chunk as u16, (chunk >> 16) as u16], at }
    }

    fn chunk(self) -> u32 {
        u32::from(self.chunk[0]) | u32::from(self.chunk[1]) << 16
    }
}

/// A chunk's items that are not gaps: owners, and bytes with heads.
fn items(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = bytes;
    let all = std::iter::from_fn(move || {
        let (&[a, b, c, d, low, high], _) = rest.split_first_chunk::<HEAD_BYTES>()?;
        let bytes = match u16::from_le_bytes([low, high]) {
            0 => rest.len(),
            length => HEAD_BYTES + usize::from(length) - 1,
        };
        let (item, after) = rest.split_at(bytes);
        rest = after;
        Some((u32::from_le_bytes([a, b, c, d]), item))
    });
    all.filter(|&(owner, _)| owner != NONE)
}

/// Whether a chunk is that of one long item.
fn is_alone(bytes: &[u8]) -> bool {
    bytes.get(4..6) == Some(&[0, 0])
}

const _: () =
    assert!(SHARED_BYTES_MAX + HEAD_BYTES < u16::MAX as usize, "a shared item's length fits its head");
const _: () = assert!(CHUNK_BYTES <= 1 << 16, "a place in a chunk fits 16 bits");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Both {
        store: Store,
        model: BTreeMap<u32, (Vec<u8>, Place)>,
    }

    impl Both {
        fn put(&mut self, owner: u32, bytes: Vec<u8>) {
            self.remove(owner);
            let model = &mut self.model;
            let (first, second) = bytes.split_at(bytes.len() / 3);
            let moved = |owner, place| model.get_mut(&owner).expect("a moved item").1 = place;
            let place = self.store.put(owner, [first, second], moved);
            self.model.insert(owner, (bytes, place));
        }

        fn remove(&mut self, owner: u32) {
            if let Some((_, place)) = self.model.remove(&owner) {
                let model = &mut self.model;
                self.store
                    .remove(place, |owner, place| model.get_mut(&owner).expect("a moved item").1 = place);
            }
        }

        fn check(&self) {
            self.store
                .check(|owner| self.model.get(&owner).map(|(_, place)| *place))
                .expect("a store in order");
            for (bytes, place) in self.model.values() {
                assert_eq!(self.store.get(*place), bytes);
            }
            let live: usize = self.model.values().map(|(bytes, _)| bytes.len() + HEAD_BYTES).sum();
            let most = live + live / 2 + 4 * CHUNK_BYTES;
            assert!(self.store.used + self.store.alone <= most, "{} bytes for {live}", self.store.used);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_gives_back_what_was_put(
            steps in proptest::collection::vec((0u32..400, 0usize..12_000, any::<bool>()), 0..1_500),
            scale in 1usize..64,
        ) {
            let mut both = Both::default();
            for (owner, length, removed) in steps {
                if removed {
                    both.remove(owner);
                } else {
                    both.put(owner, (0..length / scale).map(|n| (n as u32 ^ owner) as u8).collect());
                }
            }
            both.check();
        }
    }

    #[test]
    fn a_queue_of_one_job_stays_small() {
        let mut both = Both::default();
        for n in 0..10_000 {
            both.put(n, vec![1; 100]);
            n.checked_sub(1).into_iter().for_each(|before| both.remove(before));
        }
        both.check();
        assert!(both.store.allocation_bytes() < 2_000, "{}", both.store.allocation_bytes());
    }

    #[test]
    fn gaps_are_closed() {
        let mut both = Both::default();
        (0..20_000).for_each(|n| both.put(n, vec![1; 200]));
        let full = both.store.allocation_bytes();
        (0..20_000).step_by(2).for_each(|n| both.remove(n));
        both.check();
        let half = both.store.allocation_bytes();
        assert!(half < full * 66 / 100, "{half} of {full}");
        (1..20_000).step_by(2).for_each(|n| both.remove(n));
        both.check();
        assert!(both.store.allocation_bytes() < 70_000, "{}", both.store.allocation_bytes());
    }

    #[test]
    fn a_long_item_has_its_own_chunk() {
        let mut both = Both::default();
        both.put(1, vec![7; 1 << 20]);
        both.put(2, vec![8; 10]);
        both.check();
        both.remove(1);
        both.check();
        assert!(both.store.allocation_bytes() < 1_000);
    }
}
