//! Caps, the rate, limits on what a queue holds, and pauses.

use crate::tests::script::check;

#[test]
fn max_jobs_counts_all_but_dead() {
    check(&[
        "0 QCONFIG SET q max-jobs 2",
        "0 QPUSH q a",
        "0 QPUSH q b DELAY 50",
        "0 QPUSH q c -> FULL jobs",
        "0 QCLAIM q -> #1.1=a",
        "0 QPUSH q c -> FULL jobs",
        "0 QNACK q #1.1 DEAD",
        "0 QPUSH q c -> ready #3",
    ]);
}

#[test]
fn a_duplicate_fits_a_full_queue() {
    check(&[
        "0 QCONFIG SET q max-jobs 1",
        "0 QPUSH q a DEDUPE k -> ready #1",
        "0 QPUSH q a DEDUPE k -> duplicate #1",
        "0 QROOT q s 5",
        "0 QPUSH q a ROOT s 4 -> superseded",
        "0 QPUSH q a ROOT s 5 -> FULL jobs",
    ]);
}

#[test]
fn a_push_of_several_counts_what_its_own_roots_supersede() {
    check(&[
        "0 QCONFIG SET q max-jobs 2",
        // The second supersedes the first, which then holds no key: the third would be added.
        "0 QMPUSH q a DEDUPE k ROOT s 5 NEXT b ROOT s 6 NEXT c DEDUPE k -> FULL jobs",
        "0 QMPUSH q a DEDUPE k ROOT s 5 NEXT b DEDUPE k ROOT s 6 NEXT c DEDUPE k -> ready #1, duplicate #1, duplicate #1",
        "0 QMPUSH q d DEDUPE k REPLACE NEXT e ROOT s 7 NEXT f DEDUPE k -> replaced #1, ready #2, duplicate #1",
        "0 QMPUSH q g ROOT s 8 NEXT h DEDUPE k -> FULL jobs",
        "0 QDEL q #2 -> 1",
        "0 QMPUSH q g ROOT s 8 NEXT h DEDUPE k -> ready #3, duplicate #1",
    ]);
}

#[test]
fn max_bytes_counts_payloads() {
    check(&[
        "0 QCONFIG SET q max-bytes 5",
        "0 QPUSH q abc",
        "0 QPUSH q abc -> FULL bytes",
        "0 QPUSH q ab -> ready #2",
        "0 QPUSH q \"\" -> ready #3",
        "0 QSTATS q -> bytes=5",
        "0 QDEL q #1 -> 1",
        "0 QPUSH q abc -> ready #4",
    ]);
}

#[test]
fn a_lowered_limit_revokes_nothing() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QCONFIG SET q max-jobs 1",
        "0 QLEN q -> 3",
        "0 QCLAIM q COUNT 2",
        "0 QCONFIG SET q concurrency 1",
        "0 QLEN q CLAIMED -> 2",
        "0 QACK q #1.1",
        "0 QCLAIM q -> nothing",
        "0 QACK q #2.1",
        "0 QCLAIM q -> #3.1=c",
    ]);
}

#[test]
fn concurrency_caps_what_is_claimed_at_once() {
    check(&[
        "0 QCONFIG SET q concurrency 2",
        "0 QMPUSH q a NEXT b NEXT c NEXT d",
        "0 QCLAIM q COUNT 9 LEASE 100 -> #1.1=a #2.1=b",
        "0 QCLAIM q -> nothing",
        "0 QRELEASE q #1.1",
        "0 QCLAIM q -> #1.2=a",
        "0 QNACK q #1.2 DELAY 900",
        "0 QCLAIM q COUNT 9 -> #3.1=c",
        "100 QCLAIM q COUNT 9 -> #2.2=b",
        "100 QDEL q #3 -> 1",
        "100 QCLAIM q COUNT 9 -> #4.1=d",
    ]);
}

#[test]
fn group_concurrency_caps_each_group() {
    check(&[
        "0 QCONFIG SET q group-concurrency 1",
        "0 QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT b1 GROUP b NEXT b2 GROUP b",
        "0 QCLAIM q COUNT 9 -> #1.1=a1 #3.1=b1",
        "0 QCLAIM q COUNT 9 GROUP a -> nothing",
        "0 QACK q #3.1 -> 1",
        "0 QACK q #1.1 -> 1",
        "0 QCLAIM q COUNT 9 -> #4.1=b2 #2.1=a2",
    ]);
}

