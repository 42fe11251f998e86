//! QPUSH and QMPUSH with the options that say when, for whom and how long.

use std::time::{SystemTime, UNIX_EPOCH};

use stanchion_tests::{Options, Server};

#[test]
fn a_push_answers_an_id_that_rises() {
    let server = Server::start();
    let mut session = server.session();
    session.check("> QPUSH q a => $a\n> QPUSH q b => $b\n> QPUSH q c => $c");
    let ids: Vec<String> = ["a", "b", "c"].iter().map(|name| session.captured(name)).collect();
    for id in &ids {
        assert_eq!(id.len(), 16, "{id}");
        assert!(id.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{id}");
    }
    assert!(ids.is_sorted() && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn ids_rise_across_restarts_too() {
    let options = Options::new();
    let before = {
        let server = options.start();
        let mut session = server.session();
        session.check("> QPUSH q a => $id");
        session.captured("id")
    };
    let server = options.start();
    let mut session = server.session();
    session.check("> QPUSH q b => $id\n> QLEN q => 2");
    assert!(session.captured("id") > before);
}

#[test]
fn everything_is_binary_safe() {
    Server::start().check(
        r#"
        > QPUSH "q \x00\r\n\xff" "\x00\xff\r\n" GROUP "g\x00" DEDUPE "k\r\n" => $id
        > QCLAIM "q \x00\r\n\xff" META
            => [["q \x00\r\n\xff", $r, "\x00\xff\r\n", 1, {group: "g\x00", dedupe: "k\r\n", ...}]]
        > QPUSH q "" => *
        > QCLAIM q => [[q, *, "", 1]]
        > QPUSH "" a => -ERR*empty*
        "#,
    );
}

#[test]
fn option_words_are_case_insensitive_and_take_their_words_whatever_they_say() {
    Server::start().check(
        r#"
        > qpush q a group NEXT status => [ready, *]
        > QLEN q GROUP NEXT => 1
        > qmpush q SYNC next NEXT => [*, *]
        > QPEEK q COUNT 10 GROUP "" => [{payload: SYNC, ...}, {payload: NEXT, ...}]
        > QPUSH q b Group STATUS DEDUPE status
        > QLEN q GROUP STATUS => 1
        "#,
    );
}

#[test]
fn status_says_what_became_of_a_push() {
    Server::start().check(
        r#"
        > QPUSH q a STATUS => [ready, $a]
        > QPUSH q b DELAY 60000 STATUS => [delayed, $b]
        > QPUSH q c DEDUPE k STATUS => [ready, $c]
        > QPUSH q d DEDUPE k STATUS => [duplicate, $c]
        > QPUSH q e DEDUPE k REPLACE STATUS => [replaced, $c]
        > QROOT q sig 200 => 1
        > QPUSH q f ROOT sig 100 STATUS => [superseded, nil]
        > QPUSH q d DEDUPE k => nil
        > QPUSH q f ROOT sig 100 => nil
        "#,
    );
}

#[test]
fn a_delayed_job_is_ready_at_its_time_and_not_before() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QPUSH q later DELAY 60000 STATUS => [delayed, *]
        > QPUSH q soon DELAY 40 STATUS => [delayed, *]
        > QPUSH q past AT 1 STATUS => [ready, *]
        > QPUSH q now DELAY 0 STATUS => [ready, *]
        > QLEN q => 2
        > QLEN q DELAYED => 2
        > QCLAIM q COUNT 2 => [[q, *, past, 1], [q, *, now, 1]]
        > QCLAIM q => []
        > QCLAIM q LEASE 600000 BLOCK 0 META => [[q, *, soon, 1, {ready-at: $ready, lease-until: $until, ...}]]
        > QLEN q DELAYED => 1
        "#,
    );
    let instant = |name| session.captured(name).parse::<i64>().expect("an instant");
    let late = instant("until") - 600_000 - instant("ready");
    assert!((0..1_000).contains(&late), "handed out {late} ms after its time");
}

#[test]
fn at_takes_an_instant() {
    let at = in_a_year();
    Server::start().check(&format!(
        r#"
        > QPUSH q a AT {at} => $id
        > QJOB q $id => {{state: delayed, ready-at: {at}, ...}}
        > QPUSH q a AT 9999999999999 => -ERR*9999999999999*
        "#
    ));
}

#[test]
fn higher_priorities_go_first_within_a_group() {
    Server::start().check(
        r#"
        > QPUSH q low
        > QPUSH q high PRIORITY 9
        > QPUSH q middle PRIORITY 5
        > QPUSH q high2 PRIORITY 9
        > QPUSH q zero PRIORITY 0
        > QCLAIM q COUNT 10 META => [
            [q, *, high, 1, {priority: 9, ...}], [q, *, high2, 1, {priority: 9, ...}],
            [q, *, middle, 1, {priority: 5, ...}], [q, *, low, 1, {priority: 0, ...}], [q, *, zero, 1, {priority: 0, ...}]]
        "#,
    );
}

#[test]
fn a_job_expires_when_its_time_is_over_unless_it_is_claimed() {
    Server::start().check(
        r#"
        > QPUSH q claimed TTL 600000
        > QCLAIM q => [[q, $claimed, claimed, 1]]
        > QPUSH q short TTL 1
        ? QLEN q ALL => 1
        > QSTATS q => {expired: 1, claimed: 1, ready: 0, ...}
        > QACK q $claimed => 1
        "#,
    );
}

#[test]
fn a_claimed_job_never_expires_but_does_once_it_comes_back() {
    Server::start().check(
        r#"
        > QPUSH q a TTL 30
        > QCLAIM q BLOCK 0 => [[q, $r, a, 1]]
        # Another job's expiry shows that the first one's time is over too.
        > QPUSH q b TTL 60
        ? QSTATS q => {expired: 1, claimed: 1, ...}
        > QRELEASE q $r => 1
        ? QSTATS q => {expired: 2, ready: 0, claimed: 0, ...}
        "#,
    );
}

#[test]
fn the_ttl_of_a_delayed_job_counts_from_its_due_time() {
    let at = in_a_year();
    let expires_at = at + 5_000;
    Server::start().check(&format!(
        r#"
        > QPUSH q a AT {at} TTL 5000 => $id
        > QJOB q $id => {{expires-at: {expires_at}, ...}}
        "#
    ));
}

#[test]
fn attempts_of_a_job_override_its_queues() {
    Server::start().check(
        r#"
        > QPUSH q once ATTEMPTS 1 => $once
        > QCLAIM q => [[q, $r, once, 1]]
        > QNACK q $r => dead
        > QJOB q $once => {state: dead, attempts: 1, attempts-max: 1, failures: 1, ...}

        > QCONFIG SET q attempts 1 => +OK
        > QPUSH q always ATTEMPTS 0 => $always
        > QCLAIM q => [[q, $r1, always, 1]]
        > QNACK q $r1 DELAY 0 => retry
        > QCLAIM q => [[q, $r2, always, 2]]
        > QNACK q $r2 DELAY 0 => retry
        > QJOB q $always => {state: ready, attempts-max: 0, ...}
        "#,
    );
}

#[test]
fn sync_and_nosync_only_choose_whether_to_wait() {
    for durability in ["always", "never", "1s"] {
        Options::new().arguments(&["--durability", durability]).start().check(
            r#"
            > QPUSH q a SYNC STATUS => [ready, *]
            > QPUSH q b NOSYNC STATUS => [ready, *]
            > QMPUSH q c SYNC NEXT d => [*, *]
            > WAITAOF 1 0 1000 => [1, 0]
            > QLEN q => 4
            "#,
        );
    }
}

#[test]
fn a_synced_push_survives_whatever_the_policy() {
    let options = Options::new().arguments(&["--durability", "never"]);
    let mut server = options.start();
    server.check("> QPUSH q kept SYNC");
    server.kill();
    options.start().check("> QCLAIM q => [[q, *, kept, 1]]");
}

#[test]
fn waitaof_makes_what_went_before_durable() {
    let options = Options::new().arguments(&["--durability", "never"]);
    let mut server = options.start();
    server.check("> QPUSH q kept NOSYNC\n> WAITAOF 1 0 0 => [1, 0]");
    server.kill();
    options.start().check("> QCLAIM q => [[q, *, kept, 1]]");
}

#[test]
fn many_jobs_are_pushed_at_once() {
    Server::start().check(
        r#"
        > QMPUSH q a => [$a]
        > QMPUSH q b PRIORITY 3 NEXT c GROUP g DELAY 60000 NEXT d DEDUPE k NEXT e DEDUPE k => [$b, $c, $d, nil]
        > QJOB q $b => {priority: 3, state: ready, ...}
        > QJOB q $c => {group: g, state: delayed, ...}
        > QJOB q $d => {dedupe: k, priority: 0, ...}
        > QMPUSH q f STATUS NOSYNC NEXT g DEDUPE k => [[ready, *], [duplicate, $d]]
        > QLEN q ALL => 5
        "#,
    );
}

#[test]
fn many_jobs_are_pushed_all_or_none() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b PRIORITY 10 => -ERR*'10'*
        > QMPUSH q a NEXT b ROOT sig 5 NEXT c BOGUS => -ERR syntax error*'BOGUS'*
        > QLEN q ALL => 0
        > EXISTS q => 0
        > QCONFIG SET q max-jobs 2 => +OK
        > QMPUSH q a NEXT b NEXT c ROOT sig 5 => -FULL*max-jobs*
        > QLEN q ALL => 0
        > QPUSH q d ROOT sig 4 STATUS => [ready, *]
        "#,
    );
}

