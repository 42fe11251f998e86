//! Churn of many shapes over a real log with small segments: at each step the log is within its bound, and no more is
//! written again than was appended.

use std::sync::Arc;

use stanchion_engine::JobRef;
use stanchion_protocol::command::{Dedupe, Nack, NewJob, Retry, RootTag, Take, Until, When};
use stanchion_protocol::id::{JobId, Receipt};
use stanchion_storage::Durability;

use super::*;
use crate::Config;
use crate::hub::Hub;
use crate::lane::Tidings;
use crate::latency::Latency;
use crate::lifecycle::Lifecycle;
use crate::loading::Loading;
use crate::recovery::open_lane;

const SEGMENT_BYTES: u64 = 16 << 10;
const MONTH_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// What a queue's users do.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    queues: u64,
    payload_bytes: u64,
    /// Ready jobs that are kept waiting; first in, first out.
    backlog: u64,
    /// Jobs delayed for months, of which some by chance are deleted when there are more.
    cold: u64,
    /// One job in so many dies, with a long error; 0: none.
    dies_one_in: u64,
    /// Dead jobs that are kept.
    dead_max: u64,
    /// Each job has a dedupe key whose window outlives it.
    windows: bool,
    /// So many roots are registered; 0: none.
    roots: u64,
    /// Each queue has settings of its own.
    settings: bool,
    /// The backlog goes up and down.
    waves: bool,
}

const PLAIN: Shape = Shape {
    name: "first in, first out",
    queues: 1,
    payload_bytes: 200,
    backlog: 500,
    cold: 0,
    dies_one_in: 0,
    dead_max: 0,
    windows: false,
    roots: 0,
    settings: false,
    waves: false,
};

const SHAPES: [Shape; 14] = [
    PLAIN,
    Shape { name: "nothing waits", backlog: 0, ..PLAIN },
    Shape { name: "tiny jobs", payload_bytes: 4, backlog: 1_500, ..PLAIN },
    Shape { name: "large jobs", payload_bytes: 5_000, backlog: 25, ..PLAIN },
    Shape { name: "jobs larger than a segment", payload_bytes: 30_000, backlog: 4, ..PLAIN },
    Shape { name: "half are delayed for months", backlog: 300, cold: 400, ..PLAIN },
    Shape { name: "nearly all are delayed for months", backlog: 20, cold: 1_000, ..PLAIN },
    Shape { name: "tiny jobs delayed for months", payload_bytes: 4, backlog: 20, cold: 1_500, ..PLAIN },
    Shape { name: "a dead-letter set", dies_one_in: 4, dead_max: 300, ..PLAIN },
    Shape { name: "windows", windows: true, payload_bytes: 20, backlog: 200, ..PLAIN },
    Shape { name: "roots", roots: 100, cold: 500, ..PLAIN },
    Shape { name: "many queues", queues: 600, payload_bytes: 20, backlog: 800, ..PLAIN },
    Shape { name: "many queues with settings", queues: 300, settings: true, cold: 300, ..PLAIN },
    Shape { name: "a changing backlog", cold: 150, backlog: 1_000, waves: true, ..PLAIN },
];

/// A generator of which a seed is all that one needs to see a failure again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A lane under churn.
struct Churn {
    shape: Shape,
    random: Random,
    lane: Lane,
    reclaiming: Reclaiming,
    runtime: tokio::runtime::Runtime,
    /// Jobs that are delayed for months, with their queues.
    cold: Vec<(u64, JobId)>,
    waiting: u64,
    pushed: u64,
}

fn open(dir: &std::path::Path) -> Lane {
    let config = Config {
        dir: dir.to_owned(),
        segment_bytes: SEGMENT_BYTES,
        durability: Durability::Never,
        shards: 3,
        ..Config::default()
    };
    let latency = Arc::new(Latency::new(0));
    let tidings = Arc::new(Tidings::new(0, Arc::new(Lifecycle::new()), latency));
    open_lane(&config, tidings, Arc::new(Hub::new()), &Loading::new(), 7).unwrap()
}

fn dumps(lane: &Lane) -> Vec<String> {
    let in_memory = |_| unreachable!("payloads are kept in memory here");
    (0..lane.shard_count()).map(|index| lane.shard(index).state.lock().engine.dump(&in_memory)).collect()
}

