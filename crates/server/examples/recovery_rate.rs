//! How fast a log is recovered: makes one of pushes with dedupe keys, and starts a server from it, several times, with
//! all of the log to read and with a checkpoint. Time of a core is that of the process, in user and in system mode.
//! Before that it reads and verifies the log, and keeps a copy of all of it: what a start costs without any queue. Then
//! it does that with the least that a queue is: a slot for each job, its bytes, and two hash tables that have been made
//! as large as they will be. No server that keeps its jobs in memory starts with less.
//!
//! `cargo run --release -p stanchion-server --example recovery_rate -- DIR JOBS QUEUES JOBS_A_RECORD SHARDS`

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;
use stanchion_engine::{Now, SettingsPatch, Shard, ShardConfig};
use stanchion_protocol::command::{Dedupe, NewJob, Until, When};
use stanchion_server::{Config, Phase};
use stanchion_storage::offline::{Located, OfflineLog};
use stanchion_storage::{Log, LogConfig, RecordKind, RecordView, Records};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAYLOAD: &[u8] = &[b'x'; 200];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, jobs, queues, jobs_a_record, shards] = &arguments[..] else {
        panic!("DIR JOBS QUEUES JOBS_A_RECORD SHARDS, and not {arguments:?}");
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (jobs, queues, jobs_a_record) = (number(jobs), number(queues), number(jobs_a_record));
    if !Path::new(dir).exists() {
        make(dir, jobs, queues, jobs_a_record);
    }
    for _ in 0..3 {
        forget_checkpoints(dir);
        read(dir, jobs, jobs_a_record);
        read_into_tables(dir, jobs, queues, jobs_a_record);
        recover(dir, jobs, number(shards), "the log");
        recover(dir, jobs, number(shards), "a checkpoint");
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// Writes a log of `jobs` pushes.
fn make(dir: &str, jobs: usize, queues: usize, jobs_a_record: usize) {
    let file = Arc::new(|_: &[u8]| SettingsPatch::default());
    let mut shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file });
    let nothing = &mut |_: RecordView<'_>| Ok(());
    let (log, _) = Log::open(LogConfig::new(dir), nothing, Arc::new(|_| {})).expect("a new log");
    let mut records = Records::new();
    for first in (0..jobs).step_by(jobs_a_record) {
        let keys: Vec<String> = (first..first + jobs_a_record).map(|job| format!("key-{job:012}")).collect();
        let batch: Vec<NewJob<'_>> = keys
            .iter()
            .map(|key| NewJob {
                payload: PAYLOAD,
                when: When::Now,
                group: b"",
                priority: 5,
                dedupe: Some(Dedupe {
                    key: key.as_bytes(),
                    until: Until::Done,
                    window_ms: 0,
                    replace: false,
                }),
                root: None,
                ttl_ms: None,
                attempts_max: None,
            })
            .collect();
        let queue = format!("queue-{}", first / jobs_a_record % queues);
        let now = Now { ms: 1_780_000_000_000 + first as u64 / 1_000, entropy: 0 };
        let body = records.begin(0, RecordKind::new(1));
        shard.push(now, queue.as_bytes(), &batch, body, &mut Vec::new()).expect("a push");
        records.end();
        log.stage(&mut records);
        while !log.has_room() {
            std::thread::yield_now();
        }
    }
    log.close().expect("the disk works");
}

/// A server that ends in order leaves one.
fn forget_checkpoints(dir: &str) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "checkpoint") {
            std::fs::remove_file(path).expect("a file to remove");
        }
    }
}

/// What this process has had of the machine's cores, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks: f64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Reads and verifies the log, as `stanchion check` does, and keeps its records in new memory.
fn read(dir: &str, jobs: usize, jobs_a_record: usize) {
    let (begun, before) = (Instant::now(), cpu_seconds());
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let keep = &mut |located: Located<'_>| {
        kept.push(located.record.body.to_vec());
        Ok(())
    };
    OfflineLog::open(Path::new(dir)).and_then(|log| log.inspect(keep)).expect("a sound log");
    // The queues' settings and the marks of starts are a few records more.
    assert!(kept.len() >= jobs / jobs_a_record, "{dir} has a log of fewer jobs; name another directory");
    say_rate(jobs, "reading alone", begun, before);
}

