//! The task that keeps the log near the size of what lives in it.
//!
//! The oldest segment goes first, always, so that an ack can never disappear before the push that it cancels.
//! What still lives in it is written again, in bounded steps under the shards' locks, and once that is synced the
//! segment is freed. It is paced: about one byte rewritten per byte appended, unless the log is beyond its bound.

use std::sync::Arc;
use std::time::Duration;

use stanchion_engine::{ReadPayloads, Step};
use stanchion_storage::{Lsn, Segment};

use crate::hold::Hold;
use crate::lane::Lane;
use crate::limits::RECLAIM_STEP_BYTES;
use crate::server::Server;
use crate::timers::wait_for_room;

/// While records are staged the log's size is looked at this often; a few bytes of acks can turn gigabytes to
/// garbage, so their number says little.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The log may hold this many segments beyond 2.5 times what lives.
const BOUND_SEGMENTS: u64 = 4;

/// Keeps the log small for ever; asleep while nothing is staged.
pub(crate) async fn run(server: Arc<Server>) {
    let lane = server.lane().expect("reclaiming starts after recovery");
    let segment_bytes = server.config.segment_bytes;
    // A burst of one segment is free, so that a small log is reclaimed without ado.
    let mut budget = segment_bytes as i64;
    loop {
        while lane.appended_bytes() == 0 {
            lane.reclaim.notified().await;
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = many_appended(lane) => {}
        }
        budget = (budget + lane.take_appended_bytes() as i64).min(segment_bytes as i64);
        reclaim(lane, segment_bytes, &mut budget).await;
    }
}

/// Waits until so much is staged that the next look is worth it at once.
async fn many_appended(lane: &Lane) {
    while !lane.is_many(lane.appended_bytes()) {
        lane.reclaim.notified().await;
    }
}

/// Reclaims segments while there is enough garbage and the pace allows it.
async fn reclaim(lane: &Lane, segment_bytes: u64, budget: &mut i64) {
    loop {
        let sizes = Sizes { log: lane.log.bytes(), live: live_bytes(lane), segment: segment_bytes };
        if !sizes.has_garbage() || (*budget <= 0 && !sizes.is_beyond_bound()) {
            return;
        }
        let Some(segment) = last_to_free(&lane.log.sealed(), sizes.excess()) else { return };
        let rewritten = rewrite(lane, &segment, budget).await;
        #[cfg(feature = "simulation")]
        let rewritten = match lane.planted {
            Some(crate::simulation::Planted::HastyFree) => 0,
            _ => rewritten,
        };
        lane.log.free_through(segment.number, rewritten);
        // Nothing else wakes us before: if the log fails instead, the server ends.
        lane.tidings.freed.notified().await;
    }
}

/// The newest of the oldest segments that are freed together: with fewer bytes than are in excess, but at least one.
fn last_to_free(sealed: &[Segment], excess: u64) -> Option<Segment> {
    let mut bytes = 0;
    let within = sealed.iter().take_while(|segment| {
        bytes += segment.bytes;
        bytes <= excess
    });
    within.last().or(sealed.first()).copied()
}

/// Writes everything that lives up to the end of a segment again; gives the last record that it wrote.
async fn rewrite(lane: &Lane, segment: &Segment, budget: &mut i64) -> Lsn {
    let below = segment.last_lsn + 1;
    let mut last = 0;
    for index in 0..lane.shard_count() {
        loop {
            wait_for_room(lane).await;
            let step = {
                let mut hold = Hold::begin(lane, index);
                let step = hold.record(|engine, now, log| {
                    engine.reclaim(now, below, RECLAIM_STEP_BYTES, &ReadPayloads::new(), log)
                });
                last = hold.end_fairly();
                step
            };
            let (Step::More(bytes) | Step::Done(bytes)) = step;
            // Twice, because what we write counts as appended, too.
            *budget -= 2 * bytes as i64;
            tokio::task::yield_now().await;
            if matches!(step, Step::Done(_)) {
                break;
            }
        }
    }
    last
}

/// What a full snapshot would take.
fn live_bytes(lane: &Lane) -> u64 {
    (0..lane.shard_count()).map(|index| lane.shard(index).state.lock().engine.live_bytes()).sum()
}

/// What the decision to reclaim depends on, in bytes.
struct Sizes {
    log: u64,
    live: u64,
    segment: u64,
}

impl Sizes {
    /// Whether garbage is more than a third of what lives.
    fn has_garbage(&self) -> bool {
        self.excess() > 0
    }

    /// How much more garbage there is than may stay.
    fn excess(&self) -> u64 {
        self.log.saturating_sub(self.live).saturating_sub(self.live / 3)
    }

    /// Whether the log is larger than it may become.
    fn is_beyond_bound(&self) -> bool {
        self.log > self.live * 5 / 2 + BOUND_SEGMENTS * self.segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_freed_together_but_no_more_than_are_in_excess() {
        let sealed: Vec<_> =
            (1..=4).map(|number| Segment { number, first_lsn: 1, last_lsn: 1, bytes: 10 }).collect();
        for (excess, want) in [(0, 1), (10, 1), (29, 2), (30, 3), (1_000, 4)] {
            assert_eq!(last_to_free(&sealed, excess).unwrap().number, want, "{excess}");
        }
        assert!(last_to_free(&[], 10).is_none());
    }

    #[test]
    fn garbage_and_bound_are_measured_by_what_lives() {
        for (log, live, garbage, beyond) in [
            (0, 0, false, false),
            (1, 0, true, false),
            (40, 0, true, false),
            (41, 0, true, true),
            (133, 100, false, false),
            (134, 100, true, false),
            (290, 100, true, false),
            (291, 100, true, true),
        ] {
            let sizes = Sizes { log, live, segment: 10 };
            assert_eq!((sizes.has_garbage(), sizes.is_beyond_bound()), (garbage, beyond), "{log} {live}");
        }
    }
}
