//! The task that keeps the log near the size of what lives in it.
//!
//! The oldest segment goes first, always, so that an ack can never disappear before the push that it cancels.
//! What still lives in it is written again, in bounded steps under the shards' locks, and once that is synced the
//! segment is freed. Some steps are in the file before the next ones begin, so that a push that waits for the disk waits
//! for no more of them.

use std::sync::Arc;
use std::time::Duration;

use stanchion_engine::{ReadPayloads, Step};
use stanchion_storage::{Lsn, Segment};

use crate::claims;
use crate::hold::Hold;
use crate::holes::Hole;
use crate::lane::Lane;
use crate::limits::{RECLAIM_STAGED_BYTES, RECLAIM_STEPS};
use crate::pace::{Pace, SMALL_PART, Sizes};
use crate::payloads::{self, Read};
use crate::server::Server;
use crate::timers::wait_for_room;
use crate::waiter::Name;

/// While records are staged the log's size is looked at this often; a few bytes of acks can turn gigabytes to
/// garbage, so their number says little.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A step that could do nothing is tried again after this, unless the log's writer gets on before.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A payload that could not be read is tried again after this.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// A payload that the disk failed to read so often is lost, or the log would grow for ever behind it.
const FAILED_READS_MAX: u32 = 60;

/// Keeps the log small for ever; asleep while nothing is staged.
pub(crate) async fn run(server: Arc<Server>) {
    let lane = server.lane().expect("reclaiming starts after recovery");
    let mut reclaiming = Reclaiming::new(lane, server.config.segment_bytes);
    loop {
        reclaiming.go_on(lane).await;
        tokio::select! {
            biased;
            () = something_appended(lane) => {}
            () = lane.tidings.space.notified() => continue,
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = many_appended(lane) => {}
            () = lane.tidings.space.notified() => {}
        }
        lane.checkpoints.look();
    }
}

async fn something_appended(lane: &Lane) {
    while lane.appended_bytes() == 0 {
        lane.reclaim.notified().await;
    }
}

/// Waits until so much is staged that the next look is worth it at once.
async fn many_appended(lane: &Lane) {
    while !lane.is_many(lane.appended_bytes()) {
        lane.reclaim.notified().await;
    }
}

/// The reclaiming of a lane, between its steps.
pub(crate) struct Reclaiming {
    pace: Pace,
    step_bytes: usize,
    /// So much may be staged that is not in the file.
    staged_bytes_max: u64,
    /// What is being written again.
    pass: Option<Pass>,
}

/// The writing again of everything that lives up to the end of a segment.
struct Pass {
    segment: Segment,
    /// The shard whose turn it is.
    shard: usize,
    /// The last record that was written.
    last: Lsn,
    /// How much was written.
    rewritten: u64,
    /// How much of that was staged since it was waited for.
    staged: u64,
    /// How often in a row the disk failed to read what is to be written.
    failed_reads: u32,
    /// How much is freed for it.
    frees: u64,
    /// How large everything was when it began.
    began: Sizes,
}

impl Reclaiming {
    pub(crate) fn new(lane: &Lane, segment_bytes: u64) -> Reclaiming {
        // It must not be too large for the rest of a small segment.
        let staged_bytes_max = RECLAIM_STAGED_BYTES.min(segment_bytes / 8);
        let step_bytes = (staged_bytes_max / RECLAIM_STEPS) as usize;
        Reclaiming {
            pace: Pace::new(segment_bytes, sizes(lane).live),
            step_bytes,
            staged_bytes_max,
            pass: None,
        }
    }

