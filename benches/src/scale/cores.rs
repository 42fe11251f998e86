//! What two cores cost that one does not: a cache line that changes hands, a lock that somebody sleeps for, a queue that
//! moves, and the same work on both without anything in common.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parking_lot::Mutex;

use crate::engine::{Bench, Lap, cpu_now};

/// The queue of the engine's bench: jobs of one group.
const GROUPS: u64 = 1;

/// How long a lock is held that others wait for: longer than they spin, as with the hold of a pipeline of 32 commands.
const HELD: Duration = Duration::from_micros(20);
/// What its holder does elsewhere, at most. Were it always the same, the two would fall into step; were it less, the lock
/// would be taken again before the one who is woken is there, again and again.
const ELSEWHERE_MAX_US: u64 = 160;

/// Two threads change one cache line in turns: the mean time until the other one sees it, in nanoseconds.
pub(crate) fn line_ns(turns: u64) -> f64 {
    let turn = AtomicU64::new(0);
    // Threads take longer to start than some turns take.
    let play = |parity: u64| {
        for mine in (0..turns).filter(|number| number % 2 == parity) {
            while turn.load(Ordering::Acquire) != mine {}
            turn.store(mine + 1, Ordering::Release);
        }
    };
    let mut took = Duration::ZERO;
    std::thread::scope(|scope| {
        scope.spawn(|| play(1));
        while turn.load(Ordering::Acquire) != 0 {}
        let begun = Instant::now();
        play(0);
        took = begun.elapsed();
    });
    took.as_nanos() as f64 / turns as f64
}

/// What two threads at one lock do.
#[derive(Default)]
struct Contest {
    /// Times that the lock was taken.
    taken: u64,
    /// Of them, those that had to wait.
    waited: u64,
    cpu: Duration,
}

/// CPU of both sides of a wait for a lock, in microseconds: beyond what the same work takes alone.
pub(crate) fn handover_us(slice: Duration) -> f64 {
    let lock = Mutex::new(());
    let alone = contend(&lock, slice);
    let mut both = Contest::default();
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| contend(&lock, slice)));
        for own in threads.into_iter().filter_map(|thread| thread.join().ok()) {
            both.taken += own.taken;
            both.waited += own.waited;
            both.cpu += own.cpu;
        }
    });
    let each = |contest: &Contest| contest.cpu.as_secs_f64() * 1e6 / contest.taken as f64;
    let waits = both.waited as f64 / both.taken as f64;
    if both.waited == 0 { 0.0 } else { (each(&both) - each(&alone)).max(0.0) / waits }
}

/// Takes the lock as the server does: it tries, and then waits.
fn contend(lock: &Mutex<()>, slice: Duration) -> Contest {
    let (begun, mut contest, cpu) = (Instant::now(), Contest::default(), cpu_now());
    let mut bits = 1_u64;
    while begun.elapsed() < slice {
        let held = lock.try_lock().unwrap_or_else(|| {
            contest.waited += 1;
            lock.lock()
        });
        spend(HELD);
        drop(held);
        // Each thread draws the same, at other times.
        bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        spend(Duration::from_micros((bits >> 33) % ELSEWHERE_MAX_US));
        contest.taken += 1;
    }
    contest.cpu = cpu_now() - cpu;
    contest
}

/// Uses the processor for so long; what it does is a cycle's worth of arithmetic, so that the clock is not all.
fn spend(time: Duration) {
    let cpu = Instant::now();
    let mut bits = 1_u64;
    while cpu.elapsed() < time {
        for _ in 0..64 {
            bits = black_box(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bits >> 31);
        }
    }
}

/// CPU of the engine for a job, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineCost {
    /// One thread on one shard.
    pub(crate) alone_ns: f64,
    /// Two threads at once, each on a shard of its own: what the hardware takes, for nothing is shared.
    pub(crate) beside_ns: f64,
    /// Two threads in turns on one shard: all that a hold touches was on the other core before.
    pub(crate) moved_ns: f64,
}

impl EngineCost {
    /// Measures each for so long.
    pub(crate) fn measure(slice: Duration) -> Result<EngineCost> {
        Ok(EngineCost { alone_ns: alone(slice)?, beside_ns: beside(slice)?, moved_ns: moved(slice)? })
    }
}

fn alone(slice: Duration) -> Result<f64> {
    Ok(Bench::start(GROUPS)?.run(slice)?.job_ns())
}

fn beside(slice: Duration) -> Result<f64> {
    let laps = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| Bench::start(GROUPS)?.run(slice)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("the engine panicked")))
    });
    let [one, other] = laps;
    Ok((one?.job_ns() + other?.job_ns()) / 2.0)
}

fn moved(slice: Duration) -> Result<f64> {
    let (bench, turn, over) = (Mutex::new(Bench::start(GROUPS)?), AtomicU64::new(0), AtomicBool::new(false));
    let work = |parity: u64| -> Result<Lap> {
        let (begun, mut lap) = (Instant::now(), Lap::default());
        while begun.elapsed() < slice {
            // The other one may have ended, by its time or by an error.
            while turn.load(Ordering::Acquire) % 2 != parity {
                if over.load(Ordering::Acquire) {
                    return Ok(lap);
                }
            }
            let done = bench.lock().cycle(&mut lap);
            turn.fetch_add(1, Ordering::AcqRel);
            if let Err(error) = done {
                over.store(true, Ordering::Release);
                return Err(error);
            }
        }
        over.store(true, Ordering::Release);
        Ok(lap)
    };
    let [one, other] = std::thread::scope(|scope| {
        let threads = [0, 1].map(|parity| scope.spawn(move || work(parity)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("the engine panicked")))
    });
    let (mut lap, other) = (one?, other?);
    lap.add(&other);
    ensure!(lap.jobs > 0, "two threads did nothing in {slice:?}");
    Ok(lap.job_ns())
}
