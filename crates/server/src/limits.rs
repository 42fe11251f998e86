//! Everything has a limit; these are the server's, with their units.

use std::time::Duration;

/// Most threads that serve connections.
pub const THREADS_MAX: u16 = 256;

/// Most shards of a lane.
pub const SHARDS_MAX: u16 = 256;

/// Bytes of replies that a client may leave unread, unless the configuration says otherwise: four of the largest
/// claims.
pub const OUTPUT_BYTES_MAX_DEFAULT: usize = 4 * stanchion_protocol::limits::CLAIM_BYTES_MAX;

/// The smallest such limit that may be configured.
pub const OUTPUT_BYTES_MAX_MIN: usize = 1 << 20;

/// The largest.
pub const OUTPUT_BYTES_MAX_MAX: usize = 4 << 30;

/// Once so many bytes of replies wait, no further command of that client is run until some are written.
pub const OUTPUT_PAUSE_BYTES: usize = 1 << 20;

/// Once so many replies' worth of barriers wait for the disk, no further command of that client is run.
pub const BARRIERS_MAX: usize = 4_096;

/// Open files that are kept free of clients: the log, sockets that listen, what the runtime needs, and those who read
/// /health and /metrics.
pub const FILES_RESERVED: u64 = 128 + stanchion_status::limits::CONNECTIONS_MAX as u64;

/// Open files of each thread that serves connections.
pub const FILES_OF_A_THREAD: u64 = 8;

/// So many ends of connections are logged for each reason within [`DISCONNECT_LINES_TIME`]: at 200 bytes a line
/// that is less than 70 MB a day, whatever peers do.
pub const DISCONNECT_LINES_MAX: u32 = 20;

/// After so long there are lines again.
pub const DISCONNECT_LINES_TIME: Duration = Duration::from_secs(60);

/// How many probes of the system's keepalive go unanswered before a peer is given up, as in Redis.
pub const KEEPALIVE_PROBES: u32 = 3;

/// Connections that the system keeps for us until they are accepted.
pub const BACKLOG: u32 = 1_024;

/// Bytes of a Unix socket's path, as the system has it.
pub const UNIX_SOCKET_BYTES_MAX: usize = 107;

/// How many bytes one read asks for.
pub const READ_BYTES: usize = 16 << 10;

/// Behind what is there already a read may ask for less, before the buffer is made larger.
pub const READ_BYTES_MIN: usize = 4 << 10;

/// A read or write buffer above this is freed when it is empty.
pub const BUFFER_KEPT_BYTES: usize = 64 << 10;

/// Empty buffers that a thread keeps for its connections. One that reads, runs and writes needs two, and only
/// those that have to wait with something left need more.
pub const SPARE_BUFFERS_MAX: usize = 16;

/// While its commands wait (for a blocked claim, the log's room or its reader), a client may send so much more.
pub const READ_AHEAD_BYTES: usize = 256 << 10;

/// Workers that are heard at once, about 2 KiB each at most.
pub const WORKERS_MAX: usize = 10_000;

/// A worker that has said nothing for so many milliseconds is forgotten.
pub const WORKER_UNHEARD_MS: u64 = 60_000;

/// Queues that metrics tell apart, the biggest ones: their names come from whoever pushes.
pub const METRICS_QUEUES_MAX: usize = 200;

/// Versions of workers that metrics tell apart.
pub const METRICS_VERSIONS_MAX: usize = 20;

/// Queues that metrics look at under one hold of a lock.
pub const METRICS_STEP: usize = 64;

/// Once no worker is heard any more, a job that has been ready for so long waits for one.
pub const WORK_WAITS_MAX: Duration = Duration::from_secs(10);

/// A hold of a shard's lock ends after about so long.
pub const HOLD_TIME: Duration = Duration::from_millis(1);

/// So many units of work (commands, and jobs that they name) are done before a hold looks at the clock.
pub const HOLD_WORK: u32 = 128;

/// So many commands are run, or so many jobs moved by them, before replies are written and others may have their turn.
pub const TURN_UNITS: u32 = 64;

/// When a connection has done as much as it takes to read and write so many bytes, other tasks of its thread run. Nor
/// does it write more than that at once.
pub const SHARE_BYTES: usize = 64 << 10;

/// A command counts as so many bytes more, and so does each job of one with many; it takes about a microsecond.
pub const SHARE_BYTES_A_COMMAND: usize = 256;

/// After a turn of so much, counted like a share, replies leave in company: once the others that are ready had their
/// turns. Clients that send one command at a time do less.
pub const COMPANY_BYTES: usize = 2 << 10;

/// So many cheap commands of a pipeline are timed together, so that the clock is not read for each.
pub const LAP_CALLS: u32 = 32;

/// A command with more words than this is not cheap.
pub const LAP_WORDS: usize = 32;

/// The same for claims: the words behind the queue may ask for many jobs.
pub const LAP_CLAIM_WORDS: usize = 2;

/// Room for so many laps is kept when there are none.
pub const LAPS_KEPT: usize = 16;

