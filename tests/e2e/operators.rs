//! What operators do to jobs: look, requeue, delete, purge, pause.

use stanchion_tests::{Options, Server};

/// One job in each state, in two groups.
const STATES: &str = r#"
    > QMPUSH q dead GROUP g NEXT claimed GROUP g
    > QCLAIM q COUNT 2 WORKER w => [[q, $dead, dead, 1], [q, $claimed, claimed, 1]]
    > QNACK q $dead DEAD ERROR why => dead
    > QMPUSH q ready NEXT delayed DELAY 600000 => [$ready, $delayed]
"#;

#[test]
fn qlen_counts_by_state_and_group() {
    let server = Server::start();
    let mut session = server.session();
    session.check(STATES);
    session.check(
        r#"
        > QLEN q => 1
        > QLEN q READY => 1
        > QLEN q DELAYED => 1
        > QLEN q CLAIMED => 1
        > QLEN q DEAD => 1
        > QLEN q ALL => 4
        > QLEN q ALL GROUP g => 2
        > QLEN q GROUP "" ALL => 2
        > QLEN q DEAD GROUP g => 1
        > QLEN q DEAD GROUP other => 0
        > QLEN missing => 0
        > QLEN q READY DEAD => -ERR syntax error*DEAD*
        > QLEN q BOGUS => -ERR syntax error*BOGUS*
        > QLEN => -ERR wrong number of arguments for 'qlen' command
        "#,
    );
}

#[test]
fn qstats_counts_everything() {
    let server = Server::start();
    let mut session = server.session();
    session.check(STATES);
    session.check(
        r#"
        > QSTATS q => {ready: 1, delayed: 1, claimed: 1, dead: 1, bytes: 23, memory: *, groups: 2, oldest-ready-ms: 0..60000, paused: *,
            pushed: 4, duplicates: 0, replaced: 0, superseded: 0, expired: 0, claims: 2, acked: 0, nacked: 1, released: 0,
            lapsed: 0, died: 1, stale-acks: 0, wait-p50-ms: 0..60000, wait-p99-ms: 0..60000, wait-max-ms: 0..60000,
            run-p50-ms: 0..60000, run-p99-ms: 0..60000, run-max-ms: 0..60000, lane: default}
        > QSTATS missing => nil
        > HELLO 3
        > QSTATS q => {ready: 1, lane: default, ...}
        > QSTATS missing => nil
        > QSTATS q x => -ERR wrong number of arguments for 'qstats' command
        "#,
    );
}

#[test]
fn qjob_tells_all_of_a_job_in_any_state() {
    let server = Server::start();
    let mut session = server.session();
    session.check(STATES);
    session.check(
        r#"
        > QJOB q $ready => {id: $ready, queue: q, group: *, state: ready, priority: 0, payload: ready, attempts: 0, failures: 0,
            attempts-max: 3, pushed-at: *, ready-at: *}
        > QJOB q $delayed => {state: delayed, ...}
        > QPEEK q CLAIMED => [{id: $cid, ...}]
        > QJOB q $cid => {state: claimed, group: g, lease-until: *, worker: w, attempts: 1, ...}
        > QPEEK q DEAD => [{id: $did, ...}]
        > QJOB q $did => {state: dead, last-error: why, failures: 1, ...}
        > QPUSH q keyed DEDUPE k => $kid
        > QJOB q KEY k => {id: $kid, dedupe: k, ...}
        > QJOB q KEY k GROUP g => nil
        > QJOB q 0000000000000001 => nil
        > QJOB missing $kid => nil
        > QJOB missing KEY k => nil
        > QJOB q junk => -ERR*junk*
        > QJOB q $kid BOGUS => -ERR*
        > QJOB q KEY => -ERR*
        > QJOB q => -ERR wrong number of arguments for 'qjob' command
        "#,
    );
}

