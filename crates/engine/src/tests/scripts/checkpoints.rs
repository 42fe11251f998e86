//! Starts from a checkpoint, with whatever happened while it was captured. `capture` writes one entry of it.

use crate::job::Stand;
use crate::tests::rig::{Rig, same};
use crate::tests::script::{START_MS, check};
use crate::{Checkpoint, Damaged, SettingsPatch, Shard, Step};

#[test]
fn jobs_that_changed_before_and_after_their_turn_are_as_they_were() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c DELAY 500 NEXT d PRIORITY 3 NEXT e",
        "0 QCLAIM q WORKER w LEASE 900000 -> #4.1=d",
        "1 capture -> more",
        "2 QCLAIM q COUNT 2 LEASE 900000 -> #1.1=a #2.1=b",
        "2 QACK q #1.1",
        "3 capture -> more",
        "3 capture -> more",
        "3 QNACK q #2.1 DELAY 5 ERROR boom",
        "4 QRELEASE q #4.1",
        "4 capture -> more",
        "4 QDEL q #5",
        "5 capture -> done",
        "5 QPUSH q f",
        "6 restart",
        "6 QJOB q #2 -> state=delayed failures=1 last-error=boom attempts=1",
        "6 QJOB q #3 -> state=delayed ready-at=500",
        "6 QJOB q #4 -> state=ready attempts=0 !worker",
        "6 QSTATS q -> pushed=6 claims=3 acked=1 nacked=1 released=1",
        "6 QCLAIM q COUNT 9 -> #4.2=d #6.1=f",
    ]);
}

#[test]
fn a_window_whose_job_goes_meanwhile_stays() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QPUSH q b DEDUPE k WINDOW 9000 -> ready #2",
        "0 QCLAIM q COUNT 2 -> #1.1=a #2.1=b",
        "1 capture -> more",
        "1 QACK q #2.1",
        "2 capture -> done",
        "3 restart",
        "3 QPUSH q c DEDUPE k -> duplicate #2",
        "4 reclaim",
        "5 restart",
        "5 QPUSH q c DEDUPE k -> duplicate #2",
        "9000 QPUSH q c DEDUPE k -> ready #3",
    ]);
}

#[test]
fn a_key_that_is_requeued_away_from_a_superseded_job_meanwhile_leaves_no_window() {
    check(&[
        "0 QPUSH q x DELAY 9000 -> delayed #1",
        "0 QPUSH q a DEDUPE k UNTIL DONE -> ready #2",
        "0 QCLAIM q -> #2.1=a",
        "0 QNACK q #2.1 DEAD -> dead",
        "1 capture -> more",
        "1 QPUSH q b DEDUPE k WINDOW 9000 ROOT s 1 TTL 100 -> ready #3",
        "1 QROOT q s 2",
        "1 QREQUEUE q #2 -> 1",
        "101 QCLAIM q -> #2.2=a",
        "101 QACK q #2.2 -> 1",
        "101 capture -> done",
        "102 restart",
        "102 QPUSH q c DEDUPE k -> ready #4",
    ]);
}

#[test]
fn a_job_that_is_replaced_meanwhile_is_its_replacement() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QPUSH q old DEDUPE k UNTIL DONE -> ready #2",
        "1 capture -> more",
        "1 QPUSH q new DEDUPE k UNTIL DONE REPLACE -> replaced #2",
        "1 capture -> done",
        "2 restart",
        "2 QJOB q #2 -> payload=new dedupe=k",
        "2 QSTATS q -> pushed=2 replaced=1",
        "3 reclaim",
        "4 restart",
        "4 QPUSH q x DEDUPE k -> duplicate #2",
    ]);
}

#[test]
fn a_root_that_is_raised_meanwhile_drops_its_jobs() {
    check(&[
        "0 QPUSH q a ROOT s 1 ATTEMPTS 1 -> ready #1",
        "0 QPUSH q b ROOT t 1 -> ready #2",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "1 capture -> more",
        "1 QROOT q s 2",
        "2 capture -> more",
        "2 capture -> more",
        "2 QROOT q t 2",
        "2 capture -> done",
        "3 restart",
        "60003 sweep",
        "60003 QLEN q ALL -> 0",
        "60003 QSTATS q -> superseded=2 died=0",
    ]);
}

