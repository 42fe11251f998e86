//! The writer: takes what is staged as one batch, writes it, syncs it and says so.
//!
//! It works in turns, and between two of them it says what it waits for. A thread takes the turns of a real log;
//! a simulation takes them itself, so that what it tests is what runs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::sync::Parker;

use crate::active::{Active, segment_bytes_for};
use crate::batch::Buffer;
use crate::disk::{Disk, is_asked_again};
use crate::doorbell::RINGS_ONLY;
use crate::limits::{
    DISK_FULL_RETRY, GATHER_BYTES, GATHER_TIME, RESERVE_SEGMENTS, SEGMENTS_AHEAD, SPACE_LOOK,
    UNSYNCED_BYTES_MAX,
};
use crate::lock::Lock;
use crate::pool::{Pool, Spare};
use crate::record::Mark;
use crate::segment::{Name, SegmentHeader};
use crate::shared::Shared;
use crate::space::Levels;
use crate::{Durability, LogEvent, Poison, Room, Space};

/// The writer of a log, and everything that only it touches.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
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
pub(crate) struct Turn {
    /// What was taken from staging. Between turns there is some of it only if the disk has no room for it.
    batch: Buffer,
    /// When the oldest record was written that is not synced.
    unsynced_since: Option<Instant>,
    /// When the gathering ends that has begun.
    gather_until: Option<Instant>,
    /// When to ask for space again: a full disk, or for the next of several files.
    ask_disk_at: Option<Instant>,
    /// When to look at the free space again, at the earliest.
    look_at: Option<Instant>,
    sealed_bytes: u64,
}

/// What the writer does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// A turn, for there is something to do.
    Turn,
    /// It sleeps until so many bytes are staged, something else rings, or this instant. Without an instant an idle
    /// log costs nothing.
    Sleep { threshold_bytes: usize, until: Option<Instant> },
}

/// Whether the writer goes on after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    GoOn,
    /// The log is closed.
    Closed,
}