impl Churn {
    fn new(shape: Shape, dir: &std::path::Path) -> Churn {
        let lane = open(dir);
        let reclaiming = Reclaiming::new(&lane, SEGMENT_BYTES);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let random = Random(shape.name.len() as u64);
        let mut churn =
            Churn { shape, random, lane, reclaiming, runtime, cold: Vec::new(), waiting: 0, pushed: 0 };
        (0..shape.queues).for_each(|queue| churn.set_up(queue));
        churn
    }

    fn on<R>(
        &self,
        queue: u64,
        run: impl FnOnce(&mut stanchion_engine::Shard, stanchion_engine::Now, &mut Vec<u8>, &[u8]) -> R,
    ) -> R {
        let name = format!("queue-{queue}");
        let mut hold = Hold::begin(&self.lane, self.lane.shard_of(name.as_bytes()));
        let result = hold.record(|engine, now, log| run(engine, now, log, name.as_bytes()));
        hold.end();
        result
    }

    fn set_up(&mut self, queue: u64) {
        let dead_max = self.shape.dead_max.to_string();
        let mut pairs: Vec<(&[u8], &[u8])> = vec![(b"attempts", b"1"), (b"dead-max", dead_max.as_bytes())];
        if self.shape.settings {
            pairs.extend([(&b"lease"[..], &b"17m"[..]), (b"backoff-max", b"3h"), (b"run-max", b"9h")]);
            pairs.extend([(&b"rate"[..], &b"1000000/1s"[..]), (b"group-concurrency", b"1000")]);
        }
        self.on(queue, |engine, now, log, name| engine.config_set(now, name, &pairs, log)).unwrap();
    }

