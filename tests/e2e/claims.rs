//! QCLAIM and QMCLAIM: who gets which job, for how long, and how they are acked on the way.

use stanchion_tests::{Options, Server};

#[test]
fn a_claim_hands_out_jobs_in_order() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b NEXT c
        > QCLAIM q => [[q, $a, a, 1]]
        > QCLAIM q COUNT 10 => [[q, $b, b, 1], [q, *, c, 1]]
        > QCLAIM q => []
        > QCLAIM nothing => []
        > QLEN q CLAIMED => 3
        > EXISTS nothing => 0
        "#,
    );
}

#[test]
fn a_receipt_is_the_jobs_id_and_a_rising_number() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QPUSH q a => $id
        > QCLAIM q => [[q, $r1, a, 1]]
        > QRELEASE q $r1 => 1
        > QCLAIM q => [[q, $r2, a, 1]]
        "#,
    );
    let epoch = |name| {
        let receipt = session.captured(name);
        let (id, epoch) = receipt.split_once('-').expect("an id and an epoch");
        assert_eq!(id, session.captured("id"));
        epoch.parse::<u64>().expect("a number")
    };
    assert!(epoch("r2") > epoch("r1"));
}

#[test]
fn meta_tells_what_is_known_of_a_job() {
    Server::start().check(
        r#"
        > QPUSH q a GROUP g PRIORITY 4 DEDUPE k ROOT sig 00077
        > QCLAIM q META => [[q, $r, a, 1, {group: g, priority: 4, pushed-at: $t, ready-at: $t, lease-until: *, failures: 0,
            root-signature: sig, root-timestamp: *, dedupe: k}]]
        > QNACK q $r DELAY 0 ERROR "it broke" => retry
        > QCLAIM q META => [[q, *, a, 2, {failures: 1, last-error: "it broke", ...}]]
        > HELLO 3 => {server: *, ...}
        > QPUSH q b
        > QCLAIM q META => [[q, *, b, 1, {group: "", priority: 0, pushed-at: *, ready-at: *, lease-until: *, failures: 0}]]
        "#,
    );
}

#[test]
fn groups_take_turns() {
    Server::start().check(
        r#"
        > QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT a3 GROUP a NEXT a4 GROUP a
        > QMPUSH q b1 GROUP b NEXT b2 GROUP b
        > QPUSH q c1 GROUP c
        > QPUSH q n1
        > QCLAIM q COUNT 8 => [[q, *, a1, 1], [q, *, b1, 1], [q, *, c1, 1], [q, *, n1, 1],
            [q, *, a2, 1], [q, *, b2, 1], [q, *, a3, 1], [q, *, a4, 1]]
        "#,
    );
}

#[test]
fn turns_go_on_from_claim_to_claim_and_a_new_group_joins_the_end() {
    Server::start().check(
        r#"
        > QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT a3 GROUP a NEXT b1 GROUP b NEXT b2 GROUP b
        > QCLAIM q => [[q, *, a1, 1]]
        > QPUSH q c1 GROUP c
        > QCLAIM q => [[q, *, b1, 1]]
        > QCLAIM q => [[q, *, a2, 1]]
        > QCLAIM q => [[q, *, c1, 1]]
        > QCLAIM q => [[q, *, b2, 1]]
        > QCLAIM q => [[q, *, a3, 1]]
        "#,
    );
}

#[test]
fn a_claim_can_ask_for_one_group() {
    Server::start().check(
        r#"
        > QMPUSH q a GROUP a NEXT b GROUP b NEXT n
        > QCLAIM q COUNT 9 GROUP b => [[q, *, b, 1]]
        > QCLAIM q COUNT 9 GROUP "" => [[q, *, n, 1]]
        > QCLAIM q COUNT 9 GROUP none => []
        > QCLAIM q COUNT 9 => [[q, *, a, 1]]
        "#,
    );
}

#[test]
fn a_lapsed_lease_gives_the_job_back_and_makes_the_receipt_stale() {
    Server::start().check(
        r#"
        > QPUSH q a => $id
        > QCLAIM q LEASE 1 WORKER w1 => [[q, $r1, a, 1]]
        > QCLAIM q BLOCK 0 META => [[q, $r2, a, 2, {failures: 1, last-error: "lapsed, worker w1", ...}]]
        > QACK q $r1 => 0
        > QEXTEND q 1000 $r1 => 0
        > QRELEASE q $r1 => 0
        > QNACK q $r1 => stale
        > QSTATS q => {lapsed: 1, ...}
        > QACK q $r2 => 1
        "#,
    );
}

