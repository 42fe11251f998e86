//! No space for the next segment: known early, survived, and not poison.

use std::io::ErrorKind;
use std::path::Path;

use super::harness::{KIND, Opened, open_configured, open_on, small};
use crate::limits::SEGMENT_BYTES_MIN;
use crate::simulation::SimulatedDisk;
use crate::{CheckpointStart, LogConfig, LogEvent, NONCE_BYTES, OpenError, Space};

fn is_full(event: &LogEvent) -> bool {
    matches!(event, LogEvent::Space(space, _) if *space >= Space::Full)
}

/// Fills more than half of a segment, so that the next one is wanted.
fn half_full(disk: &SimulatedDisk) -> Opened {
    let log = open_on(disk).unwrap();
    disk.set_full(true);
    log.commit(&[1; 2500]);
    log.events.wait("disk full", is_full);
    log
}

/// Waits until so many segments are allocated ahead.
fn wait_allocated(log: &Opened, segments: u64) {
    while log.log.room().allocated_bytes < segments * SEGMENT_BYTES_MIN {
        log.commit(b"so that the writer takes a turn");
    }
}

#[test]
fn the_current_segment_goes_on() {
    let disk = SimulatedDisk::new();
    let log = half_full(&disk);
    assert!(log.log.is_disk_full());
    log.commit(b"an ack fits");
    assert!(log.log.poisoned().is_none());
    disk.set_full(false);
    log.events.wait("disk freed", |event| matches!(event, LogEvent::Space(Space::Ample, _)));
    assert!(!log.log.is_disk_full());
    log.commit(&[2; 2500]);
    assert_eq!(log.log.sealed().len(), 1);
}

#[test]
fn what_does_not_fit_waits_for_space() {
    let disk = SimulatedDisk::new();
    let log = half_full(&disk);
    let waiting = log.stage(&[2; 2500]).last;
    log.log.sync_to(waiting);
    assert!(log.log.durable() < waiting);
    disk.set_full(false);
    log.events.wait_durable(waiting);
    log.events.wait("disk freed", |event| matches!(event, LogEvent::Space(Space::Ample, _)));
}

#[test]
fn a_freed_segment_is_space() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    log.commit(&[1; 2500]);
    let rewritten = log.commit(&[2; 2500]);
    wait_allocated(&log, 2);
    disk.set_full(true);
    // The files that were allocated ahead become the third segment and the fourth.
    log.commit(&[3; 2500]);
    log.commit(&[4; 2500]);
    let waiting = log.stage(&[6; 4000]).last;
    let oldest = log.log.oldest_sealed().unwrap();
    assert_eq!((oldest.number, oldest.last_lsn), (1, 1));
    log.log.free_through(1, rewritten);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(1)));
    // The record is larger than an ordinary segment leaves room for, so it still waits for the disk.
    assert!(log.log.durable() < waiting);
    assert_eq!(log.log.space(), Space::Exhausted);
    disk.set_full(false);
    log.events.wait_durable(waiting);
}

#[test]
fn a_disk_that_has_room_again_is_noticed_though_freed_segments_filled_the_gap() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    log.commit(&[1; 2500]);
    log.commit(&[2; 2500]);
    log.commit(&[3; 2500]);
    wait_allocated(&log, 2);
    disk.set_full(true);
    // It takes one of the two files that were allocated ahead, and another one is refused.
    let rewritten = log.commit(&[4; 2500]);
    log.events.wait("disk full", is_full);
    // With what is freed no file of the reserve is missing.
    log.log.free_through(3, rewritten);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(3)));
    assert_ne!(log.log.space(), Space::Ample);
    disk.set_full(false);
    log.events.wait("room", |event| matches!(event, LogEvent::Space(Space::Ample, _)));
}

#[test]
fn without_descriptors_the_next_segment_waits_and_nothing_is_lost() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    disk.limit_descriptors(Some(0));
    log.commit(&[1; 2500]);
    let last = log.stage(&[2; 2500]).last;
    log.events.wait("no file", |event| matches!(event, LogEvent::Space(Space::Exhausted, _)));
    assert!(log.log.poisoned().is_none() && log.log.durable() < last);
    disk.limit_descriptors(None);
    log.events.wait_durable(last);

    // Nor does one that is allocated, but can't be opened, end the log; and freeing needs none.
    wait_allocated(&log, 2);
    disk.limit_descriptors(Some(0));
    let waiting = log.stage(&[3; 4000]).last;
    log.log.free_through(1, last);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(1)));
    assert!(log.log.poisoned().is_none() && log.log.durable() < waiting);
    disk.limit_descriptors(None);
    log.events.wait_durable(waiting);
    log.log.close().unwrap();
}

