//! Claims that wait: who is woken, by what, and in which order.

use stanchion_tests::Server;

#[test]
fn a_push_wakes_a_waiting_claim() {
    Server::start().check(
        r#"
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QPUSH q a
        w< => [[q, *, a, 1]]
        ~ 0 blocked
        "#,
    );
}

#[test]
fn a_wait_ends_with_an_empty_array_in_both_protocols() {
    Server::start().check(
        r#"
        > QCLAIM q BLOCK 1 => []
        > QMCLAIM QUEUES 2 q p BLOCK 1 => []
        > QMCLAIM MATCH 1 * BLOCK 1 => []
        > HELLO 3
        > QCLAIM q BLOCK 1 => []
        ~ 0 blocked
        "#,
    );
}

#[test]
fn waiters_are_served_first_come_first_served() {
    Server::start().check(
        r#"
        a! QCLAIM q BLOCK 0
        ~ 1 blocked
        b! QMCLAIM QUEUES 2 other q BLOCK 0
        ~ 2 blocked
        c! QCLAIM q BLOCK 0 COUNT 5
        ~ 3 blocked
        > QPUSH q 1st
        a< => [[q, *, 1st, 1]]
        > QPUSH q 2nd
        b< => [[q, *, 2nd, 1]]
        > QMPUSH q 3rd NEXT 4th
        c< => [[q, *, 3rd, 1], [q, *, 4th, 1]]
        "#,
    );
}

#[test]
fn one_command_can_wake_many() {
    Server::start().check(
        r#"
        a! QCLAIM q BLOCK 0
        ~ 1 blocked
        b! QCLAIM q BLOCK 0
        ~ 2 blocked
        c! QCLAIM q BLOCK 0
        ~ 3 blocked
        > QMPUSH q x NEXT y
        a< => [[q, *, x, 1]]
        b< => [[q, *, y, 1]]
        ~ 1 blocked
        > QPUSH q z
        c< => [[q, *, z, 1]]
        "#,
    );
}

#[test]
fn commands_behind_a_blocked_one_wait() {
    Server::start().check(
        r#"
        w! QCLAIM q BLOCK 0
        w! PING
        w! QLEN q CLAIMED
        ~ 1 blocked
        > QPUSH q a
        w< => [[q, *, a, 1]]
        w< => +PONG
        w< => 1
        "#,
    );
}

#[test]
fn a_claim_over_several_queues_waits_for_any_of_them() {
    Server::start().check(
        r#"
        w! QMCLAIM QUEUES 3 a b c BLOCK 0
        ~ 1 blocked
        > QPUSH c x
        w< => [[c, *, x, 1]]
        # served once only
        > QPUSH a y
        > QLEN a => 1
        "#,
    );
}

#[test]
fn a_matching_claim_waits_for_queues_that_are_not_there_yet() {
    Server::start().check(
        r#"
        w! QMCLAIM MATCH 1 new:* EXCEPT 1 *:not BLOCK 0
        ~ 1 blocked
        > QPUSH new:not a
        > QPUSH other b
        > QPUSH new:queue c
        w< => [["new:queue", *, c, 1]]
        > QLEN new:not => 1
        "#,
    );
}

#[test]
fn a_claim_of_one_group_waits_for_that_group() {
    Server::start().check(
        r#"
        w! QCLAIM q GROUP g BLOCK 0
        ~ 1 blocked
        > QPUSH q other GROUP h
        > QPUSH q none
        > QPUSH q mine GROUP g
        w< => [[q, *, mine, 1]]
        > QLEN q => 2
        "#,
    );
}

#[test]
fn everything_that_makes_a_job_claimable_wakes() {
    Server::start().check(
        r#"
        # a due time
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QPUSH q due DELAY 20
        w< => [[q, $due, due, 1]]
        # a nack and a release
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QNACK q $due DELAY 0 => retry
        w< => [[q, $nacked, due, 2]]
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QRELEASE q $nacked => 1
        w< => [[q, $released, due, 2]]
        # a lapse
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QEXTEND q 1 $released => 1
        w< => [[q, $lapsed, due, 3]]
        # a requeue
        > QNACK q $lapsed DEAD => dead
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QREQUEUE q DEAD => 1
        w< => [[q, $requeued, due, 1]]
        # a replace that moves the due time
        > QPUSH q later DEDUPE k DELAY 600000
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QPUSH q now DEDUPE k REPLACE
        w< => [[q, *, now, 1]]
        "#,
    );
}

