//! The queue commands as types: what a decoded and validated request says.
//!
//! Everything borrows from the request, so a command costs no allocation unless it names many jobs. A value
//! of these types is syntactically right and within the limits of its own words; whether a queue exists, is
//! paused or is full is the engine's to know. `group` is empty for a job without one.

use smallvec::SmallVec;

use crate::id::{JobId, Receipt};

/// Receipts of one command; one needs no allocation.
pub type Receipts = SmallVec<[Receipt; 2]>;

/// When a pushed job becomes ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At once.
    Now,
    /// After so many milliseconds.
    Delay(u64),
    /// At a Unix time in milliseconds; one in the past is now.
    At(u64),
}

/// How long a job holds its dedupe key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Until the job's first claim.
    Claim,
    /// Until the job is acked, dead, expired, superseded or deleted.
    Done,
}

/// `DEDUPE key [UNTIL ...] [WINDOW ms] [REPLACE]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dedupe<'a> {
    /// Unique within (queue, group).
    pub key: &'a [u8],
    /// How long the job holds the key.
    pub until: Until,
    /// Besides, the key is held for this long after the push; 0 for no window.
    pub window_ms: u64,
    /// A delayed or ready holder takes this push's content.
    pub replace: bool,
}

/// `ROOT signature timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootTag<'a> {
    /// What the event is about.
    pub signature: &'a [u8],
    /// 1 to 19 digits, compared as a number.
    pub timestamp: u64,
}

/// One job of a QPUSH or QMPUSH.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewJob<'a> {
    /// The job's bytes.
    pub payload: &'a [u8],
    /// When it becomes ready.
    pub when: When,
    /// Its tenant; empty for none.
    pub group: &'a [u8],
    /// 0 to 9, higher first.
    pub priority: u8,
    /// Its dedupe key and terms.
    pub dedupe: Option<Dedupe<'a>>,
    /// The event that it belongs to.
    pub root: Option<RootTag<'a>>,
    /// It expires so long after its push, or after its first due time when delayed.
    pub ttl_ms: Option<u64>,
    /// Overrides the queue's limit; 0 is no limit.
    pub attempts_max: Option<u32>,
}

/// Whether this reply waits for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncWish {
    /// As the queue's durability says.
    Policy,
    /// It waits.
    Sync,
    /// It does not.
    NoSync,
}

/// QPUSH and QMPUSH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push<'a> {
    /// The queue.
    pub queue: &'a [u8],
    /// At least one job; exactly one for QPUSH.
    pub jobs: SmallVec<[NewJob<'a>; 1]>,
    /// Whether the reply waits for the disk.
    pub sync: SyncWish,
    /// The reply is `[status, id]` per job instead of the id.
    pub status: bool,
    /// QMPUSH: the reply is an array.
    pub many: bool,
}

/// What QCLAIM and QMCLAIM have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Take<'a> {
    /// At most so many jobs, at least 1.
    pub count: u32,
    /// Length of the lease; the queue's setting when absent.
    pub lease_ms: Option<u64>,
    /// Wait until there is a job; 0 for ever, absent not at all.
    pub block_ms: Option<u64>,
    /// Only jobs of this group (which may be the empty one).
    pub group: Option<&'a [u8]>,
    /// The worker that claims.
    pub worker: Option<&'a [u8]>,
    /// The lease ends with the connection.
    pub bound: bool,
    /// Each job is followed by a map of its fields.
    pub meta: bool,
}

impl Take<'static> {
    /// One job without options: nobody waits for it, and the queue says how long its lease is.
    pub const ONE: Self = Take {
        count: 1,
        lease_ms: None,
        block_ms: None,
        group: None,
        worker: None,
        bound: false,
        meta: false,
    };
}

/// QCLAIM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim<'a> {
    /// The queue.
    pub queue: &'a [u8],
    /// How many, for how long, for whom.
    pub take: Take<'a>,
    /// Acked first.
    pub acks: Receipts,
}

