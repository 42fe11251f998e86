//! The end of every run: the queues are drained by a client that does nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_storage::simulation::Random;

use crate::ask::{Ask, Claim, ClaimBy, Serial};
use crate::client::Client;
use crate::wire::{Reply, encode};
use crate::world::World;

/// After so many rounds without a job, each longer than the one before, every delay and every lease is over.
const ROUNDS_MAX: u32 = 300;

/// After so long without commands the log is as small as it gets.
const REST: Duration = Duration::from_secs(10);

/// What a record takes at most beside the request that led to it.
const RECORD_BYTES: u64 = 4_096;

/// The first pause between two rounds.
const PAUSE: Duration = Duration::from_millis(50);

/// The seat of the client that drains.
const SEAT: usize = 0;

/// Drains all queues, and has the judge account for every job.
pub(crate) async fn drain(world: &Arc<World>, random: &mut Random) {
    if let Err(problem) = try_drain(world, random).await {
        world.fail(problem);
    }
}

async fn try_drain(world: &Arc<World>, random: &mut Random) -> Result<(), String> {
    let gone = || "the server is gone without a reason".to_owned();
    let mut client = Client::connect(world, SEAT, 60_000).await.ok_or_else(gone)?;
    let queues = 0..world.plan.queues.len();
    // Receipts from before the crash: some are live yet, and those that are not must be refused.
    for seat in 0..=world.plan.clients as usize {
        for held in world.seat(seat, |seat| std::mem::take(&mut seat.held)) {
            if random.one_in(3) {
                let ask = Ask::Ack { queue: held.queue, held: vec![held] };
                call(&mut client, ask).await.ok_or_else(gone)?;
            }
        }
    }
    for queue in queues.clone() {
        call(&mut client, Ask::Get { queue }).await.ok_or_else(gone)?;
        call(&mut client, Ask::Resume { queue }).await.ok_or_else(gone)?;
    }
    empty(world, &mut client).await?;
    if random.one_in(2) {
        for queue in queues.clone() {
            call(&mut client, Ask::RequeueDead { queue }).await.ok_or_else(gone)?;
        }
        empty(world, &mut client).await?;
    }
    let mut dead = BTreeSet::new();
    for queue in queues {
        dead.extend(dead_of(world, &mut client, queue).await?);
    }
    let now_ms = world.now_ms();
    world.oracle(|oracle| oracle.finish(&dead, now_ms))?;
    client.leave();
    tokio::time::sleep(REST).await;
    check_size(world)
}

/// At rest the log is at most two and a half times what lives, and four segments.
fn check_size(world: &World) -> Result<(), String> {
    let Some((log_bytes, live_bytes)) = world.log_bytes() else { return Ok(()) };
    // Each record that does not fit an ordinary segment has one of its own.
    let largest = world.request_bytes_max.load(Ordering::Relaxed) as u64 + RECORD_BYTES;
    let bytes_max = live_bytes * 5 / 2 + 4 * world.plan.segment_bytes.max(largest);
    if log_bytes <= bytes_max {
        return Ok(());
    }
    Err(format!("the log has {log_bytes} bytes, of which {live_bytes} live; it may have {bytes_max}"))
}

/// Claims and acks until only dead jobs are left.
async fn empty(world: &Arc<World>, client: &mut Client) -> Result<(), String> {
    let gone = || "the server is gone without a reason".to_owned();
    let mut pause = PAUSE;
    let mut rounds = 0;
    while rounds < ROUNDS_MAX {
        let mut left = 0;
        rounds += 1;
        for queue in 0..world.plan.queues.len() {
            loop {
                let claim = Claim {
                    queue,
                    by: ClaimBy::Name,
                    count: 1_000,
                    lease_ms: Some(3_600_000),
                    block_ms: None,
                    group: None,
                    is_bound: false,
                    meta: true,
                    acks: Vec::new(),
                };
                call(client, Ask::Claim(claim)).await.ok_or_else(gone)?;
                let held = world.seat(SEAT, |seat| std::mem::take(&mut seat.held));
                if held.is_empty() {
                    break;
                }
                // A rate may let no more than one a second through.
                (rounds, pause) = (0, PAUSE);
                call(client, Ask::Ack { queue, held }).await.ok_or_else(gone)?;
            }
            let name = world.plan.queues[queue].name.as_str();
            let all = ask(client, &["QLEN", name, "ALL"]).await?.integer()?;
            let dead = ask(client, &["QLEN", name, "DEAD"]).await?.integer()?;
            left += all - dead;
        }
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(600));
    }
    Err("some jobs never end: the queues can't be drained".to_owned())
}

/// The dead jobs of a queue.
async fn dead_of(world: &World, client: &mut Client, queue: usize) -> Result<Vec<Serial>, String> {
    let name = world.plan.queues[queue].name.as_str();
    let reply = ask(client, &["QPEEK", name, "DEAD", "COUNT", "1000"]).await?;
    let now_ms = world.now_ms();
    reply.array()?.iter().map(|job| world.oracle(|oracle| oracle.seen(queue, job, now_ms))).collect()
}

/// One request and its reply; `None` when the server is gone.
async fn call(client: &mut Client, ask: Ask) -> Option<()> {
    if !client.send(vec![ask]).await {
        return None;
    }
    while client.waits() {
        if !client.receive().await {
            return None;
        }
    }
    Some(())
}

/// A request that the judge need not know.
async fn ask(client: &mut Client, words: &[&str]) -> Result<Reply, String> {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let mut request = Vec::new();
    encode(&words, &mut request);
    client.raw(&request).await.ok_or_else(|| "the server is gone without a reason".to_owned())
}
