//! QACK, QNACK, QRELEASE and QEXTEND: what a worker says of its jobs.

use stanchion_tests::{Options, Server};

#[test]
fn an_ack_counts_once() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b
        > QCLAIM q COUNT 2 => [[q, $a, a, 1], [q, $b, b, 1]]
        > QACK q $a $b $a => 2
        > QACK q $a => 0
        > QACK q 0000000000000001-1 => 0
        > QACK missing $a => 0
        > QLEN q ALL => 0
        "#,
    );
}

#[test]
fn malformed_receipts_are_errors_that_change_nothing() {
    let server = Server::start();
    let mut session = server.session();
    session.check("> QPUSH q a\n> QCLAIM q => [[q, $r, a, 1]]");
    for receipt in
        ["junk", "0000000000000001", "0000000000000001-", "000000000000000G-1", "0000000000000001-01", "\"\""]
    {
        let named = receipt.trim_matches('"');
        session.check(&format!(
            "> QACK q $r {receipt} => -ERR *{named}*\n\
             > QNACK q {receipt} => -ERR *{named}*\n\
             > QRELEASE q $r {receipt} => -ERR *{named}*\n\
             > QEXTEND q 1000 $r {receipt} => -ERR *{named}*"
        ));
    }
    session.check(
        r#"
        > QACK q => -ERR wrong number of arguments for 'qack' command
        > QNACK q => -ERR wrong number of arguments for 'qnack' command
        > QRELEASE q => -ERR wrong number of arguments for 'qrelease' command
        > QEXTEND q 1000 => -ERR wrong number of arguments for 'qextend' command
        > QACK q $r => 1
        "#,
    );
}

#[test]
fn a_nack_backs_off_further_each_time_and_then_is_death() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QCONFIG SET q backoff 100s backoff-factor 3 backoff-max 10m backoff-jitter 0 attempts 4 => +OK
        > QPUSH q a => $id
        "#,
    );
    for (attempt, delay_ms) in [(1, 100_000), (2, 300_000), (3, 600_000)] {
        session.check(&format!(
            r#"
            > QCLAIM q LEASE 1000000 META => [[q, $r{attempt}, a, {attempt}, {{lease-until: $until{attempt}, ...}}]]
            > QNACK q $r{attempt} ERROR "attempt {attempt}" => retry
            > QJOB q $id => {{state: delayed, failures: {attempt}, attempts: {attempt}, ready-at: $ready{attempt},
                last-error: "attempt {attempt}", ...}}
            > QREQUEUE q $id => 1
            "#
        ));
        let instant = |name: String| session.captured(&name).parse::<i64>().expect("an instant");
        let claimed = instant(format!("until{attempt}")) - 1_000_000;
        let waits = instant(format!("ready{attempt}")) - claimed;
        assert!((delay_ms..delay_ms + 5_000).contains(&waits), "attempt {attempt} waits {waits} ms");
    }
    session.check(
        r#"
        > QCLAIM q => [[q, $r, a, 4]]
        > QNACK q $r ERROR "that was it" => dead
        > QJOB q $id => {state: dead, attempts: 4, failures: 4, last-error: "that was it", ...}
        > QSTATS q => {nacked: 4, died: 1, dead: 1, delayed: 0, ...}
        "#,
    );
}

#[test]
fn jitter_spreads_the_back_off_by_its_share() {
    let server = Server::start();
    let mut session = server.session();
    session.check("> QCONFIG SET q backoff 1000s backoff-jitter 0.2 => +OK");
    let mut waits = Vec::new();
    for i in 0..20 {
        session.check(&format!(
            r#"
            > QPUSH q a => $id{i}
            > QCLAIM q LEASE 1000000 META => [[q, $r{i}, a, 1, {{lease-until: $until{i}, ...}}]]
            > QNACK q $r{i} => retry
            > QJOB q $id{i} => {{ready-at: $ready{i}, ...}}
            "#
        ));
        let instant = |name: String| session.captured(&name).parse::<i64>().expect("an instant");
        waits.push(instant(format!("ready{i}")) - (instant(format!("until{i}")) - 1_000_000));
    }
    assert!(waits.iter().all(|wait| (799_000..=1_205_000).contains(wait)), "{waits:?}");
    let (low, high) = (waits.iter().min().expect("waits"), waits.iter().max().expect("waits"));
    assert!(high - low > 20_000, "twenty draws of ±200 s hardly differ: {waits:?}");
}

#[test]
fn a_nack_can_say_when_or_never() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b NEXT c
        > QCLAIM q COUNT 3 => [[q, $a, a, 1], [q, $b, b, 1], [q, $c, c, 1]]
        > QNACK q $a DELAY 0 => retry
        > QNACK q $b DELAY 600000 ERROR DEAD => retry
        > QNACK q $c DEAD ERROR "" => dead
        > QNACK q $c => stale
        > QLEN q READY => 1
        > QLEN q DELAYED => 1
        > QLEN q DEAD => 1
        > QPEEK q DELAYED => [{last-error: DEAD, ...}]
        > QNACK missing $a => stale
        "#,
    );
}

