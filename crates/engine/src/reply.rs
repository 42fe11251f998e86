//! What the engine answers: plain data and views, which the server turns into frames.

use stanchion_protocol::command::State;
use stanchion_protocol::id::{JobId, Receipt};

use crate::{Lsn, Payload};

/// What became of one pushed job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// Added; it can be claimed.
    Ready(JobId),
    /// Added; it waits for its due time.
    Delayed(JobId),
    /// The holder of its dedupe key took its content.
    Replaced(JobId),
    /// Dropped: this job holds, or within its window held, the dedupe key.
    Duplicate(JobId),
    /// Dropped: a newer root is registered.
    Superseded,
}

/// What became of a nacked job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nacked {
    /// It will be tried again.
    Retry,
    /// It is kept as a dead job.
    Dead,
    /// It was dropped, since a newer root is registered.
    Superseded,
    /// The receipt is not of a live claim; nothing changed.
    Stale,
}

/// Why a command was refused; it has changed nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// `-PAUSED`.
    #[error("queue '{queue}' does not take pushes: it is paused; QRESUME lets them in")]
    Paused {
        /// The queue, printable.
        queue: String,
    },
    /// `-FULL`: the queue's limit on jobs.
    #[error(
        "queue '{queue}' holds {limit} jobs, its max-jobs; claim or delete some, or raise it with QCONFIG SET"
    )]
    FullJobs {
        /// The queue, printable.
        queue: String,
        /// The setting.
        limit: u64,
    },
    /// `-FULL`: the queue's limit on bytes.
    #[error(
        "queue '{queue}' would hold more than {limit} bytes, its max-bytes; claim or delete some, or raise it with QCONFIG SET"
    )]
    FullBytes {
        /// The queue, printable.
        queue: String,
        /// The setting.
        limit: u64,
    },
    /// `-ERR`: a due time out of range.
    #[error("AT {at} is more than ten years ahead")]
    TooFar {
        /// The due time.
        at: u64,
    },
    /// `-ERR`: a setting's name or value.
    #[error("{0}")]
    Setting(String),
}

/// The jobs that one claim handed out, in order; valid until the shard is changed again.
#[derive(Default, Debug)]
pub struct Claimed {
    pub(crate) jobs: Vec<JobRef>,
    /// The reply waits for this hold's records: the newest base among the jobs handed out. See
    /// [`Shard::begin`](crate::Shard::begin).
    pub newest_base: Lsn,
    /// It stepped over as many superseded and expired jobs as one claim may, so there may be a job behind them.
    pub cut_short: bool,
}

impl Claimed {
    /// How many jobs were handed out.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The jobs, for [`Shard::view`](crate::Shard::view).
    pub fn jobs(&self) -> &[JobRef] {
        &self.jobs
    }

    /// Forgets the jobs and keeps the memory.
    pub fn clear(&mut self) {
        self.jobs.clear();
        self.newest_base = 0;
        self.cut_short = false;
    }
}

/// Where a job is; valid until the shard is changed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobRef {
    pub(crate) queue: u32,
    pub(crate) job: u32,
}

/// What a claim hands to a worker.
#[derive(Clone, Copy, Debug)]
pub struct HandedOut<'a> {
    /// Its queue.
    pub queue: &'a [u8],
    /// The proof of this claim.
    pub receipt: Receipt,
    /// Its bytes.
    pub payload: Payload<'a>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Everything there is to know of a job.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    /// Its queue.
    pub queue: &'a [u8],
    /// Its id.
    pub id: JobId,
    /// The receipt of the newest claim (also when it is over).
    pub receipt: Receipt,
    /// Its group; empty for none.
    pub group: &'a [u8],
    /// Where it is in its life.
    pub state: State,
    /// 0 to 9.
    pub priority: u8,
    /// Its bytes.
    pub payload: Payload<'a>,
    /// Claims that were not released.
    pub attempts: u32,
    /// Nacks and lapses.
    pub failures: u32,
    /// After so many attempts it is dead; 0 is no limit.
    pub attempts_max: u32,
    /// When it was pushed.
    pub pushed_at: u64,
    /// When it became, or becomes, ready.
    pub ready_at: u64,
    /// When it expires.
    pub expires_at: Option<u64>,
    /// When its lease ends; claimed jobs only.
    pub lease_until: Option<u64>,
    /// Who claimed it; claimed jobs only.
    pub worker: Option<&'a [u8]>,
    /// Its dedupe key, whether it holds it or not.
    pub dedupe: Option<&'a [u8]>,
    /// Signature and timestamp of its root.
    pub root: Option<(&'a [u8], u64)>,
    /// Why it failed last.
    pub last_error: Option<&'a [u8]>,
}

