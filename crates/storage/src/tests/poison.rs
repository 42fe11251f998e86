//! A failed write or sync is the end.

use std::path::Path;
use std::sync::Arc;

use super::harness::{open_configured, open_on, small, with};
use crate::limits::UNSYNCED_BYTES_MAX;
use crate::simulation::{Random, SimulatedDisk};
use crate::{Durability, Log, LogConfig, LogEvent, Records};

#[test]
fn after_a_failed_sync_nothing_is_durable_any_more() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let kept = log.commit(b"kept");
    disk.fail_syncs();
    let lost = log.stage(b"unknown").last;
    let poison = log.poison();
    assert_eq!((poison.operation, poison.durable), ("sync", kept));
    assert!(poison.to_string().contains("00000000000000000001.seg: input/output error"), "{poison}");

    // Staging goes on, for nothing.
    let late = log.stage(b"dropped");
    assert_eq!(late.first, lost + 1);
    assert!(log.log.has_room());
    log.log.sync_to(late.last);
    assert_eq!(log.log.close().unwrap_err().operation, "sync");
    assert_eq!(log.log.durable(), kept);
    let events = log.events.all();
    let poisoned = events.iter().position(|event| matches!(event, LogEvent::Poisoned(_))).unwrap();
    assert_eq!(poisoned, events.len() - 1, "it comes once and last: {events:?}");
}

#[test]
fn what_a_failed_sync_left_in_memory_is_written_again() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    log.commit(b"kept");
    disk.fail_syncs();
    log.stage(b"in memory only");
    log.poison();
    drop(log);

    // The process starts again and finds the record, for the system still shows it.
    let disk = disk.after_kill();
    let log = open_on(&disk).unwrap();
    assert_eq!(log.bodies(), [b"kept".to_vec(), b"in memory only".to_vec()]);
    assert_eq!(log.log.durable(), 2, "commands may now be answered by it");
    for seed in 0..50 {
        let crashed = open_on(&disk.after_crash(&mut Random(seed))).unwrap();
        assert_eq!(crashed.bodies(), [b"kept".to_vec(), b"in memory only".to_vec()]);
    }
}

#[test]
fn any_failed_operation_of_the_writer_is_terminal() {
    // Enough to rotate, so that all operations of the writer are among those that fail.
    let mut operations = std::collections::BTreeSet::new();
    for stop in 0..100 {
        let disk = SimulatedDisk::new();
        let log = open_on(&disk).unwrap();
        disk.stop_after(stop);
        let mut durable = 0;
        for _ in 0..20 {
            match log.try_commit(&[7; 700]) {
                Some(lsn) => durable = lsn,
                None => break,
            }
            if let Some(oldest) = log.log.oldest_sealed() {
                log.log.free_through(oldest.number, durable);
            }
        }
        if let Err(poison) = log.log.close() {
            operations.insert(poison.operation);
            assert_eq!(log.log.durable(), poison.durable);
            assert!(poison.durable >= durable);
        }
    }
    assert_eq!(
        operations.into_iter().collect::<Vec<_>>(),
        ["allocate", "begin", "close", "free", "sync", "write to"]
    );
}

#[test]
fn a_failure_at_rotation_loses_nothing_that_was_durable() {
    let disk = SimulatedDisk::new();
    let config = with(Durability::Never, small(Path::new("simulated")));
    let log = open_configured(&disk, config).unwrap();
    log.commit(b"kept");
    disk.fail_syncs();
    for _ in 0..10 {
        log.stage(&[1; 1000]);
    }
    assert_eq!(log.poison().operation, "sync");
    assert_eq!(log.log.durable(), 1);
    let again = open_on(&disk.after_crash(&mut Random(1))).unwrap();
    assert_eq!(again.bodies(), [b"kept".to_vec()]);
}

#[test]
fn a_failed_sync_that_nobody_asked_for_is_terminal() {
    let disk = SimulatedDisk::new();
    let log = open_configured(&disk, with(Durability::Never, LogConfig::new("simulated"))).unwrap();
    let kept = log.commit(b"kept");
    disk.fail_syncs();
    log.stage(&vec![7; UNSYNCED_BYTES_MAX as usize]);
    let poison = log.poison();
    assert_eq!((poison.operation, poison.durable), ("sync", kept));
    assert_eq!(log.log.close().unwrap_err().operation, "sync");
    assert_eq!(log.log.durable(), kept);
}

#[test]
fn a_panic_in_the_callback_poisons_instead_of_hanging() {
    let disk = SimulatedDisk::new();
    let (log, _) = Log::open_on(
        Arc::new(disk),
        small(Path::new("simulated")),
        None,
        &mut |_: crate::RecordView<'_>| Ok(()),
        Arc::new(|event| assert!(!matches!(event, LogEvent::Durable(_)), "planted")),
    )
    .unwrap();
    let mut records = Records::new();
    records.begin(0, super::harness::KIND).push(1);
    records.end();
    log.stage(&mut records);
    let poison = log.close().unwrap_err();
    assert_eq!(poison.operation, "keep writing");
}
