//! QPUSH and QMPUSH without keys and roots.

use crate::tests::script::check;

#[test]
fn a_push_is_ready_and_a_delayed_one_waits() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QPUSH q b DELAY 100 -> delayed #2",
        "0 QPUSH q c AT T+50 -> delayed #3",
        "0 QLEN q -> 1",
        "0 QLEN q DELAYED -> 2",
        "0 QLEN q ALL -> 3",
        "49 QLEN q -> 1",
        "50 QLEN q -> 2",
        "99 QLEN q DELAYED -> 1",
        "100 QLEN q -> 3",
    ]);
}

#[test]
fn no_delay_and_an_instant_in_the_past_are_now() {
    check(&[
        "1000 QPUSH q a DELAY 0 -> ready #1",
        "1000 QPUSH q b AT T+1 -> ready #2",
        "1000 QJOB q #2 -> state=ready ready-at=1000",
    ]);
}

#[test]
fn a_job_has_the_fields_of_its_push() {
    check(&[
        "5 QPUSH q pay GROUP g PRIORITY 7 DEDUPE k ROOT s 9 TTL 50 ATTEMPTS 2 DELAY 10 -> delayed #1",
        "5 QJOB q #1 -> id=#1 state=delayed group=g priority=7 payload=pay attempts=0 failures=0 attempts-max=2",
        "5 QJOB q #1 -> pushed-at=5 ready-at=15 expires-at=65 dedupe=k root=s@9 !lease-until !worker !last-error",
        "6 QPUSH q plain -> ready #2",
        "6 QJOB q #2 -> priority=0 attempts-max=3 ready-at=6 !expires-at !dedupe !root !last-error",
    ]);
}

#[test]
fn ttl_counts_from_the_push() {
    check(&[
        "0 QPUSH q a TTL 100 -> ready #1",
        "99 QLEN q ALL -> 1",
        "100 QLEN q ALL -> 0",
        "100 QSTATS q -> expired=1 pushed=1 acked=0",
    ]);
}

#[test]
fn ttl_counts_from_the_first_due_time_of_a_delayed_job() {
    check(&[
        "0 QPUSH q a TTL 100 DELAY 50 -> delayed #1",
        "149 QLEN q -> 1",
        "150 QLEN q ALL -> 0",
        "150 QSTATS q -> expired=1",
    ]);
}

#[test]
fn a_claimed_job_never_expires_but_one_that_comes_back_does() {
    check(&[
        "0 QPUSH q a TTL 100",
        "10 QCLAIM q -> #1.1=a",
        "500 QLEN q CLAIMED -> 1",
        "500 QRELEASE q #1.1 -> 1",
        "501 QLEN q ALL -> 0",
        "501 QSTATS q -> expired=1 released=1",
        "501 QCLAIM q -> nothing",
    ]);
}

#[test]
fn ttl_goes_on_during_a_back_off() {
    check(&[
        "0 QPUSH q a TTL 100",
        "0 QCLAIM q -> #1.1=a",
        "10 QNACK q #1.1 DELAY 1000 -> retry",
        "99 QLEN q DELAYED -> 1",
        "100 QLEN q ALL -> 0",
        "100 QSTATS q -> expired=1",
    ]);
}

#[test]
fn a_batch_answers_job_by_job() {
    check(&[
        "0 QMPUSH q a NEXT b DELAY 5 NEXT c DEDUPE k NEXT d DEDUPE k -> ready #1, delayed #2, ready #3, duplicate #3",
        "0 QLEN q ALL -> 3",
    ]);
}

#[test]
fn a_batch_is_all_or_nothing() {
    check(&[
        "0 QCONFIG SET q max-jobs 2",
        "0 QMPUSH q a NEXT b NEXT c -> FULL jobs",
        "0 QLEN q ALL -> 0",
        "0 QMPUSH q a DEDUPE k ROOT s 5 NEXT b NEXT c -> FULL jobs",
        "0 QPUSH q a DEDUPE k ROOT s 4 -> ready #1",
        "0 QMPUSH q b NEXT b DEDUPE k -> ready #2, duplicate #1",
        "0 QSTATS q -> pushed=2 duplicates=1",
    ]);
}

#[test]
fn a_batch_that_replaces_and_then_does_not_fit_replaces_nothing() {
    check(&[
        "0 QCONFIG SET q max-jobs 1",
        "0 QPUSH q old DEDUPE k WINDOW 50 -> ready #1",
        "0 QMPUSH q new DEDUPE k REPLACE WINDOW 500 NEXT b -> FULL jobs",
        "0 QJOB q #1 -> payload=old",
        "0 QCLAIM q -> #1.1=old",
        "50 QACK q #1.1 -> 1",
        "50 QPUSH q c DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_refused_push_makes_no_queue() {
    check(&["0 QPUSH q a PRIORITY 11 -> ERR", "0 exists q -> 0", "0 QSTATS q -> nil", "0 QLEN q -> 0"]);
}

#[test]
fn ids_rise_within_a_queue_and_are_not_issued_again() {
    check(&[
        "0 QPUSH q a -> ready #1",
        "0 QDEL q #1 -> 1",
        "0 QPUSH q b -> ready #2",
        "0 QSCAN q 0 -> #2",
        "0 del q -> 1",
        "0 QPUSH q c -> ready #3",
        "1 restart",
        "1 QPUSH q d -> ready #4",
        "1 QCLAIM q COUNT 9 -> #3.1=c #4.1=d",
    ]);
}

#[test]
fn payloads_keys_and_names_are_bytes() {
    check(&[
        "0 QPUSH {q}\u{e9} \u{fc}\u{0} DEDUPE \u{1} GROUP \u{2} -> ready #1",
        "0 QJOB {q}\u{e9} KEY \u{1} GROUP \u{2} -> id=#1",
    ]);
}
