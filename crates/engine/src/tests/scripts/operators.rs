//! QLEN, QSTATS, QLIST, QREADY, QPEEK, QJOB, QSCAN, QDEL, QPURGE, DEL.

use stanchion_protocol::command::{Dedupe, NewJob, State, Until};

use crate::event::{Event, Part};
use crate::limits::STEP_JOBS_MAX;
use crate::tests::compare::scan;
use crate::tests::rig::{Rig, plain, replay};
use crate::tests::script::{START_MS, check};
use crate::{Purge, Step};

#[test]
fn counts_are_by_state_and_group() {
    check(&[
        "0 QMPUSH q a GROUP g NEXT b GROUP h NEXT c GROUP g DELAY 9 NEXT d",
        "0 QCLAIM q -> #1.1=a",
        "0 QLEN q -> 2",
        "0 QLEN q ALL -> 4",
        "0 QLEN q ALL GROUP g -> 2",
        "0 QLEN q DELAYED GROUP g -> 1",
        "0 QLEN q CLAIMED GROUP h -> 0",
        "0 QLEN q GROUP \"\" -> 1",
        "0 QLEN q GROUP none -> 0",
        "0 QSTATS q -> ready=2 delayed=1 claimed=1 dead=0 bytes=4 groups=3",
    ]);
}

#[test]
fn stats_tell_how_old_the_oldest_is_and_how_long_jobs_wait_and_run() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "10 QPUSH q b",
        "100 QSTATS q -> oldest-ready-ms=100 !wait-p50-ms !run-p50-ms",
        "100 QCLAIM q -> #1.1=a",
        "100 QSTATS q -> oldest-ready-ms=90 wait-max-ms=100",
        "400 QACK q #1.1",
        "400 QSTATS q -> run-max-ms=300",
        "400 QCLAIM q",
        "400 QSTATS q -> !oldest-ready-ms wait-max-ms=390",
    ]);
}

#[test]
fn lists_have_every_queue_once() {
    check(&[
        "0 QPUSH q a",
        "0 QPUSH r b DELAY 5",
        "0 QROOT s x 1",
        "0 QLIST -> q 1/0/0/0, r 0/1/0/0, s 0/0/0/0",
        "0 del r -> 1",
        "0 QLIST -> q 1/0/0/0, s 0/0/0/0",
    ]);
}

#[test]
fn ready_groups_are_listed_with_the_age_of_their_oldest_job() {
    check(&[
        "0 QMPUSH q a GROUP g NEXT b GROUP g NEXT c DELAY 5 GROUP h NEXT d",
        "2 QPUSH r e GROUP g",
        "2 QREADY 0 -> q/ 1 2, q/g 2 2, r/g 1 0",
        "2 QREADY 0 COUNT 1 -> q/ 1 2, q/g 2 2, r/g 1 0",
        "2 QREADY 0 MATCH r -> r/g 1 0",
        "6 QCLAIM q COUNT 9",
        "6 QREADY 0 -> r/g 1 4",
    ]);
}

#[test]
fn peeking_claims_nothing() {
    check(&[
        "0 QMPUSH q a NEXT b PRIORITY 3 NEXT c GROUP g",
        "0 QPEEK q GROUP \"\" COUNT 9 -> #2 #1",
        "0 QPEEK q GROUP g -> #3",
        "0 QPEEK q CLAIMED COUNT 9 -> nothing",
        "0 QSTATS q -> claims=0 ready=3",
    ]);
}

#[test]
fn a_job_is_found_by_id_and_by_its_key() {
    check(&[
        "0 QPUSH q a DEDUPE k GROUP g -> ready #1",
        "0 QJOB q KEY k GROUP g -> id=#1",
        "0 QJOB q KEY k -> nil",
        "0 QJOB r #1 -> nil",
        "0 QDEL q KEY k -> 0",
        "0 QDEL q KEY k GROUP g -> 1",
        "0 QJOB q #1 -> nil",
    ]);
}

#[test]
fn deletion_is_of_any_state() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c NEXT d DELAY 50",
        "0 QCLAIM q COUNT 2 -> #1.1=a #2.1=b",
        "0 QNACK q #1.1 DEAD",
        "0 QDEL q #1 #2 #3 #4 #4 -> 4",
        "0 QLEN q ALL -> 0",
        "0 QACK q #2.1 -> 0",
        "60 QLEN q ALL -> 0",
        "60 QSTATS q -> acked=0 expired=0",
    ]);
}

#[test]
fn a_key_without_its_job_is_freed_too() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 1000",
        "0 QCLAIM q -> #1.1=a",
        "0 QACK q #1.1",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "0 QDEL q KEY k -> 0",
        "0 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_purge_is_of_a_state_and_a_group() {
    check(&[
        "0 QMPUSH q a GROUP g NEXT b GROUP h NEXT c GROUP g DELAY 9 NEXT d GROUP g",
        "0 QPURGE q STATE READY GROUP g -> 2",
        "0 QSCAN q 0 -> #2 #3",
        "0 QPURGE q STATE DEAD -> 0",
        "0 QPURGE q -> 2",
        "0 QPURGE none -> 0",
    ]);
}

#[test]
fn a_purge_of_all_frees_windows_whose_jobs_are_gone() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 1000 GROUP g",
        "0 QCLAIM q -> #1.1=a",
        "0 QACK q #1.1",
        "0 QPURGE q GROUP g -> 0",
        "0 QPUSH q b DEDUPE k GROUP g -> duplicate #1",
        "0 QPURGE q -> 0",
        "0 QPUSH q b DEDUPE k GROUP g -> ready #2",
    ]);
}

