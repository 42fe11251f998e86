//! What the handles of a log and its writer have in common.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

use crate::batch::Buffer;
use crate::budget::Budget;
use crate::catalog::Catalog;
use crate::doorbell::Doorbell;
use crate::snapshot::Pin;
use crate::staging::Staging;
use crate::{LogEvent, Lsn, Poison, Records, Room, Space, Staged};

/// The callback for events.
pub(crate) type OnEvent = Arc<dyn Fn(LogEvent) + Send + Sync>;

/// A wish to free segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreeRequest {
    pub(crate) through_segment: u64,
    pub(crate) rewritten_through: Lsn,
}

/// The state of an open log that more than one thread sees.
pub(crate) struct Shared {
    staging: CachePadded<Mutex<Staging>>,
    /// `Staging`'s figures, for those who do not hold its lock.
    next_lsn: CachePadded<AtomicU64>,
    staged_bytes: CachePadded<AtomicUsize>,
    staged_bytes_max: usize,
    written: CachePadded<AtomicU64>,
    durable: AtomicU64,
    log_bytes: AtomicU64,
    sync_wanted: AtomicU64,
    is_closing: AtomicBool,
    space: AtomicU8,
    room: Mutex<Room>,
    /// What was taken from staging and is not counted in `room` yet.
    taken_bytes: AtomicUsize,
    /// What is reserved beyond the segments for reclaiming.
    reserve_bytes: AtomicU64,
    free_requests: Mutex<VecDeque<FreeRequest>>,
    pub(crate) catalog: Catalog,
    pub(crate) budget: Arc<Budget>,
    /// What keeps segments from being freed.
    pins: Mutex<Vec<Arc<Pin>>>,
    poison: OnceLock<Arc<Poison>>,
    pub(crate) doorbell: Doorbell,
    on_event: OnEvent,
}

impl Shared {
    pub(crate) fn new(
        last_lsn: Lsn,
        catalog: Catalog,
        budget: Arc<Budget>,
        staged_bytes_max: usize,
        doorbell: Doorbell,
        on_event: OnEvent,
    ) -> Self {
        Self {
            staging: CachePadded::new(Mutex::new(Staging::new(last_lsn + 1))),
            next_lsn: CachePadded::new(AtomicU64::new(last_lsn + 1)),
            staged_bytes: CachePadded::new(AtomicUsize::new(0)),
            staged_bytes_max,
            written: CachePadded::new(AtomicU64::new(last_lsn)),
            durable: AtomicU64::new(last_lsn),
            log_bytes: AtomicU64::new(0),
            sync_wanted: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            space: AtomicU8::new(Space::Ample as u8),
            room: Mutex::new(Room::default()),
            taken_bytes: AtomicUsize::new(0),
            reserve_bytes: AtomicU64::new(0),
            free_requests: Mutex::new(VecDeque::new()),
            catalog,
            budget,
            pins: Mutex::new(Vec::new()),
            poison: OnceLock::new(),
            doorbell,
            on_event,
        }
    }

    // For the handles.

    pub(crate) fn stage(&self, records: &mut Records) -> Staged {
        if records.is_empty() {
            let next = self.next_lsn();
            return Staged { first: next, last: next - 1 };
        }
        let (staged, bytes) = {
            let mut staging = self.staging.lock();
            let first = staging.stage(records);
            let next = staging.next_lsn();
            self.next_lsn.store(next, Release);
            // In total order with the doorbell's threshold: either the writer sees the bytes before it sleeps,
            // or its bell is heard to be on.
            self.staged_bytes.store(staging.bytes(), SeqCst);
            (Staged { first, last: next - 1 }, staging.bytes())
        };
        self.doorbell.ring_for(bytes);
        records.clear();
        staged
    }

    pub(crate) fn want_sync(&self, lsn: Lsn) {
        // What is not staged yet cannot be wanted, or the writer would sync for ever.
        self.sync_wanted.fetch_max(lsn.min(self.next_lsn() - 1), SeqCst);
        self.doorbell.ring();
    }

    pub(crate) fn want_free(&self, request: FreeRequest) {
        self.free_requests.lock().push_back(request);
        self.want_sync(request.rewritten_through);
    }

    pub(crate) fn add_pin(&self, pin: Arc<Pin>) {
        self.pins.lock().push(pin);
    }

    pub(crate) fn remove_pin(&self, pin: &Arc<Pin>) {
        self.pins.lock().retain(|other| !Arc::ptr_eq(other, pin));
        // What it held back may go now.
        self.doorbell.ring();
    }

    /// Whether somebody keeps segments from being freed. On a full disk nobody does.
    pub(crate) fn is_held_back(&self) -> bool {
        let pins = self.pins.lock();
        !pins.is_empty() && self.space() < Space::Full && {
            let now = Instant::now();
            pins.iter().any(|pin| pin.holds(now))
        }
    }

