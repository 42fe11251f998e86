//! Where a job stands in its group: priority, ready-at, id; and what keeps its place.

use crate::tests::script::check;

#[test]
fn first_in_is_first_out() {
    check(&[
        "0 QMPUSH q a NEXT b -> ready #1, ready #2",
        "1 QPUSH q c -> ready #3",
        "1 QCLAIM q COUNT 9 -> #1.1=a #2.1=b #3.1=c",
    ]);
}

#[test]
fn a_higher_priority_is_first() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "1 QPUSH q b PRIORITY 9 -> ready #2",
        "2 QPUSH q c PRIORITY 5 -> ready #3",
        "3 QPUSH q d PRIORITY 9 -> ready #4",
        "3 QPEEK q COUNT 9 -> #2 #4 #3 #1",
        "3 QCLAIM q COUNT 9 -> #2.1=b #4.1=d #3.1=c #1.1=a",
    ]);
}

#[test]
fn a_due_job_stands_by_its_due_time() {
    check(&[
        "0 QPUSH q late DELAY 20 -> delayed #1",
        "0 QPUSH q early DELAY 10 -> delayed #2",
        "15 QPUSH q between -> ready #3",
        "30 QCLAIM q COUNT 9 -> #2.1=early #3.1=between #1.1=late",
    ]);
}

#[test]
fn a_released_job_stands_before_all_that_became_ready_later() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "5 QPUSH q b -> ready #2",
        "6 QRELEASE q #1.1 -> 1",
        "6 QJOB q #1 -> ready-at=0",
        "6 QCLAIM q COUNT 9 -> #1.2=a #2.1=b",
    ]);
}

#[test]
fn a_lapsed_job_stands_before_all_that_became_ready_later() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QCLAIM q LEASE 10 -> #1.1=a",
        "5 QPUSH q b -> ready #2",
        "10 QPEEK q COUNT 9 -> #1 #2",
    ]);
}

#[test]
fn a_nacked_job_stands_by_its_new_due_time() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "5 QPUSH q b -> ready #2",
        "6 QNACK q #1.1 DELAY 0 -> retry",
        "6 QJOB q #1 -> state=ready ready-at=6",
        "6 QCLAIM q COUNT 9 -> #2.1=b #1.2=a",
    ]);
}

#[test]
fn a_requeued_job_is_ready_from_now() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD",
        "5 QPUSH q b -> ready #2",
        "6 QREQUEUE q #1 -> 1",
        "6 QJOB q #1 -> ready-at=6 attempts=0 failures=0",
        "6 QPEEK q COUNT 9 -> #2 #1",
    ]);
}

#[test]
fn lifo_claims_the_newest_first() {
    check(&[
        "0 QCONFIG SET q order lifo",
        "0 QPUSH q a -> ready #1",
        "1 QPUSH q b -> ready #2",
        "2 QPUSH q c PRIORITY 1 -> ready #3",
        "3 QPUSH q d DELAY 5 -> delayed #4",
        "8 QCLAIM q COUNT 9 -> #3.1=c #4.1=d #2.1=b #1.1=a",
    ]);
}

#[test]
fn the_order_may_change_while_jobs_wait() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "1 QPUSH q b -> ready #2",
        "2 QPUSH q c -> ready #3",
        "2 QCONFIG SET q order lifo",
        "2 QCLAIM q -> #3.1=c",
        "2 QCONFIG UNSET q order",
        "2 QCLAIM q -> #1.1=a",
        "2 QRELEASE q #3.1 -> 1",
        "2 QCLAIM q COUNT 9 -> #2.1=b #3.2=c",
    ]);
}

#[test]
fn delayed_and_claimed_jobs_are_shown_soonest_first() {
    check(&[
        "0 QPUSH q a DELAY 20 -> delayed #1",
        "0 QPUSH q b DELAY 10 -> delayed #2",
        "0 QPEEK q DELAYED COUNT 9 -> #2 #1",
        "0 QPEEK q DELAYED -> #2",
    ]);
}
