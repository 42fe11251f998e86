//! One life of the server: from its start on what the disk holds to its end, whatever that is.

use std::sync::Arc;
use std::time::Duration;

use stanchion_server::Phase;
use stanchion_server::simulation::{LogTurns, Machine, Planted, SimulatedServer};
use stanchion_storage::Durability;
use stanchion_storage::simulation::{Random, SimulatedDisk};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::oracle::Oracle;
use crate::world::World;
use crate::{client, drain, listener, panics};

/// No life takes longer, in its own time.
const LIFE_MAX: Duration = Duration::from_secs(48 * 3_600);

/// How wrong the wall clock is at most, where it is wrong.
const CLOCK_STEP_MS_MAX: u64 = 3_600_000;

/// What is to end a life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The machine stops at this operation of the disk.
    Crash(u64),
    /// Syncs fail from this operation of the disk on.
    SyncFailure(u64),
    /// This operation of the disk fails, and no other. If the server goes on, it rests when all clients are done.
    Failure(u64),
    /// The process is killed before this turn of the log's writer.
    Kill(u64),
    /// It is stopped in order after this time, whatever clients do.
    Stop(u64),
    /// It is stopped in order when all clients are done.
    Rest,
    /// All queues are drained, and then it is stopped in order.
    Drain,
}

/// How a life ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The machine stopped.
    Crashed,
    /// Only the process is gone.
    Killed,
    /// It wrote everything, and said that it had.
    InOrder,
}