    pub(crate) fn want_close(&self) {
        self.is_closing.store(true, SeqCst);
        self.doorbell.ring();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.staged_bytes.load(Acquire) < self.staged_bytes_max
    }

    pub(crate) fn next_lsn(&self) -> Lsn {
        self.next_lsn.load(Acquire)
    }

    pub(crate) fn written(&self) -> Lsn {
        self.written.load(Acquire)
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.durable.load(Acquire)
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Acquire)
    }

    pub(crate) fn space(&self) -> Space {
        Space::from_byte(self.space.load(Acquire))
    }

    pub(crate) fn room(&self) -> Room {
        *self.room.lock()
    }

    pub(crate) fn has_space_for(&self, bytes: u64) -> bool {
        let waiting = (self.staged_bytes() + self.taken_bytes.load(SeqCst)) as u64;
        let room = self.room();
        // Twice, because a record that does not fit into the rest of a segment leaves that unused.
        room.left_bytes >= room.reserve_bytes.saturating_add(waiting).saturating_add(bytes.saturating_mul(2))
    }

    pub(crate) fn want_reserve(&self, bytes: u64) {
        let before = self.reserve_bytes.swap(bytes, AcqRel);
        let room = {
            let mut room = self.room.lock();
            room.reserve_bytes = room.reserve_bytes.saturating_sub(before).saturating_add(bytes);
            *room
        };
        // The writer looks only when it has something to do.
        if room.left_bytes < room.reserve_bytes && self.space() < Space::Full {
            self.set_space(Space::Full, room);
        }
    }

    pub(crate) fn poisoned(&self) -> Option<Arc<Poison>> {
        self.poison.get().cloned()
    }

    // For the writer.

    pub(crate) fn staged_bytes(&self) -> usize {
        self.staged_bytes.load(SeqCst)
    }

    /// Swaps what is staged for an empty buffer.
    pub(crate) fn take_staged(&self, empty: &mut Buffer) {
        {
            let mut staging = self.staging.lock();
            staging.swap(empty);
            // Before it is no longer counted as staged.
            self.taken_bytes.store(empty.len(), SeqCst);
            self.staged_bytes.store(0, SeqCst);
        }
        if empty.len() >= self.staged_bytes_max {
            self.tell(LogEvent::Room);
        }
    }

    /// Ends staging if nothing is staged.
    pub(crate) fn stop_if_drained(&self) -> bool {
        let mut staging = self.staging.lock();
        let is_drained = staging.bytes() == 0;
        if is_drained {
            staging.stop();
        }
        is_drained
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(SeqCst)
    }

    pub(crate) fn sync_is_wanted(&self) -> bool {
        self.sync_wanted.load(SeqCst) > self.durable()
    }

    /// Whether there is a wish to free segments that can be granted.
    pub(crate) fn can_free(&self) -> bool {
        let durable = self.durable();
        let is_durable = |request: &FreeRequest| request.rewritten_through <= durable;
        self.free_requests.lock().front().is_some_and(is_durable) && !self.is_held_back()
    }

    pub(crate) fn take_free_request(&self) -> Option<FreeRequest> {
        if self.is_held_back() {
            return None;
        }
        let durable = self.durable();
        self.free_requests.lock().pop_front_if(|request| request.rewritten_through <= durable)
    }

    /// What is left of a request waits until nobody holds it back.
    pub(crate) fn return_free_request(&self, request: FreeRequest) {
        self.free_requests.lock().push_front(request);
    }

    pub(crate) fn set_log_bytes(&self, bytes: u64) {
        self.log_bytes.store(bytes, Release);
    }

    pub(crate) fn set_written(&self, lsn: Lsn) {
        self.written.store(lsn, Release);
        self.tell(LogEvent::Written(lsn));
    }

    pub(crate) fn set_durable(&self, lsn: Lsn) {
        self.durable.store(lsn, Release);
        self.tell(LogEvent::Durable(lsn));
    }

    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes.load(Acquire)
    }

    pub(crate) fn set_room(&self, room: Room, space: Space, waiting_bytes: usize) {
        *self.room.lock() = room;
        self.taken_bytes.store(waiting_bytes, SeqCst);
        self.set_space(space, room);
    }

    fn set_space(&self, space: Space, room: Room) {
        if self.space.swap(space as u8, AcqRel) != space as u8 {
            self.tell(LogEvent::Space(space, room));
        }
    }

    /// Stops the log. Staging ends before anyone is told, so that nobody waits for room in vain.
    pub(crate) fn set_poison(&self, poison: Poison) {
        let poison = self.poison.get_or_init(|| Arc::new(poison));
        {
            let mut staging = self.staging.lock();
            staging.stop();
            self.staged_bytes.store(0, SeqCst);
        }
        self.tell(LogEvent::Poisoned(Arc::clone(poison)));
    }

    pub(crate) fn tell(&self, event: LogEvent) {
        (self.on_event)(event);
    }
}
