//! Rotation, freeing in order and recycling.

use std::path::Path;
use std::sync::Arc;

use super::harness::{copy_of, open, open_configured, open_on, segment_files, small, with};
use crate::budget::Budget;
use crate::catalog::{Catalog, Indexed};
use crate::doorbell::Doorbell;
use crate::limits::{SEGMENT_BYTES_MIN, SEGMENTS_AHEAD};
use crate::milestones::Milestones;
use crate::segment::{Name, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::shared::{FreeRequest, Shared};
use crate::simulation::{Random, SimulatedDisk};
use crate::{Durability, LogEvent, Segment};

#[test]
fn a_log_of_many_segments_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    let bodies: Vec<_> = (0..40_u8).map(|byte| vec![byte; 500]).collect();
    for body in &bodies {
        log.commit(body);
    }
    let sealed = log.log.sealed();
    assert!(sealed.len() >= 5, "{sealed:?}");
    for pair in sealed.windows(2) {
        assert_eq!((pair[1].number, pair[1].first_lsn), (pair[0].number + 1, pair[0].last_lsn + 1));
    }
    assert_eq!(log.log.oldest_sealed(), sealed.first().copied());
    let bytes: u64 = sealed.iter().map(|segment| segment.bytes).sum();
    assert!(log.log.bytes() > bytes);
    let before = log.log.bytes();
    log.log.close().unwrap();

    let again = open(small(dir.path())).unwrap();
    assert_eq!(again.bodies(), bodies);
    let resealed = again.log.sealed();
    assert_eq!(resealed[..sealed.len()], sealed);
    assert_eq!(resealed.len(), sealed.len() + 1, "the segment of the run before is sealed too");
    assert!(again.log.bytes().abs_diff(before) < 200);
}

#[test]
fn segments_go_oldest_first_once_the_rewrites_are_synced() {
    let disk = SimulatedDisk::new();
    let config = with(Durability::Never, small(Path::new("simulated")));
    let log = open_configured(&disk, config.clone()).unwrap();
    for byte in 0..30 {
        log.stage(&[byte; 500]);
    }
    log.events.wait_written(30);
    let sealed = log.log.sealed();
    let (third, kept) = (sealed[2], sealed[3]);
    let bytes = log.log.bytes();
    disk.hold_syncs(true);
    let rewritten = log.stage(b"a snapshot").last;
    log.log.free_through(third.number, rewritten);
    // Whatever the policy: it has to sync first, and it cannot.
    assert_eq!(log.log.oldest_sealed(), Some(sealed[0]));
    disk.hold_syncs(false);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(number) if *number == third.number));
    assert!(log.log.durable() >= rewritten);
    assert_eq!(log.log.oldest_sealed(), Some(kept));
    let freed: u64 = sealed[..3].iter().map(|segment| segment.bytes).sum();
    assert!(log.log.bytes() < bytes - freed + 200);

    // Any crash from here finds the same beginning.
    for seed in 0..20 {
        let again = open_configured(&disk.after_crash(&mut Random(seed)), config.clone()).unwrap();
        assert_eq!(again.replayed[0].lsn, kept.first_lsn);
        assert_eq!(again.recovered.last_lsn, rewritten);
    }
}

#[test]
fn a_wish_to_free_waits_for_its_rewrites_and_those_behind_wait_for_it() {
    let doorbell = Doorbell::new(Box::new(|| ()));
    let segment = Segment { number: 1, first_lsn: 1, last_lsn: 10, bytes: 1000 };
    let active = Indexed { segment, milestones: Milestones::default() };
    let catalog = Catalog::new(Arc::new(SimulatedDisk::new()), [], active);
    let shared = Shared::new(10, catalog, Arc::new(Budget::new(None)), 1000, doorbell, Arc::new(|_| {}));
    let ask = |through_segment, rewritten_through| {
        shared.want_free(FreeRequest { through_segment, rewritten_through });
    };
    ask(1, 12);
    ask(2, 11);
    shared.set_durable(11);
    assert!(!shared.can_free());
    assert!(shared.take_free_request().is_none());
    shared.set_durable(12);
    assert!(shared.can_free());
    assert_eq!(shared.take_free_request().map(|request| request.through_segment), Some(1));
    assert_eq!(shared.take_free_request().map(|request| request.through_segment), Some(2));
    assert!(shared.take_free_request().is_none());
}

