//! What queues take in memory, for QSTATS, MEMORY and INFO.
//!
//! Nearly all of it is known exactly: slots, tables, heaps, and the chunks that keys and payloads are packed into. The
//! words that hang on few jobs, on groups, windows and roots are measured on a sample of them, as Redis does, so that the
//! question costs the same whatever the queue holds.

use std::mem::size_of;

use crate::queue::{Latencies, Queue};
use crate::slab::Slab;
use crate::{Shard, limits};

/// What queues take in memory beside their payloads.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct IndexBytes {
    /// All of it.
    pub taken: u64,
    /// Slots and gaps of it that the next jobs, keys and roots take.
    pub vacant: u64,
}

impl Shard {
    /// Adds what about `count` queues take, from a cursor on, and at the end what is yet to be freed; the next
    /// cursor, 0 at the end.
    pub fn measure_index(&self, from: u32, count: usize, sum: &mut IndexBytes) -> u32 {
        let mut left = count;
        for ix in from..self.queues.slots() {
            if left == 0 {
                return ix;
            }
            left -= 1;
            if let Some(queue) = self.queues.get(ix) {
                sum.taken += queue.memory_bytes(limits::MEMORY_TOTAL_SAMPLES) - queue.bytes_here;
                sum.vacant += queue.store.gap_bytes() as u64
                    + queue.jobs.vacant_bytes()
                    + queue.holds.vacant_bytes()
                    + queue.roots.vacant_bytes();
            }
        }
        let doomed = |queue: &Queue| queue.memory_bytes(limits::MEMORY_TOTAL_SAMPLES) - queue.bytes_here;
        sum.taken += self.doomed.iter().map(doomed).sum::<u64>();
        0
    }

    /// About how many bytes a queue takes in memory.
    pub fn memory_usage(&self, queue: &[u8]) -> Option<u64> {
        Some(self.queues[self.find(queue)?].memory_bytes(limits::MEMORY_SAMPLES))
    }

    /// About how many bytes all queues take, deleted ones that are yet to be freed included. It visits each
    /// queue, but few of its jobs.
    pub fn memory_bytes(&self) -> u64 {
        let queues = self.queues.iter().map(|(_, queue)| queue).chain(&self.doomed);
        queues.map(|queue| queue.memory_bytes(limits::MEMORY_TOTAL_SAMPLES)).sum()
    }
}

impl Queue {
    /// Looks at no more than so many entries of each kind.
    pub(crate) fn memory_bytes(&self, samples: usize) -> u64 {
        let own = Slab::<Queue>::SLOT_BYTES + allocated(self.name.len());
        let slots = self.jobs.allocation_bytes()
            + self.store.allocation_bytes()
            + self.extras.allocation_bytes()
            + self.tags.allocation_bytes()
            + self.groups.allocation_bytes()
            + self.holds.allocation_bytes()
            + self.roots.allocation_bytes();
        let tables = [&self.ids, &self.group_names, &self.keys, &self.signatures];
        let tables: usize = tables.iter().map(|table| table.allocation_bytes()).sum();
        let heaps = [&self.delayed, &self.dead, &self.expiries, &self.windows, &self.idle_roots];
        let heaps: usize = heaps.iter().map(|heap| heap.allocation_bytes()).sum();
        let heaps = heaps + self.leases.allocation_bytes();
        let latencies = self.latencies.as_ref().map_or(0, |_| allocated(size_of::<Latencies>()));
        let workers = self.workers.as_ref().map_or(0, |workers| workers.allocation_bytes());
        let stale_roots = self.stale_roots.capacity() * size_of::<u32>();
        let notes = self.notes.as_ref().map_or(0, |notes| notes.allocation_bytes());
        let words = self.own.iter().chain(self.file.iter()).map(|(_, words)| allocated(words.len()));
        let whole =
            own + slots + tables + heaps + latencies + workers + stale_roots + notes + words.sum::<usize>();
        whole as u64
            + sampled(self.extras.slots(), self.extras.len(), samples, |ix| {
                Some(self.extras.get(ix)?.memory_bytes())
            })
            + sampled(self.groups.slots(), self.groups.len(), samples, |ix| {
                Some(self.groups.get(ix)?.memory_bytes())
            })
            + sampled(self.holds.slots(), self.holds.len(), samples, |ix| {
                Some(self.holds.get(ix)?.memory_bytes())
            })
            + sampled(self.roots.slots(), self.roots.len(), samples, |ix| {
                Some(self.roots.get(ix)?.memory_bytes())
            })
            + self.workers.as_ref().map_or(0, |workers| {
                let entries = &workers.entries;
                sampled(entries.slots(), entries.len(), samples, |ix| {
                    Some(allocated(entries.get(ix)?.name.len()))
                })
            })
    }
}

/// The sum over `len` entries in so many slots, of which at most so many are measured.
fn sampled(slots: u32, len: usize, samples: usize, bytes: impl Fn(u32) -> Option<usize>) -> u64 {
    if slots as usize <= samples {
        return (0..slots).filter_map(bytes).sum::<usize>() as u64;
    }
    // Steps of the golden ratio are spread evenly and fall in step with no pattern of pushes.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let slot = |n: u64| (((n.wrapping_mul(GOLDEN) >> 32) * u64::from(slots)) >> 32) as u32;
    let (mut found, mut sum) = (0, 0);
    for bytes in (0..samples as u64).filter_map(|n| bytes(slot(n))) {
        found += 1;
        sum += bytes as u64;
    }
    // None is found when nearly all slots are vacant.
    (u128::from(sum) * len as u128).checked_div(found).unwrap_or(0) as u64
}

/// What an allocation of so many bytes takes: the allocator has multiples of 16 bytes, above 128 four sizes to each
/// doubling, and of what is larger than some pages it touches only the pages that are used.
pub(crate) fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        129..=0x4000 => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
        _ => bytes.next_multiple_of(0x1000),
    }
}

#[cfg(test)]
mod tests {
    use super::allocated;

    #[test]
    fn the_allocators_sizes_are_few() {
        let sizes = [(0, 0), (1, 8), (9, 16), (128, 128), (129, 160), (161, 192), (257, 320), (1_000, 1_024)];
        for (bytes, taken) in sizes.into_iter().chain([(16_384, 16_384), (16_385, 20_480), (66_000, 69_632)])
        {
            assert_eq!(allocated(bytes), taken, "{bytes}");
        }
    }
}