/// Below this threshold of the slow log each command is timed by itself.
pub const TIMED_ALONE_BELOW: Duration = Duration::from_millis(1);

/// Words of a slow command that the slow log keeps, as in Redis.
pub const SLOW_WORDS_MAX: usize = 32;

/// Bytes of each of them.
pub const SLOW_WORD_BYTES_MAX: usize = 128;

/// Entries of the slow log unless the configuration says otherwise.
pub const SLOW_ENTRIES_DEFAULT: usize = 128;

/// Most that may be configured.
pub const SLOW_ENTRIES_MAX: usize = 100_000;

/// Bytes of a command's words that MONITOR shows, before they are quoted; the rest is counted.
pub const MONITOR_LINE_BYTES: usize = 1 << 20;

/// The longest DEBUG SLEEP.
pub const DEBUG_SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// The highest threshold of LATENCY, in milliseconds: a day.
pub const LATENCY_MS_MAX: u64 = 86_400_000;

/// Samples of each event that LATENCY keeps, as in Redis.
pub const LATENCY_SAMPLES: usize = 160;

/// How many bytes of the log a thread of the recovery gets at a time.
pub const REPLAY_CHUNK_BYTES: usize = 256 << 10;

/// How many such chunks wait for a thread; then the reading waits.
pub const REPLAY_CHUNKS_MAX: usize = 8;

/// Bytes of a segment that one BACKUP READ gives.
pub const BACKUP_READ_BYTES: usize = 1 << 20;

/// Once reclaiming has staged so many bytes of snapshots, they are in the file before it stages more.
pub const RECLAIM_STAGED_BYTES: u64 = 128 << 10;

/// In so many steps they are staged, each about 0.1 ms under a shard's lock.
pub const RECLAIM_STEPS: u64 = 4;

/// Bytes of the log that are reserved for each job on a full disk: a claim and an ack.
pub const RESERVE_JOB_BYTES: u64 = 96;

/// Bytes of snapshots that one step of a checkpoint takes, under the lock of a shard.
pub const CHECKPOINT_STEP_BYTES: usize = 64 << 10;

/// Bytes of a checkpoint that are gathered before they are written.
pub(crate) const CHECKPOINT_GATHER_BYTES: usize = 1 << 20;

/// A checkpoint is written when a start would read more than so many segments of the log...
pub const CHECKPOINT_AFTER_SEGMENTS: u64 = 4;

/// ...and more than so many times what it would read of the last one.
pub const CHECKPOINT_AFTER_TIMES: u64 = 4;

/// At a clean end one is written if a start would read so much without it...
pub const CHECKPOINT_END_BYTES_MIN: u64 = 1 << 20;

/// ...and so many records.
pub(crate) const CHECKPOINT_END_RECORDS_MIN: u64 = 100;

/// After a checkpoint failed, the next one is tried so much later, unless somebody asks for it.
pub(crate) const CHECKPOINT_RETRY: Duration = Duration::from_secs(60);

/// Bytes of the log that were read for payloads and are kept, unless `maxmemory` is small.
pub const PAYLOAD_CACHE_BYTES_MAX: u64 = 32 << 20;

/// Of a small `maxmemory` the cache gets one part in so many.
pub const PAYLOAD_CACHE_SHARE: u64 = 16;

/// How much of the log is read for a payload at least, with what is around it.
pub const PAYLOAD_CHUNK_BYTES: usize = 128 << 10;

/// The same when what was read before has led there: somebody goes through the log in order.
pub const PAYLOAD_CHUNK_AHEAD_BYTES: usize = 512 << 10;

/// Threads that may read payloads at once.
pub const PAYLOAD_READERS_MAX: usize = 8;

/// So many records behind a damaged one a payload is still looked for, as the base of its job may be lower than its
/// record by those that other shards wrote meanwhile.
pub const PAYLOAD_SEARCH_RECORDS: u64 = 10_000;

/// So many records that the disk can't read end the search, for each may take it seconds to find out.
pub const PAYLOAD_FAILURES_MAX: u32 = 8;

/// Payloads that one connection has read for it at once.
pub const PAYLOADS_READ_MAX: usize = 256;

/// Bytes of them, unless the first alone has more.
pub const PAYLOADS_READ_BYTES_MAX: usize = 1 << 20;

/// The smallest `maxmemory`.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// A queue keeps so many bytes of payloads in memory even when there is no room, unless there are very many queues.
pub const QUEUE_PAYLOAD_BYTES: u64 = 64 << 10;

/// But no more than one part in so many of `maxmemory`.
pub const QUEUE_PAYLOAD_SHARE: u64 = 16;

/// While jobs come and go, the memory that they take is measured this often.
pub const MEMORY_LOOK_EVERY: Duration = Duration::from_millis(100);

/// After payloads of so many bytes were freed, the memory goes back to the system: that takes one or two milliseconds.
pub const GIVE_BACK_BYTES: u64 = 16 << 20;

/// For so long the allocator is asked to: it keeps what was freed for a second.
pub const GIVE_BACK_FOR: Duration = Duration::from_millis(1_500);

