//! A whole server without threads, files, sockets and a wall clock: for simulations, in which one seed decides
//! everything.
//!
//! It lives within a runtime of one thread whose time is paused: time passes only when nobody has anything to do.
//! The engine, the log, the outbox and the connections are those of every server. What differs is at the edges:
//! the disk ([`SimulatedDisk`]), the turns of the log's writer ([`LogTurns`], taken by whoever simulates), the clock,
//! and what connections travel over ([`MemoryStream`]).

mod stream;
mod time;

use std::path::Path;
use std::sync::Arc;

use stanchion_engine::LoggedPayload;
use stanchion_storage::simulation::{Driver, Due, SimulatedDisk};
use stanchion_storage::{Durability, Log, RecordView};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::acl::Acl;
use crate::clock::Source;
use crate::endpoint::Endpoint;
use crate::lifecycle::Phase;
use crate::recovery::{OpenedLog, open_lane_with};
use crate::server::{Ports, Server};
use crate::tls::Tls;
use crate::transport::{Security, Transport};
use crate::{Config, ServerError, checkpoint, connection, running};

pub use stream::MemoryStream;
pub(crate) use time::SimulatedTime;

/// What a server starts on.
pub struct Machine {
    /// Its disk.
    pub disk: SimulatedDisk,
    /// Its wall clock in Unix milliseconds.
    pub wall_ms: u64,
    /// From which it draws what would be random.
    pub seed: u64,
    /// A bug that a checker has to find.
    pub planted: Option<Planted>,
}

/// Bugs that are planted to prove that a checker can fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// Replies don't wait for the disk.
    EarlyReplies,
    /// Segments are freed before their rewrites are synced.
    HastyFree,
    /// Each run has the number of the first one, so that ids and receipts are issued again.
    StaleBoot,
    /// Recovery passes over a record now and then.
    SkippedRecords,
    /// The clock runs three times too fast, so that leases lapse early.
    FastClock,
    /// Replies don't wait for payloads that are yet to be read from the log.
    UnfilledHoles,
    /// A payload in the log is looked for from further back than its job says, where older ones are.
    StalePayloads,
    /// The log is never reclaimed.
    KeptSegments,
    /// Job events don't wait for the disk.
    EarlyEvents,
    /// A queue that is paused goes on after a millisecond.
    ShortPauses,
}

impl Planted {
    /// All of them.
    pub const ALL: [Planted; 10] = [
        Planted::EarlyReplies,
        Planted::HastyFree,
        Planted::StaleBoot,
        Planted::SkippedRecords,
        Planted::FastClock,
        Planted::UnfilledHoles,
        Planted::StalePayloads,
        Planted::KeptSegments,
        Planted::EarlyEvents,
        Planted::ShortPauses,
    ];
}

/// Where payloads are looked for: with [`Planted::StalePayloads`], not where they are.
pub(crate) fn astray(planted: Option<Planted>, mut wanted: Vec<LoggedPayload>) -> Vec<LoggedPayload> {
    if planted == Some(Planted::StalePayloads) {
        wanted.iter_mut().for_each(|payload| payload.base = payload.base.saturating_sub(STALE_RECORDS));
    }
    wanted
}

/// How far further back.
const STALE_RECORDS: u64 = 20;

/// With [`Planted::SkippedRecords`], one of so many records is passed over.
const SKIPPED_ONE_IN: u64 = 53;

/// A server that serves.
pub struct SimulatedServer {
    server: Arc<Server>,
    tasks: JoinSet<()>,
    /// Notified when the log's writer has taken its last turn.
    closed: Arc<Notify>,
    /// Held by each connection, and by us until we stop.
    alive: Option<mpsc::Sender<()>>,
    all_gone: mpsc::Receiver<()>,
}

/// The turns of its log's writer, to be taken by the simulation.
pub struct LogTurns {
    driver: Driver,
    rung: Arc<Notify>,
    closed: Arc<Notify>,
}

