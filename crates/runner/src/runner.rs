//! The runner as a whole: its parts, and how they start and stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use stanchion_client::{Client, Job, Tls};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::beat;
use crate::config::{Config, Server, Settings};
use crate::counts::Counts;
use crate::crew::Crew;
use crate::error::Error;
use crate::group::Group;
use crate::handler::Handler;
use crate::lease;
use crate::limits;
use crate::outcome::{Cancel, Outcome};
use crate::phase::{Phase, Stop};
use crate::pulse::Pulse;
use crate::quiet::Quiet;
use crate::release::Releases;
use crate::reload::{Reload, Request};
use crate::running::Running;
use crate::status_pages::StatusPages;
use crate::systemd::{self, Notice, Systemd};

/// What the parts of a runner share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    /// The connection for everything but claims.
    pub(crate) client: Client,
    pub(crate) running: Arc<Running>,
    pub(crate) releases: Releases,
    pub(crate) stop: Stop,
    pub(crate) quiet: Quiet,
    pub(crate) counts: Counts,
    /// Of what extends leases.
    pub(crate) lease_pulse: Pulse,
    /// The groups that work now, also those that leave.
    groups: Mutex<Vec<Arc<Group>>>,
    /// The service manager, if one started the runner.
    pub(crate) systemd: OnceLock<Systemd>,
}

impl Shared {
    /// `[runner]` as it is now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// The groups that work now, also those that leave.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the service manager, if there is one.
    pub(crate) fn tell(&self, notice: Notice) {
        if let Some(systemd) = self.systemd.get() {
            systemd.tell(notice);
        }
    }

    pub(crate) fn set_groups(&self, groups: Vec<Arc<Group>>) {
        *self.groups.lock().unwrap_or_else(PoisonError::into_inner) = groups;
    }
}

/// A runner, ready to run.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
    groups: Vec<Group>,
    config: Option<Config>,
    reload: Reload,
    reloads: mpsc::Receiver<Request>,
}

/// Makes a runner whose jobs are done by functions of this program.
#[derive(Debug)]
pub struct Builder {
    server: Server,
    settings: Settings,
    slots: u32,
    handlers: Vec<(String, Handler)>,
}

impl Runner {
    /// A runner for in-process handlers.
    #[must_use]
    pub fn builder() -> Builder {
        let settings = Settings {
            name: format!("pid-{}", std::process::id()),
            lease: limits::LEASE_DEFAULT,
            drain: limits::DRAIN_DEFAULT,
            version: None,
            http: None,
        };
        let server = Server { url: "redis://127.0.0.1:7379".to_owned(), tls: None };
        Builder { server, settings, slots: 1, handlers: Vec::new() }
    }

    /// A runner for a configuration file.
    pub fn from_config(config: Config) -> Result<Runner, Error> {
        let groups = config.groups.iter().map(Group::from_config).collect();
        let runner = Runner::new(&config.server, config.settings.clone(), groups)?;
        Ok(Runner { config: Some(config), ..runner })
    }

    fn new(server: &Server, settings: Settings, groups: Vec<Group>) -> Result<Runner, Error> {
        if groups.is_empty() {
            return Err(Error::NothingToDo);
        }
        let shared = Shared {
            settings: watch::Sender::new(Arc::new(settings)),
            client: server.client()?,
            running: Running::new(),
            releases: Releases::default(),
            stop: Stop::default(),
            quiet: Quiet::default(),
            counts: Counts::default(),
            lease_pulse: Pulse::default(),
            groups: Mutex::default(),
            systemd: OnceLock::new(),
        };
        let shared = Arc::new(shared);
        let (reload, reloads) = Reload::new(Arc::clone(&shared));
        Ok(Runner { shared, groups, config: None, reload, reloads })
    }

    /// Has the runner tell the service manager when it is ready, reloads and stops, and that it still works.
    #[must_use]
    pub fn systemd(self, systemd: Systemd) -> Runner {
        let is_first = self.shared.systemd.set(systemd).is_ok();
        debug_assert!(is_first, "a process has one service manager");
        self
    }