#[test]
fn the_first_4_kib_of_an_error_are_kept() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["QPUSH", "q", "a"]);
    let reply = connection.call(&["QCLAIM", "q"]);
    let receipt = reply.array()[0].array()[1].text();
    let message = "e".repeat(5_000);
    assert_eq!(connection.call(&["QNACK", "q", &receipt, "DELAY", "0", "ERROR", &message]).text(), "retry");
    let peek = connection.call(&["QPEEK", "q"]);
    assert_eq!(peek.array()[0].field("last-error").expect("an error").text(), "e".repeat(4_096));
}

#[test]
fn bad_nacks_are_refused_by_name() {
    let server = Server::start();
    let mut session = server.session();
    session.check("> QPUSH q a\n> QCLAIM q => [[q, $r, a, 1]]");
    for (options, error) in [
        ("DELAY 5 DEAD", "syntax error*DEAD*"),
        ("DEAD DELAY 5", "syntax error*DELAY*"),
        ("DELAY -1", "*-1*"),
        ("ERROR", "syntax error*ERROR*"),
        ("ERROR a ERROR b", "syntax error*ERROR*"),
        ("BOGUS", "syntax error*BOGUS*"),
    ] {
        session.check(&format!("> QNACK q $r {options} => -ERR {error}"));
    }
    session.check("> QACK q $r => 1");
}

#[test]
fn a_release_uses_no_attempt() {
    Server::start().check(
        r#"
        > QPUSH q a ATTEMPTS 1
        > QPUSH q b
        > QCLAIM q => [[q, $r1, a, 1]]
        > QRELEASE q $r1 => 1
        > QRELEASE q $r1 => 0
        > QCLAIM q COUNT 2 => [[q, $r2, a, 1], [q, $b, b, 1]]
        > QRELEASE q DELAY 600000 $r2 $b 0000000000000001-1 => 2
        > QPEEK q DELAYED COUNT 9 => [{attempts: 0, failures: 0, state: delayed, ...}, {attempts: 0, ...}]
        > QSTATS q => {released: 3, claims: 3, nacked: 0, ...}
        > QRELEASE missing $b => 0
        > QRELEASE q DELAY -1 $b => -ERR*-1*
        > QRELEASE q DELAY => -ERR*
        "#,
    );
}

#[test]
fn an_extended_lease_ends_so_long_from_now() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q a NEXT b
        > QCLAIM q COUNT 2 LEASE 1000 META
            => [[q, $a, a, 1, {lease-until: $before, ...}], [q, $b, b, 1, *]]
        > QEXTEND q 600000 $a $b 0000000000000001-1 => 2
        > QPEEK q CLAIMED COUNT 2 => [{lease-until: $after, ...}, *]
        > QEXTEND missing 1000 $a => 0
        > QEXTEND q 0 $a => -ERR*0*
        > QEXTEND q soon $a => -ERR*soon*
        "#,
    );
    let instant = |name| session.captured(name).parse::<i64>().expect("an instant");
    let gained = instant("after") - instant("before");
    assert!((599_000..610_000).contains(&gained), "the lease gained {gained} ms");
}

#[test]
fn a_lease_can_be_shortened() {
    Server::start().check(
        r#"
        > QPUSH q a
        > QCLAIM q LEASE 600000 => [[q, $r, a, 1]]
        > QEXTEND q 1 $r => 1
        > QCLAIM q BLOCK 0 => [[q, *, a, 2]]
        > QEXTEND q 1000 $r => 0
        "#,
    );
}

#[test]
fn run_max_bounds_every_extension() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QCONFIG SET q run-max 10s => +OK
        > QPUSH q a => $id
        > QCLAIM q LEASE 5000 META => [[q, $r, a, 1, {lease-until: $claimed, ...}]]
        > QEXTEND q 600000 $r => 1
        > QJOB q $id => {lease-until: $extended, ...}
        "#,
    );
    let instant = |name| session.captured(name).parse::<i64>().expect("an instant");
    assert_eq!(
        instant("extended") - instant("claimed"),
        5_000,
        "10 s after the claim, which was 5 s before its lease"
    );
}

#[test]
fn reports_survive_a_crash() {
    let options = Options::new().configuration("lease-grace = \"5m\"\n");
    let mut server = options.start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q acked NEXT nacked NEXT released NEXT dead
        > QCLAIM q COUNT 4 => [[q, $acked, *, 1], [q, $nacked, *, 1], [q, $released, *, 1], [q, $dead, *, 1]]
        > QACK q $acked => 1
        > QNACK q $nacked DELAY 600000 ERROR later => retry
        > QNACK q $dead DEAD ERROR never => dead
        > QRELEASE q $released => 1
        "#,
    );
    let stale = session.captured("released");
    server.kill();
    options.start().check(&format!(
        r#"
        > QLEN q ALL => 3
        > QPEEK q DELAYED => [{{payload: nacked, last-error: later, failures: 1, ...}}]
        > QPEEK q DEAD => [{{payload: dead, last-error: never, ...}}]
        > QCLAIM q COUNT 9 => [[q, $r, released, 1]]
        > QACK q {stale} => 0
        > QACK q $r => 1
        "#
    ));
}
