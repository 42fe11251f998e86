//! The runner as a whole: its parts, and how they start and stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use stanchion_client::{Client, Job};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::claimer::Claimer;
use crate::config::{Config, Settings};
use crate::error::Error;
use crate::group::Group;
use crate::handler::Handler;
use crate::lease;
use crate::limits;
use crate::outcome::{Cancel, Outcome};
use crate::phase::{Phase, Stop};
use crate::release::Releases;
use crate::running::Running;

/// What the parts of a runner share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// The connection for everything but claims.
    pub(crate) client: Client,
    pub(crate) running: Arc<Running>,
    pub(crate) releases: Releases,
    pub(crate) stop: Stop,
}

/// A runner, ready to run.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
    groups: Vec<Arc<Group>>,
}

/// Makes a runner whose jobs are done by functions of this program.
#[derive(Debug)]
pub struct Builder {
    url: String,
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
        };
        Builder { url: "redis://127.0.0.1:7379".into(), settings, slots: 1, handlers: Vec::new() }
    }

    /// A runner for a configuration file.
    pub fn from_config(config: Config) -> Result<Runner, Error> {
        let groups = config.groups.into_iter().map(Group::from_config).collect();
        Runner::new(&config.url, config.settings, groups)
    }

    fn new(url: &str, settings: Settings, groups: Vec<Group>) -> Result<Runner, Error> {
        if groups.is_empty() {
            return Err(Error::NothingToDo);
        }
        let shared = Shared {
            settings,
            client: Client::new(url)?,
            running: Running::new(),
            releases: Releases::default(),
            stop: Stop::default(),
        };
        Ok(Runner { shared: Arc::new(shared), groups: groups.into_iter().map(Arc::new).collect() })
    }

    /// Stops the runner, and shows its phase.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.shared.stop.clone()
    }

    /// Runs until it is stopped, or until the server refuses it for good. A server that is away is waited for.
    pub async fn run(self) -> Result<(), Error> {
        let Runner { shared, groups } = self;
        let address = shared.client.address();
        tracing::info!(
            name = shared.settings.name,
            server = address,
            groups = groups.len(),
            "runner started"
        );
        let mut helpers = JoinSet::new();
        helpers.spawn({
            let shared = Arc::clone(&shared);
            async move { lease::keep_leases(shared.client.clone(), &shared.running, shared.settings.lease).await }
        });
        for group in &groups {
            let (shared, group) = (Arc::clone(&shared), Arc::clone(group));
            helpers.spawn(async move { group.outbox.send(&shared.client).await });
        }

        let result = claim_until_stopped(&shared, &groups, &address).await;
        drain(&shared).await;
        last_reports(&groups).await;
        helpers.shutdown().await;
        shared.stop.stopped();
        tracing::info!(name = shared.settings.name, "runner stopped");
        result
    }
}

/// One claimer per group. The first one that is refused for good stops all.
async fn claim_until_stopped(
    shared: &Arc<Shared>,
    groups: &[Arc<Group>],
    address: &str,
) -> Result<(), Error> {
    let mut claimers = JoinSet::new();
    for group in groups {
        let claimer = Claimer::new(Arc::clone(shared), Arc::clone(group));
        let name = group.name.clone();
        claimers.spawn(async move { (name, claimer.run().await) });
    }
    let mut result = Ok(());
    while let Some(ended) = claimers.join_next().await {
        let (group, error) = match ended {
            Ok((_, Ok(()))) => continue,
            Ok((group, Err(error))) => (group, error),
            // A bug in here must not leave a runner that looks alive and claims nothing.
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        tracing::error!(group, %error, "the server refuses the group's claims; stopping");
        if !shared.stop.is_stopping() {
            shared.stop.stop();
        }
        if result.is_ok() {
            result = Err(Error::Refused { address: address.to_owned(), group, error });
        }
    }
    result
}

/// Waits for running jobs: first patiently, then with SIGTERM, and when hurried with SIGKILL.
async fn drain(shared: &Shared) {
    let deadline = Instant::now() + shared.settings.drain;
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

/// Waits until the server knows about every job, or can't be told.
async fn last_reports(groups: &[Arc<Group>]) {
    let all_sent = async {
        for group in groups {
            group.outbox.wait_empty().await;
        }
    };
    if tokio::time::timeout(limits::LAST_REPORTS_MAX, all_sent).await.is_err() {
        let unsent: usize = groups.iter().map(|group| group.outbox.len()).sum();
        tracing::error!(
            unsent,
            "the server can't be told about these jobs; they come back when their leases lapse"
        );
    }
}

impl Builder {
    /// `redis://[:password@]host:port` or `unix:///path`; by default the server on this machine.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Builder {
        self.url = url.into();
        self
    }

    /// Who claims, as the server and the logs name it; by default by process id.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.settings.name = name.into();
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
        Runner::new(&self.url, self.settings, groups)
    }
}
