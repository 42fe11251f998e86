//! Roots: an event that fans out into jobs is superseded by a newer one of the same signature.

use stanchion_tests::{Options, Server};

#[test]
fn qroot_says_whether_it_is_the_newest() {
    Server::start().check(
        r#"
        > QROOT q sig 20261121214631 => 1
        > QROOT q sig 20261121214631 => 1
        > QROOT q sig 20261121214630 => 0
        > QROOT q sig 20261121214632 => 1
        # per queue, group and signature
        > QROOT q sig 1 GROUP g => 1
        > QROOT q other 1 => 1
        > QROOT p sig 1 => 1
        # compared as numbers
        > QROOT q sig 9 => 0
        > QROOT q sig 9999999999999999999 => 1
        > QROOT q sig 0009 => 0
        "#,
    );
}

#[test]
fn an_older_job_is_never_handed_out() {
    Server::start().check(
        r#"
        > QPUSH q old ROOT sig 100 => $old
        > QPUSH q same ROOT sig 200 => $same
        > QPUSH q none => $none
        > QPUSH q dropped ROOT sig 150 => nil
        > QCLAIM q COUNT 10 META => [
            [q, *, same, 1, {root-signature: sig, root-timestamp: "200", ...}], [q, *, none, 1, *]]
        ? QLEN q ALL => 2
        > QSTATS q => {superseded: 2, ...}
        "#,
    );
}

#[test]
fn qroot_supersedes_jobs_that_wait() {
    Server::start().check(
        r#"
        > QMPUSH q a ROOT sig 1 NEXT b ROOT sig 2 DELAY 600000 NEXT c ROOT sig 3 GROUP g NEXT d
        > QROOT q sig 3 => 1
        ? QLEN q ALL => 2
        > QCLAIM q COUNT 10 => ([q, *, c, 1], [q, *, d, 1])
        "#,
    );
}

#[test]
fn a_claimed_superseded_job_may_be_acked_but_does_not_come_back() {
    Server::start().check(
        r#"
        > QMPUSH q a ROOT sig 1 NEXT b ROOT sig 1 NEXT c ROOT sig 1 NEXT d ROOT sig 1
        > QCLAIM q COUNT 3 => [[q, $a, a, 1], [q, $b, b, 1], [q, $c, c, 1]]
        > QCLAIM q LEASE 30 => [[q, $d, d, 1]]
        > QROOT q sig 2 => 1
        > QACK q $a => 1
        > QNACK q $b DELAY 0 => superseded
        > QRELEASE q $c => 1
        ? QLEN q ALL => 0
        > QSTATS q => {superseded: 3, acked: 1, ...}
        "#,
    );
}

#[test]
fn a_superseded_job_holds_no_dedupe_key_and_no_window() {
    Server::start().check(
        r#"
        > QPUSH q old DEDUPE k UNTIL DONE WINDOW 600000 ROOT sig 1
        > QROOT q sig 2 => 1
        > QPUSH q new DEDUPE k UNTIL DONE ROOT sig 2 STATUS => [ready, *]
        > QCLAIM q COUNT 10 => [[q, *, new, 1]]
        "#,
    );
}

#[test]
fn a_push_whose_root_supersedes_the_holder_takes_its_key() {
    // The push's root counts before its key is looked up, but a duplicate of a live job with the same signature
    // raises that job's root, so that the last word is never lost.
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k ROOT sig 1 => $a
        > QPUSH q b DEDUPE k ROOT sig 2 STATUS => *
        > QCLAIM q COUNT 10 META => [[q, *, *, 1, {root-timestamp: "2", ...}]]
        > QCLAIM q => []
        "#,
    );
}

#[test]
fn a_duplicate_of_a_claimed_holder_raises_its_root() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k UNTIL DONE ROOT sig 1 => $a
        > QCLAIM q => [[q, $r, a, 1]]
        > QPUSH q b DEDUPE k UNTIL DONE ROOT sig 2 STATUS => [duplicate, $a]
        > QJOB q $a => {root-timestamp: "2", ...}
        > QNACK q $r DELAY 0 => retry
        > QCLAIM q => [[q, *, a, 2]]
        "#,
    );
}

#[test]
fn bad_roots_are_refused_by_name() {
    Server::start().check(
        r#"
        > QROOT q sig => -ERR wrong number of arguments for 'qroot' command
        > QROOT q sig 12345678901234567890 => -ERR*12345678901234567890*
        > QROOT q sig now => -ERR*now*
        > QROOT q sig 1 GROUP => -ERR syntax error*GROUP*
        > QROOT q sig 1 BOGUS x => -ERR syntax error*BOGUS*
        > EXISTS q => 0
        "#,
    );
}

#[test]
fn roots_survive_a_crash() {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QROOT q sig 5 => 1\n> QPUSH q a ROOT other 7");
    server.kill();
    options.start().check(
        r#"
        > QROOT q sig 4 => 0
        > QPUSH q x ROOT other 6 STATUS => [superseded, nil]
        > QPUSH q x ROOT other 7 STATUS => [ready, *]
        "#,
    );
}

#[test]
fn a_claim_finds_what_is_behind_any_number_of_superseded_jobs() {
    let server = Server::start();
    let mut connection = server.connect();
    let claims: [&[&str]; 3] =
        [&["QCLAIM", "q"], &["QMCLAIM", "QUEUES", "2", "none", "q"], &["QMCLAIM", "MATCH", "1", "*"]];
    for (newest, claim) in (1..).zip(claims) {
        let (old, new) = (newest.to_string(), (newest + 1).to_string());
        let mut stale = vec!["QMPUSH", "q", "old", "ROOT", "s", &old];
        for _ in 1..1_000 {
            stale.extend(["NEXT", "old", "ROOT", "s", &old]);
        }
        for _ in 0..10 {
            assert_eq!(connection.call(&stale).array().len(), 1_000);
        }
        // In one go, so that the sweep has no time to drop them before.
        connection.send(&["QROOT", "q", "s", &new]).expect("sent");
        connection.send(&["QPUSH", "q", "new", "ROOT", "s", &new]).expect("sent");
        connection.send(claim).expect("sent");
        connection.send(&["QCLAIM", "q"]).expect("sent");
        let replies: Vec<_> = (0..4).map(|_| connection.receive().expect("a reply")).collect();
        let jobs = replies[2].array();
        assert_eq!(jobs.len(), 1, "{claim:?}: {replies:?}");
        assert_eq!(jobs[0].array()[2].text(), "new");
        assert!(replies[3].array().is_empty(), "{replies:?}");
    }
    server.check("> QSTATS q => {superseded: 30000, claimed: 3, ready: 0, ...}");
}
