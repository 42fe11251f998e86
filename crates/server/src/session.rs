//! What a connection remembers from one command to the next.

use std::sync::Arc;

use stanchion_engine::Pushed;
use stanchion_protocol::{CommandSpec, OwnedArgs, Proto};
use stanchion_storage::Lsn;
use tokio::time::Instant;

use crate::acl::{Access, Acl, Gone};
use crate::bound::Bound;
use crate::clients::Client;
use crate::commands::LongTask;
use crate::commands::backup::{Backup, Piece};
use crate::commands::transaction::Queued;
use crate::commands::watch::Watched;
use crate::hub::Topic;
use crate::muted::Replies;
use crate::stats::RunStats;
use crate::subscriptions::Subscriptions;
use crate::waiter::Waiter;

/// The state of a connection, as far as commands see it.
pub(crate) struct Session {
    /// What others know of it.
    pub(crate) client: Arc<Client>,
    /// The protocol of its replies.
    pub(crate) proto: Proto,
    /// As whom it speaks.
    pub(crate) access: Access,
    /// Commands that wait for EXEC.
    pub(crate) queued: Option<Queued>,
    /// What the next EXEC depends on.
    pub(crate) watched: Watched,
    /// Claims that end with the connection.
    pub(crate) bound: Bound,
    /// What becomes of its replies.
    pub(crate) replies: Replies,
    /// Where the reply begins that may be dropped.
    pub(crate) muted_from: u64,
    /// What it listens to.
    pub(crate) subscriptions: Subscriptions,
    /// What its next command waits for.
    pub(crate) pending: Option<Pending>,
    /// Nothing more is run; it closes once its replies are written.
    pub(crate) closing: bool,
    /// The shard at which QMCLAIM MATCH goes on.
    pub(crate) next_shard: usize,
    /// What the current run of commands did.
    pub(crate) run: RunStats,
    /// What it copies.
    pub(crate) backup: Option<Backup>,
    /// Reused for pushes.
    pub(crate) pushed: Vec<Pushed>,
}

/// A command that is not finished; those behind it wait.
pub(crate) enum Pending {
    /// A claim waits for a job.
    Claim(Blocked),
    /// Work in bounded steps.
    Task(LongTask),
    /// CLIENT PAUSE lets a command wait.
    Postponed {
        /// What to run.
        spec: &'static CommandSpec,
        /// Its words.
        args: OwnedArgs,
        /// The end of the pause, as far as is known.
        until: Instant,
    },
    /// BACKUP READ waits for bytes.
    Piece(Piece),
    /// BACKUP BEGIN waits for the disk.
    Backup {
        /// Up to this record.
        lsn: Lsn,
    },
    /// WAITAOF waits for the disk.
    Sync {
        /// Up to this record.
        lsn: Lsn,
        /// Until then.
        deadline: Option<Instant>,
    },
    /// SAVE waits for a checkpoint.
    Checkpoint {
        /// Which one it has asked for.
        request: u64,
    },
    /// WAIT waits for replicas, of which there are none.
    Replicas {
        /// Until then.
        deadline: Option<Instant>,
    },
}

impl Pending {
    /// Whether it has to be looked at again as soon as others had their turn.
    pub(crate) fn is_at_work(&self) -> bool {
        match self {
            Pending::Task(_) => true,
            Pending::Claim(blocked) => !blocked.blocks,
            _ => false,
        }
    }

    /// When it has to be looked at even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Pending::Claim(blocked) => blocked.deadline,
            Pending::Sync { deadline, .. } | Pending::Replicas { deadline } => *deadline,
            Pending::Postponed { until, .. } => Some(*until),
            Pending::Task(_) | Pending::Checkpoint { .. } | Pending::Backup { .. } | Pending::Piece(_) => {
                None
            }
        }
    }
}

/// A claim that waits for a job.
pub(crate) struct Blocked {
    /// What serves it.
    pub(crate) waiter: Arc<Waiter>,
    /// Where it is parked.
    pub(crate) shards: Vec<usize>,
    /// Until then.
    pub(crate) deadline: Option<Instant>,
    /// It waits for a job to come; otherwise it is only not known yet whether there is one.
    pub(crate) blocks: bool,
    /// The leases end with the connection.
    pub(crate) bound: bool,
}

impl Session {
    /// A connection that has said nothing yet.
    pub(crate) fn new(client: Arc<Client>, access: Access) -> Session {
        Session {
            next_shard: client.id as usize,
            client,
            proto: Proto::Resp2,
            access,
            queued: None,
            watched: Watched::default(),
            bound: Bound::default(),
            replies: Replies::On,
            muted_from: 0,
            subscriptions: Subscriptions::default(),
            pending: None,
            closing: false,
            run: RunStats::new(),
            backup: None,
            pushed: Vec::new(),
        }
    }

    /// Whether a part of a reply is written, so that nothing else may be before the rest.
    pub(crate) fn is_amid_reply(&self) -> bool {
        matches!(&self.pending, Some(Pending::Task(task)) if task.is_answering())
    }

    /// Looks the user up again after users were changed; without its user, or with subscriptions that it may not have
    /// any more, a connection ends, as in Redis.
    #[cold]
    pub(crate) fn refresh_access(&mut self, acl: &Acl) -> Result<(), Gone> {
        self.access.refresh(acl, &self.client)?;
        let user = self.access.user();
        let allowed = |topic| {
            self.subscriptions.of(topic).iter().all(|name| user.may_subscribe(name, topic == Topic::Pattern))
        };
        if allowed(Topic::Channel) && allowed(Topic::Pattern) { Ok(()) } else { Err(Gone) }
    }
}
