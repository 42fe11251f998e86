//! QCLAIM, QACK, QRELEASE and QEXTEND: leases, receipts and fencing.

use stanchion_protocol::command::Take;

use crate::Claimed;
use crate::tests::pair::one;
use crate::tests::rig::Rig;
use crate::tests::script::{START_MS, check};

#[test]
fn a_claimed_job_has_a_lease_and_a_worker() {
    check(&[
        "0 QPUSH q a",
        "5 QCLAIM q LEASE 100 WORKER w7 -> #1.1=a",
        "5 QJOB q #1 -> state=claimed attempts=1 lease-until=105 worker=w7 ready-at=0",
        "5 QCLAIM q -> nothing",
        "5 QLEN q -> 0",
        "5 QLEN q CLAIMED -> 1",
    ]);
}

#[test]
fn the_lease_is_the_queues_unless_the_claim_says() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCLAIM q",
        "0 QJOB q #1 -> lease-until=3600000 !worker",
        "0 QCONFIG SET q lease 5s",
        "0 QCLAIM q",
        "0 QJOB q #2 -> lease-until=5000",
        "0 QCLAIM q LEASE 1",
        "0 QJOB q #3 -> lease-until=1",
    ]);
}

#[test]
fn a_claim_takes_as_many_as_it_asks_for() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCLAIM q COUNT 2 -> #1.1=a #2.1=b",
        "0 QCLAIM q COUNT 2 -> #3.1=c",
    ]);
}

#[test]
fn a_missing_queue_has_nothing() {
    check(&["0 QCLAIM q -> nothing", "0 exists q -> 0", "0 QMCLAIM MATCH 1 * -> nothing"]);
}

#[test]
fn an_acked_job_is_gone_and_a_repeat_is_safe() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "0 QACK q #1.1 #1.1 -> 1",
        "0 QACK q #1.1 -> 0",
        "0 QJOB q #1 -> nil",
        "0 QLEN q ALL -> 0",
        "0 QSTATS q -> acked=1 stale-acks=2 claims=1",
    ]);
}

#[test]
fn receipts_of_another_queue_are_unknown() {
    check(&[
        "0 QPUSH q a",
        "0 QPUSH r b",
        "0 QCLAIM q -> #1.1=a",
        "0 QACK r #1.1 -> 0",
        "0 QACK none #1.1 -> 0",
        "0 exists none -> 0",
        "0 QLEN q CLAIMED -> 1",
    ]);
}

#[test]
fn a_late_workers_receipt_is_stale() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 10 -> #1.1=a",
        "10 QACK q #1.1 -> 0",
        "10 QCLAIM q -> #1.2=a",
        "10 QACK q #1.1 -> 0",
        "10 QNACK q #1.1 -> stale",
        "10 QRELEASE q #1.1 -> 0",
        "10 QEXTEND q 99 #1.1 -> 0",
        "10 QJOB q #1 -> state=claimed failures=1",
        "10 QACK q #1.2 -> 1",
    ]);
}

#[test]
fn a_receipt_of_a_released_claim_is_stale_at_once() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "0 QRELEASE q #1.1 -> 1",
        "0 QACK q #1.1 -> 0",
        "0 QNACK q #1.1 -> stale",
        "0 QLEN q -> 1",
    ]);
}

#[test]
fn a_claim_acks_first() {
    check(&[
        "0 QCONFIG SET q concurrency 1",
        "0 QMPUSH q a NEXT b",
        "0 QCLAIM q -> #1.1=a",
        "0 QCLAIM q -> nothing",
        "0 QCLAIM q ACK 1 #1.1 -> #2.1=b",
        "0 QPAUSE q",
        "0 QCLAIM q ACK 2 #2.1 #1.1 -> nothing",
        "0 QSTATS q -> acked=2 stale-acks=1 claimed=0",
    ]);
}

#[test]
fn a_lapsed_job_goes_back_to_its_place() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 10 WORKER w -> #1.1=a",
        "9 QLEN q -> 0",
        "10 QLEN q -> 1",
        "10 QJOB q #1 -> attempts=1 failures=1 last-error=lapsed,_worker_w ready-at=0 !worker !lease-until",
        "10 QSTATS q -> lapsed=1 nacked=0",
    ]);
}

