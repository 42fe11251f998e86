//! WORKER: who has which jobs, how they come back, and what became of them by the worker's version.

use stanchion_protocol::command::Take;

use crate::tests::pair::one;
use crate::tests::rig::Rig;
use crate::tests::script::{START_MS, check};
use crate::{Claimed, Step, limits};

#[test]
fn a_worker_has_what_it_claimed_until_the_claim_ends() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c NEXT d NEXT e NEXT f",
        "0 QPUSH r g",
        "0 hands -> nothing",
        "0 QCLAIM q COUNT 4 LEASE 100 WORKER w -> #1.1=a #2.1=b #3.1=c #4.1=d",
        "0 QCLAIM r LEASE 100 WORKER w -> #7.1=g",
        "0 QCLAIM q WORKER v -> #5.1=e",
        "0 QCLAIM q -> #6.1=f",
        "0 hands -> v=1 w=5",
        "1 QACK q #2.1 -> 1",
        "1 QNACK q #1.1 -> retry",
        "1 QRELEASE q #4.1 -> 1",
        "1 hands -> v=1 w=2",
        "1 QDEL q #3 -> 1",
        "1 hands -> v=1 w=1",
        "100 tick",
        "100 hands -> v=1",
        "100 QJOB r #7 -> state=ready last-error=lapsed,_worker_w",
        "100 QACK q #5.1 -> 1",
        "100 hands -> nothing",
    ]);
}

#[test]
fn a_goodbye_gives_jobs_of_all_queues_back_and_uses_no_attempt() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QPUSH r d",
        "0 QCLAIM q COUNT 2 WORKER w -> #1.1=a #2.1=b",
        "0 QCLAIM r WORKER w -> #4.1=d",
        "0 QCLAIM q WORKER other -> #3.1=c",
        "5 bye nobody -> 0",
        "5 bye w -> 3",
        "5 hands -> other=1",
        "5 QJOB q #2 -> state=ready attempts=0 failures=0 !worker !last-error",
        "5 QJOB r #4 -> state=ready attempts=0",
        "5 QJOB q #3 -> state=claimed worker=other",
        "5 QSTATS q -> released=2 lapsed=0",
        "5 QACK q #1.1 -> 0",
        "5 bye w -> 0",
    ]);
}

#[test]
fn a_goodbye_of_many_jobs_goes_in_steps() {
    let mut rig = Rig::new(START_MS, Default::default());
    let jobs = limits::STEP_JOBS_MAX as u32 + 5;
    for _ in 0..jobs {
        rig.push(b"q", b"", b"x");
    }
    let mut claimed = Claimed::default();
    let take = Take { count: jobs, worker: Some(b"w"), ..one() };
    rig.hold(|shard, now, log| shard.claim(now, b"q", &take, log, &mut claimed));
    let through = rig.now;
    // Whoever has its name by now keeps what it claims meanwhile.
    rig.now += 1;
    rig.push(b"q", b"", b"y");
    let take = Take { count: 1, ..take };
    rig.hold(|shard, now, log| shard.claim(now, b"q", &take, log, &mut claimed));
    let mut cursor = 0;
    let mut step = || rig.hold(|shard, now, log| shard.release_worker(now, b"w", through, &mut cursor, log));
    assert_eq!(step(), Step::More(limits::STEP_JOBS_MAX as u64));
    assert_eq!(step(), Step::Done(5));
    let mut left = 0;
    rig.shard.workers(0, usize::MAX, &mut |_, jobs| left += jobs);
    assert_eq!(left, 1);
    rig.shard.check().unwrap();
}

#[test]
fn a_jobs_worker_outlives_a_restart() {
    check(&[
        "0 QMPUSH q a NEXT b",
        "0 QCLAIM q COUNT 2 WORKER w -> #1.1=a #2.1=b",
        "9 restart",
        "9 hands -> w=2",
        "9 reclaim",
        "9 QJOB q #1 -> worker=w",
        "9 bye w -> 2",
    ]);
}

#[test]
fn figures_are_those_of_the_version_at_the_claim() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c NEXT d NEXT e NEXT f",
        "0 QCLAIM q WORKER w -> #1.1=a",
        "0 QACK q #1.1 -> 1",
        "0 figures -> nothing",
        "0 version w 1.0",
        "0 QCLAIM q COUNT 2 WORKER w -> #2.1=b #3.1=c",
        "0 version w 2.0",
        "0 QCLAIM q LEASE 50 WORKER w -> #4.1=d",
        "0 QCLAIM q -> #5.1=e",
        "0 hands -> w=3",
        "1 QACK q #5.1 #2.1 -> 2",
        "1 figures -> q/1.0 1 0 0",
        "1 QNACK q #3.1 DEAD -> dead",
        "50 tick",
        "50 figures -> q/1.0 1 1 0, q/2.0 0 0 1",
        "50 version w -",
        "50 QCLAIM q COUNT 2 WORKER w -> #4.2=d #6.1=f",
        "50 QACK q #4.2 #6.1 -> 2",
        "50 figures -> q/1.0 1 1 0, q/2.0 0 0 1",
    ]);
}

#[test]
fn given_back_is_neither_done_nor_failed() {
    check(&[
        "0 version w 1.0",
        "0 QMPUSH q a NEXT b",
        "0 QCLAIM q COUNT 2 WORKER w -> #1.1=a #2.1=b",
        "0 QRELEASE q #1.1 -> 1",
        "0 bye w -> 1",
        "0 figures -> nothing",
    ]);
}

#[test]
fn a_goodbye_takes_what_was_claimed_with_any_version() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCLAIM q WORKER w -> #1.1=a",
        "0 version w 1.0",
        "0 QCLAIM q WORKER w -> #2.1=b",
        "0 version w 2.0",
        "0 QCLAIM q WORKER w -> #3.1=c",
        "0 bye w -> 3",
        "0 QLEN q -> 3",
    ]);
}
