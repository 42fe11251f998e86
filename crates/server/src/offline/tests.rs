//! A log with everything that can happen to jobs, written by a shard, and what is left of it when any byte is broken.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use stanchion_engine::{Claimed, Now, Purge, Pushed, ReadPayloads, SettingsPatch, Shard, ShardConfig};
use stanchion_protocol::command::{
    Count, Dedupe, Nack, NewJob, Pause, Retry, RootTag, State, Take, Until, When,
};
use stanchion_protocol::id::{JobId, Receipt};
use stanchion_storage::limits::SEGMENT_BYTES_MIN;
use stanchion_storage::offline::{End, Inspection, OfflineLog};
use stanchion_storage::{Log, LogConfig, LogEvent, OpenError, RecordView, Records};

use super::{OfflineJobs, parts};
use crate::lane::EVENTS;

/// Kinds of events that this log can't have: they are only in checkpoints or in old logs, or need payloads that were spilled.
const ELSEWHERE: [&str; 5] = ["based", "job_beside", "lost", "mark", "windowless"];

/// A shard and its log, one run of them.
struct Run {
    shard: Shard,
    log: Log,
    durable: Receiver<u64>,
    now: u64,
}

impl Run {
    fn open(dir: &Path) -> Run {
        let (told, durable) = channel();
        let config = LogConfig { segment_bytes: SEGMENT_BYTES_MIN, ..LogConfig::new(dir) };
        let file = Arc::new(|_: &[u8]| SettingsPatch::default());
        let mut shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file });
        let on_event = Arc::new(move |event| {
            if let LogEvent::Durable(lsn) = event {
                // The test may have seen enough.
                let _ = told.send(lsn);
            }
        });
        let mut apply = |record: RecordView<'_>| {
            for part in Shard::parts(record.body) {
                let (_, part) = part.map_err(|damaged| damaged.to_string())?;
                shard.replay(record.lsn, part).map_err(|damaged| damaged.to_string())?;
            }
            Ok(())
        };
        let (log, recovered) = Log::open(config, &mut apply, on_event).unwrap();
        shard.set_boot(recovered.boot);
        let now = shard.last_now().max(1_700_000_000_000) + 1;
        let mut run = Run { shard, log, durable, now };
        run.commit(|shard, now, body| {
            Shard::boot_event(now, 60_000, body);
            for part in Shard::parts(&body.clone()) {
                shard.replay(1, part.unwrap().1).unwrap();
            }
        });
        run
    }

    /// One command, durable before the next.
    fn commit<T>(&mut self, command: impl FnOnce(&mut Shard, Now, &mut Vec<u8>) -> T) -> T {
        self.now += 10;
        self.shard.begin(self.log.next_lsn());
        let mut body = Vec::new();
        let result = command(&mut self.shard, Now { ms: self.now, entropy: self.now }, &mut body);
        let mut records = Records::new();
        records.begin(0, EVENTS).extend_from_slice(&body);
        if records.end() {
            let lsn = self.log.stage(&mut records).last;
            while self.durable.recv().unwrap() < lsn {}
        }
        result
    }

    fn push(&mut self, job: NewJob<'_>) -> Pushed {
        self.commit(|shard, now, body| {
            let mut out = Vec::new();
            shard.push(now, b"q", &[job], body, &mut out).unwrap();
            out[0]
        })
    }

    fn claim(&mut self) -> Receipt {
        self.commit(|shard, now, body| {
            let take = Take { lease_ms: Some(100_000), worker: Some(b"worker"), ..Take::ONE };
            let mut claimed = Claimed::default();
            shard.claim(now, b"q", &take, body, &mut claimed);
            shard.view(*claimed.jobs().first().expect("there is a job")).receipt
        })
    }

    /// Time passes, and what is due happens.
    fn pass(&mut self, ms: u64) {
        self.now += ms;
        while self.commit(|shard, now, body| shard.tick(now, body)) {}
    }
}

fn job(payload: &[u8]) -> NewJob<'_> {
    NewJob {
        payload,
        when: When::Now,
        group: b"group",
        priority: 4,
        dedupe: None,
        root: None,
        ttl_ms: None,
        attempts_max: None,
    }
}

fn key(key: &[u8]) -> Option<Dedupe<'_>> {
    Some(Dedupe { key, until: Until::Done, window_ms: 50_000, replace: true })
}

fn root(timestamp: u64) -> Option<RootTag<'static>> {
    Some(RootTag { signature: b"signature", timestamp })
}

