//! The handle of an open log. (First cut: it numbers records and announces them, and keeps nothing yet.)

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{LogConfig, LogEvent, Lsn, OpenError, Poison, RecordView, Records, Recovered};

/// What staging gave to records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// The lsn of the first one.
    pub first: Lsn,
    /// The lsn of the last one. With no records it is the newest lsn of the log, and `first` is one more.
    pub last: Lsn,
}

/// A segment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Segments are numbered from 1, without gaps.
    pub number: u64,
    /// The first record in it.
    pub first_lsn: Lsn,
    /// The last record in it, or `first_lsn - 1` if there is none.
    pub last_lsn: Lsn,
    /// How many bytes of it are in use.
    pub bytes: u64,
}

/// An open log. Clones are the same log; it closes with the last one.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    next: Mutex<Lsn>,
    on_event: Arc<dyn Fn(LogEvent) + Send + Sync>,
}

impl Log {
    /// Recovers the log in `config.dir`, calling `replay` for each record in order, and starts its writer.
    pub fn open(
        _config: LogConfig,
        _replay: &mut dyn FnMut(RecordView<'_>) -> Result<(), String>,
        on_event: Arc<dyn Fn(LogEvent) + Send + Sync>,
    ) -> Result<(Self, Recovered), OpenError> {
        let recovered = Recovered { boot: 1, last_lsn: 0, records: 0, bytes: 0, clean: true, torn: None };
        Ok((Self { shared: Arc::new(Shared { next: Mutex::new(1), on_event }) }, recovered))
    }

    /// A lower bound for the lsn of anything staged from now on.
    pub fn next_lsn(&self) -> Lsn {
        *self.shared.next.lock()
    }

    /// Numbers the records, takes them and clears the buffer. Never waits for the disk.
    pub fn stage(&self, records: &mut Records) -> Staged {
        let _ = records.framed();
        let mut next = self.shared.next.lock();
        let first = *next;
        *next += records.count();
        records.clear();
        (self.shared.on_event)(LogEvent::Durable(*next - 1));
        Staged { first, last: *next - 1 }
    }

    /// Whether more may be staged. If not, wait for [`LogEvent::Room`] before the next step, and look again.
    pub fn has_room(&self) -> bool {
        true
    }

    /// Everything up to this lsn is synced.
    pub fn durable(&self) -> Lsn {
        self.next_lsn() - 1
    }

    /// Everything up to this lsn is in the file.
    pub fn written(&self) -> Lsn {
        self.next_lsn() - 1
    }

    /// Asks for a sync of everything up to `lsn`, whatever the policy, and returns at once.
    /// [`LogEvent::Durable`] follows, unless [`Log::durable`] is there already.
    pub fn sync_to(&self, _lsn: Lsn) {}

    /// Whether the disk has no room for the next segment. What fits in the current one is still written.
    pub fn is_disk_full(&self) -> bool {
        false
    }

    /// Why the log stopped, if it did.
    pub fn poisoned(&self) -> Option<Arc<Poison>> {
        None
    }

    /// The sealed segments, oldest first: all but the one that is being written.
    pub fn sealed(&self) -> Vec<Segment> {
        Vec::new()
    }

    /// The oldest sealed segment.
    pub fn oldest_sealed(&self) -> Option<Segment> {
        None
    }

    /// How many bytes of segments are in use.
    pub fn bytes(&self) -> u64 {
        0
    }

    /// Frees the sealed segments up to number `segment`, oldest first, once everything up to
    /// `rewritten_through` is synced, which this asks for. [`LogEvent::Freed`] follows.
    pub fn free_through(&self, _segment: u64, _rewritten_through: Lsn) {}

    /// Writes and syncs everything that is staged, marks a clean end and stops the writer.
    pub fn close(&self) -> Result<(), Arc<Poison>> {
        Ok(())
    }
}