/// QSTATS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Jobs in each state.
    pub counts: Counts,
    /// Payload bytes of all jobs.
    pub bytes: u64,
    /// Bytes that the queue takes in memory.
    pub memory: u64,
    /// Groups with jobs.
    pub groups: u64,
    /// Age of the oldest ready job.
    pub oldest_ready_ms: Option<u64>,
    /// What is paused.
    pub paused: Paused,
    /// What happened since the queue was made.
    pub totals: Totals,
    /// From ready to claimed.
    pub wait: Latency,
    /// From claimed to acked, nacked or lapsed.
    pub run: Latency,
}

/// Jobs in each state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Claimable.
    pub ready: u64,
    /// Waiting for their due time.
    pub delayed: u64,
    /// With a worker.
    pub claimed: u64,
    /// Kept with their reason.
    pub dead: u64,
}

/// What of a queue is paused now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Paused {
    /// Pushes are refused.
    pub push: bool,
    /// Claims wait.
    pub claim: bool,
}

/// What happened in a queue since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Jobs added.
    pub pushed: u64,
    /// Pushes dropped by their dedupe key.
    pub duplicates: u64,
    /// Pushes that replaced their holder.
    pub replaced: u64,
    /// Jobs and pushes dropped by a newer root.
    pub superseded: u64,
    /// Jobs dropped by their TTL.
    pub expired: u64,
    /// Jobs handed out.
    pub claims: u64,
    /// Jobs done.
    pub acked: u64,
    /// Attempts that failed.
    pub nacked: u64,
    /// Claims given back.
    pub released: u64,
    /// Leases that ended by themselves.
    pub lapsed: u64,
    /// Jobs that became dead.
    pub died: u64,
    /// Receipts that named no live claim.
    pub stale_acks: u64,
}

/// Percentiles of a latency in milliseconds; absent before the first sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Latency {
    /// Half were at most this.
    pub p50_ms: Option<u64>,
    /// 99 % were at most this.
    pub p99_ms: Option<u64>,
    /// The longest.
    pub max_ms: Option<u64>,
}

/// A line of QLIST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueLine<'a> {
    /// The queue.
    pub queue: &'a [u8],
    /// Jobs in each state.
    pub counts: Counts,
    /// Age of the oldest ready job.
    pub oldest_ready_ms: Option<u64>,
    /// What is paused.
    pub paused: Paused,
}

/// A line of QREADY: a group with ready jobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadyLine {
    /// The queue.
    pub queue: Box<[u8]>,
    /// The group; empty for none.
    pub group: Box<[u8]>,
    /// How many are ready.
    pub ready: u64,
    /// Age of the oldest.
    pub oldest_ms: u64,
}

/// Where a value of QCONFIG GET comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// QCONFIG SET.
    Queue,
    /// The configuration file.
    File,
    /// Built in.
    Default,
}

/// Names a blocked claim; the server chooses the numbers and never uses one twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaiterId(pub u64);

/// What a blocked claim waits for.
#[derive(Clone, Copy, Debug)]
pub enum WaitFor<'a> {
    /// A job of this queue, which need not exist yet.
    Queue(&'a [u8]),
    /// A job of any queue that matches, those made later included.
    Match {
        /// At least one of these matches.
        globs: &'a [&'a [u8]],
        /// None of these does.
        except: &'a [&'a [u8]],
    },
}

/// A blocked claim that can be served now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Whose turn it is.
    pub waiter: WaiterId,
    /// The queue that has a job for it.
    pub queue: Box<[u8]>,
}