#[test]
fn a_crash_while_segments_are_freed_leaves_a_log_without_gaps() {
    for stop in 0..25 {
        let disk = SimulatedDisk::new();
        let log = open_on(&disk).unwrap();
        for byte in 0..40 {
            log.commit(&[byte; 500]);
        }
        let sealed = log.log.sealed();
        disk.stop_after(stop);
        log.log.free_through(sealed[3].number, log.log.durable());
        log.events
            .wait("freed or stopped", |event| matches!(event, LogEvent::Freed(_) | LogEvent::Poisoned(_)));
        for seed in 0..10 {
            let again = open_on(&disk.after_crash(&mut Random(seed))).unwrap();
            let first = again.replayed[0].lsn;
            assert!(sealed[..5].iter().any(|segment| segment.first_lsn == first), "{first}");
            assert_eq!(again.recovered.last_lsn, 40);
        }
    }
}

#[test]
fn recycled_files_do_not_show_what_they_held() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let mut freed = 0;
    for round in 0..200_u64 {
        // Records of one size lie at the same places in each segment, where old ones are easiest mistaken.
        log.commit(&[round as u8; 500]);
        if let Some(oldest) = log.log.oldest_sealed() {
            freed = oldest.number;
            log.log.free_through(freed, log.log.durable());
            log.events.wait("freed", |event| matches!(event, LogEvent::Freed(n) if *n >= freed));
        }
        let again = open_on(&disk.after_kill()).unwrap();
        assert_eq!(again.recovered.last_lsn, round + 1);
        let last = again.replayed.last().expect("the newest record is never freed");
        assert_eq!((last.lsn, &last.body), (round + 1, &vec![round as u8; 500]));
    }
    // The one that is written, one that is full, and those ahead, whenever the writer comes to allocate those.
    let files_max = 2 + SEGMENTS_AHEAD as u64;
    let creates = disk.counts().creates;
    assert!(creates <= files_max, "a log in balance takes no new files, and this one took {creates}");
    assert!(freed > 5 * files_max, "only {freed} segments were freed");
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    log.commit(b"small");
    log.commit(&vec![5; 100_000]);
    log.commit(b"small again");
    let killed = copy_of(dir.path());
    let again = open(small(killed.path())).unwrap();
    assert_eq!(again.bodies().iter().map(Vec::len).collect::<Vec<_>>(), [5, 100_000, 11]);

    // It is not an ordinary file, so it is deleted rather than recycled.
    let large = log.log.sealed()[1];
    assert!(large.bytes > 100_000);
    log.log.free_through(large.number, log.log.durable());
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(_)));
    let left: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(left < 5 * 4096, "{left}");
}

#[test]
fn restarts_do_not_pile_up_reserved_space() {
    let dir = tempfile::tempdir().unwrap();
    let config = crate::LogConfig { segment_bytes: 1 << 20, ..crate::LogConfig::new(dir.path()) };
    for boot in 1..=20 {
        let log = open(config.clone()).unwrap();
        assert_eq!(log.recovered.boot, boot);
        log.commit(b"a little");
        log.log.close().unwrap();
    }
    let files = segment_files(dir.path());
    assert_eq!(files.len(), 20);
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes < (1 << 20) + 20 * 8192, "{bytes}");
}

#[test]
fn an_empty_segment_is_freed_like_any_other() {
    // Earlier versions left one behind at each start.
    let empty = |number| {
        let header = SegmentHeader { boot: number as u32, number, first_lsn: 1 };
        let mut bytes = vec![0; SEGMENT_BYTES_MIN as usize];
        bytes[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.to_bytes(SEGMENT_BYTES_MIN));
        (Name::Segment(number), bytes)
    };
    let disk = SimulatedDisk::with_files(&(1..=4).map(empty).collect());
    let log = open_on(&disk).unwrap();
    let lsn = log.commit(b"the first record ever");
    let oldest = log.log.oldest_sealed().unwrap();
    assert!(matches!(oldest, Segment { number: 1, first_lsn: 1, last_lsn: 0, .. }), "{oldest:?}");
    log.log.free_through(3, lsn);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(3)));
    assert_eq!(log.log.sealed(), []);
    drop(log);
    assert!(!disk.files().contains_key(&Name::Segment(3)));
    let again = open_on(&disk).unwrap();
    assert_eq!((again.recovered.boot, again.recovered.last_lsn), (6, 1));
}
