//! The pieces of the log that were read last.

use std::collections::BTreeMap;
use std::sync::Arc;

use stanchion_storage::Lsn;

use super::chunk::Chunk;
use crate::limits::{PAYLOAD_CHUNK_AHEAD_BYTES, PAYLOAD_READERS_MAX};

/// Pieces by their first records; those that were used least recently go first.
pub(super) struct Cache {
    chunks: BTreeMap<Lsn, Entry>,
    bytes: u64,
    bytes_max: u64,
    /// Counts uses.
    clock: u64,
    /// Memory of pieces that went, for the next ones: the allocator would be slow to use again what comes and goes in
    /// large pieces on many threads.
    spare: Vec<Vec<u8>>,
}

struct Entry {
    chunk: Arc<Chunk>,
    used: u64,
}

impl Cache {
    pub(super) fn new(bytes_max: u64) -> Cache {
        Cache { chunks: BTreeMap::new(), bytes: 0, bytes_max, clock: 0, spare: Vec::new() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn set_bytes_max(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
        self.make_room(0);
    }

    /// The piece that has this record.
    pub(super) fn get(&mut self, lsn: Lsn) -> Option<Arc<Chunk>> {
        let (_, entry) = self.chunks.range_mut(..=lsn).next_back()?;
        if entry.chunk.last < lsn {
            return None;
        }
        self.clock += 1;
        entry.used = self.clock;
        Some(Arc::clone(&entry.chunk))
    }

    /// Whether a piece has this record.
    pub(super) fn has(&self, lsn: Lsn) -> bool {
        self.chunks.range(..=lsn).next_back().is_some_and(|(_, entry)| entry.chunk.last >= lsn)
    }

    /// Takes a piece in, unless it is too large by itself.
    pub(super) fn insert(&mut self, chunk: Arc<Chunk>) {
        let bytes = chunk.memory_bytes();
        self.remove(chunk.first);
        if bytes > self.bytes_max {
            return self.keep_buffer(chunk);
        }
        self.make_room(bytes);
        self.bytes += bytes;
        self.clock += 1;
        self.chunks.insert(chunk.first, Entry { chunk, used: self.clock });
    }

    /// There are a few hundred pieces, and each that comes in has cost a read: looking at all of them is cheap.
    fn make_room(&mut self, bytes: u64) {
        while self.bytes + bytes > self.bytes_max {
            let oldest = self.chunks.iter().min_by_key(|(_, entry)| entry.used).map(|(first, _)| *first);
            self.remove(oldest.expect("a cache with bytes has pieces"));
        }
    }

    fn remove(&mut self, first: Lsn) {
        if let Some(entry) = self.chunks.remove(&first) {
            self.bytes -= entry.chunk.memory_bytes();
            self.keep_buffer(entry.chunk);
        }
    }

    /// Memory for a piece.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    fn keep_buffer(&mut self, chunk: Arc<Chunk>) {
        // Somebody who still reads it frees it then.
        if let Ok(chunk) = Arc::try_unwrap(chunk)
            && self.spare.len() < PAYLOAD_READERS_MAX
        {
            let buffer = chunk.into_buffer();
            if buffer.capacity() <= 2 * PAYLOAD_CHUNK_AHEAD_BYTES {
                self.spare.push(buffer);
            }
        }
    }
}
