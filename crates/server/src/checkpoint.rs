//! The task that writes checkpoints, so that the next start need not read the whole log.
//!
//! It goes through the shards in bounded steps under their locks, and writes what it gathers to a file beside the
//! log. One is written when a start would read too much otherwise, at a clean end, and when SAVE or BGSAVE asks.
//! It takes its time unless somebody waits for it, and it stops rather than take space that the log may need.

mod status;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use stanchion_engine::{Checkpoint, Step};
use stanchion_storage::{
    CheckpointStart, CheckpointWriter, Lsn, NONCE_BYTES, Records, Space, WrittenCheckpoint,
};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;

use crate::hold::Hold;
use crate::lane::{EVENTS, Lane};
use crate::limits::{
    CHECKPOINT_AFTER_SEGMENTS, CHECKPOINT_AFTER_TIMES, CHECKPOINT_END_BYTES_MIN, CHECKPOINT_END_RECORDS_MIN,
    CHECKPOINT_GATHER_BYTES, CHECKPOINT_RETRY, CHECKPOINT_STEP_BYTES,
};
use crate::server::Server;

pub(crate) use status::Checkpoints;

/// Between two steps of one that nobody waits for: others get the processor, and the disk is not flooded.
const REST: Duration = Duration::from_millis(1);

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error("the disk is full")]
    Full,
    #[error("the log failed")]
    Poisoned,
    #[error("the log was reclaimed past its beginning meanwhile")]
    Overtaken,
    #[error("its file cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// What a step has left for the file.
struct Frame {
    lsn: Lsn,
    shard: u16,
    body: Vec<u8>,
}

/// Writes checkpoints for ever; asleep while nothing is staged.
pub(crate) async fn run(server: Arc<Server>) {
    let lane = server.lane().expect("checkpoints are written after recovery");
    loop {
        while !lane.checkpoints.is_asked() && !is_due(lane) {
            lane.checkpoints.wanted.notified().await;
        }
        if write(lane).await.is_err() {
            // Whoever asks is answered at once; else there may be room later.
            tokio::select! {
                biased;
                () = tokio::time::sleep(CHECKPOINT_RETRY) => {}
                () = lane.checkpoints.asked() => {}
            }
        }
    }
}

/// A last checkpoint at a clean end, if it saves the next start anything or is asked for.
pub(crate) async fn end(server: &Server) {
    let Some(lane) = server.lane() else { return };
    let status = &lane.checkpoints;
    let from = status.newest_from();
    let is_worth_it = replay_bytes(lane) >= CHECKPOINT_END_BYTES_MIN
        && lane.log.next_lsn() - from >= CHECKPOINT_END_RECORDS_MIN;
    if status.is_unwanted() || !(is_worth_it || status.is_asked()) {
        return;
    }
    status.hurry(u64::MAX);
    tokio::select! {
        biased;
        // Its own outcome is in the log.
        _ = write(lane) => {}
        () = server.lifecycle.reached(crate::lifecycle::Phase::Hurrying) => {}
    }
}

/// What a start would read of the log, about.
pub(crate) fn replay_bytes(lane: &Lane) -> u64 {
    let (from, before_bytes) = lane.checkpoints.newest();
    if is_overtaken(lane, from) {
        lane.log.bytes()
    } else {
        lane.log.bytes_from(from).saturating_sub(before_bytes)
    }
}

fn is_due(lane: &Lane) -> bool {
    let least = CHECKPOINT_AFTER_SEGMENTS * lane.segment_bytes;
    replay_bytes(lane) > least.max(CHECKPOINT_AFTER_TIMES * lane.checkpoints.newest_bytes())
}

/// Whether the log does not go back to where a checkpoint begins.
fn is_overtaken(lane: &Lane, from: Lsn) -> bool {
    lane.log.oldest_sealed().is_some_and(|oldest| from < oldest.first_lsn)
}

/// Writes a checkpoint, and says how that went.
async fn write(lane: &Lane) -> Result<(), CheckpointError> {
    let begun = lane.checkpoints.begin();
    let written = write_file(lane).await;
    let took = begun.elapsed();
    match &written {
        Ok((written, _)) => tracing::info!(
            from = written.from,
            bytes = written.bytes,
            elapsed_ms = took.as_millis() as u64,
            "wrote a checkpoint; the next start reads the log from there"
        ),
        Err(error) => tracing::warn!(
            %error, "no checkpoint was written; nothing is lost, but the next start reads more of the log"
        ),
    }
    let (outcome, result) = match written {
        Ok(written) => (Ok(written), Ok(())),
        Err(error) => (Err(error.to_string()), Err(error)),
    };
    lane.checkpoints.end(outcome, took, lane.clock.now_ms());
    result
}

