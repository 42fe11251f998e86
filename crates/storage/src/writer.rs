//! The thread that writes: takes what is staged as one batch, writes it, syncs it and says so.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::sync::Parker;

use crate::active::{Active, segment_bytes_for};
use crate::batch::Buffer;
use crate::disk::{Disk, is_full};
use crate::doorbell::RINGS_ONLY;
use crate::limits::{DISK_FULL_RETRY, GATHER_BYTES, GATHER_TIME};
use crate::lock::Lock;
use crate::pool::{Pool, Spare};
use crate::record::Mark;
use crate::segment::{Name, SegmentHeader};
use crate::shared::Shared;
use crate::{Durability, LogEvent, Poison};

/// The writer of a log, and everything that only it touches.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) parker: Parker,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) pool: Pool,
    pub(crate) active: Active,
    pub(crate) durability: Durability,
    /// How much memory a buffer keeps between batches.
    pub(crate) keep_bytes: usize,
    /// Held as long as anything may still be written.
    pub(crate) _lock: Option<Lock>,
}

/// What changes from turn to turn.
struct Turn {
    /// What was taken from staging.
    batch: Buffer,
    /// When the oldest record was written that is not synced.
    unsynced_since: Option<Instant>,
    /// When to ask a full disk again.
    ask_disk_at: Option<Instant>,
    sealed_bytes: u64,
}

