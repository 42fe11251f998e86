//! How many durable one-record commits a second some threads get out of a log.
//!
//! ```text
//! cargo run --release -p stanchion-storage --example commit_rate [threads] [seconds] [always|never] [dir]
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use stanchion_storage::{Durability, Log, LogConfig, LogEvent, RecordKind, Records};

const KIND: RecordKind = RecordKind::new(1);
const BODY: [u8; 250] = [7; 250];

/// Threads that wait for an lsn, as connections do: by lsn, each with its own condition.
#[derive(Default)]
struct Waiters {
    by_lsn: Mutex<BTreeMap<u64, Arc<Condvar>>>,
}

impl Waiters {
    fn wait(&self, log: &Log, lsn: u64, condition: &Arc<Condvar>) {
        let mut by_lsn = self.by_lsn.lock();
        if log.durable() >= lsn {
            return;
        }
        by_lsn.insert(lsn, Arc::clone(condition));
        while log.durable() < lsn {
            condition.wait(&mut by_lsn);
        }
    }

    fn wake(&self, durable: u64) {
        let woken = {
            let mut by_lsn = self.by_lsn.lock();
            let later = by_lsn.split_off(&(durable + 1));
            std::mem::replace(&mut *by_lsn, later)
        };
        woken.values().for_each(|condition| {
            condition.notify_one();
        });
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let threads: u64 = arguments.next().map_or(32, |text| text.parse().expect("a number of threads"));
    let seconds: u64 = arguments.next().map_or(3, |text| text.parse().expect("a number of seconds"));
    let durability = match arguments.next().as_deref() {
        None | Some("always") => Durability::Always,
        Some("never") => Durability::Never,
        Some(other) => panic!("{other} is neither always nor never"),
    };
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let dir = arguments.next().map_or(scratch.path().to_owned(), Into::into);

    let waiters = Arc::new(Waiters::default());
    let batches = Arc::new(AtomicU64::new(0));
    let on_event = {
        let (waiters, batches) = (Arc::clone(&waiters), Arc::clone(&batches));
        Arc::new(move |event| match event {
            LogEvent::Durable(durable) => waiters.wake(durable),
            LogEvent::Written(_) => drop(batches.fetch_add(1, Relaxed)),
            LogEvent::Poisoned(poison) => {
                eprintln!("{poison}");
                std::process::exit(1);
            }
            _ => {}
        })
    };
    let config = LogConfig { durability, ..LogConfig::new(dir) };
    let (log, _) = Log::open(config, &mut |_: stanchion_storage::RecordView<'_>| Ok(()), on_event)
        .expect("the log opens");
    let first = log.next_lsn();
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| commit_until(&stop, &log, durability, &waiters));
        }
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Relaxed);
    });
    let (elapsed, commits) = (start.elapsed().as_secs_f64(), log.next_lsn() - first);
    let batches = batches.load(Relaxed);
    println!(
        "{threads} threads, {durability:?}: {:.0} commits/s, {:.0} writes/s",
        commits as f64 / elapsed,
        batches as f64 / elapsed,
    );
    log.close().expect("the log closes");
}

/// What a connection does: one record, then wait until it is durable, or only for room.
fn commit_until(stop: &AtomicBool, log: &Log, durability: Durability, waiters: &Waiters) {
    let condition = Arc::new(Condvar::new());
    let mut records = Records::new();
    while !stop.load(Relaxed) {
        records.begin(0, KIND).extend_from_slice(&BODY);
        records.end();
        let lsn = log.stage(&mut records).last;
        if durability == Durability::Always {
            waiters.wait(log, lsn, &condition);
        } else {
            while !log.has_room() {
                std::thread::yield_now();
            }
        }
    }
}
