//! A server from its start to its end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stanchion_storage::OpenError;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::acl::{Acl, AclFileError};
use crate::lifecycle::Phase;
use crate::limits::POISONED_LIFE;
use crate::listener::{self, Listener};
use crate::server::{Ports, Server};
use crate::status_pages::StatusPages;
use crate::threads::Threads;
use crate::tls::{Tls, TlsError};
use crate::transport::Security;
use crate::{
    Config, admission, allocator, checkpoint, descriptors, memory, process, reclaim, recovery, timers,
    workers,
};

/// Why a server could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, or not ours.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --bind or another port with --port"
    )]
    Bind {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
    /// The same for /health and /metrics.
    #[error(
        "cannot listen on {address} for /health and /metrics: {source}; choose another address with --http"
    )]
    Http {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
    /// The Unix socket's path is taken, or not ours.
    #[error("cannot listen on {}: {source}; choose another path for unix-socket", path.display())]
    Socket {
        /// Where it should have listened.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// There are no certificates to speak TLS with.
    #[error("cannot listen with TLS: {0}")]
    Tls(#[from] TlsError),
    /// The log could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Ids of jobs have no room for another boot number.
    #[error("{} was started more often than ids can tell; move its jobs to a new directory", dir.display())]
    Boots {
        /// The data directory.
        dir: PathBuf,
    },
    /// The operating system refused something that every server needs.
    #[error("cannot {what}: {source}")]
    System {
        /// What, as a verb.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// The ACL file is wrong.
    #[error(transparent)]
    Users(#[from] AclFileError),
    /// The log, or a shard, failed while the server ran.
    #[error("{0}")]
    Failed(String),
}

/// How a server ended that was told to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExitReport {
    /// Whether every connection had its replies; otherwise the end was hurried.
    pub orderly: bool,
    /// How many connections it had served.
    pub connections: u64,
}

/// A server within the caller's runtime.
pub struct Running {
    server: Arc<Server>,
    address: Option<SocketAddr>,
    tls_address: Option<SocketAddr>,
    http_address: Option<SocketAddr>,
    task: JoinHandle<Result<ExitReport, ServerError>>,
}

/// How long connections may take to notice that they are to end at once.
const HURRY_TIME: Duration = Duration::from_secs(1);

/// Runs a server on a runtime of its own, until SIGTERM, SIGINT, SHUTDOWN or a failure ends it.
///
/// # Errors
/// When it can't start, or when its log fails.
pub fn run(config: Config) -> Result<ExitReport, ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("stanchion")
        .build()
        .map_err(system("start the runtime"))?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(system("watch for SIGTERM"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("watch for SIGINT"))?;
        let mut hangup = signal(SignalKind::hangup()).map_err(system("watch for SIGHUP"))?;
        let running = start(config).await?;
        let server = Arc::clone(&running.server);
        let signals = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => tracing::info!("SIGTERM"),
                    _ = interrupt.recv() => tracing::info!("SIGINT"),
                    _ = hangup.recv() => {
                        reload(&server);
                        continue;
                    }
                }
                server.lifecycle.stop();
            }
        });
        let ended = running.ended().await;
        signals.abort();
        ended
    });
    // A task that hangs in a system call must not keep a failed server alive.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

/// SIGHUP: what comes from files that others renew is read again.
fn reload(server: &Server) {
    match server.tls.reload() {
        Ok(()) if server.tls.is_on() => tracing::info!("SIGHUP: the certificates were read again"),
        Ok(()) => tracing::info!("SIGHUP: there are no certificates to read again"),
        Err(error) => tracing::error!(%error, "SIGHUP: the certificates stay as they were"),
    }
}

