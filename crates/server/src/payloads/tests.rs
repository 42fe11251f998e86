//! The reader on a real log.

use std::sync::Arc;

use stanchion_engine::{Now, Payload, PayloadRoom, Pushed, SettingsPatch, Shard, ShardConfig};
use stanchion_protocol::command::{Dedupe, NewJob, Until, When, Which};
use stanchion_storage::{Durability, LogConfig, LogEvent, RecordView, Records};

use super::*;
use crate::lane::EVENTS;

/// A log, and a shard that keeps no payload in memory.
struct Rig {
    dir: tempfile::TempDir,
    log: Log,
    shard: Shard,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig {
            dir: dir.path().to_owned(),
            segment_bytes: 1 << 20,
            durability: Durability::Always,
            staged_bytes_max: 1 << 20,
            checkpoints: stanchion_storage::CheckpointUse::Delete,
            budget_bytes: None,
        };
        let (log, _) =
            Log::open(config, &mut |_: RecordView<'_>| Ok(()), Arc::new(|_: LogEvent| {})).unwrap();
        let file = Arc::new(|_: &[u8]| SettingsPatch::default());
        let mut shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file });
        shard.limit_payloads(PayloadRoom { bytes_max: 0, queue_bytes: 0 });
        Rig { dir, log, shard }
    }

    /// Pushes a job in a hold and a record of its own; where its payload is.
    fn push(&mut self, payload: &[u8], key: Option<&[u8]>) -> LoggedPayload {
        let dedupe = key.map(|key| Dedupe { key, until: Until::Done, window_ms: 0, replace: true });
        let (when, group) = (When::Now, &b""[..]);
        let job = NewJob {
            payload,
            when,
            group,
            dedupe,
            priority: 0,
            root: None,
            ttl_ms: None,
            attempts_max: None,
        };
        let (mut records, mut pushed) = (Records::new(), Vec::new());
        self.shard.begin(self.log.next_lsn());
        let now = Now { ms: 1, entropy: 0 };
        self.shard.push(now, b"q", &[job], records.begin(0, EVENTS), &mut pushed).unwrap();
        records.end();
        self.log.stage(&mut records);
        let [Pushed::Ready(id) | Pushed::Replaced(id)] = pushed[..] else { panic!("{pushed:?}") };
        let job = self.shard.job(b"q", Which::Id(id)).unwrap();
        let Payload::Logged(payload) = self.shard.payload(job) else { panic!("it is in memory") };
        payload
    }

    /// What became of a payload, and its bytes.
    fn read(&self, payloads: &Payloads, wanted: LoggedPayload) -> (Option<Vec<u8>>, Read) {
        let mut into = b"before".to_vec();
        let read = payloads.read(&self.log, wanted, &mut into);
        match &read {
            Read::Bytes(place) => (Some(into[place.clone()].to_vec()), Read::Bytes(0..0)),
            _ => (None, read),
        }
    }

    /// Waits until all that is staged is in the file.
    fn settle(&self) {
        let staged = self.log.next_lsn() - 1;
        while self.log.written() < staged {
            std::thread::yield_now();
        }
    }
}

fn payload(n: usize) -> Vec<u8> {
    vec![n as u8; 1_000 + n % 7]
}

fn bytes(n: usize) -> (Option<Vec<u8>>, Read) {
    (Some(payload(n)), Read::Bytes(0..0))
}

#[test]
fn payloads_are_read_from_the_log_once_and_then_from_the_cache() {
    let mut rig = Rig::new();
    let places: Vec<_> = (0..3_000).map(|n| rig.push(&payload(n), None)).collect();
    rig.settle();
    let payloads = Payloads::new(8 << 20);
    for (n, place) in places.iter().enumerate() {
        let mut copy = payload(0);
        copy.resize(place.bytes as usize, 0);
        if payloads.copy_cached(*place, &mut copy) {
            assert_eq!(copy, payload(n));
        } else {
            assert_eq!(rig.read(&payloads, *place), bytes(n));
        }
    }
    let figures = payloads.figures();
    assert_eq!(figures.hits + figures.misses, 3_000);
    assert!(figures.misses < 20, "{figures:?}: a piece has hundreds of them");
    assert!(figures.bytes > 3_000_000 && figures.bytes < 4_000_000, "{figures:?}");
    // Backwards, in the same pieces.
    for (n, place) in places.iter().enumerate().rev() {
        let mut copy = payload(n);
        copy.fill(0xff);
        assert!(payloads.copy_cached(*place, &mut copy));
        assert_eq!(copy, payload(n));
    }
}

