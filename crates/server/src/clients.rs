//! The registry of connections: CLIENT LIST, INFO and the shutdown look at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::acl::{DEFAULT, User};
use crate::endpoint::Endpoint;
use crate::mailbox::Mailbox;

/// Every connection by its number.
#[derive(Default)]
pub(crate) struct Clients {
    by_id: DashMap<u64, Arc<Client>>,
    /// Counted besides, because asking the map how many there are locks all of it.
    connected: AtomicUsize,
    accepted: AtomicU64,
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
    /// How many channels it listens to.
    pub(crate) channels: AtomicU32,
    /// How many patterns.
    pub(crate) patterns: AtomicU32,
    /// Set by CLIENT UNBLOCK.
    pub(crate) unblock: Mutex<Option<Unblock>>,
}

/// What a client says about itself.
#[derive(Clone, Default)]
pub(crate) struct Names {
    /// CLIENT SETNAME.
    pub(crate) name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub(crate) library: String,
    /// CLIENT SETINFO LIB-VER.
    pub(crate) version: String,
    /// As whom it speaks.
    pub(crate) user: Option<Arc<User>>,
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
            mailbox: Mailbox::new(Arc::clone(&wake)),
            wake,
            names: Mutex::default(),
            heard_ms: AtomicU64::new(0),
            command: AtomicUsize::new(usize::MAX),
            resp3: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            channels: AtomicU32::new(0),
            patterns: AtomicU32::new(0),
            unblock: Mutex::new(None),
        });
        self.by_id.insert(id, Arc::clone(&client));
        Some(client)
    }

    /// A connection is gone.
    pub(crate) fn leave(&self, client: &Client) {
        self.set_blocked(client, false);
        if self.by_id.remove(&client.id).is_some() {
            self.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A connection begins or ends to wait for a job.
    pub(crate) fn set_blocked(&self, client: &Client, blocked: bool) {
        match (client.blocked.swap(blocked, Ordering::AcqRel), blocked) {
            (false, true) => _ = self.blocked.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.blocked.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
    }

    /// How many are connected.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// How many wait for a job.
    pub(crate) fn blocked(&self) -> usize {
        self.blocked.load(Ordering::Relaxed)
    }

    /// How many have ever connected.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
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

    /// Wakes every connection, to look at the phase of the server.
    pub(crate) fn wake_all(&self) {
        for client in self.all() {
            client.wake.notify_one();
        }
    }

    /// Ends the wait of a blocked claim; false when that client does not wait.
    pub(crate) fn unblock(&self, id: u64, how: Unblock) -> bool {
        let Some(client) = self.by_id.get(&id).map(|entry| Arc::clone(entry.value())) else { return false };
        if !client.blocked.load(Ordering::Acquire) {
            return false;
        }
        *client.unblock.lock() = Some(how);
        client.wake.notify_one();
        true
    }
}

impl Client {
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

    /// Its line in CLIENT LIST, with the fields that Redis has and that mean something here.
    pub(crate) fn line(&self) -> String {
        let names = self.names.lock().clone();
        let age = self.since.elapsed();
        let idle_ms = (age.as_millis() as u64).saturating_sub(self.heard_ms.load(Ordering::Relaxed));
        let command = crate::stats::command_name(self.command.load(Ordering::Relaxed)).unwrap_or("NULL");
        let flags = match (self.blocked.load(Ordering::Relaxed), &self.peer) {
            (true, _) => "b",
            (false, Endpoint::Local(_)) => "U",
            (false, Endpoint::Network(_)) => "N",
        };
        let resp = if self.resp3.load(Ordering::Relaxed) { 3 } else { 2 };
        format!(
            "id={} addr={} laddr={} name={} age={} idle={} flags={flags} db=0 cmd={command} user={} lib-name={} lib-ver={} resp={resp}",
            self.id,
            self.peer,
            self.local,
            names.name,
            age.as_secs(),
            idle_ms / 1_000,
            String::from_utf8_lossy(names.user.as_ref().map_or(DEFAULT, |user| user.name())),
            names.library,
            names.version,
        )
    }
}
