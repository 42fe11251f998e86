//! The handle of an open log.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam::sync::Parker;
use parking_lot::Mutex;

use crate::catalog::{Catalog, Indexed};
use crate::disk::{Directory, Disk};
use crate::doorbell::Doorbell;
use crate::limits::{BUDGET_SEGMENTS_MIN, SEGMENT_BYTES_MIN};
use crate::lock::Lock;
use crate::read;
use crate::recovery;
use crate::shared::{FreeRequest, OnEvent, Shared};
use crate::writer::Writer;
use crate::{
    CheckpointStart, CheckpointWriter, LogConfig, LogEvent, Lsn, OpenError, Poison, ReadError, RecordView,
    Records, Recovered, Replay, Room, Segment, Snapshot, Space,
};

/// What staging gave to records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// The lsn of the first one.
    pub first: Lsn,
    /// The lsn of the last one. Without records it is the newest lsn of the log, and `first` is one more.
    pub last: Lsn,
}

/// An open log. Clones are the same log; it closes with the last one.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Recovers the log in `config.dir`, showing `replay` each record in order, and starts its writer.
    ///
    /// When this fails, whatever was replayed is to be thrown away.
    pub fn open(
        config: LogConfig,
        replay: &mut dyn Replay,
        on_event: Arc<dyn Fn(LogEvent) + Send + Sync>,
    ) -> Result<(Self, Recovered), OpenError> {
        let directory = Directory::open_or_create(&config.dir)
            .map_err(OpenError::io("open the directory", &config.dir))?;
        // Before the lock file is made, so that a directory of something else stays as it is.
        recovery::check_names(&directory, &config.dir)?;
        let lock = Lock::take(&config.dir)?;
        Self::open_on(Arc::new(directory), config, Some(lock), replay, on_event)
    }

    /// Opens a log on any disk.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        lock: Option<Lock>,
        replay: &mut dyn Replay,
        on_event: OnEvent,
    ) -> Result<(Self, Recovered), OpenError> {
        let dir = config.dir.clone();
        let parker = Parker::new();
        let unparker = parker.unparker().clone();
        let wake = Box::new(move || unparker.unpark());
        let (writer, recovered) = recover(disk, config, lock, replay, on_event, wake)?;
        let shared = Arc::clone(&writer.shared);
        let thread = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(&parker))
            .map_err(OpenError::io("start the writer of", dir))?;
        Ok((Self::new(shared, Some(thread)), recovered))
    }

    /// A handle of a log whose turns are taken by a thread, or by whoever opened it.
    pub(crate) fn new(shared: Arc<Shared>, writer: Option<JoinHandle<()>>) -> Self {
        Self { inner: Arc::new(Inner { shared, writer: Mutex::new(writer) }) }
    }

    /// A lower bound for the lsn of anything staged from now on.
    pub fn next_lsn(&self) -> Lsn {
        self.inner.shared.next_lsn()
    }

    /// Numbers the records, takes them and clears the buffer. It never waits for the disk, and takes records
    /// even if [`Log::has_room`] says no. On a log that is poisoned or closed it drops them: they never become
    /// durable.
    pub fn stage(&self, records: &mut Records) -> Staged {
        self.inner.shared.stage(records)
    }

    /// Whether more should be staged. If not, the caller waits before its next step for [`LogEvent::Room`]; it
    /// looks again after it has begun to listen, for the event may have passed.
    pub fn has_room(&self) -> bool {
        self.inner.shared.has_room()
    }

    /// Everything up to this lsn is synced.
    pub fn durable(&self) -> Lsn {
        self.inner.shared.durable()
    }

    /// Everything up to this lsn is in the file, synced or not.
    pub fn written(&self) -> Lsn {
        self.inner.shared.written()
    }

    /// Asks for a sync of everything up to `lsn`, whatever the policy, and returns at once.
    /// [`LogEvent::Durable`] follows, unless [`Log::durable`] is there already.
    pub fn sync_to(&self, lsn: Lsn) {
        self.inner.shared.want_sync(lsn);
    }

    /// How much space there is: what may be staged. The log writes whatever is staged, even when that is more than
    /// it should be, and waits for space if there is none.
    #[inline]
    pub fn space(&self) -> Space {
        self.inner.shared.space()
    }

    /// Whether only the reserve is left, or less.
    pub fn is_disk_full(&self) -> bool {
        self.space() >= Space::Full
    }

    /// The same in bytes.
    pub fn room(&self) -> Room {
        self.inner.shared.room()
    }

    /// Whether a record of so many bytes fits before the reserve, with all that is staged already.
    pub fn has_space_for(&self, bytes: u64) -> bool {
        self.inner.shared.has_space_for(bytes)
    }

    /// From now on so many bytes are reserved besides the segments for reclaiming.
    pub fn set_reserve(&self, bytes: u64) {
        self.inner.shared.want_reserve(bytes);
    }

    /// Why the log stopped, if it did.
    pub fn poisoned(&self) -> Option<Arc<Poison>> {
        self.inner.shared.poisoned()
    }

    /// The sealed segments, oldest first: all but the one that is being written.
    pub fn sealed(&self) -> Vec<Segment> {
        self.inner.shared.catalog.sealed()
    }

    /// How many sealed segments have less than `bytes` in use.
    pub fn sealed_below(&self, bytes: u64) -> usize {
        self.inner.shared.catalog.sealed_below(bytes)
    }

    /// The oldest sealed segment, which is the next one to reclaim.
    pub fn oldest_sealed(&self) -> Option<Segment> {
        self.inner.shared.catalog.oldest_sealed()
    }

    /// The record at which to begin to read if whatever is around `lsn` may be of use, too: at most 64 KiB, or one
    /// record, before it, where [`Log::read_from`] begins without looking for it.
    pub fn start_near(&self, lsn: Lsn) -> Lsn {
        read::start_near(&self.inner.shared.catalog, lsn)
    }

    /// Shows the records from `from` on, in order, as far as they are written, until `visit` breaks. It blocks on
    /// the disk; the writer goes on meanwhile, and so does freeing, which may end this with [`ReadError::Gone`].
    /// The pieces that it reads are the larger the further it goes, from 64 KiB to 1 MiB.
    pub fn read_from(
        &self,
        from: Lsn,
        visit: &mut dyn FnMut(RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        read::read_from(&self.inner.shared.catalog, from, visit)
    }

    /// Begins a checkpoint, for which the log is needed from the record `start.from` on.
    pub fn begin_checkpoint(&self, start: CheckpointStart) -> io::Result<CheckpointWriter> {
        let shared = Arc::clone(&self.inner.shared);
        CheckpointWriter::begin(shared.catalog.disk(), shared, start)
    }

    /// How many bytes of segments a recovery reads for what follows `from`.
    pub fn bytes_from(&self, from: Lsn) -> u64 {
        let sealed = self.sealed();
        let skipped = sealed.iter().take_while(|segment| segment.last_lsn < from);
        self.bytes().saturating_sub(skipped.map(|segment| segment.bytes).sum())
    }

    /// What is written now, kept from being freed while it is read: for a copy. Segments of it go all the same if
    /// nobody reads for a minute, or if the disk is full.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(Arc::clone(&self.inner.shared))
    }

    /// How many bytes of the log's segments are in use.
    pub fn bytes(&self) -> u64 {
        self.inner.shared.log_bytes()
    }

    /// Frees the sealed segments up to number `segment`, oldest first, once everything up to
    /// `rewritten_through` is synced, which this asks for. [`LogEvent::Freed`] follows.
    ///
    /// # Panics
    /// If something is to be rewritten that was not staged yet.
    pub fn free_through(&self, segment: u64, rewritten_through: Lsn) {
        assert!(rewritten_through < self.next_lsn(), "segments are freed after their rewrites are staged");
        self.inner.shared.want_free(FreeRequest { through_segment: segment, rewritten_through });
    }

    /// Writes and syncs everything that is staged, marks a clean end, stops the writer and lets go of the lock.
    /// What is staged meanwhile or later is dropped.
    pub fn close(&self) -> Result<(), Arc<Poison>> {
        self.inner.close();
        self.poisoned().map_or(Ok(()), Err)
    }
}

