//! QNACK: back-off, attempts, dead jobs with their reasons, and QREQUEUE.

use crate::limits::{SCAN_SLOTS_MAX, STEP_JOBS_MAX};
use crate::tests::rig::Rig;
use crate::tests::script::check;
use crate::{Now, Requeue, Step};

#[test]
fn a_nack_waits_for_the_back_off() {
    check(&[
        "0 QCONFIG SET q backoff 100 backoff-factor 3 backoff-jitter 0 attempts 0",
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 -> retry",
        "0 QJOB q #1 -> state=delayed ready-at=100 failures=1 attempts=1",
        "100 QCLAIM q -> #1.2=a",
        "100 QNACK q #1.2 -> retry",
        "100 QJOB q #1 -> ready-at=400",
        "400 QCLAIM q -> #1.3=a",
        "400 QNACK q #1.3 -> retry",
        "400 QJOB q #1 -> ready-at=1300 failures=3",
    ]);
}

#[test]
fn the_back_off_has_a_maximum() {
    check(&[
        "0 QCONFIG SET q backoff 100 backoff-factor 10 backoff-max 250 backoff-jitter 0 attempts 0",
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1",
        "100 QCLAIM q -> #1.2=a",
        "100 QNACK q #1.2 -> retry",
        "100 QJOB q #1 -> ready-at=350",
    ]);
}

#[test]
fn the_back_off_counts_failures_not_attempts() {
    check(&[
        "0 QCONFIG SET q backoff 100 backoff-factor 2 backoff-jitter 0 attempts 0",
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 10 -> #1.1=a",
        "10 QCLAIM q -> #1.2=a",
        "10 QRELEASE q #1.2 -> 1",
        "10 QCLAIM q -> #1.3=a",
        "10 QNACK q #1.3 -> retry",
        "10 QJOB q #1 -> ready-at=210 failures=2 attempts=2",
    ]);
}

#[test]
fn many_failures_do_not_overflow_the_back_off() {
    let mut lines = vec![
        "0 QCONFIG SET q attempts 0 backoff-factor 10 backoff-jitter 0 backoff 1 backoff-max 5".to_owned(),
        "0 QPUSH q a".to_owned(),
    ];
    for claim in 1..400 {
        lines.push(format!("{} QCLAIM q -> #1.{claim}=a", claim * 10));
        lines.push(format!("{} QNACK q #1.{claim} -> retry", claim * 10));
    }
    check(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn no_back_off_stays_none_after_any_number_of_failures() {
    let mut lines =
        vec!["0 QCONFIG SET q attempts 0 backoff-factor 1000 backoff 0".to_owned(), "0 QPUSH q a".to_owned()];
    for claim in 1..200 {
        lines.push(format!("0 QCLAIM q -> #1.{claim}=a"));
        lines.push(format!("0 QNACK q #1.{claim} -> retry"));
    }
    check(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_nack_may_say_when() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "5 QNACK q #1.1 DELAY 50 -> retry",
        "5 QJOB q #1 -> state=delayed ready-at=55",
    ]);
}

#[test]
fn used_up_attempts_end_in_death_even_with_a_delay() {
    check(&[
        "0 QPUSH q a ATTEMPTS 1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DELAY 50 ERROR boom -> dead",
        "0 QJOB q #1 -> state=dead last-error=boom attempts=1 failures=1",
        "0 QSTATS q -> died=1 nacked=1 dead=1",
    ]);
}

#[test]
fn three_attempts_are_the_default() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q",
        "0 QNACK q #1.1 DELAY 0 -> retry",
        "0 QCLAIM q",
        "0 QNACK q #1.2 DELAY 0 -> retry",
        "0 QCLAIM q",
        "0 QNACK q #1.3 DELAY 0 -> dead",
    ]);
}