/// Where a QMCLAIM looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sources<'a> {
    /// Named queues, earlier ones first.
    Queues(Vec<&'a [u8]>),
    /// Queues that match a glob and no exception, in turns.
    Match {
        /// At least one of these matches.
        globs: Vec<&'a [u8]>,
        /// None of these does.
        except: Vec<&'a [u8]>,
    },
}

/// QMCLAIM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimMany<'a> {
    /// Where to look.
    pub from: Sources<'a>,
    /// How many, for how long, for whom.
    pub take: Take<'a>,
}

/// What becomes of a nacked job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// The queue's back-off.
    Backoff,
    /// After so many milliseconds.
    Delay(u64),
    /// Not at all.
    Dead,
}

/// QNACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nack<'a> {
    /// The queue.
    pub queue: &'a [u8],
    /// The claim that failed.
    pub receipt: Receipt,
    /// What becomes of the job.
    pub retry: Retry,
    /// Why it failed; cut to `limits::ERROR_BYTES_MAX` by the parser.
    pub error: Option<&'a [u8]>,
}

/// A job's state, as options name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum State {
    /// It waits for its due time.
    Delayed,
    /// It can be claimed.
    Ready,
    /// A worker has it.
    Claimed,
    /// It is kept with its reason, and not handed out.
    Dead,
}

/// Which jobs a QLEN counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// Those in one state.
    State(State),
    /// All of them.
    All,
}

/// One job, by id or by the dedupe key that it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which<'a> {
    /// By id.
    Id(JobId),
    /// By `KEY key [GROUP g]`.
    Key {
        /// The dedupe key.
        key: &'a [u8],
        /// Its group.
        group: &'a [u8],
    },
}

/// Which jobs a QREQUEUE or a QDEL means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection<'a> {
    /// These ids.
    Ids(SmallVec<[JobId; 2]>),
    /// `DEAD [GROUP g] [COUNT n]`; QREQUEUE only.
    Dead {
        /// Only of this group.
        group: Option<&'a [u8]>,
        /// At most so many.
        count: Option<u64>,
    },
    /// `KEY key [GROUP g]`; QDEL only.
    Key {
        /// The dedupe key.
        key: &'a [u8],
        /// Its group.
        group: &'a [u8],
    },
}

/// What a QPAUSE stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// Claims wait.
    Claim,
    /// Pushes get `-PAUSED`.
    Push,
    /// Both.
    All,
}

/// What a worker says of itself; what it does not say stays as it said last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told<'a> {
    /// Of the code that does the jobs.
    pub version: Option<&'a [u8]>,
    /// Where it runs.
    pub host: Option<&'a [u8]>,
    /// Its process.
    pub pid: Option<u32>,
    /// How many jobs it does at once.
    pub slots: Option<u32>,
    /// How many it does now.
    pub jobs: Option<u32>,
    /// The groups of its slots, in words of its own.
    pub groups: Option<&'a [u8]>,
}

/// QWORKER: workers about themselves, and operators about them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkerCommand<'a> {
    /// It is alive.
    Beat {
        /// Its name.
        name: &'a [u8],
        /// What it says.
        told: Told<'a>,
    },
    /// It goes.
    Bye {
        /// Its name.
        name: &'a [u8],
        /// Only if the worker of this name runs there.
        host: Option<&'a [u8]>,
        /// Only if it is this process.
        pid: Option<u32>,
    },
    /// All of them.
    List,
    /// It is to claim nothing more.
    Quiet {
        /// Its name.
        name: &'a [u8],
    },
    /// It may claim again.
    Resume {
        /// Its name.
        name: &'a [u8],
    },
    /// It is to finish what it has, and to end.
    Stop {
        /// Its name.
        name: &'a [u8],
    },
    /// How the claims of each version ended.
    Versions {
        /// Only with queues whose name matches.
        glob: Option<&'a [u8]>,
    },
}

