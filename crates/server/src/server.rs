//! What all connections of a server share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::Config;
use crate::acl::{Acl, SetUserError};
use crate::attention::Attention;
use crate::clients::Clients;
use crate::config::Secret;
use crate::disconnect::Disconnects;
use crate::endpoint::Endpoint;
use crate::hub::Hub;
use crate::lane::{Lane, Tidings};
use crate::latency::Latency;
use crate::lifecycle::Lifecycle;
use crate::loading::Loading;
use crate::monitors::Monitors;
use crate::pause::Pause;
use crate::slow_log::SlowLog;
use crate::stats::{CommandStats, ErrorStats, Traffic};
use crate::tls::Tls;
use crate::workers::Workers;

/// A server.
pub(crate) struct Server {
    /// What it was told at its start.
    pub(crate) config: Config,
    /// What CONFIG SET may change.
    pub(crate) live: LiveConfig,
    /// Where it is in its life.
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// How far the recovery of its log is.
    pub(crate) loading: Loading,
    /// What the log tells.
    pub(crate) tidings: Arc<Tidings>,
    /// Its users.
    pub(crate) acl: Acl,
    /// Its connections.
    pub(crate) clients: Clients,
    /// Whether commands wait for CLIENT UNPAUSE.
    pub(crate) pause: Pause,
    /// Who listens to which channel.
    pub(crate) hub: Arc<Hub>,
    /// What its commands cost.
    pub(crate) stats: CommandStats,
    /// The errors that it answered.
    pub(crate) errors: ErrorStats,
    /// The bytes that came and went.
    pub(crate) traffic: Traffic,
    /// What operators want to know about each command.
    pub(crate) attention: Attention,
    /// Who listens by MONITOR.
    pub(crate) monitors: Monitors,
    /// Commands that took long.
    pub(crate) slow_log: SlowLog,
    /// What took long, of whatever kind.
    pub(crate) latency: Arc<Latency>,
    /// When it started.
    pub(crate) started: Instant,
    /// 40 hex digits that name this run, as INFO shows them.
    pub(crate) run_id: String,
    /// Those that it ended.
    pub(crate) disconnects: Disconnects,
    /// Who does the jobs.
    pub(crate) workers: Workers,
    /// Its certificates.
    pub(crate) tls: Tls,
    lane: OnceLock<Lane>,
    ports: Ports,
    waiters: AtomicU64,
}

/// The ports that it listens on; 0 where it does not.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Ports {
    /// Without TLS.
    pub(crate) plain: u16,
    /// With TLS.
    pub(crate) tls: u16,
}

/// What CONFIG SET may change.
pub(crate) struct LiveConfig {
    /// Whether CONFIG SET or the configuration gave the default user a password.
    pub(crate) requires_password: AtomicBool,
    /// The password that CONFIG SET gave it, for CONFIG REWRITE.
    pub(crate) new_password: Mutex<Option<Secret>>,
    /// Names of the parameters that were changed, for CONFIG REWRITE.
    pub(crate) changed: Mutex<BTreeSet<&'static str>>,
    /// Without a password, clients of other machines are refused.
    pub(crate) protected_mode: AtomicBool,
    memory_bytes_max: AtomicU64,
    clients_max: AtomicU32,
    idle_timeout_ms: AtomicU64,
}

impl Server {
    /// A server that is starting: it has no lane yet.
    pub(crate) fn new(config: Config, acl: Acl, ports: Ports, tls: Tls, seed: [u8; 20]) -> Server {
        let lifecycle = Arc::new(Lifecycle::new());
        let latency = Arc::new(Latency::new(config.diagnostics.latency_ms));
        Server {
            live: LiveConfig::new(&config, &acl),
            acl,
            tidings: Arc::new(Tidings::new(
                config.threads.into(),
                Arc::clone(&lifecycle),
                Arc::clone(&latency),
            )),
            lifecycle,
            loading: Loading::new(),
            clients: Clients::new(config.output_limits),
            pause: Pause::default(),
            hub: Arc::new(Hub::new()),
            stats: CommandStats::new(),
            errors: ErrorStats::new(),
            traffic: Traffic::default(),
            attention: Attention::new(config.diagnostics.slow_us, Arc::clone(&latency)),
            monitors: Monitors::default(),
            slow_log: SlowLog::new(config.diagnostics.slow_entries_max),
            latency,
            started: Instant::now(),
            run_id: seed.iter().map(|byte| format!("{byte:02x}")).collect(),
            lane: OnceLock::new(),
            disconnects: Disconnects::default(),
            workers: Workers::default(),
            tls,
            ports,
            waiters: AtomicU64::new(0),
            config,
        }
    }