#[test]
fn a_lapse_of_the_last_attempt_is_death() {
    Server::start().check(
        r#"
        > QPUSH q a ATTEMPTS 1 => $id
        > QCLAIM q LEASE 1 WORKER host7 => [[q, $r, a, 1]]
        ? QLEN q DEAD => 1
        > QJOB q $id => {state: dead, last-error: "lapsed, worker host7", failures: 1, attempts: 1, ...}
        > QACK q $r => 0
        > QSTATS q => {lapsed: 1, died: 1, dead: 1, ...}
        "#,
    );
}

#[test]
fn a_lapse_does_not_hide_an_earlier_error() {
    Server::start().check(
        r#"
        > QPUSH q a => $id
        > QCLAIM q => [[q, $r, a, 1]]
        > QNACK q $r DELAY 0 ERROR "the real reason" => retry
        > QCLAIM q LEASE 1 => [[q, *, a, 2]]
        > QCLAIM q BLOCK 0 META => [[q, *, a, 3, {last-error: "the real reason", failures: 2, ...}]]
        "#,
    );
}

#[test]
fn a_job_that_comes_back_stands_before_later_ones() {
    Server::start().check(
        r#"
        > QPUSH q first
        > QCLAIM q => [[q, $r, first, 1]]
        > QPUSH q second
        > QRELEASE q $r => 1
        > QCLAIM q => [[q, *, first, 1]]
        "#,
    );
}

#[test]
fn a_claim_acks_on_the_way() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b NEXT c NEXT d
        > QCLAIM q COUNT 2 ACK 0 => [[q, $a, a, 1], [q, $b, b, 1]]
        > QCLAIM q COUNT 2 ACK 2 $a $b => [[q, $c, c, 1], [q, $d, d, 1]]
        > QACK q $a $b => 0
        > QCLAIM q ACK 3 $a $c $d => []
        > QLEN q ALL => 0
        > QSTATS q => {acked: 4, stale-acks: 3, ...}
        # also when the queue is paused
        > QPUSH q e
        > QCLAIM q => [[q, $e, e, 1]]
        > QPAUSE q => +OK
        > QCLAIM q ACK 1 $e => []
        > QLEN q ALL => 0
        "#,
    );
}

#[test]
fn an_ack_frees_the_cap_for_its_own_claim() {
    Server::start().check(
        r#"
        > QCONFIG SET q concurrency 1 => +OK
        > QMPUSH q a NEXT b
        > QCLAIM q COUNT 2 => [[q, $a, a, 1]]
        > QCLAIM q => []
        > QCLAIM q ACK 1 $a => [[q, *, b, 1]]
        "#,
    );
}

#[test]
fn a_bound_claim_ends_with_its_connection() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q a NEXT b
        w> QCLAIM q BOUND => [[q, $a, a, 1]]
        w> QCLAIM q => [[q, $b, b, 1]]
        "#,
    );
    session.close("w");
    session.check(
        r#"
        > QCLAIM q BLOCK 0 META => [[q, $again, a, *, *]]
        > QACK q $a => 0
        > QACK q $again $b => 2
        "#,
    );
}

#[test]
fn several_queues_are_claimed_earlier_ones_first() {
    Server::start().check(
        r#"
        > QMPUSH low l1 NEXT l2
        > QMPUSH high h1 NEXT h2
        > QMCLAIM QUEUES 2 high low COUNT 3 => [[high, *, h1, 1], [high, *, h2, 1], [low, *, l1, 1]]
        > QMCLAIM QUEUES 3 none high low COUNT 9 LEASE 600000 META => [[low, *, l2, 1, {lease-until: *, ...}]]
        > QMCLAIM QUEUES 1 none => []
        "#,
    );
}

#[test]
fn matching_queues_take_turns() {
    Server::start().check(
        r#"
        > QMPUSH mail:a a1 NEXT a2 NEXT a3
        > QMPUSH mail:b b1 NEXT b2
        > QMPUSH other o1
        > QMPUSH mail:x x1
        > QMCLAIM MATCH 1 mail:* EXCEPT 1 *:x COUNT 2 => (["mail:a", *, a1, 1], ["mail:b", *, b1, 1])
        "#,
    );
}

