//! Staging, group commit, the policies and back-pressure.

use std::path::Path;
use std::time::Duration;

use super::harness::{Opened, open, open_configured, open_on, small, with};
use crate::limits::UNSYNCED_BYTES_MAX;
use crate::simulation::SimulatedDisk;
use crate::{Durability, LogConfig, LogEvent, RecordKind, Records, Staged};

#[test]
fn records_come_back_as_they_were_staged() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(LogConfig::new(dir.path())).unwrap();
    assert_eq!((log.recovered.boot, log.recovered.last_lsn, log.log.next_lsn()), (1, 0, 1));
    let mut records = Records::new();
    records.begin(3, RecordKind::new(1)).extend_from_slice(b"one");
    records.end();
    records.begin(65_535, RecordKind::new(255)).extend_from_slice(&[0; 70_000]);
    records.end();
    assert_eq!(log.log.stage(&mut records), Staged { first: 1, last: 2 });
    assert!(records.is_empty());
    assert_eq!(log.log.stage(&mut records), Staged { first: 3, last: 2 }, "nothing to stage");
    log.events.wait_durable(2);
    assert_eq!((log.log.durable(), log.log.written(), log.log.next_lsn()), (2, 2, 3));
    log.log.close().unwrap();

    let again = open(LogConfig::new(dir.path())).unwrap();
    let kinds: Vec<_> = again.replayed.iter().map(|r| (r.lsn, r.shard, r.kind, r.body.len())).collect();
    assert_eq!(kinds, [(1, 3, 1, 3), (2, 65_535, 255, 70_000)]);
    assert_eq!((again.recovered.boot, again.recovered.last_lsn, again.recovered.records), (2, 2, 2));
    assert!(again.recovered.clean);
    assert_eq!(again.commit(b"three"), 3);
}

#[test]
fn many_threads_share_syncs_and_keep_their_order() {
    const THREADS: u16 = 16;
    const COMMITS: u32 = 200;
    let disk = SimulatedDisk::new();
    let log = open_configured(&disk, LogConfig::new("simulated")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log: &Opened = &log;
            scope.spawn(move || {
                let mut records = Records::new();
                for commit in 0..COMMITS {
                    records.begin(thread, RecordKind::new(1)).extend_from_slice(&commit.to_le_bytes());
                    records.end();
                    let staged = log.log.stage(&mut records);
                    if commit % 8 == 7 {
                        log.events.wait_durable(staged.last);
                        assert!(log.log.durable() >= staged.last);
                    }
                }
            });
        }
    });
    log.log.close().unwrap();
    let commits = u64::from(THREADS) * u64::from(COMMITS);
    assert!(disk.counts().syncs < commits, "{:?} for {commits} commits", disk.counts());

    let again = open_on(&disk).unwrap();
    assert_eq!(again.recovered.records, commits);
    let mut next = [0; THREADS as usize];
    for record in &again.replayed {
        let commit = u32::from_le_bytes(record.body.as_slice().try_into().unwrap());
        let expected = &mut next[usize::from(record.shard)];
        assert_eq!(commit, *expected);
        *expected += 1;
    }
    assert!(next.iter().all(|&count| count == COMMITS));
}

#[test]
fn always_syncs_each_commit_that_comes_alone() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let before = disk.counts();
    for _ in 0..10 {
        let lsn = log.stage(b"alone").last;
        log.events.wait_durable(lsn);
    }
    let after = disk.counts();
    // The first one writes ahead for the others, too.
    assert_eq!((after.syncs - before.syncs, after.writes - before.writes), (10, 11));
}

#[test]
fn only_files_that_were_not_written_before_are_written_ahead() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let commit = || {
        let before = disk.counts().writes;
        log.commit(&[7; 1_500]);
        disk.counts().writes - before
    };
    assert_eq!([commit(), commit()], [2, 1]);
    assert_eq!([commit(), commit()], [3, 1], "a new file, with its header");
    let recycled: Vec<_> = (0..20)
        .map(|_| {
            if let Some(oldest) = log.log.oldest_sealed() {
                log.log.free_through(oldest.number, log.log.durable());
                log.events.wait("freed", |event| matches!(event, LogEvent::Freed(n) if *n == oldest.number));
            }
            commit()
        })
        .collect();
    assert_eq!(recycled[10..].iter().max(), Some(&2), "{recycled:?}");
}

