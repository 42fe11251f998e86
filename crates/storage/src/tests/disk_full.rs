//! No space for the next segment: known early, survived, and not poison.

use super::harness::open_on;
use crate::LogEvent;
use crate::simulation::SimulatedDisk;

/// Fills more than half of a segment, so that the next one is wanted.
fn half_full(disk: &SimulatedDisk) -> super::harness::Opened {
    let log = open_on(disk).unwrap();
    disk.set_full(true);
    log.commit(&[1; 2500]);
    log.events.wait("disk full", |event| matches!(event, LogEvent::DiskFull));
    log
}

#[test]
fn the_current_segment_goes_on() {
    let disk = SimulatedDisk::new();
    let log = half_full(&disk);
    assert!(log.log.is_disk_full());
    log.commit(b"an ack fits");
    assert!(log.log.poisoned().is_none());
    disk.set_full(false);
    log.events.wait("disk freed", |event| matches!(event, LogEvent::DiskFreed));
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
    assert!(!log.log.is_disk_full());
}

#[test]
fn a_freed_segment_is_space() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    log.commit(&[1; 2500]);
    let rewritten = log.commit(&[2; 2500]);
    // The spare that was reserved at half of the second segment becomes the third.
    log.commit(&[3; 2500]);
    disk.set_full(true);
    log.commit(&[4; 100]);
    let waiting = log.stage(&[5; 4000]).last;
    let oldest = log.log.oldest_sealed().unwrap();
    assert_eq!((oldest.number, oldest.last_lsn), (1, 1));
    log.log.free_through(1, rewritten);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(1)));
    // The record is larger than an ordinary segment leaves room for, so it still waits for the disk.
    assert!(log.log.durable() < waiting);
    disk.set_full(false);
    log.events.wait_durable(waiting);
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
