//! Blocked claims: first come, first served per queue, and whatever makes a job claimable wakes them.

use stanchion_protocol::command::RootTag;

use crate::limits::CLAIM_DROPS_MAX;
use crate::tests::rig::Rig;
use crate::tests::script::{START_MS, check};
use crate::{Now, WaitFor, WaiterId};

#[test]
fn a_push_serves_the_one_who_came_first() {
    check(&[
        "0 park 1 q",
        "0 park 2 q",
        "0 grants -> nothing",
        "0 QPUSH q a",
        "0 grants -> 1 #1.1=a",
        "0 QMPUSH q b NEXT c",
        "0 grants -> 2 #2.1=b",
        "0 grants -> nothing",
    ]);
}

#[test]
fn one_who_gave_up_is_passed_over() {
    check(&["0 park 1 q", "0 park 2 q", "0 unpark 1", "0 QMPUSH q a NEXT b", "0 grants -> 2 #1.1=a"]);
}

#[test]
fn a_waiter_for_a_group_waits_for_that_group() {
    check(&[
        "0 park 1 q g",
        "0 park 2 q",
        "0 park 3 q \"\"",
        "0 QPUSH q a GROUP h",
        "0 grants -> 2 #1.1=a",
        "0 QPUSH q b GROUP g",
        "0 grants -> 1 #2.1=b",
        "0 QPUSH q c",
        "0 grants -> 3 #3.1=c",
    ]);
}

#[test]
fn somebody_elses_vain_claim_does_not_make_a_waiter_forgotten() {
    check(&[
        "0 QCONFIG SET q concurrency 1",
        "0 QMPUSH q a NEXT b",
        "0 QCLAIM q -> #1.1=a",
        "0 park 1 q",
        "0 QCLAIM q GROUP other ACK 1 #1.1 -> nothing",
        "0 grants -> 1 #2.1=b",
    ]);
}

#[test]
fn a_waiter_for_all_queues_is_served_by_any_made_later() {
    check(&["0 park 1 *", "0 QPUSH later a", "0 grants -> 1 #1.1=a"]);
}

#[test]
fn a_waiter_on_several_queues_is_served_once() {
    check(&[
        "0 park 1 q",
        "0 park 1 r",
        "0 QPUSH r a",
        "0 grants -> 1 #1.1=a",
        "0 QPUSH q b",
        "0 grants -> nothing",
    ]);
}

#[test]
fn everything_that_frees_a_job_wakes() {
    for wake in ["QRESUME q", "QDEL q #1", "QACK q #1.1", "QCONFIG SET q concurrency 2"] {
        let blocked = if wake == "QRESUME q" { "QPAUSE q" } else { "QCONFIG SET q concurrency 1" };
        check(&[
            "0 QMPUSH q a NEXT b",
            "0 QCLAIM q -> #1.1=a",
            &format!("0 {blocked}"),
            "0 park 1 q",
            "0 grants -> nothing",
            &format!("0 {wake}"),
            "0 grants -> 1 #2.1=b",
        ]);
    }
    for wake in ["QRELEASE q #1.1", "QNACK q #1.1 DELAY 0", "lapse q #1.1"] {
        check(&[
            "0 QPUSH q a",
            "0 QCLAIM q -> #1.1=a",
            "0 park 1 q",
            &format!("0 {wake}"),
            "0 grants -> 1 #1.2=a",
        ]);
    }
}

#[test]
fn a_due_job_a_lapse_and_the_end_of_a_pause_wake() {
    check(&["0 park 1 q", "0 QPUSH q a DELAY 10", "0 grants -> nothing", "10 grants -> 1 #1.1=a"]);
    check(&["0 QPUSH q a", "0 QCLAIM q LEASE 10 -> #1.1=a", "0 park 1 q", "10 grants -> 1 #1.2=a"]);
    check(&["0 QPUSH q a", "0 QPAUSE q FOR 10", "0 park 1 q", "0 deadline -> 10", "10 grants -> 1 #1.1=a"]);
}

#[test]
fn a_token_wakes() {
    check(&[
        "0 QCONFIG SET q rate 1/100ms",
        "1000 QMPUSH q a NEXT b",
        "1000 QCLAIM q -> #1.1=a",
        "1000 park 1 q",
        "1000 grants -> nothing",
        "1000 deadline -> 1100",
        "1100 grants -> 1 #2.1=b",
    ]);
}

#[test]
fn a_requeue_wakes() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD",
        "0 park 1 q",
        "0 grants -> nothing",
        "0 QREQUEUE q #1",
        "0 grants -> 1 #1.2=a",
    ]);
}

#[test]
fn a_deleted_queue_keeps_its_waiters() {
    check(&[
        "0 QPUSH q a DELAY 50",
        "0 park 1 q",
        "0 del q -> 1",
        "0 grants -> nothing",
        "0 QPUSH q b",
        "0 grants -> 1 #2.1=b",
    ]);
}

#[test]
fn a_free_place_in_a_group_wakes_its_waiter() {
    check(&[
        "0 QCONFIG SET q group-concurrency 1",
        "0 QMPUSH q a GROUP g NEXT b GROUP g",
        "0 QCLAIM q -> #1.1=a",
        "0 park 1 q g",
        "0 grants -> nothing",
        "0 QACK q #1.1",
        "0 grants -> 1 #2.1=b",
    ]);
}

#[test]
fn a_superseded_job_wakes_nobody() {
    check(&[
        "0 QPUSH q a ROOT s 1",
        "0 QROOT q s 2",
        "0 park 1 q",
        "0 grants -> nothing",
        "0 QPUSH q b ROOT s 2",
        "0 grants -> 1 #2.1=b",
    ]);
}

#[test]
fn a_job_behind_more_superseded_ones_than_a_claim_steps_over_is_still_granted() {
    let mut rig = Rig::new(START_MS, Default::default());
    for _ in 0..=CLAIM_DROPS_MAX {
        rig.push_tagged(b"q", RootTag { signature: b"s", timestamp: 1 });
    }
    rig.push_tagged(b"q", RootTag { signature: b"s", timestamp: 2 });
    rig.shard.park(WaiterId(1), WaitFor::Queue(b"q"), None);
    let now = Now { ms: rig.now, entropy: 0 };
    let mut claims = 0;
    while rig.shard.next_grant(now).is_some() {
        claims += 1;
        if !rig.claim(b"q", 1).is_empty() {
            rig.shard.unpark(WaiterId(1));
        }
    }
    assert_eq!(claims, 2, "the first claim drops as many as it may, the second serves");
    assert_eq!(rig.shard.stats(now, b"q").unwrap().counts.claimed, 1);
}

#[test]
fn a_waiter_looks_only_at_the_queues_that_it_waits_for() {
    let mut rig = Rig::new(START_MS, Default::default());
    for queue in [b"a1", b"a2", b"b1"] {
        rig.push(queue, b"", b"x");
    }
    let noticed = |rig: &Rig| rig.shard.attention.iter(&rig.shard.queues).count();
    let globs: &[&[u8]] = &[b"b*"];
    rig.shard.park(WaiterId(1), WaitFor::Match { globs, except: &[] }, None);
    assert_eq!(noticed(&rig), 1);
    rig.shard.park(WaiterId(2), WaitFor::Match { globs: &[b"c*"], except: &[] }, None);
    assert_eq!(noticed(&rig), 1);
}
