//! QWORKER: who does the jobs, what operators tell them, and how their jobs come back.

use stanchion_tests::Server;

#[test]
fn a_worker_tells_of_itself_and_is_listed() {
    let server = Server::start();
    server.check(
        r#"
        > QWORKER LIST => []
        > QWORKER BEAT w1 version 1.34.0 host job1001 pid 77 slots 19 jobs 3 groups "basic transcode" => ok
        > QWORKER BEAT bare => ok
        > QMPUSH q a NEXT b
        > QPUSH r c
        > QCLAIM q COUNT 2 WORKER w1
        > QCLAIM r WORKER w1
        > QWORKER LIST => [
            {name: bare, order: ok, claimed: 0, since: *, heard-ms: 0..60000},
            {name: w1, order: ok, version: 1.34.0, host: job1001, pid: 77, slots: 19, jobs: 3, claimed: 3,
                groups: "basic transcode", since: *, heard-ms: 0..60000}]
        > QWORKER BEAT w1 jobs 1 => ok
        > HELLO 3
        > QWORKER LIST => [*, {name: w1, jobs: 1, slots: 19, ...}]
        > QWORKER HELP => [*, *, ...]
        "#,
    );
}

#[test]
fn operators_quiet_resume_and_stop_a_worker() {
    Server::start().check(
        r#"
        > QWORKER QUIET w => -ERR no worker 'w' is heard; QWORKER LIST shows those that are
        > QWORKER BEAT w pid 1 => ok
        > QWORKER QUIET w => +OK
        > QWORKER BEAT w pid 1 => quiet
        > QWORKER LIST => [{name: w, order: quiet, ...}]
        > INFO stanchion => `*workers_quiet_or_stopping:1*`
        > QWORKER RESUME w => +OK
        > QWORKER BEAT w pid 1 => ok
        > QWORKER STOP w => +OK
        > QWORKER BEAT w pid 1 => stop
        # The process that was told so is gone.
        > QWORKER BEAT w pid 2 => ok
        > QWORKER STOP w x => -ERR wrong number of arguments for 'qworker|stop' command
        > QWORKER RESUME other => -ERR no worker 'other'*
        > QWORKER BEAT w bogus 1 => -ERR syntax error, 'bogus' is not an option of BEAT
        "#,
    );
}

#[test]
fn goodbye_gives_jobs_back_at_once_wherever_they_are() {
    let server = Server::start();
    let mut connection = server.connect();
    for queue in 0..50 {
        let queue = format!("q{queue}");
        connection.call(&["QMPUSH", &queue, "a", "NEXT", "b"]);
        connection.call(&["QCLAIM", &queue, "WORKER", "w"]);
        connection.call(&["QCLAIM", &queue, "WORKER", "other"]);
    }
    server.check(
        r#"
        > QWORKER BEAT w host h pid 1 => ok
        b! QMCLAIM MATCH 1 q* BLOCK 0
        ~ 1 blocked
        # Another process of this name has nothing to give back.
        > QWORKER BYE w host h pid 2 => 0
        > QLEN q7 CLAIMED => 2
        > QWORKER BYE w host h pid 1 => 50
        b< => [[*, *, *, 1]]
        > QWORKER LIST => []
        > QLEN q8 ALL => 2
        > QWORKER BYE w => 0
        "#,
    );
    let stats = connection.call(&["QSTATS", "q8"]);
    assert_eq!(stats.field("released").expect("a total").integer(), 1);
}

#[test]
fn a_goodbye_needs_no_beat_before() {
    Server::start().check(
        r#"
        > QPUSH q a
        > QCLAIM q WORKER silent => [[q, $first, a, 1]]
        > QWORKER BYE silent => 1
        > QCLAIM q => [[q, *, a, 1]]
        > QACK q $first => 0
        "#,
    );
}

#[test]
fn a_lease_that_lapses_says_whose_it_was() {
    Server::start().check(
        r#"
        > QPUSH q a => $id
        > QCLAIM q LEASE 1 WORKER "w one"
        > QCLAIM q BLOCK 0 META => [[q, *, a, 2, {last-error: "lapsed, worker w one", ...}]]
        "#,
    );
}

#[test]
fn claims_count_for_the_version_of_their_worker() {
    Server::start().check(
        r#"
        > QMPUSH a 1 NEXT 2 NEXT 3 NEXT 4
        > QMPUSH b 1 NEXT 2
        > QCLAIM a WORKER w => [[a, $none, *, *]]
        > QACK a $none => 1
        > QWORKER VERSIONS => []
        > QWORKER BEAT w version 1.0 => ok
        > QCLAIM a COUNT 2 WORKER w => [[a, $done, *, *], [a, $failed, *, *]]
        > QCLAIM b LEASE 1 WORKER w
        > QACK a $done => 1
        > QNACK a $failed => retry
        # The lapsed one comes first, the other is acked.
        > QCLAIM b WORKER w COUNT 1 => [*]
        > QWORKER BEAT w version 2.0 => ok
        > QCLAIM a WORKER w => [[a, $newer, *, *]]
        > QACK a $newer => 1
        ? QWORKER VERSIONS => ({queue: a, version: 1.0, acked: 1, nacked: 1, lapsed: 0},
            {queue: a, version: 2.0, acked: 1, nacked: 0, lapsed: 0},
            {queue: b, version: 1.0, acked: 0, nacked: 0, lapsed: 1})
        > QWORKER VERSIONS MATCH b* => [{queue: b, ...}]
        > QWORKER VERSIONS b => -ERR syntax error*
        > ACL SETUSER seer on nopass %R~a* +@all => +OK
        s> AUTH seer x => +OK
        s> QWORKER VERSIONS => ({queue: a, version: 1.0, ...}, {queue: a, version: 2.0, ...})
        "#,
    );
}

#[test]
fn a_transaction_may_look_but_not_beat() {
    Server::start().check(
        r#"
        > QWORKER BEAT w => ok
        > MULTI
        > QPUSH q x => +QUEUED
        > QWORKER LIST => +QUEUED
        > QWORKER QUIET w => +QUEUED
        > QWORKER VERSIONS => +QUEUED
        > EXEC => [*, [{name: w, ...}], +OK, []]
        > MULTI
        > QWORKER BEAT w => -ERR Command not allowed inside a transaction
        > EXEC => -EXECABORT*
        > MULTI
        > QWORKER BYE w => -ERR Command not allowed inside a transaction
        > DISCARD
        "#,
    );
}

#[test]
fn workers_may_beat_and_operators_may_steer() {
    Server::start().check(
        r#"
        > ACL SETUSER worker on nopass ~* -@all +@claim => +OK
        > ACL SETUSER operator on nopass ~* -@all +@operate => +OK
        > QWORKER BEAT w => ok
        w> AUTH worker x => +OK
        w> QWORKER BEAT w => ok
        w> QWORKER QUIET w => -NOPERM*
        w> QWORKER LIST => -NOPERM*
        w> QWORKER BYE w => 0
        o> AUTH operator x => +OK
        o> QWORKER BEAT w => -NOPERM*
        o> QWORKER LIST => []
        "#,
    );
}
