//! The engine's own limits; those on words and sizes are `stanchion_protocol::limits`.

/// Most jobs that one timer event moves, so that a hold stays short: about 1 µs each.
pub const TIMER_JOBS_MAX: usize = 1_000;

/// Most superseded or expired jobs that one claim steps over in a hold: about 0.3 µs each, so half a millisecond. Then it
/// goes on after others had their turn; in a transaction, which holds its locks throughout, it finds none.
pub const CLAIM_DROPS_MAX: usize = 2_000;

/// Claims step over nothing more once the records of a hold have so many bytes: ten thousand of them in one transaction would
/// drop more jobs than a record can tell of. The limits on a transaction's words and jobs leave room for as much.
pub const CLAIM_DROPS_RECORD_BYTES_MAX: usize = 512 * 1024;

/// Superseded jobs that are dropped in a row once what their keys need was fetched from memory: as many as stay in the
/// processor's caches meanwhile.
pub const DROP_RUN_JOBS: usize = 32;

/// Most bytes of payload that one claim hands out, unless its first job alone has more.
pub const CLAIM_BYTES_MAX: u64 = stanchion_protocol::limits::CLAIM_BYTES_MAX as u64;

/// Most jobs that one step of a sweep removes.
pub const SWEEP_JOBS_MAX: usize = 1_000;

/// Most jobs, and windows without one, that one step of a purge, of QREQUEUE DEAD, of QWORKER BYE or of a lower `dead-max` changes: about
/// 0.1 ms, since a connection does it while others of its thread wait.
pub const STEP_JOBS_MAX: usize = 200;

/// Freeing an empty queue takes about as long as freeing so many jobs.
pub const QUEUE_FREED_AS_JOBS: usize = 10;

/// Freeing 64 KiB of keys and payloads takes about as long as freeing so many jobs.
pub const STORE_CHUNK_FREED_AS_JOBS: usize = 8;

/// A payload up to so many bytes stays in memory: giving it up would free next to nothing.
pub const PAYLOAD_KEPT_BYTES: usize = 32;

/// Most queues that one step of FLUSHALL deletes, about 1 µs each.
pub const FLUSH_QUEUES_MAX: usize = 256;

/// Most slots that one step of a scan, of a purge or of QREQUEUE DEAD GROUP looks at.
pub const SCAN_SLOTS_MAX: usize = 4_096;

/// Most entries that one step of a checkpoint looks at: a tenth of a microsecond for one that it need not write.
pub const CHECKPOINT_ENTRIES_MAX: usize = 4_096;

/// Most jobs that QPEEK with GROUP looks at outside the ready ones, which alone are kept by group.
pub const PEEK_JOBS_MAX: usize = 100_000;

/// Most job notes that wait to be taken, about 2 MB of them; more are lost.
pub const NOTES_MAX: usize = 16_384;

/// Most jobs, and groups, keys and roots, that MEMORY USAGE measures; the rest is reckoned from them.
pub const MEMORY_SAMPLES: usize = 512;

/// The same for each queue of a sum over all.
pub const MEMORY_TOTAL_SAMPLES: usize = 16;

/// A queue that holds nothing is forgotten after so long.
pub const QUEUE_IDLE_MS: u64 = 60 * 60 * 1_000;

/// Versions of workers whose figures a queue keeps.
pub const QUEUE_VERSIONS_MAX: usize = 16;

/// Most queues that one step of taking a worker's jobs back looks at, about 20 ns each when it has none of theirs.
pub const WORKER_QUEUES_MAX: usize = 4_096;

/// Most queues that one step of reclaiming looks at, about 20 ns each when there is nothing to write.
pub const RECLAIM_QUEUES_MAX: u32 = 4_096;

const _: () =
    assert!(TIMER_JOBS_MAX <= SCAN_SLOTS_MAX, "a step of a scan may fire as many jobs as it looks at");
const _: () = assert!(
    stanchion_protocol::limits::COMMAND_JOBS_MAX as usize <= NOTES_MAX,
    "the notes of one command have room"
);
const _: () = assert!(SWEEP_JOBS_MAX <= CLAIM_DROPS_MAX, "a claim may do at least one sweep step's work");
