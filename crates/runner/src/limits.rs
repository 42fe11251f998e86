//! The runner's limits, each with its unit.

use std::time::Duration;

/// Slots of one group. The server hands out at most 10,000 jobs a claim.
pub const SLOTS_MAX: u32 = 10_000;
/// Names of queues and of the runner, as the server limits them.
pub const NAME_BYTES_MAX: usize = 255;
/// Any duration in the file.
pub const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The lease when the file says nothing.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// Shorter ones would be extended so often that a slow server loses jobs.
pub const LEASE_MIN: Duration = Duration::from_secs(1);
/// A lease is extended this many times before it would end.
pub const EXTENDS_PER_LEASE: u32 = 3;

/// How often the runner tells the server that it is alive: the server forgets it after 60 s, and it does within
/// this time what the server's operators want.
pub const BEAT_EVERY: Duration = Duration::from_secs(5);
/// What of the groups' names goes with each beat, as the server limits it.
pub const BEAT_GROUPS_BYTES_MAX: usize = 1_024;
/// How long the server may take to hear the runner's goodbye.
pub const BYE_MAX: Duration = Duration::from_secs(2);

/// How long jobs may run on when stopping, when the file says nothing.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(30);
/// How long a stopped claim's reply is waited for before its socket is closed.
pub const UNBLOCK_WAIT: Duration = Duration::from_secs(2);
/// How long reports are tried at the very end, when nothing runs any more.
pub const LAST_REPORTS_MAX: Duration = Duration::from_secs(5);

/// A claim asks again after this long without a job. The server answers as soon as there is one; this only
/// bounds how long a connection whose other end vanished goes unnoticed.
pub const CLAIM_BLOCK: Duration = Duration::from_secs(60);

/// One round of claims is over after this long, whatever the server does: each of up to four connects, asks and is
/// answered or given up in time.
pub const ROUND_MAX: Duration = Duration::from_secs(4 * 45 + 60);

/// A job's time when the file says nothing.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3_600);
/// Shorter timeouts would kill every process before its first instruction.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// From SIGTERM to SIGKILL, when the file says nothing.
pub const KILL_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// How long output is read on after a job's processes are gone; only one that left its process group holds it open.
pub const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// The end of a failed job's output that is kept: what a QNACK keeps.
pub const ERROR_BYTES_MAX: usize = 4_096;
/// How often the server is asked where jobs are ready, when the file says nothing.
pub const POLL_DEFAULT: Duration = Duration::from_secs(1);
/// More often is no news.
pub const POLL_MIN: Duration = Duration::from_millis(100);
/// More seldom and jobs wait for nothing.
pub const POLL_MAX: Duration = Duration::from_secs(60);

/// With less memory no program starts.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// A killed worker that is still there, because it waits for a disk, is killed again after this long.
pub const KILL_AGAIN: Duration = Duration::from_secs(1);

/// Jobs that a worker may have at once.
pub const BATCH_MAX: u32 = 1_000;
/// Jobs that a worker may have in its life.
pub const WORKER_JOBS_MAX: u64 = 1_000_000_000;
/// The line in front of a worker's answer.
pub const ANSWER_LINE_BYTES_MAX: usize = 4_096;

/// How long a connection to a job's url may take; then the job is given back.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A connection without a request is closed after this long: before the five seconds after which many servers
/// close it, because a request that meets such an end may have been heard or not.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(4);
/// How much of an answer is read. From a longer one over HTTP the connection can't be used again; a worker that
/// writes a longer one breaks the framing.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bounds of the pause that an answer asks for with `Retry-After`.
pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// See [`RETRY_AFTER_MIN`].
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// First pause of released jobs when they don't say for how long.
pub const RELEASE_PAUSE_MIN: Duration = Duration::from_secs(5);
/// Longest such pause.
pub const RELEASE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Queues that metrics tell apart: their names come from whoever pushes.
pub const QUEUES_COUNTED_MAX: usize = 200;
/// Work that waits this long while slots are free is a reason for alarm.
pub const WORK_WAITS_MAX: Duration = Duration::from_secs(60);
/// How long the server may take to answer when somebody asks for the runner's health.
pub const HEALTH_ANSWER_MAX: Duration = Duration::from_secs(2);
/// How much later than promised a loop may turn, or a job end, on a busy machine.
pub const PULSE_GRACE: Duration = Duration::from_secs(30);

/// The name of a schedule; with a time it is a dedupe key, which has [`NAME_BYTES_MAX`].
pub const SCHEDULE_NAME_BYTES_MAX: usize = 200;
/// A schedule whose missed times are left out is pushed up to this long after its time.
pub const TICK_LATE_MAX: Duration = Duration::from_secs(60);
/// By how much the clocks of two runners may differ without a job being pushed twice.
pub const TICK_CLOCK_SKEW_MAX: Duration = Duration::from_secs(600);
/// How often the wall clock is looked at while a schedule waits: it may be set at any time.
pub const WALL_CLOCK_LOOK: Duration = Duration::from_secs(30);

const _: () = assert!(RELEASE_PAUSE_MIN.as_millis() <= RELEASE_PAUSE_MAX.as_millis());
const _: () = assert!(RETRY_AFTER_MIN.as_millis() <= RETRY_AFTER_MAX.as_millis());
const _: () = assert!(ERROR_BYTES_MAX <= ANSWER_BYTES_MAX);
const _: () = assert!(LEASE_MIN.as_millis() <= LEASE_DEFAULT.as_millis());
const _: () = assert!(EXTENDS_PER_LEASE >= 2, "one lost extend must not lose the job");
