//! Everything has a limit; these are the log's, with their units.

use std::time::Duration;

use crate::record::{BATCH_BYTES, RECORD_HEADER_BYTES};
use crate::segment::SEGMENT_HEADER_BYTES;

/// The largest body of a record. One command or one EXEC may carry 32 MiB of arguments, and its events add
/// ids, instants and settings: at most 10,000 jobs of some hundred bytes each, and half a MiB of those that its claims
/// step over.
pub const RECORD_BODY_BYTES_MAX: usize = 36 * 1024 * 1024;

/// The largest record, with its header.
pub const RECORD_BYTES_MAX: usize = RECORD_HEADER_BYTES + RECORD_BODY_BYTES_MAX;

/// Small changes in a row share a record until it is so long: what a disk loses when it loses something is a page, and
/// a longer record would lose more with it.
pub const RECORD_SHARED_BYTES: usize = 4096;

/// The size of a segment unless the configuration says otherwise: twice the largest record, so that at most
/// half of a segment is left unused at its end, and a little for the headers.
pub const SEGMENT_BYTES_DEFAULT: u64 = 72 * 1024 * 1024 + 4096;

/// The smallest size of a segment that a configuration may ask for. A record (or, at recovery, a tail) that
/// does not fit gets a larger segment of its own.
pub const SEGMENT_BYTES_MIN: u64 = 4096;

/// How much may be staged and not yet taken by the writer before [`crate::Log::has_room`] says no.
/// Small enough that the buffers stay in the cache of a busy machine and are not cleared page by page.
pub const STAGED_BYTES_MAX_DEFAULT: usize = 4 * 1024 * 1024;

/// How many unused segments are kept for the next ones while there is plenty of space: more than are allocated
/// ahead, or those that are freed would be deleted and others made. More are deleted, which takes the writer some 25 ms
/// each, so those that a million small jobs leave are kept.
pub(crate) const SPARE_SEGMENTS_MAX: usize = SEGMENTS_AHEAD + 4;

/// How long the writer lets records gather when nobody waits for them (all policies but `always`).
pub(crate) const GATHER_TIME: Duration = Duration::from_millis(2);

/// How many staged bytes end the gathering early.
pub(crate) const GATHER_BYTES: usize = 256 * 1024;

/// How much the writer lets gather that nobody asked to be synced, where the policy leaves that to it: so much is on the
/// disk in a few milliseconds, while staging takes what comes. A whole segment at its end takes tens of them, in which
/// staging fills and pushes wait. With less, what a sync costs by itself would tell.
pub(crate) const UNSYNCED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long the writer waits before it asks a full disk for the next segment again.
pub(crate) const DISK_FULL_RETRY: Duration = Duration::from_millis(500);

/// How often at most the writer asks the file system for its free space while it writes.
pub(crate) const SPACE_LOOK: Duration = Duration::from_millis(100);

/// How many segments are reserved on a disk that is almost full: one and a bit for reclaiming, which writes before
/// it frees, one that a restart begins with, and the rest for claims and acks.
pub const RESERVE_SEGMENTS: u64 = 3;

/// How many segments are allocated ahead while there is plenty of space.
pub(crate) const SEGMENTS_AHEAD: usize = 2;

/// The fewest segments that a budget must have room for: the reserve, the one that is being written, and one that
/// is full.
pub const BUDGET_SEGMENTS_MIN: u64 = RESERVE_SEGMENTS + 2;

/// How much is written ahead of the records that are synced, in a file that was not written before. More would make
/// the sync that it goes with slow; with less there are more of them.
pub(crate) const AHEAD_BYTES: u64 = 256 * 1024;

/// How much unused space of an old segment is worth giving back, or an eighth of it.
pub(crate) const TRUNCATE_BYTES_MIN: u64 = 4096;

/// A reader of an open log finds a place to begin within about so many bytes before its record. At 16 bytes a
/// place, a log of 20 GB has 5 MB of them.
pub(crate) const MILESTONE_BYTES: u64 = 64 * 1024;

/// How much a reader of an open log reads at first; each next piece is twice as large, up to [`READ_BYTES`].
pub(crate) const READ_FIRST_BYTES: usize = 64 * 1024;

/// How much a reader reads at first after the disk failed to.
pub(crate) const READ_CAREFULLY_BYTES: usize = 4 * 1024;

/// A snapshot that nobody reads for so long no longer keeps segments from being freed.
pub(crate) const SNAPSHOT_IDLE_MAX: Duration = Duration::from_secs(60);

/// How many segments are kept open for reading.
pub(crate) const READ_HANDLES_MAX: usize = 16;

/// How much of a checkpoint is gathered before it is written.
pub(crate) const CHECKPOINT_WRITE_BYTES: usize = 1024 * 1024;

/// How much of a checkpoint may be written and not synced, so that no sync of it takes long.
pub(crate) const CHECKPOINT_UNSYNCED_BYTES: u64 = 8 * 1024 * 1024;

/// By how much a checkpoint's file grows at a time.
pub(crate) const CHECKPOINT_GROW_BYTES: u64 = 16 * 1024 * 1024;

/// After so many bytes recovery says how far it is.
pub(crate) const PROGRESS_BYTES: u64 = 256 * 1024;

/// How much of a segment recovery reads at a time.
pub(crate) const READ_BYTES: usize = 1024 * 1024;

const _: () = assert!(
    SEGMENT_BYTES_DEFAULT >= 2 * RECORD_BYTES_MAX as u64 + (SEGMENT_HEADER_BYTES + BATCH_BYTES) as u64,
    "a segment holds at least twice the largest record"
);
const _: () = assert!(
    UNSYNCED_BYTES_MAX <= STAGED_BYTES_MAX_DEFAULT as u64,
    "a sync takes no longer than staging needs to fill"
);
const _: () = assert!(READ_FIRST_BYTES <= READ_BYTES);
const _: () = assert!(SEGMENT_BYTES_MIN > (SEGMENT_HEADER_BYTES + 2 * BATCH_BYTES) as u64);
const _: () = assert!(RECORD_BODY_BYTES_MAX <= u32::MAX as usize, "a length is 32 bits wide");