/// Everything that can happen to a queue.
fn live(run: &mut Run) {
    run.commit(|shard, now, body| {
        shard
            .config_set(now, b"q", &[(&b"attempts"[..], &b"3"[..]), (b"dead-retention", b"1h")], body)
            .unwrap();
    });
    run.commit(|shard, now, body| shard.config_unset(now, b"q", &[&b"dead-retention"[..]], body).unwrap());
    // Replaced, rerooted, superseded.
    run.push(NewJob { dedupe: key(b"k"), root: root(1), ..job(b"first") });
    run.push(NewJob { dedupe: key(b"k"), root: root(2), ..job(b"instead") });
    let dropped = Dedupe { replace: false, ..key(b"k").unwrap() };
    run.push(NewJob { dedupe: Some(dropped), root: root(3), ..job(b"a duplicate of a newer root") });
    // Acked, nacked, dead, released, extended, lapsed.
    for number in 0..7 {
        run.push(job(&[b'0' + number; 30]));
    }
    let receipt = run.claim();
    run.commit(|shard, now, body| shard.ack(now, b"q", &[receipt], body));
    for retry in [Retry::Delay(5_000), Retry::Dead] {
        let nack = Nack { queue: b"q", receipt: run.claim(), retry, error: Some(b"an error") };
        run.commit(|shard, now, body| shard.nack(now, &nack, body));
        run.commit(|shard, now, body| shard.requeue(now, b"q", &[nack.receipt.id], body));
    }
    let receipt = run.claim();
    run.commit(|shard, now, body| shard.release(now, b"q", Some(2_000), &[receipt], body));
    let receipt = run.claim();
    run.commit(|shard, now, body| shard.extend(now, b"q", 200_000, &[receipt], body));
    run.commit(|shard, now, body| shard.lapse(now, b"q", &[receipt], body));
    // Due, lapsed, expired.
    run.push(NewJob { when: When::Delay(1_000), ..job(b"later") });
    run.push(NewJob { ttl_ms: Some(1_500), ..job(b"short") });
    run.claim();
    run.pass(120_000);
    // Deleted; a window whose job is gone, freed.
    let Pushed::Ready(id) = run.push(NewJob { dedupe: key(b"w"), ..job(b"to delete") }) else { panic!() };
    run.commit(|shard, now, body| shard.delete(now, b"q", &[id], body));
    run.push(NewJob { dedupe: key(b"x"), ..job(b"to ack") });
    let mut acked = 0;
    while acked < 30 && run.shard.len(b"q", Count::State(State::Ready), None) > 0 {
        let receipt = run.claim();
        run.commit(|shard, now, body| shard.ack(now, b"q", &[receipt], body));
        acked += 1;
    }
    run.commit(|shard, now, body| shard.delete_key(now, b"q", b"group", b"x", body));
}

/// What needs a queue of its own, and what comes with reclaiming.
fn live_on(run: &mut Run) {
    run.commit(|shard, now, body| shard.pause(now, b"other", Pause::Push, None, body));
    run.commit(|shard, now, body| shard.delete_queue(now, b"other", body));
    run.commit(|shard, now, body| {
        shard.root(now, b"q", b"group", RootTag { signature: b"alone", timestamp: 9 }, body)
    });
    run.push(NewJob { dedupe: key(b"y"), root: root(8), ..job(b"kept") });
    run.push(NewJob { dedupe: key(b"z"), ..job(b"to be done") });
    run.push(NewJob { root: root(9), ..job(b"newer") });
    run.commit(|shard, now, body| while shard.background(now, body) {});
    let receipt = run.claim();
    run.commit(|shard, now, body| shard.ack(now, b"q", &[receipt], body));
    let below = run.log.next_lsn();
    run.commit(|shard, now, body| shard.reclaim(now, below, usize::MAX, &ReadPayloads::default(), body));
    let mut purge = Purge::begin(&run.shard);
    run.commit(|shard, now, body| shard.purge(now, b"q", None, None, &mut purge, body));
    // Windows, roots and dead jobs come to their end.
    run.push(NewJob { dedupe: key(b"v"), ..job(b"with a window") });
    let receipt = run.claim();
    run.commit(|shard, now, body| shard.ack(now, b"q", &[receipt], body));
    run.push(job(b"to die"));
    let nack = Nack { queue: b"q", receipt: run.claim(), retry: Retry::Dead, error: None };
    run.commit(|shard, now, body| shard.nack(now, &nack, body));
    run.push(job(b"stays, and is too long to be kept in memory beside the index"));
    for _ in 0..3 {
        run.pass(400 * 24 * 3_600_000);
    }
    for number in 0..4 {
        run.push(job(&[b'a' + number; 20]));
    }
}

/// The log of two runs, of which the second is torn in its last write.
struct Sample {
    dir: tempfile::TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The state after each record that a crash may be followed by.
    states: BTreeSet<String>,
}

fn sample() -> Sample {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut run = Run::open(dir.path());
    live(&mut run);
    run.log.close().unwrap();
    let mut run = Run::open(dir.path());
    live_on(&mut run);
    let before = run.shard.dump(&|_| unreachable!("payloads are in memory"));
    run.push(job(b"in the last write"));
    let states = BTreeSet::from([before, run.shard.dump(&|_| unreachable!("payloads are in memory"))]);
    let end = run.log.bytes() - run.log.sealed().iter().map(|segment| segment.bytes).sum::<u64>();
    let newest = segments(dir.path()).pop().unwrap();
    let mut killed = std::fs::read(&newest).unwrap();
    run.log.close().unwrap();
    killed[end as usize - 7..].fill(0);
    std::fs::write(&newest, killed).unwrap();
    let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
    let files = segments(dir.path()).into_iter().map(read).collect();
    Sample { dir, files, states }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect();
    files.sort();
    files
}