#[test]
fn a_paused_queue_keeps_its_waiters() {
    Server::start().check(
        r#"
        > QPAUSE q => +OK
        > QPUSH q a
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QCLAIM q => []
        > QRESUME q => +OK
        w< => [[q, *, a, 1]]
        # a pause that ends by itself
        > QPAUSE q FOR 30 => +OK
        > QPUSH q b
        w> QCLAIM q BLOCK 0 => [[q, *, b, 1]]
        "#,
    );
}

#[test]
fn a_capped_queue_keeps_its_waiters() {
    Server::start().check(
        r#"
        > QCONFIG SET q concurrency 1 => +OK
        > QMPUSH q a NEXT b NEXT c
        > QCLAIM q => [[q, $a, a, 1]]
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        # the end of a claim
        > QACK q $a => 1
        w< => [[q, *, b, 1]]
        # a raised cap
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QCONFIG SET q concurrency 2 => +OK
        w< => [[q, *, c, 1]]
        "#,
    );
}

#[test]
fn a_rate_limited_queue_keeps_its_waiters_until_there_is_a_token() {
    Server::start().check(
        r#"
        > QCONFIG SET q rate 1/50ms => +OK
        > QMPUSH q a NEXT b NEXT c
        > QCLAIM q COUNT 9 => [[q, *, a, 1]]
        > QCLAIM q BLOCK 0 => [[q, *, b, 1]]
        > QCONFIG SET q rate 1/1h => +OK
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > QCONFIG SET q rate 0 => +OK
        w< => [[q, *, c, 1]]
        "#,
    );
}

#[test]
fn a_deleted_queue_keeps_its_waiters() {
    Server::start().check(
        r#"
        > QPAUSE q => +OK
        > QPUSH q old
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > DEL q => 1
        > QPUSH q new
        w< => [[q, *, new, 1]]
        "#,
    );
}

#[test]
fn a_claim_in_a_transaction_answers_at_once() {
    Server::start().check(
        r#"
        > MULTI => +OK
        > QCLAIM q BLOCK 0 => +QUEUED
        > QMCLAIM QUEUES 1 q BLOCK 0 => +QUEUED
        > EXEC => [[], []]
        "#,
    );
}

#[test]
fn an_ack_of_a_waiting_claim_counts_before_the_wait() {
    Server::start().check(
        r#"
        > QPUSH q a
        w> QCLAIM q => [[q, $a, a, 1]]
        w! QCLAIM q BLOCK 0 ACK 1 $a
        ~ 1 blocked
        > QLEN q ALL => 0
        > QPUSH q b
        w< => [[q, *, b, 1]]
        "#,
    );
}

#[test]
fn a_client_that_leaves_takes_no_job_with_it() {
    let server = Server::start();
    let mut session = server.session();
    for _ in 0..20 {
        session.check("w! QCLAIM q BLOCK 0\n~ 1 blocked");
        session.close("w");
        session.check(
            r#"
            ~ 0 blocked
            > QPUSH q a
            > QCLAIM q => [[q, $r, a, 1]]
            > QACK q $r => 1
            "#,
        );
        session = server.session();
    }
}

#[test]
fn a_job_claimed_for_a_client_that_is_gone_comes_back_without_an_attempt() {
    let server = Server::start();
    let mut session = server.session();
    for _ in 0..50 {
        session.check("w! QCLAIM q BLOCK 0\n~ 1 blocked");
        // The connection closes while the push may already be serving it.
        session.connection("main").send(&["QPUSH", "q", "a"]).expect("sent");
        session.close("w");
        session.connection("main").receive().expect("an id");
        // The peer may have gone after its reply was handed to the socket: then only the lease gives the job back.
        session.check("~ 0 blocked\n> QPURGE q");
        session = server.session();
    }
    session.check("> QSTATS q => {lapsed: 0, nacked: 0, ...}");
}

#[test]
fn shutdown_answers_waiting_claims() {
    let server = Server::start();
    let mut session = server.session();
    session.check("w! QCLAIM q BLOCK 0\n~ 1 blocked");
    server.terminate();
    session.check("w< => []");
    assert!(server.into_process().wait().success());
}
