//! Checkpoints: what recovery makes of a good one, of each bad one, and of a crash at each step of writing one.

use std::path::Path;

use super::harness::{KIND, Opened, Replayed, open_configured, open_on, small, with};
use crate::segment::Name;
use crate::simulation::{Random, SimulatedDisk};
use crate::{CheckpointStart, CheckpointUse, Durability, LogConfig, Lsn, NONCE_BYTES, OpenError};

const NONCE: [u8; NONCE_BYTES] = *b"sixteen bytes of";

/// Writes a checkpoint of three frames, with a record between them, if the disk lets it.
fn try_checkpoint(log: &Opened) -> Option<Lsn> {
    let from = log.try_commit(&NONCE)?;
    let mut writer = log.log.begin_checkpoint(CheckpointStart { from, shards: 1, nonce: NONCE }).ok()?;
    writer.frame(log.log.next_lsn(), 0, KIND, b"frame 1").ok()?;
    writer.frame(log.log.next_lsn(), 0, KIND, b"frame 2").ok()?;
    log.try_commit(b"between")?;
    writer.frame(log.log.next_lsn(), 0, KIND, &[3; 700]).ok()?;
    let through = log.try_commit(&NONCE)?;
    let written = writer.finish(through).ok()?;
    assert_eq!(written.from, from);
    Some(from)
}

fn checkpoint(log: &Opened) -> Lsn {
    try_checkpoint(log).expect("the disk is good")
}

/// Some records, a checkpoint, and one more.
pub(super) fn disk_with_checkpoint() -> (SimulatedDisk, Lsn) {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    for index in 0..20_u8 {
        log.commit(&[index; 500]);
    }
    let from = checkpoint(&log);
    log.commit(b"after");
    (disk.after_kill(), from)
}

fn without_checkpoint() -> LogConfig {
    LogConfig { checkpoints: CheckpointUse::Delete, ..small(Path::new("simulated")) }
}

fn names(disk: &SimulatedDisk) -> Vec<Name> {
    disk.files().into_keys().collect()
}

fn has_checkpoint(disk: &SimulatedDisk) -> bool {
    names(disk).iter().any(|name| matches!(name, Name::Checkpoint(_) | Name::CheckpointDraft(_)))
}

fn bodies(replayed: &[Replayed]) -> Vec<&[u8]> {
    replayed.iter().map(|record| &record.body[..]).collect()
}

/// Opens without the checkpoint, as a server does after a refusal; it is gone then.
fn open_without(disk: &SimulatedDisk) -> Opened {
    let log = open_configured(disk, without_checkpoint()).unwrap();
    assert!(!has_checkpoint(disk));
    assert_eq!(log.recovered.checkpoint, None);
    log
}

#[test]
fn frames_come_before_the_first_record_that_is_not_older() {
    let (disk, from) = disk_with_checkpoint();
    let log = open_on(&disk).unwrap();
    let used = log.recovered.checkpoint.clone().expect("there is a checkpoint");
    assert_eq!((used.from, used.frames), (from, 3));
    assert!(used.skipped_bytes > 5_000, "{used:?}");
    assert_eq!((log.recovered.records, log.recovered.last_lsn), (4, from + 3));
    let want: [&[u8]; 7] = [&NONCE, b"frame 1", b"frame 2", b"between", &[3; 700], &NONCE, b"after"];
    assert_eq!(bodies(&log.replayed), want);
    let lsns: Vec<Lsn> = log.replayed.iter().map(|record| record.lsn - from).collect();
    assert_eq!(lsns, [0, 1, 1, 1, 2, 2, 3]);
    assert_eq!(log.recovered.refused_checkpoints, []);
    // It serves the next start, too.
    log.commit(b"more");
    let again = open_on(&disk.after_kill()).unwrap();
    assert_eq!(again.replayed.len(), 8);
}

#[test]
fn without_it_all_is_replayed() {
    let (disk, from) = disk_with_checkpoint();
    let log = open_without(&disk);
    assert_eq!(log.replayed.len() as Lsn, from + 3);
    assert_eq!(open_on(&disk.after_kill()).unwrap().replayed.len() as Lsn, from + 3);
}

#[test]
fn segments_behind_it_are_opened_but_not_read() {
    let (disk, _) = disk_with_checkpoint();
    let mut files = disk.files();
    let oldest = *files.keys().find(|name| matches!(name, Name::Segment(_))).unwrap();
    files.get_mut(&oldest).unwrap()[200] ^= 1;
    open_on(&SimulatedDisk::with_files(&files)).unwrap();
    files.get_mut(&oldest).unwrap()[20] ^= 1;
    assert!(matches!(open_on(&SimulatedDisk::with_files(&files)), Err(OpenError::Corrupt { .. })));
}