/// A queue command, ready for the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueCommand<'a> {
    /// QPUSH, QMPUSH.
    Push(Push<'a>),
    /// QROOT.
    Root {
        /// The queue.
        queue: &'a [u8],
        /// Signature and timestamp.
        root: RootTag<'a>,
        /// The group; empty for none.
        group: &'a [u8],
    },
    /// QCLAIM.
    Claim(Claim<'a>),
    /// QMCLAIM.
    ClaimMany(ClaimMany<'a>),
    /// QACK.
    Ack {
        /// The queue.
        queue: &'a [u8],
        /// The claims that are done.
        receipts: Receipts,
    },
    /// QNACK.
    Nack(Nack<'a>),
    /// QRELEASE.
    Release {
        /// The queue.
        queue: &'a [u8],
        /// Given back to wait so long; absent: to their place.
        delay_ms: Option<u64>,
        /// The claims that are given back.
        receipts: Receipts,
    },
    /// QEXTEND.
    Extend {
        /// The queue.
        queue: &'a [u8],
        /// The leases end so long from now.
        lease_ms: u64,
        /// The claims.
        receipts: Receipts,
    },
    /// QLEN.
    Len {
        /// The queue.
        queue: &'a [u8],
        /// What to count.
        count: Count,
        /// Only of this group.
        group: Option<&'a [u8]>,
    },
    /// QSTATS.
    Stats {
        /// The queue.
        queue: &'a [u8],
    },
    /// QLIST.
    List {
        /// Only queues whose name matches.
        glob: Option<&'a [u8]>,
    },
    /// QREADY.
    Ready {
        /// Where to go on; 0 to start.
        cursor: u64,
        /// Only queues whose name matches.
        glob: Option<&'a [u8]>,
        /// About so many pairs a call.
        count: u32,
    },
    /// QPEEK.
    Peek {
        /// The queue.
        queue: &'a [u8],
        /// Jobs in this state.
        state: State,
        /// At most so many, up to 1,000.
        count: u32,
        /// Only of this group.
        group: Option<&'a [u8]>,
    },
    /// QJOB.
    Job {
        /// The queue.
        queue: &'a [u8],
        /// Which job.
        which: Which<'a>,
    },
    /// QSCAN.
    Scan {
        /// The queue.
        queue: &'a [u8],
        /// Where to go on; 0 to start.
        cursor: u64,
        /// Only jobs in this state.
        state: Option<State>,
        /// Only of this group.
        group: Option<&'a [u8]>,
        /// About so many ids a call.
        count: u32,
    },
    /// QREQUEUE.
    Requeue {
        /// The queue.
        queue: &'a [u8],
        /// Which jobs.
        jobs: Selection<'a>,
    },
    /// QDEL.
    Del {
        /// The queue.
        queue: &'a [u8],
        /// Which jobs.
        jobs: Selection<'a>,
    },
    /// QPURGE.
    Purge {
        /// The queue.
        queue: &'a [u8],
        /// Only jobs in this state.
        state: Option<State>,
        /// Only of this group.
        group: Option<&'a [u8]>,
    },
    /// QPAUSE.
    Pause {
        /// The queue.
        queue: &'a [u8],
        /// What stops.
        what: Pause,
        /// For so long; absent: until QRESUME.
        for_ms: Option<u64>,
    },
    /// QRESUME.
    Resume {
        /// The queue.
        queue: &'a [u8],
    },
    /// QCONFIG SET: pairs of setting and value, as words; the engine's settings table reads them.
    ConfigSet {
        /// The queue.
        queue: &'a [u8],
        /// Setting and value.
        pairs: Vec<(&'a [u8], &'a [u8])>,
    },
    /// QCONFIG GET.
    ConfigGet {
        /// The queue.
        queue: &'a [u8],
        /// Only this setting.
        key: Option<&'a [u8]>,
    },
    /// QCONFIG UNSET.
    ConfigUnset {
        /// The queue.
        queue: &'a [u8],
        /// Settings that go back to the file's value or the default.
        keys: Vec<&'a [u8]>,
    },
}