/// Starts a server: it listens, answers -LOADING, and recovers its log. [`Running::ready`] waits for that.
///
/// # Errors
/// When its address can't be listened on. Failures of the recovery come from [`Running::ready`] and
/// [`Running::ended`].
pub async fn start(mut config: Config) -> Result<Running, ServerError> {
    let mut seed = [0; 20];
    getrandom::fill(&mut seed).map_err(|error| ServerError::System {
        what: "get random bits",
        source: io::Error::other(error.to_string()),
    })?;
    let tls = match config.tls_port {
        Some(_) => Tls::load(config.tls.clone())?,
        None => Tls::off(),
    };
    let acl = Acl::open(&mut config)?;
    let listeners = listener::listen(&config)?;
    let address = |security| listeners.iter().find_map(|listener| listener.address(security));
    let (address, tls_address) = (address(Security::Plain), address(Security::Tls));
    let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
    let ports = Ports { plain: port(address), tls: port(tls_address) };
    let watched = listen_for_watchers(&mut config).await?;
    let http_address = config.http;
    process::refuse_huge_pages();
    let clients_max = descriptors::provide_at_start(config.clients_max, config.threads);
    let server = Arc::new(Server::new(config, acl, ports, tls, seed));
    server.live.set_clients_max(clients_max);
    let task = tokio::spawn(live(Arc::clone(&server), listeners, watched, seed));
    Ok(Running { server, address, tls_address, http_address, task })
}

/// Listens for those who read /health and /metrics, if there may be any; the configuration learns the port.
async fn listen_for_watchers(config: &mut Config) -> Result<Option<TcpListener>, ServerError> {
    let Some(address) = config.http else { return Ok(None) };
    let refused = |source| ServerError::Http { address, source };
    let listener = stanchion_status::listen(address).await.map_err(refused)?;
    config.http = Some(listener.local_addr().map_err(refused)?);
    Ok(Some(listener))
}

impl Running {
    /// Where it listens without TLS; `None` when it does not.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where it listens with TLS; `None` when it does not.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Where it shows /health and /metrics; `None` when it does not.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Reads its certificates again, as SIGHUP has it done. Connections that are there keep what they have.
    ///
    /// # Errors
    /// When a file is missing or wrong; nothing has changed then.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.server.tls.reload()
    }

    /// The phase that it is in.
    pub fn phase(&self) -> Phase {
        self.server.lifecycle.phase()
    }

    /// Waits until its log is recovered, or until it has failed.
    pub async fn ready(&self) -> Phase {
        self.server.lifecycle.reached(Phase::Serving).await;
        self.phase()
    }

    /// Tells it to stop; the second time, to hurry.
    pub fn stop(&self) {
        self.server.lifecycle.stop();
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it could not recover its log, or when that failed later.
    pub async fn ended(self) -> Result<ExitReport, ServerError> {
        match self.task.await {
            Ok(ended) => ended,
            Err(panic) => Err(ServerError::Failed(format!("the server's main task failed: {panic}"))),
        }
    }
}

/// The system refused to do `what`.
fn system(what: &'static str) -> impl FnOnce(io::Error) -> ServerError {
    move |source| ServerError::System { what, source }
}