#[test]
fn a_queue_that_is_deleted_and_made_again_meanwhile_is_the_new_one() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCONFIG SET q attempts 7",
        "0 QPUSH r d -> ready #4",
        "1 capture -> more",
        "1 del q",
        "1 QPUSH q e -> ready #5",
        "1 capture -> more",
        "2 capture -> done",
        "3 restart",
        "3 QSTATS q -> pushed=1",
        "3 QJOB q #5 -> attempts-max=3",
        "3 QCLAIM q COUNT 9 -> #5.1=e",
        "3 QCLAIM r COUNT 9 -> #4.1=d",
    ]);
}

#[test]
fn groups_at_their_cap_stay_there() {
    check(&[
        "0 QCONFIG SET q group-concurrency 1",
        "0 QMPUSH q a GROUP g NEXT b GROUP g NEXT c GROUP h NEXT d GROUP h",
        "0 QCLAIM q COUNT 9 LEASE 900000 -> #1.1=a #3.1=c",
        "0 QCLAIM q -> nothing",
        "1 checkpoint",
        "2 restart",
        "2 QCLAIM q COUNT 9 -> nothing",
        "3 QACK q #3.1",
        "3 QCLAIM q COUNT 9 -> #4.1=d",
    ]);
}

#[test]
fn one_checkpoint_serves_many_starts_and_reclaiming_makes_it_useless() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    for payload in [b"a", b"b", b"c"] {
        rig.push(b"q", b"", payload);
    }
    rig.checkpoint();
    for _ in 0..3 {
        rig.push(b"q", b"", b"d");
        assert!(rig.merged().is_some());
        rig.restart(1_000);
        rig.check_replay().unwrap();
    }
    rig.reclaim();
    assert!(rig.merged().is_none());
    rig.check_replay().unwrap();
    assert_eq!(rig.claim(b"q", 9).len(), 6);
}

#[test]
fn an_entry_that_a_checkpoint_forgets_is_noticed() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    for payload in [b"a", b"b", b"c"] {
        rig.push(b"q", b"", payload);
    }
    rig.checkpoint();
    rig.check_merged().unwrap();
    rig.lose_a_frame();
    assert!(rig.check_merged().is_err());
}

#[test]
fn a_step_is_bounded_also_where_there_is_nothing_to_write() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    let first = rig.next_lsn();
    for _ in 0..9_000 {
        rig.push(b"q", b"", b"b");
    }
    for (below, steps) in [(first, 1), (rig.next_lsn(), 3)] {
        let mut checkpoint = Checkpoint::begin(below);
        let mut frame = Vec::new();
        let step = |shard: &mut Shard, now, _: &mut Vec<u8>| {
            shard.checkpoint(now, &mut checkpoint, usize::MAX / 2, &mut frame)
        };
        let mut step = step;
        let mut taken = 1;
        while let Step::More(_) = rig.hold(&mut step) {
            taken += 1;
        }
        assert_eq!(taken, steps);
    }
}

#[test]
fn a_snapshot_cannot_be_newer_than_its_frame() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    let lsn = rig.next_lsn();
    let mut frame = Vec::new();
    let mut checkpoint = Checkpoint::begin(lsn);
    rig.hold(|shard, now, _| shard.checkpoint(now, &mut checkpoint, 1_000, &mut frame));
    let part = |body: &[u8]| Shard::parts(body).next().unwrap().unwrap().1.to_vec();
    let mut shard = rig.replayed(0);
    assert!(matches!(shard.replay(0, &part(&frame)), Err(Damaged(_))));
    let mut shard = rig.replayed(0);
    shard.replay(lsn, &part(&frame)).unwrap();
    same(&rig.dump(&rig.shard), &rig.dump(&shard)).unwrap();
}

#[test]
fn a_backlog_stands_in_lists_although_more_is_pushed_meanwhile() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    let groups: [&[u8]; 3] = [b"", b"g", b"h"];
    for number in 0..300 {
        rig.push(b"q", groups[number % 3], b"a");
    }
    while rig.checkpoint_a_little(2_000) {
        rig.now += 1;
        for group in groups {
            rig.push(b"q", group, b"b");
        }
        // The frontier of what was put back may be claimed.
        rig.claim(b"q", 2);
    }
    rig.check_merged().unwrap();
    let merged = rig.merged().unwrap();
    let jobs = merged.queues.iter().flat_map(|(_, queue)| queue.jobs.iter());
    assert_eq!(jobs.filter(|(_, job)| job.stand == Stand::Tree).count(), 0);
}

#[test]
fn a_mark_changes_nothing() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    let before = rig.dump(&rig.shard);
    rig.hold(|_, _, log| Checkpoint::mark([7; 16], log));
    rig.check_replay().unwrap();
    assert_eq!(rig.dump(&rig.replayed(rig.records.len())), before);
}