    /// Reclaims segments while there is enough garbage and the pace allows it.
    pub(crate) async fn go_on(&mut self, lane: &Lane) {
        #[cfg(feature = "simulation")]
        if lane.planted == Some(crate::simulation::Planted::KeptSegments) {
            lane.take_appended_bytes();
            return;
        }
        loop {
            let sizes = sizes(lane);
            self.pace.appended(lane.take_appended_bytes(), sizes.live);
            if self.pass.is_none() && self.pace.may_begin(sizes) {
                let sealed = lane.log.sealed();
                self.pass =
                    self.pace.last_to_free(&sealed, sizes).map(|segment| Pass::new(segment, &sealed, sizes));
            }
            let Some(pass) = &mut self.pass else { return };
            if !self.pace.may_go_on(sizes) {
                return;
            }
            let below = pass.segment.last_lsn + 1;
            let read = pass.read_payloads(lane, below, self.step_bytes).await;
            wait_for_room(lane).await;
            let shard = pass.shard;
            let rewritten = pass.step(lane, self.step_bytes, &read);
            self.pace.rewrote(rewritten);
            if rewritten == 0 && pass.shard == shard {
                // A payload that it needs is not written yet, and on a full disk that may take long.
                _ = tokio::time::timeout(LOOK_AGAIN, lane.tidings.wrote.notified()).await;
            }
            if pass.shard < lane.shard_count() {
                tokio::task::yield_now().await;
                if pass.staged >= self.staged_bytes_max {
                    pass.staged = 0;
                    wait_written(lane, pass.last).await;
                }
                continue;
            }
            #[cfg(feature = "simulation")]
            if lane.planted == Some(crate::simulation::Planted::HastyFree) {
                pass.last = 0;
            }
            lane.log.free_through(pass.segment.number, pass.last);
            self.pace.passed(pass.began, pass.frees, pass.rewritten);
            self.pass = None;
            // Nothing else wakes us before: if the log fails instead, the server ends.
            lane.tidings.freed.notified().await;
        }
    }
}

impl Pass {
    fn new(segment: Segment, sealed: &[Segment], began: Sizes) -> Pass {
        let freed = sealed.iter().take_while(|freed| freed.number <= segment.number);
        let frees = freed.map(|freed| freed.bytes).sum();
        Pass { segment, shard: 0, last: 0, rewritten: 0, staged: 0, failed_reads: 0, frees, began }
    }

    /// Reads the payloads of the next step that are only in the log, while the shard's lock is free. A job whose payload
    /// is damaged is dead from then on; a disk that fails to read one has a minute to get well.
    async fn read_payloads(&mut self, lane: &Lane, below: Lsn, bytes: usize) -> ReadPayloads {
        let mut wanted = Vec::new();
        lane.shard(self.shard).state.lock().engine.reclaim_reads(below, bytes, &mut |queue, payload| {
            wanted.push(Hole { at: 0, queue: Name::from_slice(queue), payload });
        });
        let mut payloads = ReadPayloads::new();
        if wanted.is_empty() {
            return payloads;
        }
        let read = payloads::read_all(lane, wanted.iter().map(|hole| hole.payload).collect()).await;
        let together = read.bytes;
        let mut waits_for = None;
        for (hole, read) in wanted.into_iter().zip(read.each) {
            match read {
                Read::Bytes(place) => {
                    payloads.insert(hole.payload, together[place].into());
                }
                Read::Failed(why) if self.failed_reads < FAILED_READS_MAX => waits_for = Some((why, 1)),
                Read::Unreadable(why) | Read::Failed(why) => {
                    claims::find_again(lane, &hole, &why);
                }
                Read::Refused(why) => waits_for = Some((why, 0)),
                // It has another base by now, or is written a moment later: the step stops there and comes again.
                Read::Gone | Read::Early(_) => {}
            }
        }
        match waits_for {
            Some((why, failed)) => {
                tracing::warn!(why, "a payload can't be read: reclaiming waits");
                self.failed_reads += failed;
                tokio::time::sleep(READ_AGAIN).await;
            }
            None => self.failed_reads = 0,
        }
        payloads
    }

    /// Writes some of what lives again; how many bytes of log.
    fn step(&mut self, lane: &Lane, step_bytes: usize, read: &ReadPayloads) -> u64 {
        let below = self.segment.last_lsn + 1;
        let mut hold = Hold::begin(lane, self.shard);
        let step = hold.record(|engine, now, log| engine.reclaim(now, below, step_bytes, read, log));
        let rewritten;
        (self.last, rewritten) = hold.end_rewriting();
        if matches!(step, Step::Done(_)) {
            self.shard += 1;
        }
        self.rewritten += rewritten;
        self.staged += rewritten;
        rewritten
    }
}

/// Waits until a record is in the file.
async fn wait_written(lane: &Lane, lsn: Lsn) {
    while lane.log.written() < lsn && lane.log.poisoned().is_none() {
        lane.tidings.wrote.notified().await;
    }
}

/// How large everything is.
fn sizes(lane: &Lane) -> Sizes {
    let small_segments = lane.log.sealed_below(lane.segment_bytes / SMALL_PART) as u64;
    Sizes { live: lane.take_stock(), log: lane.log.bytes(), small_segments, space: lane.log.space() }
}

#[cfg(test)]
mod tests;