/// The least that a queue is.
struct Bare {
    ids: HashMap<u64, u32, FixedState>,
    keys: HashMap<[u8; KEY_BYTES], u32, FixedState>,
    slots: Vec<[u64; 10]>,
    bytes: Vec<u8>,
}

/// Bytes of a key, and of a push, of which the key and the payload stand at these places.
const KEY_BYTES: usize = 16;
const KEY_AT: usize = 20;
const PAYLOAD_AT: usize = KEY_AT + KEY_BYTES + 12;
const PUSH_BYTES: usize = PAYLOAD_AT + PAYLOAD.len();

/// Reads and verifies the log, and puts its jobs into queues that are no more than they must be.
fn read_into_tables(dir: &str, jobs: usize, queues: usize, jobs_a_record: usize) {
    let (begun, before) = (Instant::now(), cpu_seconds());
    let room = jobs / queues + jobs_a_record;
    let bare = || Bare {
        ids: HashMap::with_capacity_and_hasher(room, FixedState::default()),
        keys: HashMap::with_capacity_and_hasher(room, FixedState::default()),
        slots: Vec::with_capacity(room),
        bytes: Vec::with_capacity(room * (KEY_BYTES + PAYLOAD.len())),
    };
    let mut all: Vec<Bare> = (0..queues).map(|_| bare()).collect();
    let mut records = 0;
    let keep = &mut |located: Located<'_>| {
        let body = located.record.body;
        let head_bytes = 2 + usize::from(body[1]) + 12;
        if body.len() != head_bytes + jobs_a_record * PUSH_BYTES {
            return Ok(());
        }
        let queue = &mut all[records % queues];
        records += 1;
        for push in body[head_bytes..].chunks_exact(PUSH_BYTES) {
            let id = u64::from_le_bytes(push[1..9].try_into().expect("eight bytes"));
            let key = push[KEY_AT..][..KEY_BYTES].try_into().expect("as many");
            let slot = queue.slots.len() as u32;
            assert!(queue.ids.insert(id, slot).is_none() && queue.keys.insert(key, slot).is_none());
            queue.slots.push([id, queue.bytes.len() as u64, 0, 0, 0, 0, 0, 0, 0, 0]);
            queue.bytes.extend_from_slice(&key);
            queue.bytes.extend_from_slice(&push[PAYLOAD_AT..]);
        }
        Ok(())
    };
    OfflineLog::open(Path::new(dir)).and_then(|log| log.inspect(keep)).expect("a sound log");
    assert_eq!(records, jobs / jobs_a_record, "another log than was made here");
    say_rate(jobs, "reading into bare tables", begun, before);
}

fn say_rate(jobs: usize, from: &str, begun: Instant, cpu_before: f64) {
    let (took, cores) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let million_a = |seconds: f64| jobs as f64 / seconds / 1e6;
    say(&format!(
        "{jobs} jobs from {from} in {:.0} ms: {:.2} million a second, {:.2} million a second of a core",
        took * 1e3,
        million_a(took),
        million_a(cores)
    ));
}

/// Starts a server on the log, and stops it when it has recovered.
fn recover(dir: &str, jobs: usize, shards: usize, from: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let config = Config { port: Some(0), dir: dir.into(), shards: shards as u16, ..Config::default() };
    runtime.block_on(async {
        let (begun, before) = (Instant::now(), cpu_seconds());
        let server = stanchion_server::start(config).await.expect("it starts");
        assert_eq!(server.ready().await, Phase::Serving);
        say_rate(jobs, from, begun, before);
        server.stop();
        server.ended().await.expect("it stops in order");
    });
}
