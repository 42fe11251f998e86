//! All that a run consists of, as its tasks see it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;
use stanchion_server::simulation::{MemoryStream, SimulatedServer};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::Seat;
use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::trace::Trace;

/// What the tasks of a run share.
pub(crate) struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) trace: Trace,
    oracle: Mutex<Oracle>,
    seats: Mutex<Vec<Seat>>,
    server: Mutex<Option<SimulatedServer>>,
    /// When this life began, by the runtime's clock and by the wall.
    began: Mutex<(Option<Instant>, u64)>,
    /// The largest request so far, which may need a segment of its own.
    pub(crate) request_bytes_max: AtomicUsize,
    failure: Mutex<Option<String>>,
    /// Notified at the first failure.
    pub(crate) failed: Notify,
}

impl World {
    pub(crate) fn new(plan: Plan, trace: Trace, wall_ms: u64) -> World {
        let plan = Arc::new(plan);
        World {
            oracle: Mutex::new(Oracle::new(Arc::clone(&plan))),
            seats: Mutex::new((0..=plan.clients).map(|_| Seat::default()).collect()),
            plan,
            trace,
            server: Mutex::new(None),
            began: Mutex::new((None, wall_ms)),
            request_bytes_max: AtomicUsize::new(0),
            failure: Mutex::new(None),
            failed: Notify::new(),
        }
    }

    /// A runtime begins, with its own idea of time.
    pub(crate) fn begin(&self) {
        self.began.lock().0 = Some(Instant::now());
    }

    /// The wall clock in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let (began, wall_ms) = *self.began.lock();
        wall_ms + began.map_or(0, |began| began.elapsed().as_millis() as u64)
    }

    /// The runtime is about to end; the wall clock goes on, and so much further until the next one.
    pub(crate) fn rest(&self, gap_ms: u64) {
        let now_ms = self.now_ms();
        *self.began.lock() = (None, now_ms + gap_ms);
    }

    /// Asks the judge, or tells it something.
    pub(crate) fn oracle<R>(&self, run: impl FnOnce(&mut Oracle) -> R) -> R {
        run(&mut self.oracle.lock())
    }

    /// Something can't be.
    pub(crate) fn fail(&self, problem: String) {
        self.trace.line(|| format!("{} FAILED {problem}", self.now_ms()));
        self.failure.lock().get_or_insert(problem);
        self.failed.notify_one();
    }

    /// What can't be, if anything.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Looks at a client, or changes it.
    pub(crate) fn seat<R>(&self, seat: usize, run: impl FnOnce(&mut Seat) -> R) -> R {
        run(&mut self.seats.lock()[seat])
    }

    /// The numbers of the other clients that are connected.
    pub(crate) fn others(&self, seat: usize) -> Vec<i64> {
        let seats = self.seats.lock();
        seats.iter().enumerate().filter(|(other, _)| *other != seat).filter_map(|(_, seat)| seat.id).collect()
    }

    /// A client has no connection any more: whatever was under way is unknown.
    pub(crate) fn leave(&self, seat: usize) {
        self.give_up(seat, None);
    }

    fn give_up(&self, seat: usize, over_ms: Option<u64>) {
        let (id, outstanding) =
            self.seat(seat, |seat| (seat.id.take(), std::mem::take(&mut seat.outstanding)));
        self.oracle(|oracle| {
            if let Some(id) = id {
                oracle.disconnected(id);
            }
            outstanding.iter().for_each(|outstanding| oracle.unanswered(&outstanding.sent, over_ms));
        });
    }

    /// The server is gone, at this time.
    pub(crate) fn leave_all(&self, over_ms: u64) {
        let seats = self.seats.lock().len();
        (0..seats).for_each(|seat| self.give_up(seat, Some(over_ms)));
    }

    /// The server that clients connect to from now on.
    pub(crate) fn open(&self, server: SimulatedServer) {
        *self.server.lock() = Some(server);
    }

    /// The server, which is not connected to any more.
    pub(crate) fn close(&self) -> Option<SimulatedServer> {
        let server = self.server.lock().take();
        if let Some(server) = &server {
            self.oracle(|oracle| oracle.tally.read_back += server.payload_reads());
        }
        server
    }

    /// How large the server's log is, and how much of it lives.
    pub(crate) fn log_bytes(&self) -> Option<(u64, u64)> {
        self.server.lock().as_ref().map(SimulatedServer::log_bytes)
    }

    /// Waits until the server fails, if there is one.
    pub(crate) fn server_failed(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.server.lock().as_ref().map(SimulatedServer::failed)
    }

    /// Connects a client, if there is a server.
    pub(crate) fn connect(&self, window: usize) -> Option<MemoryStream> {
        self.server.lock().as_ref()?.connect(window)
    }
}