#[test]
fn no_attempts_limit_is_zero() {
    check(&[
        "0 QCONFIG SET q attempts 1",
        "0 QPUSH q a ATTEMPTS 0",
        "0 QCLAIM q",
        "0 QNACK q #1.1 DELAY 0 -> retry",
        "0 QCLAIM q",
        "0 QNACK q #1.2 DELAY 0 -> retry",
    ]);
}

#[test]
fn the_queues_limit_counts_for_jobs_without_their_own() {
    check(&[
        "0 QPUSH q a",
        "0 QPUSH q b ATTEMPTS 5",
        "0 QCONFIG SET q attempts 1",
        "0 QJOB q #1 -> attempts-max=1",
        "0 QJOB q #2 -> attempts-max=5",
        "0 QCLAIM q COUNT 2",
        "0 QNACK q #1.1 -> dead",
        "0 QNACK q #2.1 -> retry",
    ]);
}

#[test]
fn a_nack_may_kill() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q",
        "0 QNACK q #1.1 DEAD ERROR gone -> dead",
        "0 QJOB q #1 -> state=dead last-error=gone",
        "0 QPEEK q DEAD COUNT 9 -> #1",
    ]);
}

#[test]
fn a_newer_message_takes_the_place_of_the_last() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q",
        "0 QNACK q #1.1 DELAY 0 ERROR one",
        "0 QJOB q #1 -> last-error=one",
        "0 QCLAIM q",
        "0 QNACK q #1.2 DELAY 0 ERROR two",
        "0 QJOB q #1 -> last-error=two",
    ]);
}

#[test]
fn dead_jobs_are_kept_for_their_retention() {
    check(&[
        "0 QCONFIG SET q dead-retention 100",
        "0 QPUSH q a",
        "0 QCLAIM q",
        "50 QNACK q #1.1 DEAD -> dead",
        "149 QLEN q DEAD -> 1",
        "150 QLEN q DEAD -> 0",
        "150 QJOB q #1 -> nil",
        "150 QSTATS q -> expired=0 died=1",
    ]);
}

#[test]
fn the_oldest_dead_job_makes_room() {
    check(&[
        "0 QCONFIG SET q dead-max 2",
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCLAIM q COUNT 3",
        "1 QNACK q #2.1 DEAD",
        "2 QNACK q #1.1 DEAD",
        "3 QNACK q #3.1 DEAD",
        "3 QSCAN q 0 STATE DEAD -> #1 #3",
        "3 QSTATS q -> died=3 dead=2",
    ]);
}

#[test]
fn requeue_by_id_takes_dead_and_delayed_jobs() {
    check(&[
        "0 QMPUSH q dead NEXT ready NEXT later DELAY 500",
        "0 QCLAIM q -> #1.1=dead",
        "0 QNACK q #1.1 DEAD ERROR boom",
        "0 QREQUEUE q #1 #1 #2 #3 -> 2",
        "0 QLEN q -> 3",
        "0 QJOB q #1 -> state=ready attempts=0 failures=0",
        "0 QCLAIM q COUNT 9 -> #1.2=dead #2.1=ready #3.1=later",
        "0 QREQUEUE q #1 -> 0",
        "0 QREQUEUE none #1 -> 0",
    ]);
}

#[test]
fn a_requeued_delayed_job_keeps_its_attempts() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q",
        "0 QNACK q #1.1 DELAY 500 ERROR boom",
        "0 QREQUEUE q #1 -> 1",
        "0 QJOB q #1 -> state=ready attempts=1 failures=1 last-error=boom",
    ]);
}

#[test]
fn all_dead_jobs_or_some_of_them_are_requeued() {
    check(&[
        "0 QMPUSH q a GROUP g NEXT b GROUP h NEXT c GROUP g NEXT d GROUP g",
        "0 QCLAIM q COUNT 9 -> #1.1=a #2.1=b #3.1=c #4.1=d",
        "0 QNACK q #1.1 DEAD",
        "0 QNACK q #2.1 DEAD",
        "0 QNACK q #3.1 DEAD",
        "0 QNACK q #4.1 DEAD",
        "0 QREQUEUE q DEAD GROUP g COUNT 2 -> 2",
        "0 QLEN q GROUP g -> 2",
        "0 QLEN q DEAD -> 2",
        "0 QREQUEUE q DEAD GROUP h -> 1",
        "0 QREQUEUE q DEAD -> 1",
        "0 QREQUEUE q DEAD -> 0",
    ]);
}