impl Writer {
    /// The thread: runs until the log is closed or poisoned.
    pub(crate) fn run(mut self, parker: &Parker) {
        let shared = Arc::clone(&self.shared);
        // A panic here (in a callback, say) must not leave a log that takes records and never answers.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.write_until_closed(parker)));
        let poison = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(poison)) => poison,
            Err(_) => {
                self.poison("keep writing", self.active.name(), io::Error::other("the writer panicked"))
            }
        };
        shared.set_poison(poison);
    }

    fn write_until_closed(&mut self, parker: &Parker) -> Result<(), Poison> {
        let shared = Arc::clone(&self.shared);
        let mut turn = self.first_turn();
        loop {
            while let next @ Next::Sleep { threshold_bytes, until } = self.next(&mut turn, Instant::now()) {
                // Asked again when the bell works: what came meanwhile did not ring.
                let has_news = || self.next(&mut turn, Instant::now()) != next;
                shared.doorbell.sleep(parker, threshold_bytes, until, has_news);
            }
            if self.take_turn(&mut turn, Instant::now())? == After::Closed {
                return Ok(());
            }
        }
    }

    /// The state before the first turn.
    pub(crate) fn first_turn(&self) -> Turn {
        let sealed_bytes = self.shared.catalog.sealed().iter().map(|segment| segment.bytes).sum();
        Turn {
            batch: Buffer::new(),
            unsynced_since: None,
            gather_until: None,
            ask_disk_at: None,
            look_at: None,
            sealed_bytes,
        }
    }

    /// What to do at this instant.
    pub(crate) fn next(&self, turn: &mut Turn, now: Instant) -> Next {
        let shared = &*self.shared;
        let sleep_until = |threshold_bytes, until: Option<Instant>| match until {
            Some(until) if until <= now => Next::Turn,
            until => Next::Sleep { threshold_bytes, until },
        };
        if shared.is_closing() || shared.can_free() {
            return Next::Turn;
        }
        if !turn.batch.is_empty() {
            // What was taken from staging must go somewhere before more is taken, and nobody was told yet that it
            // is safe. Freed segments count as space, so they are freed meanwhile.
            return sleep_until(RINGS_ONLY, turn.ask_disk_at);
        }
        if shared.sync_is_wanted() {
            return Next::Turn;
        }
        let staged = shared.staged_bytes();
        if staged == 0 {
            return sleep_until(1, self.deadline(turn));
        }
        if self.durability == Durability::Always || staged >= GATHER_BYTES {
            return Next::Turn;
        }
        // Nobody waits for these records, so more of them may share the write and the wake-up.
        sleep_until(GATHER_BYTES, Some(*turn.gather_until.get_or_insert(now + GATHER_TIME)))
    }

    /// Does what there is to do.
    pub(crate) fn take_turn(&mut self, turn: &mut Turn, now: Instant) -> Result<After, Poison> {
        turn.gather_until = None;
        if turn.batch.is_empty() {
            self.shared.take_staged(&mut turn.batch);
        } else {
            self.free_segment(turn)?;
        }
        self.write(turn, now)?;
        if self.sync_is_due(turn, now) {
            self.active.write_ahead().map_err(|error| self.poison("write to", self.active.name(), error))?;
            self.sync(turn)?;
        } else if self.active.unsynced_bytes() >= UNSYNCED_BYTES_MAX {
            // So that little is left for the end of the segment. It is too much for zeros ahead to be of use.
            self.sync(turn)?;
        }
        self.free_segment(turn)?;
        if !turn.batch.is_empty() {
            // The disk is full, and a spare file that is too small for what waits does not change that.
            self.publish_room(turn);
            return Ok(After::GoOn);
        }
        self.tend_space(turn, now)?;
        if self.shared.is_closing() && self.shared.stop_if_drained() {
            self.close(turn)?;
            return Ok(After::Closed);
        }
        Ok(After::GoOn)
    }

    /// When something is due though nothing comes.
    fn deadline(&self, turn: &Turn) -> Option<Instant> {
        let sync = match self.durability {
            Durability::Interval(interval) => turn.unsynced_since.map(|since| since + interval),
            Durability::Always | Durability::Never => None,
        };
        [sync, turn.ask_disk_at].into_iter().flatten().min()
    }

    /// Writes what was taken, or as much as there is room for.
    fn write(&mut self, turn: &mut Turn, now: Instant) -> Result<(), Poison> {
        while !turn.batch.is_empty() {
            let appended = self
                .active
                .append(&mut turn.batch, self.shared.durable())
                .map_err(|error| self.poison("write to", self.active.name(), error))?;
            if appended {
                turn.unsynced_since.get_or_insert(now);
                self.publish_bytes(turn);
                // Before anyone is told, who may want to read it.
                self.shared.catalog.grew(self.active.segment(), self.active.fresh_milestones());
                self.shared.set_written(self.active.next_lsn() - 1);
            } else if !self.rotate(turn, now)? {
                return Ok(());
            }
        }
        turn.batch.clear(self.keep_bytes);
        Ok(())
    }

    fn sync_is_due(&self, turn: &Turn, now: Instant) -> bool {
        let Some(since) = turn.unsynced_since else { return false };
        match self.durability {
            Durability::Always => true,
            Durability::Never => self.shared.sync_is_wanted(),
            Durability::Interval(interval) => self.shared.sync_is_wanted() || now >= since + interval,
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

    /// Seals the segment and begins the next one, with room for the next record; `false` if the disk has no space
    /// for it.
    fn rotate(&mut self, turn: &mut Turn, now: Instant) -> Result<bool, Poison> {
        // Before the next segment exists, because its existence says that all of this one is durable.
        self.sync(turn)?;
        let Some(spare) = self.take_spare(turn, now)? else { return Ok(false) };
        let last = self.active.header();
        let header =
            SegmentHeader { boot: last.boot, number: last.number + 1, first_lsn: self.active.next_lsn() };
        let name = spare.name;
        let next = Active::begin(spare, header)
            .and_then(|next| next.publish(&*self.disk, name).map(|()| next))
            .map_err(|error| self.poison("begin", Name::Segment(header.number), error))?;
        let sealed = std::mem::replace(&mut self.active, next).segment();
        tracing::debug!(segment = sealed.number, last_lsn = sealed.last_lsn, bytes = sealed.bytes, "sealed");
        turn.sealed_bytes += sealed.bytes;
        self.shared.catalog.begin(self.active.segment());
        Ok(true)
    }

    /// A file for the next record's segment, if there is space for one. A log that is closing can't wait for any.
    fn take_spare(&mut self, turn: &mut Turn, now: Instant) -> Result<Option<Spare>, Poison> {
        match self.pool.take(segment_bytes_for(turn.batch.first_record_bytes())) {
            Ok(spare) => Ok(Some(spare)),
            Err(error) if is_asked_again(&error) && !self.shared.is_closing() => {
                turn.ask_disk_at = Some(now + DISK_FULL_RETRY);
                Ok(None)
            }
            Err(error) => {
                let next = Name::Segment(self.active.header().number + 1);
                Err(self.poison("allocate", next, error))
            }
        }
    }

    /// Frees a segment if that is wished for. What is staged meanwhile is written before the next one is freed: a file
    /// system may take tens of milliseconds for each.
    fn free_segment(&mut self, turn: &mut Turn) -> Result<(), Poison> {
        let Some(request) = self.shared.take_free_request() else { return Ok(()) };
        let catalog = &self.shared.catalog;
        let oldest = || catalog.oldest_sealed().filter(|oldest| oldest.number <= request.through_segment);
        if let Some(oldest) = oldest() {
            let name = Name::Segment(oldest.number);
            // Before its file changes, so that a reader who sees that knows why.
            catalog.forget_oldest();
            self.pool.recycle(name).map_err(|error| self.poison("free", name, error))?;
            turn.sealed_bytes -= oldest.bytes;
            tracing::debug!(segment = oldest.number, bytes = oldest.bytes, "freed");
        }
        self.publish_bytes(turn);
        if oldest().is_some() {
            self.shared.return_free_request(request);
        } else {
            self.shared.tell(LogEvent::Freed(request.through_segment));
        }
        Ok(())
    }

    /// Allocates what should be there, one file at a time, and says how much there is.
    fn tend_space(&mut self, turn: &mut Turn, now: Instant) -> Result<(), Poison> {
        if turn.look_at.is_none_or(|at| at <= now) {
            self.pool.look();
            turn.look_at = Some(now + SPACE_LOOK);
        }
        let missing = self.pool.want(self.spares_wanted(turn));
        if turn.ask_disk_at.is_none_or(|at| at <= now) {
            turn.ask_disk_at = None;
            if missing > 0 {
                match self.pool.prepare() {
                    Ok(()) => turn.ask_disk_at = (missing > 1).then_some(now),
                    Err(error) if is_asked_again(&error) => turn.ask_disk_at = Some(now + DISK_FULL_RETRY),
                    Err(error) => {
                        let next = Name::Segment(self.active.header().number + 1);
                        return Err(self.poison("allocate", next, error));
                    }
                }
            }
        }
        if self.publish_room(turn) >= Space::Full {
            // Nobody tells us when there is space again.
            turn.ask_disk_at.get_or_insert(now + DISK_FULL_RETRY);
        }
        Ok(())
    }

    /// How many files should be allocated: as many as reclaiming needs, and all of the reserve before others take
    /// the last of the space. A small log takes the space of one segment.
    fn spares_wanted(&self, turn: &Turn) -> usize {
        let segment_bytes = self.pool.segment_bytes();
        let used_bytes = turn.sealed_bytes + self.active.segment().bytes;
        let reserve_bytes = self.reserve_bytes();
        if self.pool.obtainable_bytes() < 2 * reserve_bytes {
            let missing = (reserve_bytes + segment_bytes / 2).saturating_sub(self.active.room_bytes());
            missing.div_ceil(segment_bytes) as usize
        } else if turn.sealed_bytes > segment_bytes / 2 {
            SEGMENTS_AHEAD
        } else {
            usize::from(used_bytes > segment_bytes / 2)
        }
    }

    fn reserve_bytes(&self) -> u64 {
        RESERVE_SEGMENTS * self.pool.segment_bytes() + self.shared.reserve_bytes()
    }

    /// Says how much space there is.
    pub(crate) fn publish_room(&self, turn: &Turn) -> Space {
        let allocated_bytes = self.active.room_bytes() + self.pool.spare_bytes();
        let room = Room {
            left_bytes: allocated_bytes.saturating_add(self.pool.obtainable_bytes()),
            reserve_bytes: self.reserve_bytes(),
            allocated_bytes,
            file_bytes: self.pool.file_bytes(),
        };
        let oldest_bytes = self.shared.catalog.oldest_sealed().map_or(0, |oldest| oldest.bytes);
        let levels = Levels { segment_bytes: self.pool.segment_bytes(), oldest_bytes };
        let space = match turn.batch.is_empty() {
            true => levels.judge(room, self.shared.space()),
            false => Space::Exhausted,
        };
        self.shared.set_room(room, space, turn.batch.len());
        space
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