/// Lives one life; gives what the disk holds afterwards.
pub(crate) fn live(
    world: &Arc<World>,
    disk: &SimulatedDisk,
    ending: Ending,
    planted: Option<Planted>,
    random: &mut Random,
) -> SimulatedDisk {
    world.trace.line(|| format!("{} a life begins, to end by {ending:?}", world.now_ms()));
    match ending {
        Ending::Crash(operations) => disk.stop_after(operations),
        Ending::SyncFailure(operations) => disk.fail_syncs_after(operations),
        Ending::Failure(operations) => disk.fail_one_after(operations),
        _ => {}
    }
    let runtime = runtime();
    let ended = runtime.block_on(run(world, disk, ending, planted, random));
    // Its time is looked at until it is dropped.
    let entered = runtime.enter();
    if let Some(server) = world.close() {
        server.kill();
    }
    if panics::any() {
        world.fail("a task panicked; what it said is above".to_owned());
    }
    world.trace.line(|| format!("{} it has {ended:?}", world.now_ms()));
    let end_ms = world.now_ms();
    let gap_ms = if random.one_in(2) { 0 } else { random.below(4_000) };
    world.rest(gap_ms);
    drop(entered);
    drop(runtime);
    world.leave_all(end_ms);
    let kept_ms = kept_until(world, ending, end_ms);
    if let Err(problem) = world.oracle(|oracle| oracle.end_life(ended == Ended::InOrder, kept_ms)) {
        world.fail(problem);
    }
    match ended {
        Ended::Crashed => disk.after_crash(random),
        Ended::Killed => disk.after_kill(),
        // The machine may crash later, too: everything was synced.
        Ended::InOrder if random.one_in(2) => disk.after_crash(random),
        Ended::InOrder => disk.after_kill(),
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets takes nothing of the system")
}

/// Up to which time everything must have been synced by itself.
fn kept_until(world: &World, ending: Ending, end_ms: u64) -> Option<u64> {
    let Durability::Interval(interval) = world.plan.durability else { return None };
    let stalls = world.plan.fills || world.plan.lacks_descriptors || world.plan.budget_bytes.is_some();
    if stalls || matches!(ending, Ending::SyncFailure(_) | Ending::Failure(_)) {
        return None;
    }
    // Records gather for a while, and each turn of the writer may be late.
    let late_ms = 20 + 4 * world.plan.turn_ms_max;
    end_ms.checked_sub(interval.as_millis() as u64 + late_ms)
}

async fn run(
    world: &Arc<World>,
    disk: &SimulatedDisk,
    ending: Ending,
    planted: Option<Planted>,
    random: &mut Random,
) -> Ended {
    world.begin();
    let wall_ms = match world.plan.clock_steps {
        true => world.now_ms() - CLOCK_STEP_MS_MAX + random.below(2 * CLOCK_STEP_MS_MAX),
        false => world.now_ms(),
    };
    let machine = Machine { disk: disk.clone(), wall_ms, seed: random.bits(), planted };
    let is_last = ending == Ending::Drain;
    let descriptors = (world.plan.lacks_descriptors && !is_last).then(|| random.below(60));
    let reads = (world.plan.read_failures && !is_last).then(|| random.below(60));
    disk.limit_descriptors(descriptors);
    disk.limit_reads(reads);
    let started = SimulatedServer::start(world.plan.config(random), machine);
    disk.limit_descriptors(None);
    disk.limit_reads(None);
    let (server, mut turns) = match started {
        Ok(started) => started,
        Err(error) => {
            let may_fail = descriptors.is_some() || reads.is_some();
            if !may_fail && !matches!(ending, Ending::Crash(_) | Ending::SyncFailure(_) | Ending::Failure(_))
            {
                world.fail(format!("the server did not start: {error}"));
            }
            return if disk.has_stopped() { Ended::Crashed } else { Ended::Killed };
        }
    };
    world.open(server);
    let mut drives = random.fork();
    let script = random.fork();
    let most = if let Ending::Kill(turns) = ending { turns } else { u64::MAX };
    let drive = drive(&mut turns, world, disk, &mut drives, most);
    let ended = async {
        tokio::select! {
            biased;
            ended = drive => ended,
            () = world.failed.notified() => Ended::Killed,
            ended = play(world, disk, ending, script) => ended,
        }
    };
    match tokio::time::timeout(LIFE_MAX, ended).await {
        Ok(ended) => ended,
        Err(_) => {
            world.fail("somebody waits for ever".to_owned());
            Ended::Killed
        }
    }
}

/// Takes the turns of the log's writer, some of them late, until the life ends by them.
async fn drive(
    turns: &mut LogTurns,
    world: &World,
    disk: &SimulatedDisk,
    random: &mut Random,
    most: u64,
) -> Ended {
    let mut taken = 0;
    while turns.due().await {
        match world.plan.turn_ms_max {
            0 => {
                for _ in 0..random.below(4) {
                    tokio::task::yield_now().await;
                }
            }
            most => tokio::time::sleep(Duration::from_millis(random.below(most + 1))).await,
        }
        if taken == most {
            return Ended::Killed;
        }
        taken += 1;
        turns.take();
        if disk.has_stopped() {
            return Ended::Crashed;
        }
        // A start that finds no file for its segment takes one beyond the budget.
        if world.plan.budget_bytes.is_some_and(|most| disk.bytes() > most + world.plan.segment_bytes) {
            world.fail(format!("the files have {} bytes, which is more than the budget", disk.bytes()));
        }
    }
    // Closed, or poisoned: then the connections have a while to tell their clients.
    std::future::pending().await
}

/// What happens besides the turns of the log's writer.
async fn play(world: &Arc<World>, disk: &SimulatedDisk, ending: Ending, mut random: Random) -> Ended {
    if world.plan.queues.iter().any(|queue| queue.notifies) {
        tokio::spawn(listener::listen(Arc::clone(world)));
    }
    if ending == Ending::Drain {
        drain::drain(world, &mut random).await;
        return stop(world).await;
    }
    let mut clients = JoinSet::new();
    for seat in 1..=world.plan.clients as usize {
        clients.spawn(client::live(Arc::clone(world), seat, random.fork()));
    }
    if world.plan.fills {
        tokio::spawn(fill(disk.clone(), random.fork()));
    }
    if world.plan.lacks_descriptors {
        let set = |disk: &SimulatedDisk, lacks: bool| disk.limit_descriptors(lacks.then_some(0));
        tokio::spawn(now_and_then(disk.clone(), random.fork(), set));
    }
    if world.plan.read_failures {
        let set = |disk: &SimulatedDisk, fail: bool| disk.limit_reads(fail.then_some(0));
        tokio::spawn(now_and_then(disk.clone(), random.fork(), set));
    }
    let Some(failed) = world.server_failed() else { return Ended::Killed };
    let all_done = async {
        let done = async { while clients.join_next().await.is_some() {} };
        // A process whose log has failed lives on for half a second at most, whatever clients wait for.
        tokio::select! {
            biased;
            () = done => {}
            () = failed => {}
        }
    };
    let patience = match ending {
        Ending::Stop(ms) => Duration::from_millis(ms),
        _ => Duration::MAX,
    };
    _ = tokio::time::timeout(patience, all_done).await;
    disk.set_bytes_max(None);
    disk.limit_descriptors(None);
    disk.limit_reads(None);
    stop(world).await
}

/// The disk is full for a while, now and then.
async fn fill(disk: SimulatedDisk, mut random: Random) {
    loop {
        tokio::time::sleep(Duration::from_millis(random.below(500))).await;
        disk.set_bytes_max(Some(disk.bytes() + random.below(10_000)));
        tokio::time::sleep(Duration::from_millis(random.below(1_500))).await;
        disk.set_bytes_max(None);
    }
}

/// Something is wrong with the disk for a while, now and then.
async fn now_and_then(disk: SimulatedDisk, mut random: Random, set: impl Fn(&SimulatedDisk, bool)) {
    loop {
        tokio::time::sleep(Duration::from_millis(random.below(1_000))).await;
        set(&disk, true);
        tokio::time::sleep(Duration::from_millis(random.below(1_000))).await;
        set(&disk, false);
    }
}

/// Stops the server in order.
async fn stop(world: &World) -> Ended {
    let Some(mut server) = world.close() else { return Ended::Killed };
    world.oracle(Oracle::stopping);
    server.stop().await;
    server.closed().await;
    if server.phase() == Phase::Failed { Ended::Killed } else { Ended::InOrder }
}
