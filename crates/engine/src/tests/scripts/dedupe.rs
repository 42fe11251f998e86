//! Dedupe keys: UNTIL CLAIM and DONE, WINDOW, REPLACE, and who gets a key back.

use stanchion_protocol::command::{Dedupe, NewJob, Until};

use crate::Pushed;
use crate::tests::rig::{Rig, plain};
use crate::tests::script::{START_MS, check};

#[test]
fn a_held_key_drops_the_push() {
    check(&[
        "0 QPUSH q a DEDUPE k -> ready #1",
        "0 QPUSH q b DEDUPE k PRIORITY 9 TTL 5 -> duplicate #1",
        "0 QJOB q #1 -> payload=a priority=0 !expires-at",
        "0 QSTATS q -> pushed=1 duplicates=1",
    ]);
}

#[test]
fn keys_are_per_queue_and_group() {
    check(&[
        "0 QPUSH q a DEDUPE k -> ready #1",
        "0 QPUSH q a DEDUPE k GROUP g -> ready #2",
        "0 QPUSH r a DEDUPE k -> ready #3",
        "0 QPUSH q a DEDUPE k GROUP g -> duplicate #2",
        "0 QPUSH q a DEDUPE \"\" -> ERR empty",
    ]);
}

#[test]
fn until_claim_is_the_default_and_frees_the_key_at_the_first_claim() {
    check(&["0 QPUSH q a DEDUPE k -> ready #1", "0 QCLAIM q -> #1.1=a", "0 QPUSH q b DEDUPE k -> ready #2"]);
}

#[test]
fn until_claim_is_not_retaken_when_the_job_comes_back() {
    for back in ["QRELEASE q #1.1", "QNACK q #1.1 DELAY 50", "QNACK q #1.1 DELAY 0"] {
        check(&[
            "0 QPUSH q a DEDUPE k -> ready #1",
            "0 QCLAIM q -> #1.1=a",
            &format!("0 {back}"),
            "0 QJOB q KEY k -> nil",
            "0 QPUSH q b DEDUPE k -> ready #2",
        ]);
    }
}

#[test]
fn a_delayed_job_holds_its_key() {
    check(&[
        "0 QPUSH q a DEDUPE k DELAY 100 -> delayed #1",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "100 QPUSH q b DEDUPE k -> duplicate #1",
    ]);
}

#[test]
fn until_done_holds_through_claims_and_retries() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "0 QNACK q #1.1 DELAY 10 -> retry",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "10 QCLAIM q -> #1.2=a",
        "10 QACK q #1.2 -> 1",
        "10 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn until_done_ends_with_death() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD -> dead",
        "0 QJOB q KEY k -> nil",
        "0 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn until_done_ends_with_expiry() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE TTL 10 -> ready #1",
        "9 QPUSH q b DEDUPE k -> duplicate #1",
        "10 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn deletion_frees_the_key_and_its_window_at_once() {
    for delete in ["QDEL q #1", "QDEL q KEY k", "QPURGE q"] {
        check(&[
            "0 QPUSH q a DEDUPE k UNTIL DONE WINDOW 1000 -> ready #1",
            &format!("0 {delete} -> 1"),
            "0 QPUSH q b DEDUPE k -> ready #2",
        ]);
    }
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE WINDOW 1000 -> ready #1",
        "0 del q -> 1",
        "0 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_window_outlives_the_job() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 100 -> ready #1",
        "10 QCLAIM q -> #1.1=a",
        "10 QACK q #1.1 -> 1",
        "99 QPUSH q b DEDUPE k -> duplicate #1",
        "100 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_window_outlives_expiry_and_death() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 100 TTL 10 -> ready #1",
        "50 QPUSH q b DEDUPE k -> duplicate #1",
        "50 QPUSH q d DEDUPE l WINDOW 100 -> ready #2",
        "50 QCLAIM q -> #2.1=d",
        "50 QNACK q #2.1 DEAD -> dead",
        "149 QPUSH q e DEDUPE l -> duplicate #2",
        "150 QPUSH q e DEDUPE l -> ready #3",
    ]);
}