#[test]
fn a_lapsed_job_whose_attempts_are_used_up_is_dead() {
    check(&[
        "0 QPUSH q a ATTEMPTS 2",
        "0 QCLAIM q LEASE 10 -> #1.1=a",
        "10 QCLAIM q LEASE 10 WORKER w -> #1.2=a",
        "20 QJOB q #1 -> state=dead attempts=2 failures=2",
        "20 QSTATS q -> lapsed=2 died=1 dead=1",
        "20 QCLAIM q -> nothing",
    ]);
}

#[test]
fn a_lapse_keeps_an_earlier_error() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DELAY 0 ERROR boom -> retry",
        "0 QCLAIM q LEASE 10 WORKER w -> #1.2=a",
        "10 QJOB q #1 -> last-error=boom failures=2",
    ]);
}

#[test]
fn the_end_of_a_bound_lease_is_a_lapse() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q BOUND WORKER w -> #1.1=a",
        "5 lapse q #1.1 #1.1 -> 1",
        "5 QJOB q #1 -> state=ready failures=1 attempts=1 last-error=lapsed,_worker_w",
        "5 QSTATS q -> lapsed=1",
    ]);
}

#[test]
fn a_release_uses_no_attempt() {
    check(&[
        "0 QPUSH q a ATTEMPTS 1",
        "0 QCLAIM q -> #1.1=a",
        "0 QRELEASE q #1.1 -> 1",
        "0 QJOB q #1 -> attempts=0 failures=0 state=ready !last-error",
        "0 QCLAIM q -> #1.2=a",
        "0 QNACK q #1.2 -> dead",
    ]);
}

#[test]
fn a_release_may_delay() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "5 QRELEASE q DELAY 100 #1.1 -> 1",
        "5 QJOB q #1 -> state=delayed ready-at=105 attempts=0",
        "105 QCLAIM q -> #1.2=a",
    ]);
}

#[test]
fn several_are_released_at_once() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCLAIM q COUNT 3",
        "0 QRELEASE q #3.1 #1.1 #1.1 -> 2",
        "0 QPEEK q COUNT 9 -> #1 #3",
        "0 QSTATS q -> released=2",
    ]);
}

#[test]
fn an_extension_counts_from_now() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "90 QEXTEND q 100 #1.1 -> 1",
        "90 QJOB q #1 -> lease-until=190",
        "100 QLEN q CLAIMED -> 1",
        "189 QEXTEND q 5 #1.1 -> 1",
        "194 QLEN q -> 1",
    ]);
}

#[test]
fn extensions_end_at_run_max_after_the_claim() {
    check(&[
        "0 QCONFIG SET q run-max 150",
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "90 QEXTEND q 100 #1.1 -> 1",
        "90 QJOB q #1 -> lease-until=150",
        "150 QLEN q CLAIMED -> 0",
    ]);
}

#[test]
fn epochs_rise_at_every_claim() {
    let mut rig = Rig::new(START_MS, Default::default());
    rig.push(b"q", b"", b"a");
    let mut last = 0;
    for _ in 0..3 {
        let epoch = rig.claim(b"q", 1)[0].receipt.epoch.0;
        assert!(epoch > last, "{epoch} after {last}");
        last = epoch;
        rig.now += 7_200_000;
        rig.tick();
    }
}

#[test]
fn one_claim_ends_early_at_64_mib_of_payload() {
    let mut rig = Rig::new(START_MS, Default::default());
    let payload = vec![7; 15 << 20];
    for _ in 0..5 {
        rig.push(b"q", b"", &payload);
    }
    assert_eq!(rig.claim(b"q", 10).len(), 4, "a fifth would make it 75 MiB");
    assert_eq!(rig.claim(b"q", 10).len(), 1);
}

#[test]
fn a_claim_says_which_hold_pushed_what_it_hands_out() {
    let mut rig = Rig::new(START_MS, Default::default());
    let mut bases = Vec::new();
    for payload in [b"a", b"b", b"c"] {
        bases.push(rig.next_lsn());
        rig.push(b"q", b"", payload);
    }
    let mut claimed = Claimed::default();
    let take = Take { count: 2, ..one() };
    rig.hold(|shard, now, log| shard.claim(now, b"q", &take, log, &mut claimed));
    assert_eq!(claimed.newest_base, bases[1], "of two jobs, the newer one's");
}