impl SimulatedServer {
    /// Recovers the log on a machine's disk, and serves.
    ///
    /// # Errors
    /// When the disk fails, or what is on it can't be recovered.
    pub fn start(mut config: Config, machine: Machine) -> Result<(SimulatedServer, LogTurns), ServerError> {
        let Machine { disk, wall_ms, seed, planted } = machine;
        let acl = Acl::open(&mut config)?;
        let mut run_id = [0; 20];
        run_id[..8].copy_from_slice(&seed.to_le_bytes());
        let server = Arc::new(Server::new(config, acl, Ports::default(), Tls::off(), run_id));
        let rung = Arc::new(Notify::new());
        let pace = if planted == Some(Planted::FastClock) { 3 } else { 1 };
        let source = Source::Simulated(SimulatedTime::new(wall_ms, pace));
        let mut driver = None;
        let mut told = server.config.clone();
        if planted == Some(Planted::EarlyReplies) {
            told.durability = Durability::Never;
        }
        let (tidings, hub) = (Arc::clone(&server.tidings), Arc::clone(&server.hub));
        let mut lane = open_lane_with(
            &told,
            tidings,
            hub,
            &server.loading,
            seed,
            source,
            |mut log_config, replay, on_event| {
                log_config.durability = server.config.durability;
                let rung = Arc::clone(&rung);
                let wake = Box::new(move || rung.notify_one());
                let skips = planted == Some(Planted::SkippedRecords);
                let (log, mut recovered, turns) = Log::open_simulated(
                    disk.clone(),
                    log_config,
                    &mut |record: RecordView<'_>| match skips && record.lsn.is_multiple_of(SKIPPED_ONE_IN) {
                        true => Ok(()),
                        false => replay.record(record).map_err(|refused| refused.reason),
                    },
                    on_event,
                    wake,
                )?;
                driver = Some(turns);
                if planted == Some(Planted::StaleBoot) {
                    recovered.boot = 1;
                }
                Ok(OpenedLog { log, recovered })
            },
        )?;
        lane.planted = planted;
        server.set_lane(lane);
        let mut tasks = JoinSet::new();
        running::start_tasks(&server, &mut tasks, &[Handle::current()]);
        server.lifecycle.enter(Phase::Serving);
        let (alive, all_gone) = mpsc::channel(1);
        let driver = driver.expect("an open log has turns to take");
        let alive = Some(alive);
        let closed = Arc::new(Notify::new());
        let turns = LogTurns { driver, rung, closed: Arc::clone(&closed) };
        Ok((SimulatedServer { server, tasks, closed, alive, all_gone }, turns))
    }

    /// Connects a client; `None` once the server stops. Each direction holds `window` bytes.
    pub fn connect(&self, window: usize) -> Option<MemoryStream> {
        if self.server.lifecycle.phase() != Phase::Serving {
            return None;
        }
        let here = Endpoint::Local(Path::new("simulated").into());
        let max = self.server.live.clients_max() as usize;
        let client = self.server.clients.enter(here.clone(), here, max)?;
        let (ours, theirs) = MemoryStream::pair(window);
        let (server, alive) = (Arc::clone(&self.server), self.alive.clone()?);
        tokio::spawn(async move {
            connection::serve(server, Transport::Memory(ours), Security::Plain, client).await;
            drop(alive);
        });
        Some(theirs)
    }

    /// The phase that it is in.
    pub fn phase(&self) -> Phase {
        self.server.lifecycle.phase()
    }

    /// Waits until it has failed.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + use<> {
        let lifecycle = Arc::clone(&self.server.lifecycle);
        async move { lifecycle.reached(Phase::Failed).await }
    }

    /// How many bytes of its log are in use, and how many of them live.
    pub fn log_bytes(&self) -> (u64, u64) {
        self.server.lane().map_or((0, 0), |lane| (lane.log.bytes(), lane.take_stock()))
    }

    /// How many payloads were read from its log.
    pub fn payload_reads(&self) -> u64 {
        self.server.lane().map_or(0, |lane| lane.payloads.figures().misses)
    }

    /// Stops it in order, as SIGTERM does. A server whose log has failed ends its connections.
    pub async fn stop(&mut self) {
        self.server.lifecycle.stop();
        self.alive = None;
        let orderly = running::stop(&self.server, &mut self.all_gone).await;
        self.tasks.shutdown().await;
        if orderly && self.phase() != Phase::Failed {
            checkpoint::end(&self.server).await;
        }
    }

    /// Closes the log, and waits until the turns of its writer have done so; at once if it failed.
    pub async fn closed(&self) {
        if let Some(lane) = self.server.lane() {
            _ = lane.log.close();
            self.closed.notified().await;
        }
    }

    /// The process is gone, or the machine: nothing of what it was about to do happens.
    pub fn kill(self) {
        self.server.lifecycle.refuse("killed".to_owned());
    }
}

impl LogTurns {
    /// Waits until the writer's thread would take its next turn; false when it never will.
    pub async fn due(&mut self) -> bool {
        loop {
            match self.driver.due(Instant::now().into_std()) {
                Due::Now => return true,
                Due::Never => {
                    self.closed.notify_one();
                    return false;
                }
                Due::WhenRung => self.rung.notified().await,
                Due::At(instant) => tokio::select! {
                    biased;
                    () = self.rung.notified() => {}
                    () = tokio::time::sleep_until(instant.into()) => {}
                },
            }
        }
    }

    /// Takes a turn.
    pub fn take(&mut self) {
        self.driver.take_turn(Instant::now().into_std());
    }
}