/// So often, for a thread that needs memory might come first. Each time takes a quarter of a millisecond of CPU.
pub const GIVE_BACK_EVERY: Duration = Duration::from_millis(10);

/// Queues that a question about all of them looks at under one hold of a lock: about 0.1 ms.
pub const LIST_STEP: usize = 256;

/// Bytes of lines that are written at once of a reply with many; a line may go beyond that.
pub const LIST_PAGE_BYTES: usize = 32 << 10;

/// How long the process may live on after its log failed.
pub const POISONED_LIFE: Duration = Duration::from_millis(500);

/// How far the clock may run from real time to meet the wall clock, in thousandths.
pub const CLOCK_SLEW_PER_MILLE: u64 = 50;

/// How often the clock compares itself with the wall clock.
pub const CLOCK_COMPARE: Duration = Duration::from_millis(100);

/// Bytes of a client's name.
pub const CLIENT_NAME_BYTES_MAX: usize = 255;

/// Remembered receipts of BOUND claims beyond which the finished ones are looked for and forgotten.
pub const BOUND_SWEEP: usize = 1_024;

/// Most queues that one connection may watch.
pub const WATCHED_MAX: usize = 10_000;

/// Most job events of a shard that wait to be published; more are lost.
pub const JOB_EVENTS_MAX: usize = 65_536;

/// Bytes of a channel's name, or a pattern's.
pub const CHANNEL_BYTES_MAX: usize = 1_024;

/// Most channels and patterns that one connection may listen to.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Bytes of messages that a client may leave unread before its connection ends: Redis's default for subscribers.
pub const MAIL_BYTES_MAX: usize = 32 << 20;

/// The same, when it does so for longer than [`MAIL_SOFT_TIME`].
pub const MAIL_SOFT_BYTES_MAX: usize = 8 << 20;

/// For how long a client may be above [`MAIL_SOFT_BYTES_MAX`].
pub const MAIL_SOFT_TIME: Duration = Duration::from_secs(60);

/// Bytes of messages beyond which those that may get lost do.
pub const MAIL_LOSSY_BYTES_MAX: usize = 4 << 20;

/// What a message costs beside its bytes, so that empty ones are bounded, too.
pub const MAIL_OVERHEAD_BYTES: usize = 64;

/// Room for so many messages is kept when there are none.
pub const MAIL_KEPT: usize = 64;

/// Users that there may be.
pub const USERS_MAX: usize = 10_000;

/// Bytes of a user's name.
pub const USER_NAME_BYTES_MAX: usize = 255;

/// Bytes of a user's line in the ACL file, with all of its rules.
pub const USER_BYTES_MAX: usize = 1 << 20;

/// Bytes of the ACL file.
pub const ACL_FILE_BYTES_MAX: u64 = 16 << 20;

/// How many problems of an ACL file are told.
pub const ACL_FILE_PROBLEMS_SHOWN: usize = 10;

/// Bytes of a password: a longer one is wrong without being hashed.
pub const PASSWORD_BYTES_MAX: usize = 4 << 10;

/// Entries of ACL LOG: Redis's default.
pub const ACL_LOG_ENTRIES_MAX: usize = 128;

/// How many of them ACL LOG shows when nobody says how many, as in Redis.
pub const ACL_LOG_ENTRIES_DEFAULT: usize = 10;

/// Bits of a password of ACL GENPASS, unless somebody says how many.
pub const GENPASS_BITS_DEFAULT: usize = 256;

/// The most bits of such a password, as in Redis.
pub const GENPASS_BITS_MAX: usize = 4_096;

/// Bytes that an entry of ACL LOG keeps of a key, a channel or a name.
pub const ACL_LOG_TEXT_BYTES_MAX: usize = 1 << 10;

const _: () = assert!(MAIL_LOSSY_BYTES_MAX <= MAIL_SOFT_BYTES_MAX && MAIL_SOFT_BYTES_MAX <= MAIL_BYTES_MAX);
const _: () =
    assert!(OUTPUT_PAUSE_BYTES <= OUTPUT_BYTES_MAX_MIN, "a client is paused before it is disconnected");
const _: () = assert!(GENPASS_BITS_MAX / 4 <= PASSWORD_BYTES_MAX, "a generated password can be used");
const _: () = assert!(READ_BYTES <= READ_AHEAD_BYTES);
const _: () = assert!(LIST_PAGE_BYTES <= SHARE_BYTES, "a page is written at once");
const _: () = assert!(PAYLOAD_CHUNK_AHEAD_BYTES as u64 * 8 <= PAYLOAD_CACHE_BYTES_MAX, "several are cached");
const _: () = assert!(QUEUE_PAYLOAD_BYTES <= MEMORY_BYTES_MIN / QUEUE_PAYLOAD_SHARE);
const _: () = assert!(PAYLOAD_CHUNK_BYTES <= PAYLOAD_CHUNK_AHEAD_BYTES);
const _: () = assert!(READ_BYTES_MIN <= READ_BYTES && READ_BYTES <= BUFFER_KEPT_BYTES);