#[test]
fn qpeek_shows_what_comes_next_and_claims_nothing() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q b PRIORITY 1 NEXT a PRIORITY 2 NEXT c GROUP g
        > QPEEK q => [{payload: a, state: ready, attempts: 0, ...}]
        > QPEEK q COUNT 9 => [{payload: a, ...}, {payload: c, ...}, {payload: b, ...}]
        > QPEEK q COUNT 9 GROUP g => [{payload: c, ...}]
        > QMPUSH q later DELAY 600000 NEXT sooner DELAY 300000
        > QPEEK q DELAYED COUNT 9 => [{payload: sooner, ...}, {payload: later, ...}]
        > QLEN q => 3
        > QCLAIM q COUNT 9 => [[q, *, a, 1], [q, *, c, 1], [q, *, b, 1]]
        > QPEEK q READY => []
        > QPEEK missing => []
        > QPEEK q COUNT 1001 => -ERR*1001*
        > QPEEK q COUNT 0 => -ERR*0*
        > QPEEK q BOGUS => -ERR syntax error*BOGUS*
        > QPEEK q READY DEAD => -ERR syntax error*DEAD*
        "#,
    );
}

#[test]
fn dead_and_delayed_jobs_are_requeued() {
    Server::start().check(
        r#"
        > QMPUSH q a ATTEMPTS 1 NEXT b GROUP g ATTEMPTS 1 NEXT c GROUP g ATTEMPTS 1
        > QCLAIM q COUNT 9 => (
            [q, $a, a, 1], [q, $b, b, 1], [q, $c, c, 1])
        > QNACK q $a => dead
        > QNACK q $b => dead
        > QNACK q $c => dead
        > QREQUEUE q DEAD GROUP none => 0
        > QREQUEUE q DEAD GROUP g COUNT 1 => 1
        > QLEN q DEAD => 2
        > QREQUEUE q DEAD => 2
        > QCLAIM q COUNT 9 => ([q, *, a, 1], [q, *, b, 1], [q, *, c, 1])
        # ids: delayed becomes ready, ready and claimed are left alone
        > QMPUSH q d DELAY 600000 NEXT e => [$d, $e]
        > QREQUEUE q $d $e 0000000000000001 => 1
        > QLEN q READY => 2
        > QREQUEUE missing $d => 0
        > QREQUEUE missing DEAD => 0
        > QREQUEUE q => -ERR wrong number of arguments for 'qrequeue' command
        > QREQUEUE q junk => -ERR*junk*
        > QREQUEUE q DEAD BOGUS => -ERR syntax error*BOGUS*
        > QREQUEUE q DEAD COUNT 0 => -ERR*0*
        "#,
    );
}

#[test]
fn jobs_are_deleted_in_any_state() {
    let server = Server::start();
    let mut session = server.session();
    session.check(STATES);
    session.check(
        r#"
        > QPEEK q DEAD => [{id: $did, ...}]
        > QPEEK q CLAIMED => [{id: $cid, ...}]
        > QDEL q $ready $delayed $did $cid $cid 0000000000000001 => 4
        > QLEN q ALL => 0
        > QACK q $claimed => 0
        > QPUSH q a DEDUPE k GROUP g
        > QDEL q KEY k => 0
        > QDEL q KEY k GROUP g => 1
        > QDEL missing $did => 0
        > QDEL missing KEY k => 0
        > QDEL q junk => -ERR*junk*
        > QDEL q KEY => -ERR*
        > QDEL q => -ERR wrong number of arguments for 'qdel' command
        > QDEL q KEY k BOGUS => -ERR syntax error*BOGUS*
        "#,
    );
}

#[test]
fn a_purge_takes_what_its_filter_says() {
    let server = Server::start();
    let mut session = server.session();
    session.check(STATES);
    session.check(
        r#"
        > QPURGE q STATE DEAD GROUP none => 0
        > QPURGE q STATE DEAD => 1
        > QPURGE q GROUP g => 1
        > QACK q $claimed => 0
        > QLEN q ALL => 2
        > QPURGE q => 2
        > QPURGE q => 0
        > QPURGE missing => 0
        > QPURGE q STATE BOGUS => -ERR*BOGUS*
        > QPURGE q BOGUS => -ERR syntax error*BOGUS*
        > QPURGE => -ERR wrong number of arguments for 'qpurge' command
        "#,
    );
}