#[test]
fn the_key_is_held_after_its_window_while_the_terms_say_so() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE WINDOW 10 -> ready #1",
        "50 QPUSH q b DEDUPE k -> duplicate #1",
        "50 QCLAIM q -> #1.1=a",
        "60 QPUSH q b DEDUPE k -> duplicate #1",
    ]);
}

#[test]
fn the_holders_terms_rule() {
    check(&[
        "0 QPUSH q a DEDUPE k -> ready #1",
        "0 QPUSH q b DEDUPE k UNTIL DONE WINDOW 1000 -> duplicate #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QPUSH q c DEDUPE k -> ready #2",
    ]);
}

#[test]
fn replace_gives_a_waiting_holder_new_content_and_keeps_its_identity() {
    check(&[
        "0 QPUSH q old DEDUPE k PRIORITY 1 TTL 1000 ATTEMPTS 1 ROOT s 1 -> ready #1",
        "10 QPUSH q new DEDUPE k REPLACE PRIORITY 2 ATTEMPTS 5 ROOT t 2 -> replaced #1",
        "10 QJOB q #1 -> payload=new priority=2 attempts-max=5 root=t@2 pushed-at=0 !expires-at",
        "10 QSTATS q -> pushed=1 replaced=1 ready=1 bytes=3",
    ]);
}

#[test]
fn replace_keeps_the_place_of_a_job_that_was_and_is_ready() {
    check(&[
        "0 QPUSH q old DEDUPE k -> ready #1",
        "1 QPUSH q other -> ready #2",
        "2 QPUSH q new DEDUPE k REPLACE -> replaced #1",
        "2 QJOB q #1 -> ready-at=0",
        "2 QCLAIM q COUNT 2 -> #1.1=new #2.1=other",
    ]);
}

#[test]
fn replace_moves_the_due_time() {
    check(&[
        "0 QPUSH q old DEDUPE k DELAY 100 -> delayed #1",
        "1 QPUSH q new DEDUPE k REPLACE DELAY 500 -> replaced #1",
        "100 QLEN q -> 0",
        "501 QLEN q -> 1",
        "501 QPUSH q later DEDUPE k REPLACE DELAY 9 -> replaced #1",
        "501 QLEN q DELAYED -> 1",
        "502 QPUSH q now DEDUPE k REPLACE -> replaced #1",
        "502 QJOB q #1 -> state=ready ready-at=502",
    ]);
}

#[test]
fn replace_starts_attempts_and_failures_again() {
    check(&[
        "0 QPUSH q old DEDUPE k UNTIL DONE ATTEMPTS 2 -> ready #1",
        "0 QCLAIM q -> #1.1=old",
        "0 QNACK q #1.1 DELAY 10 ERROR boom -> retry",
        "0 QPUSH q new DEDUPE k UNTIL DONE REPLACE ATTEMPTS 2 -> replaced #1",
        "0 QJOB q #1 -> attempts=0 failures=0 state=ready",
        "0 QCLAIM q -> #1.2=new",
        "0 QNACK q #1.2 DELAY 0 -> retry",
        "0 QCLAIM q -> #1.3=new",
        "0 QNACK q #1.3 -> dead",
    ]);
}

#[test]
fn replace_finds_a_claimed_or_gone_holder_a_duplicate() {
    check(&[
        "0 QPUSH q old DEDUPE k UNTIL DONE WINDOW 1000 -> ready #1",
        "0 QCLAIM q -> #1.1=old",
        "0 QPUSH q new DEDUPE k REPLACE -> duplicate #1",
        "0 QACK q #1.1 -> 1",
        "0 QPUSH q new DEDUPE k REPLACE -> duplicate #1",
        "1000 QPUSH q new DEDUPE k REPLACE -> ready #2",
    ]);
}