#[test]
fn thousands_of_dead_jobs_are_requeued_in_steps() {
    let mut rig = Rig::new(0, Default::default());
    for job in 0..3_000u32 {
        rig.push(b"q", b"", &job.to_be_bytes());
    }
    for job in rig.claim(b"q", 3_000) {
        rig.kill(b"q", job.receipt);
    }
    let records = rig.records.len();
    assert_eq!(rig.requeue_dead(b"q"), 3_000);
    assert!(rig.records.len() > records + 1, "one step would hold up everybody else");
    assert_eq!(rig.claim(b"q", 3_000).len(), 3_000);
    rig.check_replay().unwrap();
}

#[test]
fn a_requeue_of_a_group_looks_at_each_job_once_and_at_few_in_a_step() {
    let jobs = 3 * SCAN_SLOTS_MAX;
    let mut rig = Rig::new(0, Default::default());
    for job in 0..jobs {
        let group: &[u8] = if job % 8 == 7 { b"few" } else { b"many" };
        rig.push(b"q", group, b"");
    }
    for job in rig.claim(b"q", jobs as u32) {
        rig.kill(b"q", job.receipt);
    }
    let (steps, requeued) = requeue_in_steps(&mut rig, b"few");
    assert_eq!(requeued, jobs as u64 / 8);
    // A step ends with as many slots as it may look at, or with as many jobs as it may change.
    assert!(steps.len() <= jobs / SCAN_SLOTS_MAX + jobs / 8 / STEP_JOBS_MAX + 1, "{steps:?}");
    assert!(steps.iter().all(|&looks| looks <= SCAN_SLOTS_MAX as u32), "{steps:?}");
    assert_eq!(requeue_in_steps(&mut rig, b"few"), (vec![0], 0));
    rig.check_replay().unwrap();
}

/// The slots that each step of QREQUEUE DEAD GROUP looks at, and how many jobs it requeues.
fn requeue_in_steps(rig: &mut Rig, group: &[u8]) -> (Vec<u32>, u64) {
    let mut requeue = Requeue::begin(&rig.shard, Now { ms: rig.now, entropy: 0 }, None);
    let (mut steps, mut requeued) = (Vec::new(), 0);
    loop {
        let before = requeue.next;
        let step = rig.hold(|shard, now, log| shard.requeue_dead(now, b"q", Some(group), &mut requeue, log));
        steps.push(requeue.next - before);
        let (Step::More(jobs) | Step::Done(jobs)) = step;
        requeued += jobs;
        if step == Step::Done(jobs) {
            return (steps, requeued);
        }
    }
}

#[test]
fn a_job_that_dies_again_during_a_requeue_stays_dead() {
    let jobs = STEP_JOBS_MAX as u32 + 1;
    let mut rig = Rig::new(0, Default::default());
    let kill_all = |rig: &mut Rig| rig.claim(b"q", jobs).iter().for_each(|job| rig.kill(b"q", job.receipt));
    for _ in 0..jobs {
        rig.push(b"q", b"", b"");
    }
    kill_all(&mut rig);
    let mut requeue = Requeue::begin(&rig.shard, Now { ms: rig.now, entropy: 0 }, None);
    let mut step =
        |rig: &mut Rig| rig.hold(|shard, now, log| shard.requeue_dead(now, b"q", None, &mut requeue, log));
    assert_eq!(step(&mut rig), Step::More(u64::from(jobs) - 1));
    rig.now += 1;
    kill_all(&mut rig);
    assert_eq!(step(&mut rig), Step::Done(1));
}