#[test]
fn a_purge_takes_steps_and_leaves_what_came_after_it_began() {
    let mut rig = Rig::new(START_MS, Default::default());
    for job in 0..3_000u32 {
        rig.push(b"q", b"", &job.to_be_bytes());
    }
    let mut purge = Purge::begin(&rig.shard);
    let (mut purged, mut steps) = (0, 0);
    loop {
        rig.push(b"q", b"", b"new");
        steps += 1;
        match rig.hold(|shard, now, log| shard.purge(now, b"q", None, None, &mut purge, log)) {
            Step::More(count) => purged += count,
            Step::Done(count) => {
                purged += count;
                break;
            }
        }
    }
    assert_eq!(purged, 3_000);
    assert!(steps > 1, "3,000 jobs in one step would hold up everybody else");
    assert_eq!(scan(&rig.shard, b"q", Some(State::Ready), None).len(), steps);
    rig.check_replay().unwrap();
}

#[test]
fn a_purge_frees_windows_in_steps_and_leaves_what_came_after_it_began() {
    let windows = 3 * STEP_JOBS_MAX;
    let mut rig = Rig::new(START_MS, Default::default());
    let use_key = |rig: &mut Rig, key: usize| {
        push_with_window(rig, &key.to_be_bytes());
        let job = &rig.claim(b"q", 1)[0];
        rig.ack(b"q", job.receipt);
    };
    (0..windows).for_each(|key| use_key(&mut rig, key));
    let mut purge = Purge::begin(&rig.shard);
    let mut left = vec![];
    loop {
        use_key(&mut rig, windows + left.len());
        let step = rig.hold(|shard, now, log| shard.purge(now, b"q", None, None, &mut purge, log));
        left.push(rig.shard.queues.iter().map(|(_, queue)| queue.windows.len()).sum::<usize>());
        if step == Step::Done(0) {
            break;
        }
    }
    // Each step frees as many as it may; beside it a new window comes, whose slot may be looked at in one more step.
    assert_eq!(left[..3], [2 * STEP_JOBS_MAX + 1, STEP_JOBS_MAX + 2, 3]);
    assert_eq!(left.last(), Some(&left.len()), "the new ones stay");
    rig.check_replay().unwrap();
}

fn push_with_window(rig: &mut Rig, key: &[u8]) {
    let dedupe = Some(Dedupe { key, until: Until::Claim, window_ms: 1_000, replace: false });
    let job = NewJob { dedupe, ..plain() };
    rig.hold(|shard, now, log| shard.push(now, b"q", &[job], log, &mut Vec::new())).unwrap();
}

#[test]
fn a_purge_in_an_old_log_still_frees_all_windows_without_jobs() {
    let mut rig = Rig::new(START_MS, Default::default());
    push_with_window(&mut rig, b"gone");
    let job = &rig.claim(b"q", 1)[0];
    rig.ack(b"q", job.receipt);
    push_with_window(&mut rig, b"here");
    let mut record = Vec::new();
    Part::new(&mut record, START_MS).add(b"q", &Event::Windowless);
    let next_lsn = rig.next_lsn();
    replay(&mut rig.shard, next_lsn, &record);
    let has_key = |key: &[u8]| rig.shard.queues[0].find_holder(0, key).is_some();
    assert_eq!((has_key(b"gone"), has_key(b"here")), (false, true));
}

#[test]
fn a_deleted_queue_is_gone_with_all_it_had() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 1000 ROOT s 5",
        "0 QCONFIG SET q attempts 1",
        "0 QCLAIM q -> #1.1=a",
        "0 QPAUSE q",
        "0 del q -> 1",
        "0 del q -> 0",
        "0 exists q -> 0",
        "0 QACK q #1.1 -> 0",
        "0 QSTATS q -> nil",
        "0 QPUSH q b DEDUPE k ROOT s 1 -> ready #2",
        "0 QCLAIM q -> #2.1=b",
        "0 QACK q #1.1 -> 0",
        "0 QSTATS q -> pushed=1 claims=1",
        "0 QCONFIG GET q attempts -> attempts=3:default",
    ]);
}

#[test]
fn del_is_one_record_and_frees_memory_in_steps() {
    let mut rig = Rig::new(START_MS, Default::default());
    for job in 0..5_000u32 {
        rig.push(b"q", b"", &job.to_be_bytes());
    }
    let records = rig.records.len();
    assert!(rig.hold(|shard, now, log| shard.delete_queue(now, b"q", log)));
    assert_eq!(rig.records.len(), records + 1);
    assert!(!rig.shard.exists(b"q"));
    rig.push(b"q", b"", b"again");
    assert!(rig.sweep_a_little(), "5,000 jobs are not freed in one step");
    rig.sweep();
    assert_eq!(scan(&rig.shard, b"q", None, None).len(), 1);
    rig.check_replay().unwrap();
}

#[test]
fn a_scan_sees_every_job_that_stays() {
    let mut rig = Rig::new(START_MS, Default::default());
    for job in 0..500u32 {
        rig.push(b"q", b"", &job.to_be_bytes());
    }
    let stay: Vec<_> = scan(&rig.shard, b"q", None, None).into_iter().step_by(2).collect();
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        let from = seen.len();
        cursor = rig.shard.scan(b"q", cursor, None, None, 10, &mut seen);
        // Whatever was seen and need not stay goes, and new jobs come.
        for &id in &seen[from..] {
            if !stay.contains(&id) {
                rig.hold(|shard, now, log| shard.delete(now, b"q", &[id], log));
            }
        }
        rig.push(b"q", b"", b"new");
        if cursor == 0 || seen.len() > 5_000 {
            break;
        }
    }
    assert_eq!(cursor, 0, "a scan ends although jobs come");
    for id in stay {
        assert!(seen.contains(&id), "{id} was there all the time");
    }
}
