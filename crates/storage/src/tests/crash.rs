//! Crashes of the machine at any operation, in a run and in recovery.

use std::path::Path;

use proptest::prelude::*;

use super::harness::{Opened, open_configured, open_on, small, with};
use crate::simulation::{Random, SimulatedDisk};
use crate::{Durability, Lsn};

/// A record's body from its lsn, so that every replay can be checked.
fn body(lsn: Lsn) -> Vec<u8> {
    let bytes = (Random(lsn).below(700) + 1) as usize;
    (0..bytes).map(|index| (lsn as usize + index) as u8).collect()
}

/// Checks what a recovery found: the records from the first on, each once, whole, in order.
fn assert_is_log(log: &Opened, durable: Lsn) {
    for (index, record) in log.replayed.iter().enumerate() {
        assert_eq!(record.lsn, index as Lsn + 1);
        assert_eq!(record.body, body(record.lsn));
    }
    assert_eq!(log.recovered.last_lsn, log.replayed.len() as Lsn);
    assert!(log.recovered.last_lsn >= durable, "{} found, {durable} promised", log.recovered.last_lsn);
    assert_eq!(log.log.durable(), log.recovered.last_lsn);
}

/// Commits records until the disk stops, and returns what was promised.
fn commit_until_stopped(log: &Opened, commits: u64) -> Lsn {
    for _ in 0..commits {
        let lsn = log.log.next_lsn();
        if log.try_commit(&body(lsn)).is_none() {
            break;
        }
    }
    log.log.durable()
}

#[test]
fn a_crash_at_any_operation_of_opening_can_be_followed_by_another() {
    let disk = SimulatedDisk::new();
    let log = open_configured(&disk, with(Durability::Never, small(Path::new("simulated")))).unwrap();
    log.commit(&body(1));
    for lsn in 2..=9 {
        log.stage(&body(lsn));
    }
    log.events.wait_written(9);
    let durable = log.log.durable();
    let before = disk.after_kill();

    let clean = before.after_kill();
    let first = open_on(&clean).unwrap();
    let operations = clean.operations();
    assert_is_log(&first, 9);
    assert!(operations >= 6, "an opening that does nothing proves nothing");

    for stop in 0..operations {
        for seed in 0..40 {
            let mut random = Random(seed * 1000 + stop);
            // The first crash may lose what the killed process had not synced. What an opening has found and
            // reported durable must be there for good.
            let mut disk = before.after_crash(&mut random);
            let mut promised = durable;
            let mut boots = vec![1];
            for _ in 0..4 {
                disk.stop_after(random.below(operations + 4));
                if let Ok(log) = open_on(&disk) {
                    assert_is_log(&log, promised);
                    promised = log.log.durable();
                    boots.push(log.recovered.boot);
                }
                disk = disk.after_crash(&mut random);
            }
            disk.stop_after(stop);
            if let Ok(log) = open_on(&disk) {
                assert_is_log(&log, promised);
                promised = log.log.durable();
                boots.push(log.recovered.boot);
            }
            let disk = disk.after_crash(&mut random);
            let log = open_on(&disk).unwrap();
            assert_is_log(&log, promised);
            boots.push(log.recovered.boot);
            assert!(boots.windows(2).all(|pair| pair[0] < pair[1]), "a boot was used twice: {boots:?}");
            log.commit(&body(log.log.next_lsn()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Runs of random commits under random policies, each ended by a crash at a random operation.
    #[test]
    fn what_was_durable_survives_any_crash(seed in any::<u64>(), runs in 1..6_usize) {
        let mut random = Random(seed);
        let mut disk = SimulatedDisk::new();
        let mut promised = 0;
        for _ in 0..runs {
            let policy = if random.below(3) == 0 { Durability::Never } else { Durability::Always };
            disk.stop_after(random.below(60));
            if let Ok(log) = open_configured(&disk, with(policy, small(Path::new("simulated")))) {
                assert_is_log(&log, promised);
                // Some records that nobody waits for, then some that somebody does.
                for _ in 0..random.below(10) {
                    log.stage(&body(log.log.next_lsn()));
                }
                promised = commit_until_stopped(&log, random.below(20));
                drop(log);
            }
            disk = if random.below(3) == 0 { disk.after_kill() } else { disk.after_crash(&mut random) };
        }
        let log = open_on(&disk).unwrap();
        assert_is_log(&log, promised);
    }

    /// A single file, cut at the end of any write.
    #[test]
    fn a_cut_between_writes_leaves_a_prefix(lengths in prop::collection::vec(1..300_usize, 1..12), cut in any::<prop::sample::Index>()) {
        let disk = SimulatedDisk::new();
        let log = open_on(&disk).unwrap();
        let mut ends = vec![(log.log.bytes(), 0)];
        for (index, length) in lengths.iter().enumerate() {
            log.commit(&vec![index as u8; *length]);
            prop_assert_eq!(log.log.sealed().len(), 0);
            ends.push((log.log.bytes(), index + 1));
        }
        let (end, survived) = ends[cut.index(ends.len())];
        let mut files = disk.after_kill().files();
        files.values_mut().for_each(|bytes| bytes[end as usize..].fill(0));
        let again = open_on(&SimulatedDisk::with_files(&files)).unwrap();
        prop_assert_eq!(again.replayed.len(), survived);
        prop_assert_eq!(again.recovered.torn.clone(), None);
    }
}