#[test]
fn replace_takes_the_terms_of_the_push() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE WINDOW 1000 -> ready #1",
        "10 QPUSH q b DEDUPE k REPLACE -> replaced #1",
        "20 QCLAIM q -> #1.1=b",
        "20 QPUSH q c DEDUPE k -> ready #2",
    ]);
}

#[test]
fn the_window_counts_from_the_replace() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 100 -> ready #1",
        "50 QPUSH q b DEDUPE k REPLACE WINDOW 100 -> replaced #1",
        "60 QCLAIM q ACK 0 -> #1.1=b",
        "149 QPUSH q c DEDUPE k -> duplicate #1",
        "150 QPUSH q c DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_job_replaced_after_it_came_back_holds_its_key_until_the_next_claim() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 100 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QRELEASE q #1.1 -> 1",
        "10 QPUSH q b DEDUPE k REPLACE -> replaced #1",
        "500 QPUSH q c DEDUPE k -> duplicate #1",
        "500 QCLAIM q -> #1.2=b",
        "500 QPUSH q c DEDUPE k -> ready #2",
    ]);
}

#[test]
fn replace_is_never_full() {
    check(&[
        "0 QCONFIG SET q max-jobs 1 max-bytes 3",
        "0 QPUSH q old DEDUPE k -> ready #1",
        "0 QPUSH q longer DEDUPE k REPLACE -> replaced #1",
        "0 QSTATS q -> bytes=6",
        "0 QPUSH q b -> FULL jobs",
    ]);
}

#[test]
fn requeue_takes_the_key_back_if_it_is_free() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD -> dead",
        "0 QREQUEUE q #1 -> 1",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "0 QJOB q KEY k -> id=#1",
    ]);
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD -> dead",
        "0 QPUSH q b DEDUPE k -> ready #2",
        "0 QREQUEUE q #1 -> 1",
        "0 QJOB q KEY k -> id=#2",
        "0 QDEL q #2 -> 1",
        "0 QPUSH q c DEDUPE k -> ready #3",
    ]);
}

#[test]
fn a_requeued_job_holds_its_key_beyond_its_own_window() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE WINDOW 100 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD",
        "50 QREQUEUE q #1 -> 1",
        "100 QPUSH q b DEDUPE k -> duplicate #1",
        "100 QCLAIM q -> #1.2=a",
        "100 QACK q #1.2",
        "100 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_push_with_an_id_of_its_own_is_idempotent() {
    check(&[
        "0 QPUSH q a DEDUPE 6f1c WINDOW 600000 STATUS -> ready #1",
        "5 QPUSH q a DEDUPE 6f1c WINDOW 600000 STATUS -> duplicate #1",
        "6 QCLAIM q -> #1.1=a",
        "7 QACK q #1.1 -> 1",
        "8 QPUSH q a DEDUPE 6f1c WINDOW 600000 STATUS -> duplicate #1",
    ]);
}

#[test]
fn a_job_whose_time_is_over_holds_no_key_though_no_timer_has_fired() {
    let mut rig = Rig::new(START_MS, Default::default());
    let push = |rig: &mut Rig, window_ms| {
        let dedupe = Dedupe { key: b"k", until: Until::Done, window_ms, replace: false };
        let job = NewJob { ttl_ms: Some(5), dedupe: Some(dedupe), ..plain() };
        let mut out = Vec::new();
        rig.hold(|shard, now, log| shard.push(now, b"q", &[job], log, &mut out)).unwrap();
        out[0]
    };
    assert!(matches!(push(&mut rig, 0), Pushed::Ready(_)));
    rig.now += 4;
    assert!(matches!(push(&mut rig, 0), Pushed::Duplicate(_)));
    rig.now += 1;
    assert!(matches!(push(&mut rig, 9), Pushed::Ready(_)));
    rig.now += 6;
    assert!(matches!(push(&mut rig, 0), Pushed::Duplicate(_)), "its window lasts");
    rig.check_replay().unwrap();
}