#[test]
fn any_changed_byte_is_noticed() {
    let (disk, from) = disk_with_checkpoint();
    let files = disk.files();
    let name = Name::Checkpoint(from);
    for at in 0..files[&name].len() {
        let mut files = files.clone();
        files.get_mut(&name).unwrap()[at] ^= 1 << (at % 8);
        let broken = SimulatedDisk::with_files(&files);
        match open_on(&broken) {
            Ok(log) => {
                assert_eq!(log.recovered.refused_checkpoints.len(), 1, "byte {at}");
                assert_eq!(log.replayed.len() as Lsn, from + 3);
                assert!(!has_checkpoint(&broken));
            }
            Err(OpenError::Checkpoint { .. }) => {
                assert_eq!(open_without(&broken).replayed.len() as Lsn, from + 3);
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn one_that_is_cut_off_is_refused_before_it_is_read() {
    let (disk, from) = disk_with_checkpoint();
    let files = disk.files();
    let name = Name::Checkpoint(from);
    for length in (0..files[&name].len()).step_by(7) {
        let mut files = files.clone();
        files.get_mut(&name).unwrap().truncate(length);
        let log = open_on(&SimulatedDisk::with_files(&files)).unwrap();
        assert_eq!(log.recovered.refused_checkpoints.len(), 1, "{length} bytes");
        assert_eq!(log.replayed.len() as Lsn, from + 3);
    }
}

#[test]
fn one_of_a_newer_program_is_refused() {
    let (disk, from) = disk_with_checkpoint();
    let mut files = disk.files();
    let bytes = files.get_mut(&Name::Checkpoint(from)).unwrap();
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let log = open_on(&SimulatedDisk::with_files(&files)).unwrap();
    let refused = &log.recovered.refused_checkpoints[0];
    assert!(refused.reason.contains("version 9"), "{refused:?}");
}

#[test]
fn one_of_another_log_is_refused() {
    let (disk, from) = disk_with_checkpoint();
    let other = SimulatedDisk::new();
    let log = open_on(&other).unwrap();
    for index in 0..40_u8 {
        log.commit(&[index; 300]);
    }
    drop(log);
    let mut files = other.files();
    files.insert(Name::Checkpoint(from), disk.files()[&Name::Checkpoint(from)].clone());
    let both = SimulatedDisk::with_files(&files);
    let error = open_on(&both).unwrap_err();
    assert!(error.to_string().contains("another log"), "{error}");
    assert_eq!(open_without(&both).replayed.len(), 40);
}

#[test]
fn one_that_knows_of_more_than_the_log_is_refused() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let from = log.commit(&NONCE);
    let before = disk.after_kill();
    let mut writer = log.log.begin_checkpoint(CheckpointStart { from, shards: 1, nonce: NONCE }).unwrap();
    writer.frame(from, 0, KIND, b"frame").unwrap();
    let through = log.commit(&NONCE);
    writer.finish(through).unwrap();
    let mut files = before.files();
    files.insert(Name::Checkpoint(from), disk.files()[&Name::Checkpoint(from)].clone());
    let error = open_on(&SimulatedDisk::with_files(&files)).unwrap_err();
    assert!(error.to_string().contains("the log ends at"), "{error}");
}

#[test]
fn one_whose_records_were_reclaimed_is_refused() {
    let (disk, from) = disk_with_checkpoint();
    let log = open_on(&disk).unwrap();
    while log.log.sealed().last().unwrap().last_lsn < from + 4 {
        log.commit(&[1; 1_000]);
    }
    let newest = *log.log.sealed().last().unwrap();
    log.log.free_through(newest.number, log.log.next_lsn() - 1);
    log.events.wait("freed", |event| matches!(event, crate::LogEvent::Freed(_)));
    let first = newest.last_lsn + 1;
    let again = open_on(&disk.after_kill()).unwrap();
    assert_eq!(again.replayed[0].lsn, first);
    assert!(again.recovered.refused_checkpoints[0].reason.contains(&format!("begins with {first}")));
}

#[test]
fn a_newer_one_replaces_it_and_a_dropped_one_is_deleted() {
    let (disk, from) = disk_with_checkpoint();
    let log = open_on(&disk).unwrap();
    let start = CheckpointStart { from: log.commit(&NONCE), shards: 1, nonce: NONCE };
    drop(log.log.begin_checkpoint(start).unwrap());
    let kept = |disk: &SimulatedDisk| {
        names(disk).into_iter().filter(|name| matches!(name, Name::Checkpoint(_))).collect::<Vec<_>>()
    };
    assert_eq!(kept(&disk), [Name::Checkpoint(from)]);
    let newer = checkpoint(&log);
    assert_eq!(kept(&disk), [Name::Checkpoint(newer)]);
    assert!(!names(&disk).contains(&Name::CheckpointDraft(start.from)));
}

#[test]
fn a_full_disk_ends_a_checkpoint_and_leaves_the_log_alone() {
    let (disk, from) = disk_with_checkpoint();
    let log = open_on(&disk).unwrap();
    let start = CheckpointStart { from: log.commit(&NONCE), shards: 1, nonce: NONCE };
    let mut writer = log.log.begin_checkpoint(start).unwrap();
    disk.set_bytes_max(Some(disk.bytes()));
    let big = vec![1; 3 * 1024 * 1024];
    assert!(writer.frame(log.log.next_lsn(), 0, KIND, &big).is_err());
    drop(writer);
    disk.set_bytes_max(None);
    log.commit(b"goes on");
    assert!(names(&disk).contains(&Name::Checkpoint(from)));
    assert!(!names(&disk).contains(&Name::CheckpointDraft(start.from)));
}

#[test]
fn one_that_the_system_cannot_read_stays() {
    let (disk, from) = disk_with_checkpoint();
    let name = Name::Checkpoint(from);
    let bytes = disk.files()[&name].len() as u64;
    // The end mark, the header, and what is read at the first and at the last frame.
    for unreadable_from in [0, bytes - 1, 64, 700] {
        let disk = disk.after_kill();
        disk.set_unreadable(Some((name, unreadable_from..u64::MAX)));
        let log = match open_on(&disk) {
            Err(OpenError::Checkpoint { instead, reason, .. }) => {
                assert!(instead == CheckpointUse::Leave && reason.contains("can't read it"), "{reason}");
                let config = LogConfig { checkpoints: instead, ..small(Path::new("simulated")) };
                open_configured(&disk, config).unwrap()
            }
            opened => opened.unwrap(),
        };
        assert_eq!((log.replayed.len() as Lsn, &log.recovered.checkpoint), (from + 3, &None));
        log.commit(b"more");
        drop(log);
        let again = open_on(&disk.after_kill()).unwrap();
        assert_eq!(again.recovered.checkpoint.map(|used| used.from), Some(from), "from {unreadable_from}");
        assert_eq!(again.replayed.len(), 8);
    }
    // A newer one replaces it.
    disk.set_unreadable(Some((name, 0..u64::MAX)));
    let log = open_on(&disk).unwrap();
    let newer = checkpoint(&log);
    assert!(!names(&disk).contains(&name) && names(&disk).contains(&Name::Checkpoint(newer)));
}

/// What an opening replays: all of the log, or a checkpoint and the log from there on, never less.
fn assert_is_whole(disk: &SimulatedDisk, durable: Lsn, frames_expected: bool) {
    let log = match open_on(disk) {
        Err(OpenError::Checkpoint { .. }) => panic!("a crash of the machine left a bad checkpoint"),
        opened => opened.unwrap(),
    };
    assert_eq!(log.recovered.refused_checkpoints, []);
    assert!(log.recovered.last_lsn >= durable, "{} found, {durable} promised", log.recovered.last_lsn);
    match &log.recovered.checkpoint {
        Some(used) => {
            assert_eq!(used.frames, 3);
            let from = used.from;
            let records = log.replayed.len() as u64 - used.frames;
            assert_eq!(records, log.recovered.last_lsn - from + 1);
        }
        None => {
            assert!(!frames_expected, "there was a checkpoint before");
            assert_eq!(log.replayed.len() as u64, log.recovered.last_lsn);
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_writing_one_leaves_the_last_one_or_this_one() {
    for has_older in [false, true] {
        let disk = SimulatedDisk::new();
        let log = open_on(&disk).unwrap();
        log.commit(&[1; 3_000]);
        if has_older {
            checkpoint(&log);
        }
        drop(log);
        let before = disk.after_kill();
        let counted = before.after_kill();
        let log = open_configured(&counted, with(Durability::Never, small(Path::new("simulated")))).unwrap();
        let first = counted.operations();
        checkpoint(&log);
        let operations = counted.operations() - first;
        assert!(operations >= 10, "{operations} operations");
        drop(log);
        for stop in 0..=operations {
            for seed in 0..8 {
                let mut random = Random(seed * 1_000 + stop);
                let disk = before.after_kill();
                let log =
                    open_configured(&disk, with(Durability::Never, small(Path::new("simulated")))).unwrap();
                disk.stop_after(stop);
                let _ = try_checkpoint(&log);
                let durable = log.log.durable();
                assert_is_whole(&disk.after_kill(), durable, has_older);
                assert_is_whole(&disk.after_crash(&mut random), durable, has_older);
            }
        }
    }
}