#[test]
fn never_syncs_only_when_asked() {
    let disk = SimulatedDisk::new();
    let config = with(Durability::Never, LogConfig::new("simulated"));
    let log = open_configured(&disk, config).unwrap();
    let before = disk.counts().syncs;
    log.events.wait_written(log.stage(b"one").last);
    let two = log.stage(b"two").last;
    log.events.wait_written(two);
    assert_eq!((log.log.durable(), disk.counts().syncs), (0, before));
    log.log.sync_to(two);
    log.events.wait_durable(two);
    assert_eq!(disk.counts().syncs, before + 1);
    log.log.sync_to(two);
    log.log.sync_to(u64::MAX);
    log.log.close().unwrap();
    assert_eq!(disk.counts().syncs, before + 2, "what is durable needs no sync but that of the clean end");
}

#[test]
fn what_gathers_is_synced_before_it_is_much() {
    let part = vec![7; UNSYNCED_BYTES_MAX as usize / 4];
    for durability in [Durability::Never, Durability::Interval(Duration::from_secs(3600))] {
        let disk = SimulatedDisk::new();
        let log = open_configured(&disk, with(durability, LogConfig::new("simulated"))).unwrap();
        let before = disk.counts();
        for _ in 0..3 {
            log.events.wait_written(log.stage(&part).last);
        }
        assert_eq!((log.log.durable(), disk.counts().syncs), (0, before.syncs));
        let fourth = log.stage(&part).last;
        log.events.wait_durable(fourth);
        for _ in 0..3 {
            log.events.wait_written(log.stage(&part).last);
        }
        let after = disk.counts();
        assert_eq!((log.log.durable(), after.syncs - before.syncs), (fourth, 1), "it begins anew");
        assert_eq!(after.writes - before.writes, 7, "nothing is written ahead");
    }
}

#[test]
fn an_interval_syncs_by_itself_and_not_earlier() {
    let disk = SimulatedDisk::new();
    let hour = with(Durability::Interval(Duration::from_secs(3600)), LogConfig::new("simulated"));
    let log = open_configured(&disk, hour).unwrap();
    let lsn = log.stage(b"one").last;
    log.events.wait_written(lsn);
    assert_eq!(log.log.durable(), 0);
    assert_eq!(log.commit(b"asked"), 2);
    drop(log);

    let soon = with(Durability::Interval(Duration::from_millis(3)), LogConfig::new("simulated"));
    let log = open_configured(&disk, soon).unwrap();
    let lsn = log.stage(b"not asked").last;
    log.events.wait_durable(lsn);
}

#[test]
fn a_full_stage_says_no_until_the_writer_took_it() {
    let disk = SimulatedDisk::new();
    let config = LogConfig { staged_bytes_max: 1000, ..LogConfig::new("simulated") };
    let log = open_configured(&disk, config).unwrap();
    disk.hold_syncs(true);
    let first = log.stage(b"the writer is in the sync of this one").last;
    log.events.wait_written(first);
    assert!(log.log.has_room());
    let last = log.stage(&[0; 1000]).last;
    assert!(!log.log.has_room());
    disk.hold_syncs(false);
    log.events.wait("room", |event| matches!(event, LogEvent::Room));
    assert!(log.log.has_room());
    log.events.wait_durable(last);
}

#[test]
fn a_log_closes_once_and_with_its_last_handle() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    let staged = log.stage(b"staged, not waited for").last;
    let clone = log.log.clone();
    clone.close().unwrap();
    log.log.close().unwrap();
    assert_eq!(log.log.durable(), staged);
    let late = log.stage(b"nobody writes this");
    assert_eq!(late.first, staged + 1);

    // The lock is free although handles are left.
    let again = open(small(dir.path())).unwrap();
    assert!(again.recovered.clean);
    assert_eq!(again.bodies(), [b"staged, not waited for".to_vec()]);
    again.stage(b"the last handle closes");
    drop(again);
    let third = open(small(dir.path())).unwrap();
    assert!(third.recovered.clean);
    assert_eq!(third.recovered.last_lsn, 2);
}

#[test]
fn a_segment_too_small_is_refused() {
    let config = LogConfig { segment_bytes: 4095, ..LogConfig::new("simulated") };
    let error = open_configured(&SimulatedDisk::new(), config).unwrap_err();
    assert!(error.to_string().contains("4095 bytes is too small"), "{error}");
    assert!(!Path::new("simulated").exists());
}