#[test]
fn a_large_record_takes_the_space_of_spare_files() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    log.commit(&[1; 2500]);
    log.commit(&[2; 2500]);
    wait_allocated(&log, 2);
    disk.set_bytes_max(Some(disk.bytes()));
    let lsn = log.commit(&[5; 7000]);
    assert_eq!(log.log.durable(), lsn);
}

#[test]
fn a_close_on_a_full_disk_says_that_it_could_not() {
    let disk = SimulatedDisk::new();
    let log = half_full(&disk);
    let durable = log.log.durable();
    log.stage(&[2; 2500]);
    let poison = log.log.close().unwrap_err();
    assert_eq!((poison.operation, poison.durable), ("allocate", durable));
    let again = open_on(&disk.after_kill());
    again.unwrap();
}

#[test]
fn a_run_that_finds_no_space_at_all_says_what_to_do() {
    let disk = SimulatedDisk::new();
    open_on(&disk).unwrap().commit(b"a small log has no file for the next segment");
    let disk = disk.after_kill();
    disk.set_full(true);
    let error = open_on(&disk).unwrap_err();
    assert!(matches!(error, OpenError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    // With a little space there is a small segment.
    disk.set_full(false);
    disk.set_bytes_max(Some(disk.bytes() + SEGMENT_BYTES_MIN));
    open_configured(&disk, LogConfig { segment_bytes: 1 << 20, ..small(Path::new("simulated")) })
        .unwrap()
        .commit(b"an ack");
}

#[test]
fn a_budget_is_a_disk_of_that_size() {
    let budget = 10 * SEGMENT_BYTES_MIN;
    let config = LogConfig { budget_bytes: Some(budget), ..small(Path::new("simulated")) };
    let disk = SimulatedDisk::new();
    let log = open_configured(&disk, config.clone()).unwrap();
    let mut pushed = 0;
    while log.log.has_space_for(700) {
        pushed = log.commit(&[7; 600]);
        assert!(disk.bytes() <= budget);
    }
    assert!((20..50).contains(&pushed), "{pushed}");
    let room = log.log.room();
    assert!(room.file_bytes <= budget && log.log.space() >= Space::Low, "{room:?}");
    drop(log);
    // Another start finds it full, and a larger budget gives room.
    let log = open_configured(&disk.after_kill(), config.clone()).unwrap();
    assert!(!log.log.has_space_for(700));
    log.commit(b"an ack");
    drop(log);
    let more = LogConfig { budget_bytes: Some(4 * budget), ..config };
    let log = open_configured(&disk.after_kill(), more).unwrap();
    assert!(log.log.has_space_for(700));

    let less = LogConfig { budget_bytes: Some(5 * SEGMENT_BYTES_MIN - 1), ..small(Path::new("simulated")) };
    let error = open_configured(&SimulatedDisk::new(), less).unwrap_err();
    assert!(error.to_string().contains("needs at least 20480"), "{error}");
}

#[test]
fn a_budget_has_checkpoints_in_it() {
    let budget = 3 << 20;
    let config =
        LogConfig { segment_bytes: 64 << 10, budget_bytes: Some(budget), ..LogConfig::new("simulated") };
    let disk = SimulatedDisk::new();
    let log = open_configured(&disk, config.clone()).unwrap();
    let nonce = [7; NONCE_BYTES];
    let begin = |log: &Opened| {
        let from = log.commit(&nonce);
        log.log.begin_checkpoint(CheckpointStart { from, shards: 1, nonce })
    };
    for _ in 0..9 {
        begin(&log).expect("a draft that is dropped gives back what it took");
    }
    let mut writer = begin(&log).unwrap();
    writer.frame(log.log.next_lsn(), 0, KIND, &vec![7; 700 << 10]).unwrap();
    let written = writer.finish(log.commit(&nonce)).unwrap();
    let fill = |log: &Opened, disk: &SimulatedDisk| {
        while log.log.has_space_for(30_000) {
            log.commit(&[7; 29_000]);
            assert!(disk.bytes() <= budget, "{} bytes", disk.bytes());
        }
    };
    fill(&log, &disk);
    let room = log.log.room();
    assert!(room.file_bytes + written.bytes <= budget, "{room:?}");
    assert!(room.file_bytes + written.bytes > budget - (1 << 20), "and the rest is the log's: {room:?}");
    // The reserve is not for checkpoints.
    assert_eq!(begin(&log).unwrap_err().kind(), ErrorKind::StorageFull);
    drop(log);
    // Another start counts it, too.
    let disk = disk.after_kill();
    fill(&open_configured(&disk, config).unwrap(), &disk);
}