#[test]
fn the_words_for_all_jobs_stand_with_the_first() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b STATUS => -ERR syntax error*'STATUS'*
        > QMPUSH q a NEXT b SYNC => -ERR syntax error*'SYNC'*
        > QMPUSH q a NEXT b NOSYNC => -ERR syntax error*'NOSYNC'*
        > QMPUSH q a NEXT => -ERR syntax error*
        > QLEN q ALL => 0
        "#,
    );
}

#[test]
fn a_push_is_decided_in_the_order_of_the_contract() {
    Server::start().check(
        r#"
        > QPUSH q holder DEDUPE k STATUS => [ready, $holder]
        > QCONFIG SET q max-jobs 1 => +OK
        > QROOT q sig 200 => 1
        # superseded before duplicate, duplicate before full, replaced before full
        > QPUSH q x DEDUPE k ROOT sig 100 STATUS => [superseded, nil]
        > QPUSH q x DEDUPE k STATUS => [duplicate, $holder]
        > QPUSH q x DEDUPE k REPLACE STATUS => [replaced, $holder]
        > QPUSH q x STATUS => -FULL*
        # an error leaves no effect: the root does not count
        > QPUSH q x ROOT sig 300 => -FULL*
        > QROOT q sig 250 => 1
        # paused before superseded, syntax before paused
        > QPAUSE q PUSH => +OK
        > QPUSH q x ROOT sig 100 => -PAUSED*
        > QPUSH q x DEDUPE k => -PAUSED*
        > QPUSH q x BOGUS => -ERR syntax error*
        "#,
    );
}