impl Writer {
    /// The thread: runs until the log is closed or poisoned.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // A panic here (in a callback, say) must not leave a log that takes records and never answers.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.write_until_closed()));
        let poison = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(poison)) => poison,
            Err(_) => {
                self.poison("keep writing", self.active.name(), io::Error::other("the writer panicked"))
            }
        };
        shared.set_poison(poison);
    }

    fn write_until_closed(&mut self) -> Result<(), Poison> {
        let sealed_bytes = self.shared.sealed().iter().map(|segment| segment.bytes).sum();
        let mut turn = Turn { batch: Buffer::new(), unsynced_since: None, ask_disk_at: None, sealed_bytes };
        loop {
            self.wait(&turn);
            self.shared.take_staged(&mut turn.batch);
            self.write(&mut turn)?;
            if self.sync_is_due(&turn) {
                self.sync(&mut turn)?;
            }
            self.free_segments(&mut turn)?;
            self.prepare_spare(&mut turn)?;
            if self.shared.is_closing() && self.shared.stop_if_drained() {
                return self.close(&mut turn);
            }
        }
    }

    /// Sleeps until there is something to do. An idle log has no deadline, so it costs nothing.
    fn wait(&self, turn: &Turn) {
        let shared = &*self.shared;
        let is_urgent = || shared.is_closing() || shared.sync_is_wanted() || shared.can_free();
        let mut gather_until = None;
        while !is_urgent() {
            let staged = shared.staged_bytes();
            if staged == 0 {
                let deadline = self.deadline(turn);
                if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    return;
                }
                let has_work = || shared.staged_bytes() > 0 || is_urgent();
                shared.doorbell.sleep(&self.parker, 1, deadline, has_work);
                continue;
            }
            if self.durability == Durability::Always || staged >= GATHER_BYTES {
                return;
            }
            // Nobody waits for these records, so more of them may share the write and the wake-up.
            let now = Instant::now();
            let until = *gather_until.get_or_insert(now + GATHER_TIME);
            if until <= now {
                return;
            }
            let has_work = || shared.staged_bytes() >= GATHER_BYTES || is_urgent();
            shared.doorbell.sleep(&self.parker, GATHER_BYTES, Some(until), has_work);
        }
    }

    /// When something is due though nothing comes.
    fn deadline(&self, turn: &Turn) -> Option<Instant> {
        let sync = match self.durability {
            Durability::Interval(interval) => turn.unsynced_since.map(|since| since + interval),
            Durability::Always | Durability::Never => None,
        };
        [sync, turn.ask_disk_at].into_iter().flatten().min()
    }

    fn write(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        while !turn.batch.is_empty() {
            let appended = self
                .active
                .append(&mut turn.batch, self.shared.durable())
                .map_err(|error| self.poison("write to", self.active.name(), error))?;
            if appended {
                turn.unsynced_since.get_or_insert_with(Instant::now);
                self.publish_bytes(turn);
                self.shared.set_written(self.active.next_lsn() - 1);
            } else {
                self.rotate(turn)?;
            }
        }
        turn.batch.clear(self.keep_bytes);
        Ok(())
    }

    fn sync_is_due(&self, turn: &Turn) -> bool {
        let Some(since) = turn.unsynced_since else { return false };
        match self.durability {
            Durability::Always => true,
            Durability::Never => self.shared.sync_is_wanted(),
            Durability::Interval(interval) => self.shared.sync_is_wanted() || since.elapsed() >= interval,
        }
    }

    fn sync(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        if turn.unsynced_since.is_none() {
            return Ok(());
        }
        let begun = Instant::now();
        self.active.sync().map_err(|error| self.poison("sync", self.active.name(), error))?;
        self.shared.tell(LogEvent::Synced(begun.elapsed()));
        turn.unsynced_since = None;
        self.shared.set_durable(self.active.next_lsn() - 1);
        Ok(())
    }

    /// Seals the segment and begins the next one, with room for the next record.
    fn rotate(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        // Before the next segment exists, because its existence says that all of this one is durable.
        self.sync(turn)?;
        let spare = self.take_spare(turn)?;
        let last = self.active.header();
        let header =
            SegmentHeader { boot: last.boot, number: last.number + 1, first_lsn: self.active.next_lsn() };
        let next = Active::begin(spare.file, spare.bytes, header)
            .and_then(|next| next.publish(&*self.disk, spare.name).map(|()| next))
            .map_err(|error| self.poison("begin", Name::Segment(header.number), error))?;
        let sealed = std::mem::replace(&mut self.active, next).segment();
        tracing::debug!(segment = sealed.number, last_lsn = sealed.last_lsn, bytes = sealed.bytes, "sealed");
        turn.sealed_bytes += sealed.bytes;
        self.shared.push_sealed(sealed);
        Ok(())
    }

    /// Waits for space if there is none: what is taken from staging must go somewhere, and nobody was told yet
    /// that it is safe. Freed segments count as space, so they are freed meanwhile.
    fn take_spare(&mut self, turn: &mut Turn) -> Result<Spare, Poison> {
        let bytes = segment_bytes_for(turn.batch.first_record_bytes());
        loop {
            match self.pool.take(bytes) {
                Ok(spare) => {
                    self.set_disk_full(turn, false);
                    return Ok(spare);
                }
                Err(error) if is_full(&error) && !self.shared.is_closing() => self.set_disk_full(turn, true),
                Err(error) => {
                    let next = Name::Segment(self.active.header().number + 1);
                    return Err(self.poison("allocate", next, error));
                }
            }
            let shared = &*self.shared;
            let has_work = || shared.is_closing() || shared.can_free();
            shared.doorbell.sleep(&self.parker, RINGS_ONLY, turn.ask_disk_at, has_work);
            self.free_segments(turn)?;
        }
    }

    fn free_segments(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        while let Some(request) = self.shared.take_free_request() {
            while let Some(oldest) = self.shared.oldest_sealed()
                && oldest.number <= request.through_segment
            {
                let name = Name::Segment(oldest.number);
                self.pool.recycle(name).map_err(|error| self.poison("free", name, error))?;
                self.shared.pop_sealed();
                turn.sealed_bytes -= oldest.bytes;
                tracing::debug!(segment = oldest.number, bytes = oldest.bytes, "freed");
            }
            self.publish_bytes(turn);
            self.shared.tell(LogEvent::Freed(request.through_segment));
        }
        Ok(())
    }

    /// Reserves the next segment when half of this one is used, so that a full disk is known early. Not
    /// sooner, so that a small log takes the space of one segment.
    fn prepare_spare(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        let is_half_full = self.active.segment().bytes > self.active.capacity_bytes() / 2;
        let may_ask = turn.ask_disk_at.is_none_or(|at| at <= Instant::now() || self.pool.has_spare());
        if !is_half_full || !may_ask {
            return Ok(());
        }
        match self.pool.prepare() {
            Ok(()) => self.set_disk_full(turn, false),
            Err(error) if is_full(&error) => self.set_disk_full(turn, true),
            Err(error) => {
                let next = Name::Segment(self.active.header().number + 1);
                return Err(self.poison("allocate", next, error));
            }
        }
        Ok(())
    }

    fn set_disk_full(&self, turn: &mut Turn, is_full: bool) {
        turn.ask_disk_at = is_full.then(|| Instant::now() + DISK_FULL_RETRY);
        self.shared.set_disk_full(is_full);
    }

    /// Marks a clean end, after all before it is synced.
    fn close(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        self.sync(turn)?;
        self.active
            .append_watermark(Mark::Closed)
            .and_then(|()| self.active.sync())
            .map_err(|error| self.poison("close", self.active.name(), error))
    }

    fn publish_bytes(&self, turn: &Turn) {
        self.shared.set_log_bytes(turn.sealed_bytes + self.active.segment().bytes);
    }

    /// What a failed operation does to the log.
    fn poison(&self, operation: &'static str, name: Name, source: io::Error) -> Poison {
        Poison { operation, path: self.disk.path(name), source, durable: self.shared.durable() }
    }
}