#[test]
fn matching_queues_are_all_served_and_nothing_else() {
    Server::start().check(
        r#"
        > QMPUSH m:a 1a NEXT 2a GROUP g
        > QMPUSH m:b 1b
        > QMPUSH other o
        > QMCLAIM MATCH 2 m:a m:? COUNT 10 WORKER w
            => (["m:a", *, "1a", 1], ["m:a", *, "2a", 1], ["m:b", *, "1b", 1])
        > QMCLAIM MATCH 1 * EXCEPT 2 m* o* => []
        > QMCLAIM MATCH 1 * GROUP g => []
        "#,
    );
}

#[test]
fn bad_claims_are_refused_by_name() {
    let server = Server::start();
    for (command, error) in [
        ("QCLAIM", "wrong number of arguments for 'qclaim' command"),
        ("QCLAIM q COUNT 0", "*0*"),
        ("QCLAIM q COUNT 10001", "*10001*"),
        ("QCLAIM q COUNT ten", "*ten*"),
        ("QCLAIM q COUNT 1 COUNT 2", "syntax error*COUNT*"),
        ("QCLAIM q LEASE 0", "*0*"),
        ("QCLAIM q LEASE 315360000001", "*315360000001*"),
        ("QCLAIM q BLOCK -1", "*-1*"),
        ("QCLAIM q BLOCK", "syntax error*BLOCK*"),
        ("QCLAIM q ACK 1", "syntax error*ACK*"),
        ("QCLAIM q ACK 1 junk", "*junk*"),
        ("QCLAIM q ACK two", "*two*"),
        ("QCLAIM q BOGUS", "syntax error*BOGUS*"),
        ("QMCLAIM q", "*"),
        ("QMCLAIM QUEUES 0 q", "*0*"),
        ("QMCLAIM QUEUES 2 q", "syntax error*QUEUES*"),
        ("QMCLAIM QUEUES 1 q EXCEPT 1 x", "syntax error*EXCEPT*"),
        ("QMCLAIM MATCH 1 q* EXCEPT 0", "*0*"),
        ("QMCLAIM QUEUES 1 q ACK 0", "syntax error*ACK*"),
        ("QMCLAIM BOGUS 1 q", "syntax error*BOGUS*"),
    ] {
        server.check(&format!("> {command} => -ERR {error}"));
    }
}

#[test]
fn a_claims_records_survive_a_restart_with_their_lease() {
    let options = Options::new().configuration("lease-grace = \"5m\"\n");
    let mut server = options.start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q a NEXT b
        > QCLAIM q LEASE 1000 => [[q, $r, a, 1]]
        > WAITAOF 1 0 0 => [1, 0]
        "#,
    );
    server.kill();
    let receipt = session.captured("r");
    // The lease would be over soon; the grace of a restart keeps it.
    options.start().check(&format!(
        r#"
        > QLEN q CLAIMED => 1
        > QCLAIM q COUNT 9 => [[q, *, b, 1]]
        > QACK q {receipt} => 1
        > QACK q {receipt} => 0
        "#
    ));
}

#[test]
fn after_a_restart_a_lease_ends_no_sooner_than_the_grace() {
    let options = Options::new().configuration("lease-grace = \"10m\"\n");
    let mut server = options.start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q short NEXT long
        > QCLAIM q LEASE 60000 META => [[q, *, short, 1, {lease-until: $before, ...}]]
        > QCLAIM q LEASE 6000000 META => [[q, *, long, 1, {lease-until: $long, ...}]]
        > WAITAOF 1 0 0
        "#,
    );
    server.kill();
    let (before, long) = (session.captured("before"), session.captured("long"));
    let server = options.start();
    let mut session = server.session();
    session.check(&format!(
        r#"
        > QPEEK q CLAIMED COUNT 2 => [{{payload: short, lease-until: $after, ...}}, {{payload: long, lease-until: {long}, ...}}]
        "#
    ));
    let instant = |text: String| text.parse::<i64>().expect("an instant");
    let from_claim = instant(session.captured("after")) - instant(before) + 60_000;
    assert!((600_000..700_000).contains(&from_claim), "the short lease ends {from_claim} ms after its claim");
}