#[test]
fn whoever_reads_backwards_reads_what_is_around_too() {
    let mut rig = Rig::new();
    let places: Vec<_> = (0..3_000).map(|n| rig.push(&payload(n), None)).collect();
    rig.settle();
    let payloads = Payloads::new(8 << 20);
    for (n, place) in places.iter().enumerate().rev() {
        let mut copy = payload(n);
        if !payloads.copy_cached(*place, &mut copy) {
            assert_eq!(rig.read(&payloads, *place), bytes(n));
        }
    }
    let misses = payloads.figures().misses;
    assert!(misses < 60, "{misses} pieces for 3 MB");
}

#[test]
fn the_cache_stays_within_its_bound() {
    let mut rig = Rig::new();
    let places: Vec<_> = (0..3_000).map(|n| rig.push(&payload(n), None)).collect();
    rig.settle();
    let payloads = Payloads::new(1 << 20);
    for (n, place) in places.iter().enumerate() {
        assert_eq!(rig.read(&payloads, *place), bytes(n));
        assert!(payloads.figures().bytes <= 1 << 20);
    }
    payloads.set_cache_bytes_max(0);
    assert_eq!(payloads.figures().bytes, 0);
    assert_eq!(rig.read(&payloads, places[5]), bytes(5), "it is read all the same");
}

#[test]
fn a_replaced_payload_is_not_taken_for_the_new_one() {
    let mut rig = Rig::new();
    let old = rig.push(&payload(1), Some(b"k"));
    let new = rig.push(&payload(2), Some(b"k"));
    rig.settle();
    assert_eq!((old.id, old.base < new.base), (new.id, true));
    let payloads = Payloads::new(1 << 20);
    assert_eq!(rig.read(&payloads, old), bytes(1));
    assert_eq!(rig.read(&payloads, new), bytes(2));
    let wrong = LoggedPayload { bytes: 5, ..new };
    let (_, Read::Unreadable(why)) = rig.read(&payloads, wrong) else { panic!("it has another length") };
    assert!(why.contains("not 5"), "{why}");
    assert!(!payloads.copy_cached(wrong, &mut [0; 5]));
}

#[test]
fn what_is_not_in_the_log_is_early_or_missing() {
    let mut rig = Rig::new();
    let there = rig.push(&payload(1), None);
    rig.settle();
    let payloads = Payloads::new(1 << 20);
    let missing = LoggedPayload { base: there.base + 1, ..there };
    assert!(matches!(rig.read(&payloads, missing), (_, Read::Unreadable(_))));
    // One that is pushed later is found, though the piece around it was read before.
    let later = rig.push(&payload(2), None);
    let read = loop {
        match rig.read(&payloads, later) {
            (_, Read::Early(lsn)) => assert!(lsn >= later.base),
            read => break read,
        }
    };
    assert_eq!(read, bytes(2));
}

#[test]
fn damage_takes_only_what_it_is_in() {
    let mut rig = Rig::new();
    let places: Vec<_> = (0..200).map(|n| rig.push(&payload(n), None)).collect();
    rig.settle();
    let segment = std::fs::read_dir(rig.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .unwrap();
    let mut content = std::fs::read(&segment).unwrap();
    let at = content.windows(900).position(|window| window.iter().all(|byte| *byte == 77)).unwrap();
    content[at] ^= 1;
    std::fs::write(&segment, content).unwrap();
    for first in [0, 70, 77, 78] {
        let payloads = Payloads::new(1 << 20);
        for (n, place) in places.iter().enumerate().skip(first) {
            match rig.read(&payloads, *place) {
                (_, Read::Unreadable(why)) => {
                    assert!(n == 77 && why.contains("is damaged at byte"), "{n}: {why}")
                }
                read => assert_eq!((read, n != 77), (bytes(n), true)),
            }
        }
    }
}
