//! The registry of connections: CLIENT LIST, INFO and the shutdown look at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::Mutex;
use stanchion_protocol::CommandError;
use stanchion_protocol::error::Quoted;
use tokio::sync::Notify;

use crate::acl::{DEFAULT, User};
use crate::endpoint::Endpoint;
use crate::mailbox::Mailbox;
use crate::output_limits::{LiveOutputLimits, OutputLimits};

/// Every connection by its number.
#[derive(Default)]
pub(crate) struct Clients {
    /// What each may leave unread.
    pub(crate) output_limits: Arc<LiveOutputLimits>,
    by_id: DashMap<u64, Arc<Client>>,
    /// Counted besides, because asking the map how many there are locks all of it.
    connected: AtomicUsize,
    accepted: AtomicU64,
    /// How many of them had connected when the counters were reset: `accepted` numbers the clients, too.
    accepted_before: AtomicU64,
    refused: AtomicU64,
    blocked: AtomicUsize,
}

/// What others may know of a connection, and how they reach it.
pub(crate) struct Client {
    /// Its number, never used twice in a run.
    pub(crate) id: u64,
    /// Where it comes from.
    pub(crate) peer: Endpoint,
    /// Where it connected to.
    pub(crate) local: Endpoint,
    /// When it connected.
    pub(crate) since: Instant,
    /// Wakes its task.
    pub(crate) wake: Arc<Notify>,
    /// What others have for it.
    pub(crate) mailbox: Mailbox,
    /// What it says about itself.
    pub(crate) names: Mutex<Names>,
    /// When it was last heard, in milliseconds after `since`.
    pub(crate) heard_ms: AtomicU64,
    /// Its newest command: the place in the table of statistics.
    pub(crate) command: AtomicUsize,
    /// Whether it speaks RESP3.
    pub(crate) resp3: AtomicBool,
    /// Whether it waits for a job.
    pub(crate) blocked: AtomicBool,
    /// Whether it listens by MONITOR.
    pub(crate) monitors: AtomicBool,
    /// Whether CLIENT PAUSE lets it wait.
    postponed: AtomicBool,
    /// How many channels it listens to.
    pub(crate) channels: AtomicU32,
    /// How many patterns.
    pub(crate) patterns: AtomicU32,
    /// How many commands waited for EXEC when its task last rested; -1 outside of a transaction.
    queued: AtomicI32,
    /// Bytes that it had sent and that were not decoded then.
    input_bytes: AtomicUsize,
    /// Bytes of replies that it had not taken then.
    output_bytes: AtomicUsize,
    /// Set by CLIENT UNBLOCK.
    pub(crate) unblock: Mutex<Option<Unblock>>,
}

/// What a client says about itself.
#[derive(Clone, Default)]
pub(crate) struct Names {
    /// CLIENT SETNAME.
    pub(crate) name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub(crate) lib_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub(crate) lib_version: String,
    /// As whom it speaks.
    pub(crate) user: Option<Arc<User>>,
}

/// The types of connections that Redis tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClientType {
    /// It asks and is answered.
    Normal,
    /// It listens.
    Subscriber,
    /// Replicas and their master: there are none.
    Absent,
}

/// How a blocked claim is ended by another client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unblock {
    /// As if its time were up.
    Timeout,
    /// With an error.
    Error,
}

impl Clients {
    /// Nobody yet.
    pub(crate) fn new(limits: OutputLimits) -> Clients {
        Clients { output_limits: Arc::new(LiveOutputLimits::new(limits)), ..Clients::default() }
    }