    /// The lane, once the log is recovered.
    #[inline]
    pub(crate) fn lane(&self) -> Option<&Lane> {
        self.lane.get()
    }

    /// The log is recovered.
    pub(crate) fn set_lane(&self, lane: Lane) {
        // It may have been changed meanwhile.
        lane.memory.set_bytes_max(self.memory_bytes_max());
        assert!(self.lane.set(lane).is_ok(), "a server recovers its log once");
    }

    /// Sets the counters of INFO back to zero, and forgets how long commands took.
    pub(crate) fn reset_statistics(&self) {
        self.stats.reset();
        self.errors.reset();
        self.traffic.reset();
        self.clients.reset_counters();
        self.workers.reset_counters();
    }

    /// Wakes `wake` once the log has room; false when it has some already.
    pub(crate) fn wait_for_room(&self, wake: &Arc<tokio::sync::Notify>) -> bool {
        self.lane().is_some_and(|lane| self.tidings.wait_for_room(&lane.log, wake))
    }

    /// How much memory jobs and their payloads may take; 0: no limit.
    pub(crate) fn memory_bytes_max(&self) -> u64 {
        self.live.memory_bytes_max.load(Ordering::Relaxed)
    }

    /// Changes it; the lane follows within a moment.
    pub(crate) fn set_memory_bytes_max(&self, bytes: u64) {
        self.live.memory_bytes_max.store(bytes, Ordering::Relaxed);
        if let Some(lane) = self.lane() {
            lane.memory.set_bytes_max(bytes);
        }
    }

    /// The ports that it listens on.
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// Whether protected mode refuses a client that comes from there.
    pub(crate) fn refuses(&self, peer: &Endpoint) -> bool {
        !peer.is_local()
            && self.live.protected_mode.load(Ordering::Relaxed)
            && self.acl.default_user().needs_no_password()
    }

    /// Gives the default user a password, or takes it away.
    pub(crate) fn require_password(&self, password: Option<&Secret>) -> Result<(), SetUserError> {
        self.acl.set_default_password(password)?;
        self.live.requires_password.store(password.is_some(), Ordering::Relaxed);
        *self.live.new_password.lock() = password.cloned();
        Ok(())
    }

    /// A number for a blocked claim, never used twice in a run.
    pub(crate) fn next_waiter(&self) -> stanchion_engine::WaiterId {
        stanchion_engine::WaiterId(self.waiters.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl LiveConfig {
    fn new(config: &Config, acl: &Acl) -> LiveConfig {
        LiveConfig {
            requires_password: AtomicBool::new(!acl.default_user().needs_no_password()),
            new_password: Mutex::default(),
            changed: Mutex::default(),
            protected_mode: AtomicBool::new(config.protected_mode),
            memory_bytes_max: AtomicU64::new(config.memory_bytes_max),
            clients_max: AtomicU32::new(config.clients_max),
            idle_timeout_ms: AtomicU64::new(config.idle_timeout.as_millis() as u64),
        }
    }

    /// How many clients may be connected at once.
    pub(crate) fn clients_max(&self) -> u32 {
        self.clients_max.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub(crate) fn set_clients_max(&self, max: u32) {
        self.clients_max.store(max, Ordering::Relaxed);
    }

    /// A client that says nothing for so long is disconnected; `None`: never.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        let ms = self.idle_timeout_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Changes it.
    pub(crate) fn set_idle_timeout(&self, timeout: Duration) {
        self.idle_timeout_ms.store(timeout.as_millis() as u64, Ordering::Relaxed);
    }
}