#[test]
fn a_large_purge_holds_nobody_up() {
    let server = Server::start();
    let mut pusher = server.connect();
    for _ in 0..10 {
        let words =
            ["QMPUSH", "q", "x"].into_iter().chain(std::iter::repeat_n(["NEXT", "x"], 9_999).flatten());
        let reply = pusher.call(&words.collect::<Vec<_>>());
        assert_eq!(reply.array().len(), 10_000);
    }
    let mut operator = server.connect();
    operator.send(&["QPURGE", "q"]).expect("sent");
    // Served between its steps, or it would not be answered before the purge is.
    let mut session = server.session();
    session.check("> QPUSH other a\n> QCLAIM other => [[other, *, a, 1]]\n> PING => +PONG");
    assert_eq!(operator.receive().expect("a count").integer(), 100_000);
    session.check("> QLEN q ALL => 0");
}

#[test]
fn pauses_add_up_and_say_so() {
    Server::start().check(
        r#"
        > QPUSH q a
        > QPAUSE q => +OK
        > QCLAIM q => []
        > QPUSH q b STATUS => [ready, *]
        > QPAUSE q PUSH => +OK
        > QPUSH q c => -PAUSED*'q'*
        > QMPUSH q c NEXT d => -PAUSED*
        > QCLAIM q => []
        > QRESUME q => +OK
        > QPUSH q c STATUS => [ready, *]
        > QCLAIM q COUNT 9 => [[q, *, a, 1], [q, *, b, 1], [q, *, c, 1]]
        > QPAUSE q ALL => +OK
        > QPUSH q d => -PAUSED*
        > QRESUME missing => +OK
        > QPAUSE q PUSH CLAIM => -ERR syntax error*CLAIM*
        > QPAUSE q BOGUS => -ERR syntax error*BOGUS*
        > QPAUSE q FOR 0 => -ERR*0*
        > QPAUSE q FOR => -ERR*
        > QPAUSE => -ERR wrong number of arguments for 'qpause' command
        > QRESUME q x => -ERR wrong number of arguments for 'qresume' command
        "#,
    );
}

#[test]
fn a_pause_creates_its_queue_and_ends_at_its_time() {
    Server::start().check(
        r#"
        > QPAUSE q PUSH FOR 30 => +OK
        > TYPE q => +queue
        ? QPUSH q a STATUS => [ready, *]
        "#,
    );
}

#[test]
fn a_pause_survives_a_crash() {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QPUSH q a\n> QPAUSE q CLAIM FOR 600000 => +OK\n> QPAUSE p PUSH => +OK");
    server.kill();
    options.start().check(
        r#"
        > QCLAIM q => []
        > QPUSH p x => -PAUSED*
        > QRESUME q => +OK
        > QCLAIM q => [[q, *, a, 1]]
        "#,
    );
}

#[test]
fn a_dead_job_is_kept_so_long_and_so_many_are() {
    Server::start().check(
        r#"
        > QCONFIG SET q dead-retention 20ms => +OK
        > QPUSH q a ATTEMPTS 1
        > QCLAIM q => [[q, $a, a, 1]]
        > QNACK q $a => dead
        ? QLEN q DEAD => 0
        > QCONFIG SET p dead-max 2 => +OK
        > QMPUSH p a NEXT b NEXT c
        > QCLAIM p COUNT 3 => [[p, $pa, a, 1], [p, $pb, b, 1], [p, $pc, c, 1]]
        > QNACK p $pa DEAD => dead
        > QNACK p $pb DEAD => dead
        > QNACK p $pc DEAD => dead
        ? QLEN p DEAD => 2
        > QPEEK p DEAD COUNT 9 => ({payload: b, ...}, {payload: c, ...})
        "#,
    );
}
