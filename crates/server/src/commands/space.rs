//! What is refused while there is little space on the disk.
//!
//! Pushes, roots and settings end before the reserve, which is for what makes room: claims, acks, and everything
//! else that ends jobs or moves them on.

use stanchion_protocol::command::{Nack, NewJob, QueueCommand};
use stanchion_protocol::{CommandError, ErrorCode};
use stanchion_storage::Space;

use super::Done;
use crate::turn::Turn;

/// What a record takes beside its events: its frame, and the queue's name.
const RECORD_BYTES: u64 = 360;

/// What an event takes beside its words, at most: times, numbers and lengths.
const EVENT_BYTES: u64 = 64;

/// What a command does to the log.
enum Growth {
    /// It only reads.
    None,
    /// It makes garbage, or little: it may use the reserve.
    Reserved,
    /// So much more is kept.
    Lasting(u64),
}

/// Refuses a command for which there is no space.
#[inline]
pub(super) fn check(turn: &Turn<'_, '_>, command: &QueueCommand<'_>) -> Done {
    if let QueueCommand::Push(push) = command
        && turn.server.config.disk_budget.is_some()
    {
        check_sizes(&push.jobs, turn.lane().segment_bytes)?;
    }
    match turn.lane().log.space() {
        Space::Ample => Ok(()),
        space => weigh(turn, space, command),
    }
}

/// Refuses jobs that the reserve of a budget is too small for: it is some segments, and reclaiming writes a job that
/// lives again before it frees anything, so one that takes more than a segment might never get out of a full log. Half
/// of one leaves room for what the job has beside its payload later.
fn check_sizes(jobs: &[NewJob<'_>], segment_bytes: u64) -> Done {
    let most = segment_bytes / 2;
    match jobs.iter().map(|job| RECORD_BYTES + pushed_bytes(job)).find(|&bytes| bytes > most) {
        None => Ok(()),
        Some(bytes) => Err(CommandError::new(format!(
            "a job of {bytes} bytes in the log is above the limit of {most}, which is half of segment-bytes as there is a \
             disk-budget; push less, or raise segment-bytes"
        ))),
    }
}

#[cold]
fn weigh(turn: &Turn<'_, '_>, space: Space, command: &QueueCommand<'_>) -> Done {
    let refused = match (growth(command), space) {
        (Growth::Reserved | Growth::Lasting(_), Space::Exhausted) => {
            "disk: even what is reserved for claims and acks is used up; try again once the log was reclaimed, or free \
             some space on the disk"
                .to_owned()
        }
        (Growth::Lasting(_), Space::Full) => {
            "disk: only what is reserved for claims and acks is left; claim and ack jobs, delete some, or free some \
             space on the disk, and try again"
                .to_owned()
        }
        (Growth::Lasting(bytes), _) if !turn.lane().log.has_space_for(bytes) => format!(
            "disk: {bytes} bytes have no room beside what is reserved for claims and acks; claim and ack jobs, delete \
             some, or free some space on the disk, and try again"
        ),
        _ => return Ok(()),
    };
    Err(CommandError::with_code(ErrorCode::Full, refused))
}

fn growth(command: &QueueCommand<'_>) -> Growth {
    match command {
        QueueCommand::Push(push) => lasting(push.jobs.iter().map(pushed_bytes).sum()),
        QueueCommand::Root { root, group, .. } => lasting((root.signature.len() + group.len()) as u64),
        QueueCommand::Pause { .. } => lasting(0),
        QueueCommand::ConfigSet { pairs, .. } => {
            lasting(pairs.iter().map(|(name, words)| EVENT_BYTES + (name.len() + words.len()) as u64).sum())
        }
        QueueCommand::Claim(_)
        | QueueCommand::ClaimMany(_)
        | QueueCommand::Ack { .. }
        | QueueCommand::Nack(_)
        | QueueCommand::Release { .. }
        | QueueCommand::Extend { .. }
        | QueueCommand::Requeue { .. }
        | QueueCommand::Del { .. }
        | QueueCommand::Purge { .. }
        | QueueCommand::Resume { .. }
        | QueueCommand::ConfigUnset { .. } => Growth::Reserved,
        QueueCommand::Len { .. }
        | QueueCommand::Stats { .. }
        | QueueCommand::List { .. }
        | QueueCommand::Ready { .. }
        | QueueCommand::Peek { .. }
        | QueueCommand::Job { .. }
        | QueueCommand::Scan { .. }
        | QueueCommand::ConfigGet { .. } => Growth::None,
    }
}

fn lasting(events_bytes: u64) -> Growth {
    Growth::Lasting(RECORD_BYTES + EVENT_BYTES + events_bytes)
}

fn pushed_bytes(job: &NewJob<'_>) -> u64 {
    let key = job.dedupe.map_or(0, |dedupe| dedupe.key.len());
    let root = job.root.map_or(0, |root| root.signature.len());
    EVENT_BYTES + (job.payload.len() + job.group.len() + key + root) as u64
}

/// A nack as it is carried out: in the reserve there is no room for messages.
#[inline]
pub(super) fn within_reserve<'a>(turn: &Turn<'_, '_>, nack: &Nack<'a>) -> Nack<'a> {
    let is_dropped = nack.error.is_some() && turn.lane().log.is_disk_full();
    Nack { error: nack.error.filter(|_| !is_dropped), ..*nack }
}