/// The file of a checkpoint, and how many bytes its first segment has before it.
async fn write_file(lane: &Lane) -> Result<(WrittenCheckpoint, u64), CheckpointError> {
    check(lane)?;
    if !lane.log.has_space_for(lane.checkpoints.newest_bytes()) {
        return Err(CheckpointError::Full);
    }
    let nonce = draw_nonce(lane);
    let sealed_bytes: u64 = lane.log.sealed().iter().map(|segment| segment.bytes).sum();
    let before_bytes = lane.log.bytes().saturating_sub(sealed_bytes);
    let from = stage_mark(lane, nonce);
    let start = CheckpointStart { from, shards: lane.shard_count() as u16, nonce };
    let log = lane.log.clone();
    let mut writer = on_disk(move || log.begin_checkpoint(start)).await?;
    for index in 0..lane.shard_count() {
        writer = write_shard(lane, index, from, writer).await?;
    }
    let through = stage_mark(lane, nonce);
    wait_durable(lane, through).await?;
    if is_overtaken(lane, from) {
        return Err(CheckpointError::Overtaken);
    }
    Ok((on_disk(move || writer.finish(through)).await?, before_bytes))
}

/// Writes the frames of a shard.
async fn write_shard(
    lane: &Lane,
    index: usize,
    from: Lsn,
    mut writer: CheckpointWriter,
) -> Result<CheckpointWriter, CheckpointError> {
    let mut checkpoint = Checkpoint::begin(from);
    let mut gathered = Vec::new();
    let mut gathered_bytes = 0;
    loop {
        check(lane)?;
        let mut body = Vec::new();
        let (lsn, step) = {
            let mut hold = Hold::begin(lane, index);
            let step = hold.look(|engine, now| {
                engine.checkpoint(now, &mut checkpoint, CHECKPOINT_STEP_BYTES, &mut body)
            });
            let lsn = hold.base();
            hold.end_fairly();
            (lsn, step)
        };
        let done = matches!(step, Step::Done(_));
        if !body.is_empty() {
            gathered_bytes += body.len();
            gathered.push(Frame { lsn, shard: index as u16, body });
        }
        if gathered_bytes >= CHECKPOINT_GATHER_BYTES || done {
            gathered_bytes = 0;
            let frames = std::mem::take(&mut gathered);
            writer = on_disk(move || write_frames(writer, frames)).await?;
        }
        if done {
            return Ok(writer);
        }
        if lane.checkpoints.is_hurried() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(REST).await;
        }
    }
}

fn write_frames(mut writer: CheckpointWriter, frames: Vec<Frame>) -> io::Result<CheckpointWriter> {
    for frame in frames {
        writer.frame(frame.lsn, frame.shard, EVENTS, &frame.body)?;
    }
    Ok(writer)
}

/// Whether it may go on.
fn check(lane: &Lane) -> Result<(), CheckpointError> {
    if lane.log.poisoned().is_some() {
        return Err(CheckpointError::Poisoned);
    }
    // What is left, or near that, is for those who make room.
    if lane.log.space() > Space::Ample {
        return Err(CheckpointError::Full);
    }
    Ok(())
}

/// Stages a record by which a checkpoint knows its log.
fn stage_mark(lane: &Lane, nonce: [u8; NONCE_BYTES]) -> Lsn {
    let mut records = Records::new();
    Checkpoint::mark(nonce, records.begin(0, EVENTS));
    records.end();
    let bytes = records.len_bytes() as u64;
    let lsn = lane.log.stage(&mut records).last;
    lane.appended(bytes);
    lsn
}

/// Waits until the log is on the disk up to a record.
async fn wait_durable(lane: &Lane, lsn: Lsn) -> Result<(), CheckpointError> {
    lane.log.sync_to(lsn);
    let wake = Arc::new(Notify::new());
    while lane.tidings.durable.wait(lsn, &wake) {
        // After entering the list, whose members a failure wakes.
        if lane.log.poisoned().is_some() {
            return Err(CheckpointError::Poisoned);
        }
        wake.notified().await;
    }
    Ok(())
}

fn draw_nonce(lane: &Lane) -> [u8; NONCE_BYTES] {
    let mut hold = Hold::begin(lane, 0);
    let mut nonce = [0; NONCE_BYTES];
    for bytes in nonce.chunks_exact_mut(size_of::<u64>()) {
        bytes.copy_from_slice(&hold.draw().to_le_bytes());
    }
    hold.end();
    nonce
}

/// Does what may wait for the disk where that holds up nobody. A runtime of one thread has no other, and does it
/// at once: that is a test's, which wants no surprises.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