    /// Enters a connection; `None` when there are `max` already.
    pub(crate) fn enter(&self, peer: Endpoint, local: Endpoint, max: usize) -> Option<Arc<Client>> {
        if self.connected.load(Ordering::Relaxed) >= max {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.connected.fetch_add(1, Ordering::Relaxed);
        let id = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let wake = Arc::new(Notify::new());
        let client = Arc::new(Client {
            id,
            peer,
            local,
            since: Instant::now(),
            mailbox: Mailbox::new(Arc::clone(&wake), Arc::clone(&self.output_limits)),
            wake,
            names: Mutex::default(),
            heard_ms: AtomicU64::new(0),
            command: AtomicUsize::new(usize::MAX),
            resp3: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            monitors: AtomicBool::new(false),
            postponed: AtomicBool::new(false),
            channels: AtomicU32::new(0),
            patterns: AtomicU32::new(0),
            queued: AtomicI32::new(-1),
            input_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            unblock: Mutex::new(None),
        });
        self.by_id.insert(id, Arc::clone(&client));
        Some(client)
    }

    /// A connection is gone.
    pub(crate) fn leave(&self, client: &Client) {
        self.set_blocked(client, false);
        self.set_postponed(client, false);
        if self.by_id.remove(&client.id).is_some() {
            self.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A connection begins or ends to wait for a job.
    pub(crate) fn set_blocked(&self, client: &Client, blocked: bool) {
        self.count_blocked(&client.blocked, blocked);
    }

    /// A connection begins or ends to wait because of CLIENT PAUSE.
    pub(crate) fn set_postponed(&self, client: &Client, postponed: bool) {
        self.count_blocked(&client.postponed, postponed);
    }

    fn count_blocked(&self, was: &AtomicBool, is: bool) {
        match (was.swap(is, Ordering::SeqCst), is) {
            (false, true) => _ = self.blocked.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.blocked.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Wakes those who wait because of CLIENT PAUSE.
    pub(crate) fn wake_postponed(&self) {
        for client in self.all() {
            if client.postponed.load(Ordering::SeqCst) {
                client.wake.notify_one();
            }
        }
    }

    /// How many are connected.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// How many wait for a job, or for CLIENT UNPAUSE.
    pub(crate) fn blocked(&self) -> usize {
        self.blocked.load(Ordering::Relaxed)
    }

    /// How many have ever connected.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many have connected since the counters were reset.
    pub(crate) fn accepted_lately(&self) -> u64 {
        self.accepted().saturating_sub(self.accepted_before.load(Ordering::Relaxed))
    }

    /// Sets the counters back to zero, as CONFIG RESETSTAT asks.
    pub(crate) fn reset_counters(&self) {
        self.accepted_before.store(self.accepted(), Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
    }

    /// How many were refused because there were too many.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The connections, by their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.by_id.iter().map(|entry| Arc::clone(entry.value())).collect();
        all.sort_unstable_by_key(|client| client.id);
        all
    }

    /// The client of this number.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.by_id.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// Wakes every connection, to look at the phase of the server.
    pub(crate) fn wake_all(&self) {
        for client in self.all() {
            client.wake.notify_one();
        }
    }

    /// Ends the wait of a blocked claim; false when that client does not wait.
    pub(crate) fn unblock(&self, id: u64, how: Unblock) -> bool {
        let Some(client) = self.get(id) else { return false };
        if !client.blocked.load(Ordering::Acquire) {
            return false;
        }
        *client.unblock.lock() = Some(how);
        client.wake.notify_one();
        true
    }
}

impl ClientType {
    /// Reads a type by its name in Redis.
    pub(crate) fn read(word: &[u8]) -> Result<ClientType, CommandError> {
        let types = [
            ("normal", ClientType::Normal),
            ("pubsub", ClientType::Subscriber),
            ("master", ClientType::Absent),
            ("replica", ClientType::Absent),
            ("slave", ClientType::Absent),
        ];
        let found = types.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        match found {
            Some((_, kind)) => Ok(*kind),
            None => Err(CommandError::new(format!("Unknown client type {}", Quoted(word)))),
        }
    }
}

impl Client {
    /// Which type it is.
    pub(crate) fn kind(&self) -> ClientType {
        let listens = self.channels.load(Ordering::Relaxed) + self.patterns.load(Ordering::Relaxed) > 0;
        if listens { ClientType::Subscriber } else { ClientType::Normal }
    }

    /// It was heard, and said this.
    pub(crate) fn heard(&self, now: Instant, command: usize) {
        self.heard_ms.store((now - self.since).as_millis() as u64, Ordering::Relaxed);
        self.command.store(command, Ordering::Relaxed);
    }

    /// It speaks as this user from now on.
    pub(crate) fn set_user(&self, user: Arc<User>) {
        self.names.lock().user = Some(user);
    }

    /// Whether it speaks as this user, whatever has become of the user since.
    pub(crate) fn is_user(&self, user: &User) -> bool {
        self.names.lock().user.as_ref().is_some_and(|own| own.birth() == user.birth())
    }

    /// Its task rests, with so much left in its buffers and its transaction.
    pub(crate) fn rests(&self, input_bytes: usize, output_bytes: usize, queued: Option<usize>) {
        self.queued.store(queued.map_or(-1, |commands| commands as i32), Ordering::Relaxed);
        self.input_bytes.store(input_bytes, Ordering::Relaxed);
        self.output_bytes.store(output_bytes, Ordering::Relaxed);
    }

    /// What CLIENT LIST says of its state, a letter each.
    fn flags(&self) -> String {
        let blocked = self.blocked.load(Ordering::Relaxed) || self.postponed.load(Ordering::Relaxed);
        let flags: String = [
            ('O', self.monitors.load(Ordering::Relaxed)),
            ('P', self.kind() == ClientType::Subscriber),
            ('x', self.queued.load(Ordering::Relaxed) >= 0),
            ('b', blocked),
            ('U', matches!(self.peer, Endpoint::Local(_))),
        ]
        .iter()
        .filter_map(|(letter, is_so)| is_so.then_some(*letter))
        .collect();
        if flags.is_empty() { "N".into() } else { flags }
    }

    /// Its line in CLIENT LIST, with the fields that Redis has and that mean something here.
    pub(crate) fn line(&self) -> String {
        let names = self.names.lock().clone();
        let age = self.since.elapsed();
        let idle_ms = (age.as_millis() as u64).saturating_sub(self.heard_ms.load(Ordering::Relaxed));
        let command = crate::stats::command_name(self.command.load(Ordering::Relaxed)).unwrap_or("NULL");
        let resp = if self.resp3.load(Ordering::Relaxed) { 3 } else { 2 };
        format!(
            "id={} addr={} laddr={} name={} age={} idle={} flags={} db=0 sub={} psub={} ssub=0 multi={} qbuf={} omem={} events=r cmd={command} user={} redir=-1 resp={resp} lib-name={} lib-ver={}",
            self.id,
            self.peer,
            self.local,
            names.name,
            age.as_secs(),
            idle_ms / 1_000,
            self.flags(),
            self.channels.load(Ordering::Relaxed),
            self.patterns.load(Ordering::Relaxed),
            self.queued.load(Ordering::Relaxed),
            self.input_bytes.load(Ordering::Relaxed),
            self.output_bytes.load(Ordering::Relaxed),
            String::from_utf8_lossy(names.user.as_ref().map_or(DEFAULT, |user| user.name())),
            names.lib_name,
            names.lib_version,
        )
    }
}