    /// Pushes a job; its id.
    fn push(&mut self, queue: u64, when: When) -> JobId {
        self.pushed += 1;
        let bytes = self.shape.payload_bytes;
        let payload = vec![7; (bytes / 2 + self.random.below(bytes + 1)) as usize];
        let key = format!("key-{}", self.pushed);
        let signature = format!("Template:Page-{}", self.random.below(self.shape.roots.max(1)));
        let dedupe = self.shape.windows.then_some(Dedupe {
            key: key.as_bytes(),
            until: Until::Done,
            window_ms: MONTH_MS,
            replace: false,
        });
        let root =
            (self.shape.roots > 0).then_some(RootTag { signature: signature.as_bytes(), timestamp: 1 });
        let job = NewJob {
            payload: &payload,
            when,
            group: b"",
            priority: 0,
            dedupe,
            root,
            ttl_ms: None,
            attempts_max: None,
        };
        let mut out = Vec::new();
        self.on(queue, |engine, now, log, name| engine.push(now, name, &[job], log, &mut out)).unwrap();
        match out[0] {
            stanchion_engine::Pushed::Ready(id) | stanchion_engine::Pushed::Delayed(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Claims the next job of a queue and ends it.
    fn work(&mut self, queue: u64) {
        let dies = self.shape.dies_one_in > 0 && self.random.below(self.shape.dies_one_in) == 0;
        let name = format!("queue-{queue}");
        let mut hold = Hold::begin(&self.lane, self.lane.shard_of(name.as_bytes()));
        let take = Take { worker: Some(b"worker-1"), ..Take::ONE };
        hold.record_claims(|engine, now, log, claimed| {
            engine.claim(now, name.as_bytes(), &take, log, claimed);
        });
        let (engine, claimed) = hold.claimed();
        let receipts: Vec<Receipt> =
            claimed.jobs().iter().map(|job: &JobRef| engine.view(*job).receipt).collect();
        if dies && let Some(&receipt) = receipts.first() {
            let error = Some(&[b'e'; 300][..]);
            let nack = Nack { queue: name.as_bytes(), receipt, retry: Retry::Dead, error };
            hold.record(|engine, now, log| engine.nack(now, &nack, log));
        } else if !receipts.is_empty() {
            hold.record(|engine, now, log| engine.ack(now, name.as_bytes(), &receipts, log));
        }
        hold.end();
        self.waiting -= receipts.len() as u64;
    }

    /// One step of churn, of a quarter of a segment or so.
    fn step(&mut self, step: u64) {
        let Shape { queues, backlog, cold, waves, .. } = self.shape;
        let backlog = match (waves, step / 50 % 4) {
            (false, _) => backlog,
            (true, wave) => backlog * [4, 1, 3, 0][wave as usize] / 4,
        };
        let appended = self.lane.written_bytes().0;
        while self.lane.written_bytes().0 - appended < SEGMENT_BYTES / 4 {
            let queue = self.random.below(queues);
            if cold > 0 && self.random.below(2) == 0 {
                let id = self.push(queue, When::Delay(MONTH_MS));
                self.cold.push((queue, id));
            } else if self.waiting <= backlog {
                self.push(queue, When::Now);
                self.waiting += 1;
            }
            while self.cold.len() as u64 > cold {
                let (queue, id) = self.cold.swap_remove(self.random.below(cold + 1) as usize);
                self.on(queue, |engine, now, log, name| engine.delete(now, name, &[id], log));
            }
            // Somewhere a job is waiting.
            let more = if self.waiting > backlog + 50 { 50 } else { 1 };
            for _ in 0..more {
                if self.waiting > backlog {
                    let queue = self.random.below(queues);
                    self.work(queue);
                }
            }
        }
    }

    /// Reclaims, and checks the bounds.
    fn check(&mut self, step: u64) {
        self.runtime.block_on(self.reclaiming.go_on(&self.lane));
        while self.lane.log.written() + 1 < self.lane.log.next_lsn() {
            std::thread::yield_now();
        }
        let Sizes { log, live, .. } = sizes(&self.lane);
        let (appended, rewritten) = self.lane.written_bytes();
        let at = format!("{} at step {step}: {appended} appended, {rewritten} again", self.shape.name);
        let bound = live * 5 / 2 + 4 * SEGMENT_BYTES;
        assert!(log <= bound, "{at}: {log} bytes of log for {live}, {} too many", log - bound);
        assert!(rewritten <= appended + 2 * SEGMENT_BYTES, "{at}");
    }
}

#[test]
fn the_log_is_within_its_bounds_at_every_step() {
    for shape in SHAPES {
        let dir = tempfile::tempdir().unwrap();
        let mut churn = Churn::new(shape, dir.path());
        for step in 0..400 {
            churn.step(step);
            churn.check(step);
        }
        let (appended, rewritten) = churn.lane.written_bytes();
        let sizes = sizes(&churn.lane);
        println!(
            "{:35} {:5} KiB live, log {:4.2} times that, {:5} KiB appended, amplification {:4.2}",
            shape.name,
            sizes.live >> 10,
            sizes.log as f64 / sizes.live as f64,
            appended >> 10,
            (appended + rewritten) as f64 / appended as f64
        );
        // And nothing was lost.
        let before = dumps(&churn.lane);
        churn.lane.log.close().unwrap();
        drop(churn);
        assert!(dumps(&open(dir.path())) == before, "{}: it reads back as something else", shape.name);
    }
}

#[test]
fn restarts_do_not_pile_up_small_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut churn = Churn::new(PLAIN, dir.path());
    while churn.lane.written_bytes().0 < 20 * SEGMENT_BYTES {
        churn.push(0, When::Now);
    }
    let before = dumps(&churn.lane);
    let (mut most, mut rewritten) = (0, 0);
    for _ in 0..120 {
        churn.lane.log.close().unwrap();
        churn.lane = open(dir.path());
        churn.reclaiming = Reclaiming::new(&churn.lane, SEGMENT_BYTES);
        churn.runtime.block_on(churn.reclaiming.go_on(&churn.lane));
        most = most.max(churn.lane.log.sealed().len());
        rewritten += churn.lane.written_bytes().1;
    }
    assert!(most <= 45, "{most} segments, where 20 hold everything");
    assert!(
        (1..120 * SEGMENT_BYTES).contains(&rewritten),
        "{rewritten} bytes are written again by 120 starts"
    );
    churn.lane.log.close().unwrap();
    drop(churn);
    assert!(dumps(&open(dir.path())) == before, "it reads back as something else");
}