    /// Stops the runner, and shows its phase.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.shared.stop.clone()
    }

    /// Gives the runner another configuration while it runs. A runner of handlers has none to change.
    #[must_use]
    pub fn reload_handle(&self) -> Reload {
        self.reload.clone()
    }

    #[cfg(test)]
    pub(crate) fn shared_for_tests(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Runs until it is stopped, or until the server refuses it for good. A server that is away is waited for.
    pub async fn run(self) -> Result<(), Error> {
        let Runner { shared, groups, config, reload, reloads } = self;
        // The other clones belong to who may ask.
        drop(reload);
        let settings = shared.settings();
        let name = &settings.name;
        let mut helpers = JoinSet::new();
        // Before the first claim, because a runner that can't be watched must not take jobs.
        if let Some(address) = settings.http {
            let listener = stanchion_status::listen(address).await;
            let listener = listener.map_err(|error| Error::Listen { address, error: error.kind() })?;
            let pages = Arc::new(StatusPages::new(Arc::clone(&shared)));
            helpers.spawn(stanchion_status::serve(listener, pages));
        }
        let address = shared.client.address();
        tracing::info!(name, server = address, groups = groups.len(), "runner started");
        helpers.spawn({
            let shared = Arc::clone(&shared);
            async move { lease::keep_leases(&shared).await }
        });
        helpers.spawn({
            let shared = Arc::clone(&shared);
            async move { systemd::keep_informed(&shared).await }
        });

        beat::first_beat(&shared, &groups).await;
        helpers.spawn({
            let shared = Arc::clone(&shared);
            async move { beat::keep_beating(&shared).await }
        });
        let mut crew = Crew::new(Arc::clone(&shared), groups, config);
        shared.tell(Notice::Ready);
        let result = crew.work(reloads).await;
        drain(&shared).await;
        crew.last_reports().await;
        crew.close().await;
        helpers.shutdown().await;
        // After the last beat, because another one would make it known again.
        beat::bye(&shared).await;
        shared.stop.stopped();
        tracing::info!(name, "runner stopped");
        result
    }
}

/// Waits for running jobs: first patiently, then with SIGTERM, and when hurried with SIGKILL.
async fn drain(shared: &Shared) {
    let deadline = Instant::now() + shared.settings().drain;
    tokio::select! {
        () = shared.running.none() => return,
        () = tokio::time::sleep_until(deadline) => {
            let jobs = shared.running.cancel_all(Cancel::Stopping);
            tracing::warn!(jobs, "the drain time is over; jobs that still run are ended and given back");
        }
        () = shared.stop.reached(Phase::Hurrying) => {}
    }
    tokio::select! {
        () = shared.running.none() => return,
        () = shared.stop.reached(Phase::Hurrying) => {
            let jobs = shared.running.cancel_all(Cancel::Now);
            tracing::warn!(jobs, "hurried; jobs that still run are killed and given back");
        }
    }
    shared.running.none().await;
}

impl Builder {
    /// `redis://[:password@]host:port`, `rediss://` likewise, or `unix:///path`; by default the server on this machine.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Builder {
        self.server.url = url.into();
        self
    }

    /// The files that a `rediss://` URL takes besides; by default the system's authorities are trusted, and no
    /// certificate is shown.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Builder {
        self.server.tls = Some(tls);
        self
    }

    /// Who claims, as the server and the logs name it; by default by process id.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.settings.name = name.into();
        self
    }

    /// Of the code that does the jobs: the server counts what becomes of them by version. None by default.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Builder {
        self.settings.version = Some(version.into());
        self
    }

    /// How many jobs each handler runs at once; 1 by default.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Builder {
        self.slots = slots.clamp(1, limits::SLOTS_MAX);
        self
    }

    /// Length of a lease; extended at a third of it while the job runs.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Builder {
        self.settings.lease = lease.max(limits::LEASE_MIN);
        self
    }

    /// How long jobs may run on when the runner stops.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Builder {
        self.settings.drain = drain;
        self
    }

    /// Where `/health` and `/metrics` are; nowhere by default.
    #[must_use]
    pub fn http(mut self, address: SocketAddr) -> Builder {
        self.settings.http = Some(address);
        self
    }

    /// Jobs of the queues that match this glob are done by this function, in slots of their own. It returns
    /// nothing, a `Result`, or an [`Outcome`]; a panic in it is a failure of the job.
    #[must_use]
    pub fn handle<F, Fut, O>(mut self, queues: impl Into<String>, function: F) -> Builder
    where
        F: Fn(Job) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = O> + Send + 'static,
        O: Into<Outcome>,
    {
        self.handlers.push((queues.into(), Handler::new(function)));
        self
    }

    /// The runner.
    pub fn build(self) -> Result<Runner, Error> {
        let slots = self.slots;
        let groups = self
            .handlers
            .into_iter()
            .map(|(queues, handler)| Group::of_handler(queues, slots, handler))
            .collect();
        Runner::new(&self.server, self.settings, groups)
    }
}
