//! A prefix of an open log, kept from being freed while somebody copies it.
//!
//! The segments of a log only grow at the end and go at the beginning, so a prefix is a list of files and lengths.
//! Holding back the freeing has a bound, for a log must not grow for somebody who copies no more: whoever does not
//! read for a while, or holds space while the disk is full, loses what it holds.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::SNAPSHOT_IDLE_MAX;
use crate::shared::Shared;
use crate::{Lsn, ReadError, Segment};

/// A prefix of an open log. Dropping it lets its segments go.
pub struct Snapshot {
    shared: Arc<Shared>,
    segments: Vec<Segment>,
    pin: Arc<Pin>,
}

/// What holds segments back.
pub(crate) struct Pin {
    used_at: Mutex<Instant>,
}

impl Pin {
    fn new() -> Self {
        Self { used_at: Mutex::new(Instant::now()) }
    }

    fn touch(&self) {
        *self.used_at.lock() = Instant::now();
    }

    /// Whether it was used a short while ago.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(*self.used_at.lock()) < SNAPSHOT_IDLE_MAX
    }
}

impl Snapshot {
    /// All that is written now.
    pub(crate) fn take(shared: Arc<Shared>) -> Self {
        let pin = Arc::new(Pin::new());
        // Before the segments are listed, so that none of them goes in between.
        shared.add_pin(Arc::clone(&pin));
        let segments = shared.catalog.all();
        Self { shared, segments, pin }
    }

    /// Its segments, oldest first, as far as they belong to it.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The last record in it.
    pub fn last_lsn(&self) -> Lsn {
        self.segments.last().map_or(0, |newest| newest.last_lsn)
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Reads up to `bytes_max` bytes of a segment; `None` if no segment of this number is in it. Fewer bytes come
    /// only from the end of the segment. It blocks on the disk, and does not look at what it reads.
    pub fn read(&self, number: u64, offset: u64, bytes_max: usize) -> Result<Option<Vec<u8>>, ReadError> {
        self.pin.touch();
        let Some(segment) = self.segments.iter().find(|segment| segment.number == number) else {
            return Ok(None);
        };
        let left = usize::try_from(segment.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max)];
        let catalog = &self.shared.catalog;
        let read = catalog.handle(number).and_then(|handle| handle.read_at(&mut bytes, offset));
        // Asked after the reading: what it read before the segment went is good.
        if !catalog.has(number) {
            return Err(ReadError::Gone { lsn: segment.first_lsn });
        }
        match read {
            Ok(read) if read == bytes.len() => Ok(Some(bytes)),
            Ok(read) => Err(ReadError::Damaged {
                file: catalog.path(number),
                offset: offset + read as u64,
                lsn: segment.last_lsn,
            }),
            Err(source) => Err(ReadError::Io { path: catalog.path(number), source }),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.shared.remove_pin(&self.pin);
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("segments", &self.segments).finish_non_exhaustive()
    }
}