#[test]
fn bad_options_are_refused_by_name() {
    let server = Server::start();
    let refused = [
        ("BOGUS", "syntax error*BOGUS"),
        ("DELAY 5 AT 5", "syntax error*AT"),
        ("DELAY 5 DELAY 6", "syntax error*DELAY"),
        ("SYNC NOSYNC", "syntax error*NOSYNC"),
        ("UNTIL DONE", "syntax error*UNTIL"),
        ("WINDOW 5", "syntax error*WINDOW"),
        ("REPLACE", "syntax error*REPLACE"),
        ("DEDUPE k UNTIL NEVER", "NEVER"),
        ("GROUP", "syntax error*GROUP"),
        ("DELAY", "syntax error*DELAY"),
        ("DELAY -1", "-1"),
        ("DELAY soon", "soon"),
        ("DELAY 315360000001", "315360000001"),
        ("AT yesterday", "yesterday"),
        ("PRIORITY 10", "10"),
        ("PRIORITY -1", "-1"),
        ("TTL 0", "0"),
        ("TTL 315360000001", "315360000001"),
        ("ATTEMPTS -1", "-1"),
        ("ATTEMPTS many", "many"),
        ("DEDUPE k WINDOW -1", "-1"),
        ("ROOT sig", "syntax error*ROOT"),
        ("ROOT sig 12345678901234567890", "12345678901234567890"),
        ("ROOT sig 12a", "12a"),
        ("ROOT sig \"\"", "*"),
        ("ROOT sig -5", "-5"),
    ];
    for (options, named) in refused {
        server.check(&format!("> QPUSH q x {options} => -ERR *{named}*"));
    }
    server.check("> QLEN q ALL => 0\n> EXISTS q => 0");
}

/// An instant a year from now, in Unix milliseconds.
fn in_a_year() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    now.as_millis() + 365 * 24 * 3_600 * 1_000
}