/// Recovers the log on `disk`, up to where its writer takes its first turn. `wake` wakes who takes the turns.
pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    config: LogConfig,
    lock: Option<Lock>,
    replay: &mut dyn Replay,
    on_event: OnEvent,
    wake: Box<dyn Fn() + Send + Sync>,
) -> Result<(Writer, Recovered), OpenError> {
    if config.segment_bytes < SEGMENT_BYTES_MIN {
        let segment_bytes = config.segment_bytes;
        return Err(OpenError::Config(format!(
            "a segment of {segment_bytes} bytes is too small; it needs at least {SEGMENT_BYTES_MIN}"
        )));
    }
    if let Some(budget_bytes) = config.budget_bytes
        && budget_bytes < BUDGET_SEGMENTS_MIN * config.segment_bytes
    {
        let min = BUDGET_SEGMENTS_MIN * config.segment_bytes;
        return Err(OpenError::Config(format!(
            "a budget of {budget_bytes} bytes is too small for segments of {}; it needs at least {min}",
            config.segment_bytes
        )));
    }
    let opened = recovery::recover(&disk, &config, replay)?;
    let last_lsn = opened.recovered.last_lsn;
    let doorbell = Doorbell::new(wake);
    let active =
        Indexed { segment: opened.active.segment(), milestones: opened.active.fresh_milestones().clone() };
    let catalog = Catalog::new(Arc::clone(&disk), opened.sealed, active);
    let budget = opened.pool.budget();
    let shared = Shared::new(last_lsn, catalog, budget, config.staged_bytes_max, doorbell, on_event);
    let shared = Arc::new(shared);
    let sealed_bytes: u64 = shared.catalog.sealed().iter().map(|segment| segment.bytes).sum();
    shared.set_log_bytes(sealed_bytes + opened.active.segment().bytes);
    let writer = Writer {
        shared,
        pool: opened.pool,
        disk,
        active: opened.active,
        durability: config.durability,
        // Twice the bound, so that one large record beyond it does not make the next batches grow again.
        keep_bytes: 2 * config.staged_bytes_max,
        _lock: lock,
    };
    // Before anyone asks whether there is space.
    writer.publish_room(&writer.first_turn());
    Ok((writer, opened.recovered))
}

impl Inner {
    fn close(&self) {
        self.shared.want_close();
        // A second caller waits here for the first.
        let mut writer = self.writer.lock();
        // The last handle may go away in a callback, on the writer's own thread.
        let is_own_thread =
            writer.as_ref().is_some_and(|writer| writer.thread().id() == thread::current().id());
        if !is_own_thread && let Some(writer) = writer.take() {
            // A panic of the writer has become its poison.
            let _ = writer.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("next_lsn", &self.next_lsn()).field("durable", &self.durable()).finish()
    }
}