fn inspect(dir: &Path) -> (Inspection, OfflineJobs) {
    let (found, jobs, _) = inspect_all(dir);
    (found, jobs)
}

/// With the newest payload of each job.
fn inspect_all(dir: &Path) -> (Inspection, OfflineJobs, HashMap<JobId, Vec<u8>>) {
    let mut jobs = OfflineJobs::new();
    let mut payloads = HashMap::new();
    let log = OfflineLog::open(dir).unwrap();
    let found = log.inspect(&mut |located| {
        jobs.take(located.record)?;
        for (id, payload) in stanchion_engine::payloads(located.record.body).unwrap() {
            payloads.insert(id, payload.to_vec());
        }
        Ok(())
    });
    (found.unwrap(), jobs, payloads)
}

#[test]
fn every_kind_of_event_is_in_the_sample() {
    let sample = sample();
    let mut seen = BTreeSet::new();
    let log = OfflineLog::open(sample.dir.path()).unwrap();
    let found = log.inspect(&mut |located| {
        let parts = parts(located.record)?;
        seen.extend(parts.iter().flat_map(|part| &part.events).map(|event| event.name));
        Ok(())
    });
    assert!(matches!(found.unwrap().end, End::Torn(_)));
    let source = include_str!("../../../engine/src/event_view.rs");
    let kinds = source.lines().filter(|line| line.starts_with("        Event::")).count();
    // Beside them, "boot" and "mark" are parts of their own.
    assert_eq!(seen.len() - 1 + ELSEWHERE.len() - 1, kinds, "{seen:?}");
    assert!(ELSEWHERE.iter().all(|name| !seen.contains(name)));
}

#[test]
fn a_flip_of_any_byte_loses_no_durable_job_unsaid() {
    let sample = sample();
    let (mut opened, mut refused) = (0, 0);
    for (path, bytes) in &sample.files {
        for at in 0..bytes.len() {
            let around = &bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())];
            // Behind the last record nothing counts.
            if around.iter().all(|&byte| byte == 0) {
                continue;
            }
            let mut broken = bytes.clone();
            broken[at] ^= 1 << (at % 8);
            std::fs::write(path, broken).unwrap();
            let (found, jobs, payloads) = inspect_all(sample.dir.path());
            match found.damages.first() {
                None => {
                    let state = jobs.shard.dump(&|logged| payloads[&logged.id].clone());
                    assert!(sample.states.contains(&state), "{} at {at}: another state", path.display());
                    opened += 1;
                }
                Some(damage) => {
                    assert_eq!(&damage.file, path, "at {at}");
                    assert!((damage.offset..=damage.end).contains(&(at as u64)), "at {at}: {damage:?}");
                    refused += 1;
                }
            }
        }
        std::fs::write(path, bytes).unwrap();
    }
    // Only the last write, and what is left of earlier ones behind the end of a segment, may be broken unseen.
    assert!(refused > 4_000 && opened < refused / 10, "{refused} refused, {opened} opened");
}

#[test]
fn every_job_is_shown_once() {
    let sample = sample();
    let (_, mut jobs) = inspect(sample.dir.path());
    let queues = jobs.queues();
    assert_eq!(queues.len(), 1);
    let mut shown = 0;
    let total =
        queues[0].counts.ready + queues[0].counts.delayed + queues[0].counts.claimed + queues[0].counts.dead;
    let log = OfflineLog::open(sample.dir.path()).unwrap();
    jobs.show_all(&log, &mut |_, event| {
        shown += u64::from(event.name == "job");
        Ok::<(), OpenError>(())
    })
    .unwrap();
    assert!(shown == total && total > 0, "{shown} shown of {total}");
}

#[test]
fn a_record_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (told, durable) = channel();
    let on_event = Arc::new(move |event| {
        if let LogEvent::Durable(lsn) = event {
            let _ = told.send(lsn);
        }
    });
    let (log, _) = Log::open(LogConfig::new(dir.path()), &mut |_: RecordView<'_>| Ok(()), on_event).unwrap();
    let mut records = Records::new();
    records.begin(0, stanchion_storage::RecordKind::new(77)).push(1);
    records.end();
    log.stage(&mut records);
    assert_eq!(durable.recv().unwrap(), 1);
    log.close().unwrap();
    let (found, _) = inspect(dir.path());
    assert!(found.damages[0].reason.contains("can't be applied: its kind 77 is unknown"), "{found:?}");
    let error: OpenError = OfflineLog::open(&dir.path().join("missing")).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the directory"), "{error}");
}