#[test]
fn a_raised_group_cap_lets_groups_back_in() {
    check(&[
        "0 QCONFIG SET q group-concurrency 1",
        "0 QMPUSH q a1 GROUP a NEXT a2 GROUP a",
        "0 QCLAIM q COUNT 9 -> #1.1=a1",
        "0 QCONFIG SET q group-concurrency 2",
        "0 QCLAIM q COUNT 9 -> #2.1=a2",
    ]);
}

#[test]
fn a_rate_is_a_bucket_of_n() {
    check(&[
        "0 QCONFIG SET q rate 3/300ms",
        "0 QMPUSH q a NEXT b NEXT c NEXT d NEXT e NEXT f",
        "1000 QCLAIM q COUNT 9 -> #1.1=a #2.1=b #3.1=c",
        "1099 QCLAIM q -> nothing",
        "1100 QCLAIM q -> #4.1=d",
        "1100 QCLAIM q -> nothing",
        "1350 QCLAIM q COUNT 9 -> #5.1=e #6.1=f",
        "1350 QPUSH q g",
        "1399 QCLAIM q -> nothing",
        "1400 QCLAIM q -> #7.1=g",
    ]);
}

#[test]
fn a_faster_rate_counts_at_once() {
    check(&[
        "0 QCONFIG SET q rate 1/1h",
        "0 QMPUSH q a NEXT b NEXT c",
        "1000 QCLAIM q COUNT 9 -> #1.1=a",
        "1000 QCONFIG SET q rate 1/100ms",
        "1100 QCLAIM q COUNT 9 -> #2.1=b",
        "1100 QCONFIG UNSET q rate",
        "1100 QCLAIM q COUNT 9 -> #3.1=c",
    ]);
}

#[test]
fn an_idle_bucket_holds_no_more_than_n() {
    check(&[
        "0 QCONFIG SET q rate 2/1s",
        "3600000 QMPUSH q a NEXT b NEXT c",
        "3600000 QCLAIM q COUNT 9 -> #1.1=a #2.1=b",
        "3600500 QCLAIM q COUNT 9 -> #3.1=c",
    ]);
}

#[test]
fn a_pause_of_claims_lets_pushes_and_acks_through() {
    check(&[
        "0 QMPUSH q a NEXT b",
        "0 QCLAIM q -> #1.1=a",
        "0 QPAUSE q -> OK",
        "0 QCLAIM q -> nothing",
        "0 QPUSH q c -> ready #3",
        "0 QACK q #1.1 -> 1",
        "0 QSTATS q -> claim-paused=1 push-paused=0",
        "0 QRESUME q -> OK",
        "0 QCLAIM q COUNT 9 -> #2.1=b #3.1=c",
    ]);
}

#[test]
fn a_pause_of_pushes_lets_claims_through() {
    check(&[
        "0 QPUSH q a DEDUPE k",
        "0 QPAUSE q PUSH",
        "0 QPUSH q b -> PAUSED",
        "0 QPUSH q b DEDUPE k -> PAUSED",
        "0 QMPUSH q b NEXT c -> PAUSED",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DELAY 0 -> retry",
        "0 QLEN q -> 1",
    ]);
}

#[test]
fn pauses_add_up_and_end_together() {
    check(&[
        "0 QPAUSE q PUSH",
        "0 QPAUSE q CLAIM",
        "0 QSTATS q -> push-paused=1 claim-paused=1",
        "0 QRESUME q",
        "0 QSTATS q -> push-paused=0 claim-paused=0",
        "0 QPAUSE q ALL FOR 50",
        "0 QPUSH q a -> PAUSED",
        "50 QPUSH q a -> ready #1",
        "50 QCLAIM q -> #1.1=a",
    ]);
}

#[test]
fn a_shorter_pause_does_not_end_a_longer_one() {
    check(&[
        "0 QPUSH q a",
        "0 QPAUSE q FOR 100",
        "0 QPAUSE q FOR 10",
        "50 QCLAIM q -> nothing",
        "100 QCLAIM q -> #1.1=a",
        "100 QPUSH q b",
        "100 QPAUSE q",
        "100 QPAUSE q FOR 10",
        "200 QCLAIM q -> nothing",
    ]);
}

#[test]
fn a_pause_survives_a_restart_and_still_ends() {
    check(&[
        "0 QPUSH q a",
        "0 QPAUSE q FOR 100",
        "10 restart",
        "99 QCLAIM q -> nothing",
        "100 QCLAIM q -> #1.1=a",
        "100 QPAUSE q PUSH",
        "200 restart",
        "200 QPUSH q b -> PAUSED",
    ]);
}
