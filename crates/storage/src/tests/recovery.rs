//! What a new run makes of the last one: boots, tails, policies.

use std::path::Path;
use std::sync::Arc;

use super::harness::{copy_of, open, open_configured, open_files, open_on, segment_files, small, with};
use crate::offline::{Located, OfflineLog};
use crate::simulation::SimulatedDisk;
use crate::{Durability, Log, LogConfig, RecordView};

#[test]
fn each_run_has_a_boot_number_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for boot in 1..=5 {
        let log = open(small(dir.path())).unwrap();
        assert_eq!(log.recovered.boot, boot);
        if boot % 2 == 0 {
            log.commit(b"some runs write");
        }
    }
    let killed = copy_of(dir.path());
    assert_eq!(open(small(killed.path())).unwrap().recovered.boot, 6);
    assert_eq!(open(small(killed.path())).unwrap().recovered.boot, 7);
}

#[test]
fn a_boot_number_outlives_the_segments_that_were_freed() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    for byte in 0..30 {
        log.commit(&[byte; 1000]);
    }
    let newest = log.log.sealed().pop().unwrap();
    log.log.free_through(newest.number, log.log.durable());
    log.log.close().unwrap();
    drop(log);
    assert_eq!(open_on(&disk).unwrap().recovered.boot, 2);
}

#[test]
fn a_killed_run_is_not_a_clean_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    assert!(log.recovered.clean, "a new log has nothing to be unclean about");
    let idle = copy_of(dir.path());
    log.commit(b"one");
    let killed = copy_of(dir.path());
    log.log.close().unwrap();
    assert!(!open(small(idle.path())).unwrap().recovered.clean);
    let again = open(small(killed.path())).unwrap();
    assert!(!again.recovered.clean);
    assert_eq!((again.recovered.torn, again.replayed.len()), (None, 1));
    assert!(open(small(dir.path())).unwrap().recovered.clean);
}

#[test]
fn a_tail_that_was_never_synced_is_whole_and_durable_after_a_kill() {
    let disk = SimulatedDisk::new();
    let config = with(Durability::Never, LogConfig { segment_bytes: 1 << 20, ..LogConfig::new("simulated") });
    let log = open_configured(&disk, config).unwrap();
    let bodies: Vec<_> = (0..100_u8).map(|byte| vec![byte; 1000]).collect();
    for body in &bodies {
        log.stage(body);
    }
    log.events.wait_written(100);
    let killed = disk.after_kill();
    // Opened with smaller segments than the tail takes.
    let again = open_on(&killed).unwrap();
    assert_eq!(again.bodies(), bodies);
    assert_eq!((again.log.durable(), again.log.written(), again.log.next_lsn()), (100, 100, 101));
    assert_eq!(again.log.sealed(), [], "all of it was written again, in the place of what was there");
    assert_eq!(again.commit(b"more"), 101);
    drop(again);
    let third = open_on(&killed).unwrap();
    assert_eq!(third.recovered.last_lsn, 101);
    assert_eq!(third.bodies()[..100], bodies);
}

#[test]
fn a_run_that_did_nothing_leaves_nothing_but_its_number() {
    let disk = SimulatedDisk::new();
    open_on(&disk).unwrap().commit(b"a record");
    let mut bytes = Vec::new();
    for boot in 2..10 {
        let log = open_on(&disk).unwrap();
        assert_eq!((log.recovered.boot, log.recovered.last_lsn), (boot, 1));
        assert_eq!(log.log.sealed().len(), 1);
        log.log.close().unwrap();
        bytes.push(disk.bytes());
    }
    assert!(bytes[1..].iter().all(|&bytes_then| bytes_then == bytes[1]), "{bytes:?}");
    let log = open_on(&disk).unwrap();
    assert!(log.recovered.clean);
    log.commit(b"another");
    log.commit(b"says that the other one is durable");
    assert_eq!(open_on(&disk.after_kill()).unwrap().log.sealed().len(), 2);
}

#[test]
fn the_same_tail_is_not_written_at_each_start() {
    let disk = SimulatedDisk::new();
    let log = open_configured(&disk, with(Durability::Never, small(Path::new("simulated")))).unwrap();
    let lsn = log.stage(&[1; 2000]).last;
    log.events.wait_written(lsn);
    let disk = disk.after_kill();
    for _ in 0..5 {
        // Killed again and again before it did anything.
        let log = open_on(&disk).unwrap();
        assert_eq!(log.recovered.last_lsn, 1);
        log.log.close().unwrap();
    }
    let log = open_on(&disk).unwrap();
    let with_tail = log.log.sealed().iter().filter(|segment| segment.bytes > 2000).count();
    assert_eq!(with_tail, 1, "{:?}", log.log.sealed());
}

#[test]
fn a_tail_larger_than_a_read_is_searched_for_the_watermark() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(LogConfig { segment_bytes: 8 << 20, ..LogConfig::new(dir.path()) }).unwrap();
    let offset = log.log.bytes();
    log.commit(&vec![3; 3 << 20]);
    log.commit(b"says that the large one is durable");
    drop(log);
    let newest = segment_files(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[offset as usize + 36 + 100] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let error = open(LogConfig::new(dir.path())).unwrap_err();
    assert!(error.to_string().contains("record 1 is broken, and all up to 2 was synced"), "{error}");
}

#[test]
fn a_log_of_any_number_of_segments_is_read_with_few_files_open() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(with(Durability::Never, small(dir.path()))).unwrap();
    for byte in 0..120 {
        log.stage(&[byte; 1000]);
    }
    log.log.close().unwrap();
    drop(log);
    assert!(segment_files(dir.path()).len() >= 30);
    let mut most = 0;
    let mut count = |_: RecordView<'_>| {
        most = most.max(open_files(dir.path()));
        Ok(())
    };
    let (log, _) = Log::open(small(dir.path()), &mut count, Arc::new(|_| {})).unwrap();
    assert!((1..=3).contains(&most), "{most} files were open at once");
    assert!(open_files(dir.path()) <= 3, "some stay open");
    drop(log);

    let log = OfflineLog::open(dir.path()).unwrap();
    let mut most = 0;
    let mut count = |_: Located<'_>| {
        most = most.max(open_files(dir.path()));
        Ok(())
    };
    log.inspect(&mut count).unwrap();
    assert!((1..=3).contains(&most), "{most} files were open at once");
}
