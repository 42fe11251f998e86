//! The task of a shard that fires its timers and does its background work.
//!
//! It sleeps until the shard's next deadline and is woken when a hold brings that forward; it never polls, so an
//! idle server does nothing at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::hold::Hold;
use crate::lane::Lane;
use crate::latency::Kind;
use crate::server::Server;

/// What a shard's task does next.
enum Next {
    /// Something is due.
    Tick,
    /// There is background work.
    Background,
    /// Nothing for so long.
    Sleep(Duration),
    /// Nothing, until a hold says otherwise.
    Wait,
}

/// Serves the timers of a shard for ever.
pub(crate) async fn run(server: Arc<Server>, index: usize) {
    let lane = server.lane().expect("timers start after recovery");
    // The deadlines that recovery found are not armed yet.
    Hold::begin(lane, index).end();
    loop {
        match next(lane, index) {
            Next::Tick => step(&server, lane, index, |hold| hold.tick()).await,
            Next::Background => step(&server, lane, index, |hold| hold.background()).await,
            Next::Sleep(time) => {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(time) => {}
                    () = lane.shard(index).timer.notified() => {}
                }
            }
            Next::Wait => lane.shard(index).timer.notified().await,
        }
    }
}

fn next(lane: &Lane, index: usize) -> Next {
    let (armed, background) = {
        let state = lane.shard(index).state.lock();
        (state.armed, state.background)
    };
    let now_ms = lane.clock.now_ms();
    match armed {
        Some(deadline) if deadline <= now_ms => Next::Tick,
        _ if background => Next::Background,
        Some(deadline) => Next::Sleep(Duration::from_millis(deadline - now_ms)),
        None => Next::Wait,
    }
}

/// One bounded step; then others have their turn.
async fn step(server: &Server, lane: &Lane, index: usize, work: fn(&mut Hold<'_>) -> bool) {
    wait_for_room(lane).await;
    {
        let mut hold = Hold::begin(lane, index);
        let begun = hold.begun();
        work(&mut hold);
        hold.end_fairly();
        server.latency.took(Kind::Timer, begun.elapsed());
    }
    tokio::task::yield_now().await;
}

/// Waits until the log takes more records.
pub(crate) async fn wait_for_room(lane: &Lane) {
    let wake = Arc::new(Notify::new());
    while !lane.log.has_room() && lane.log.poisoned().is_none() {
        if lane.tidings.wait_for_room(&lane.log, &wake) {
            wake.notified().await;
        }
    }
}