/// The whole life of a server.
async fn live(
    server: Arc<Server>,
    listeners: Vec<Listener>,
    watched: Option<TcpListener>,
    seed: [u8; 20],
) -> Result<ExitReport, ServerError> {
    // From the first moment to the last: who watches wants to know how the start goes, and the end.
    let mut watchers = JoinSet::new();
    if let Some(listener) = watched {
        watchers.spawn(stanchion_status::serve(listener, Arc::new(StatusPages::new(Arc::clone(&server)))));
    }
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let threads =
        Threads::start(server.config.threads.into()).map_err(system("start threads for connections"))?;
    for thread in threads.each() {
        let tidings = Arc::clone(&server.tidings);
        thread.spawn(async move { tidings.relay().await });
    }
    // Ours until all connections are gone: accepting ends before they do.
    let threads = Arc::new(threads);
    let places: Vec<String> = listeners.iter().map(Listener::to_string).collect();
    for listener in listeners {
        let listener = {
            let _there = threads.door().enter();
            listener.adopt().map_err(system("watch a socket that listens"))?
        };
        let (server, inside) = (Arc::clone(&server), Arc::clone(&threads));
        threads.door().spawn(admission::accept(server, inside, listener, alive.clone()));
    }
    drop(alive);
    let recovered = recover(Arc::clone(&server), seed).await;
    let mut tasks = JoinSet::new();
    if let Err(error) = recovered {
        server.lifecycle.refuse(error.to_string());
        server.clients.wake_all();
        return Err(error);
    }
    start_tasks(&server, &mut tasks, &threads.each().cloned().collect::<Vec<_>>());
    tasks.spawn(allocator::run(Arc::clone(&server)));
    server.lifecycle.enter(Phase::Serving);
    for place in places {
        tracing::info!("listening on {place}");
    }
    server.lifecycle.reached(Phase::Stopping).await;
    let orderly = stop(&server, &mut all_gone).await;
    // Nothing may be staged after the log is closed.
    tasks.shutdown().await;
    drop(threads);
    if let Some(why) = server.lifecycle.failure() {
        return Err(ServerError::Failed(why));
    }
    if orderly {
        checkpoint::end(&server).await;
    }
    let closing = Arc::clone(&server);
    let closed = tokio::task::spawn_blocking(move || closing.lane().map(|lane| lane.log.close())).await;
    match closed {
        Ok(Some(Err(poison))) => Err(ServerError::Failed(poison.to_string())),
        Err(panic) => Err(ServerError::Failed(format!("closing the log failed: {panic}"))),
        Ok(_) => {
            tracing::info!(orderly, "stopped");
            Ok(ExitReport { orderly, connections: server.clients.accepted() })
        }
    }
}

/// Recovers the log on a thread that may block.
async fn recover(server: Arc<Server>, seed: [u8; 20]) -> Result<(), ServerError> {
    let seed = u64::from_le_bytes(seed[..8].try_into().expect("eight of twenty bytes"));
    let opened = tokio::task::spawn_blocking(move || {
        let lane = recovery::open_lane(
            &server.config,
            Arc::clone(&server.tidings),
            Arc::clone(&server.hub),
            &server.loading,
            seed,
        )?;
        server.set_lane(lane);
        Ok(())
    });
    opened.await.map_err(|panic| ServerError::Failed(format!("the recovery failed: {panic}")))?
}

/// Starts what runs besides the connections. A shard's timers and its sweeps run on the connections' threads, between
/// their turns: on a thread of its own a sweep would hold the shard's lock while the system lets others run, and a
/// command would wait for them and not for one step only.
pub(crate) fn start_tasks(server: &Arc<Server>, tasks: &mut JoinSet<()>, threads: &[Handle]) {
    for (index, thread) in (0..usize::from(server.config.shards)).zip(threads.iter().cycle()) {
        tasks.spawn_on(timers::run(Arc::clone(server), index), thread);
    }
    tasks.spawn(reclaim::run(Arc::clone(server)));
    tasks.spawn(checkpoint::run(Arc::clone(server)));
    tasks.spawn(memory::run(Arc::clone(server)));
    tasks.spawn(workers::watch(Arc::clone(server)));
    let syncing = Arc::clone(server);
    tasks.spawn(async move {
        if let Some(lane) = syncing.lane() {
            lane.syncer.run(&lane.log).await;
        }
    });
}

/// Waits until all connections are gone, by themselves or in a hurry; whether it was by themselves.
pub(crate) async fn stop(server: &Server, all_gone: &mut mpsc::Receiver<()>) -> bool {
    server.clients.wake_all();
    let failed = server.lifecycle.phase() == Phase::Failed;
    let patience = if failed { POISONED_LIFE } else { server.config.shutdown_timeout };
    tokio::select! {
        biased;
        // Every connection holds a sender; without any of them this ends.
        _ = all_gone.recv() => return true,
        () = tokio::time::sleep(patience) => {}
        () = server.lifecycle.reached(Phase::Hurrying), if !failed => {}
    }
    server.lifecycle.enter(Phase::Hurrying);
    server.clients.wake_all();
    _ = tokio::time::timeout(if failed { Duration::ZERO } else { HURRY_TIME }, all_gone.recv()).await;
    false
}
