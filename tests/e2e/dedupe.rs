//! Dedupe keys: who holds one, for how long, and what a push does that finds it held.

use stanchion_tests::{Options, Server};

#[test]
fn a_key_is_held_until_the_first_claim_by_default() {
    for until in ["", "UNTIL CLAIM"] {
        Server::start().check(&format!(
            r#"
            > QPUSH q a DEDUPE k {until} => $a
            > QPUSH q b DEDUPE k {until} STATUS => [duplicate, $a]
            > QCLAIM q => [[q, $r, a, 1]]
            > QPUSH q c DEDUPE k {until} STATUS => [ready, $c]
            # not retaken when the job comes back
            > QRELEASE q $r => 1
            > QPUSH q d DEDUPE k STATUS => [duplicate, $c]
            > QDEL q $c => 1
            > QPUSH q e DEDUPE k STATUS => [ready, $e]
            "#
        ));
    }
}

#[test]
fn a_key_can_be_held_until_the_job_is_done() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k UNTIL DONE => $a
        > QCLAIM q => [[q, $r, a, 1]]
        > QPUSH q b DEDUPE k STATUS => [duplicate, $a]
        > QNACK q $r DELAY 0 => retry
        > QPUSH q b DEDUPE k STATUS => [duplicate, $a]
        > QCLAIM q => [[q, $r2, a, 2]]
        > QACK q $r2 => 1
        > QPUSH q c DEDUPE k UNTIL DONE STATUS => [ready, $c]
        # dead
        > QCLAIM q => [[q, $r3, c, 1]]
        > QNACK q $r3 DEAD => dead
        > QPUSH q d DEDUPE k UNTIL DONE STATUS => [ready, $d]
        # deleted
        > QDEL q $d => 1
        > QPUSH q e DEDUPE k UNTIL DONE TTL 1 STATUS => [ready, *]
        # expired
        ? QLEN q => 0
        > QPUSH q f DEDUPE k UNTIL DONE STATUS => [ready, *]
        "#,
    );
}

#[test]
fn a_key_belongs_to_its_queue_and_group() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k STATUS => [ready, *]
        > QPUSH q b DEDUPE k GROUP g STATUS => [ready, $b]
        > QPUSH q c DEDUPE k GROUP g STATUS => [duplicate, $b]
        > QPUSH p d DEDUPE k STATUS => [ready, *]
        > QPUSH q e DEDUPE k GROUP "" STATUS => [duplicate, *]
        "#,
    );
}

#[test]
fn a_window_holds_the_key_after_the_job_is_gone() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k WINDOW 600000 => $a
        > QCLAIM q => [[q, $r, a, 1]]
        > QPUSH q b DEDUPE k STATUS => [duplicate, $a]
        > QACK q $r => 1
        > QPUSH q b DEDUPE k STATUS => [duplicate, $a]
        > QSTATS q => {duplicates: 2, pushed: 1, ...}
        # the holder's terms rule: the dropped push's window changes nothing
        > QPUSH q b DEDUPE k WINDOW 1 STATUS => [duplicate, $a]
        > QPUSH q b DEDUPE k STATUS => [duplicate, $a]
        "#,
    );
}

#[test]
fn a_window_ends() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k WINDOW 20 => $a
        > QCLAIM q ACK 0 => [[q, $r, a, 1]]
        > QACK q $r => 1
        ? QPUSH q b DEDUPE k STATUS => [ready, *]
        "#,
    );
}

#[test]
fn deleting_frees_a_key_and_its_window_at_once() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k WINDOW 600000 => $a
        > QDEL q $a => 1
        > QPUSH q b DEDUPE k WINDOW 600000 STATUS => [ready, *]
        > QPURGE q => 1
        > QPUSH q c DEDUPE k WINDOW 600000 STATUS => [ready, *]
        > DEL q => 1
        > QPUSH q d DEDUPE k WINDOW 600000 STATUS => [ready, *]
        > QDEL q KEY k => 1
        > QPUSH q e DEDUPE k STATUS => [ready, *]
        "#,
    );
}

#[test]
fn replace_gives_the_holder_the_new_content() {
    Server::start().check(
        r#"
        > QPUSH q old DEDUPE k PRIORITY 1 ATTEMPTS 5 => $id
        > QJOB q $id => {pushed-at: $pushed, ...}
        > QPUSH q new DEDUPE k REPLACE PRIORITY 7 TTL 600000 ROOT sig 42 ATTEMPTS 2 => $id
        > QJOB q $id => {payload: new, priority: 7, attempts-max: 2, pushed-at: $pushed, state: ready,
            root-signature: sig, root-timestamp: "42", expires-at: *, ...}
        > QLEN q ALL => 1
        > QSTATS q => {pushed: 1, replaced: 1, duplicates: 0, ...}
        # content that the replacing push does not name is gone
        > QPUSH q newer DEDUPE k REPLACE => $id
        > QJOB q $id => {id: $id, queue: q, group: "", state: ready, priority: 0, payload: newer, attempts: 0, failures: 0,
            attempts-max: 3, pushed-at: $pushed, ready-at: *, dedupe: k}
        "#,
    );
}

#[test]
fn replace_starts_the_attempts_again() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k UNTIL DONE => $id
        > QCLAIM q => [[q, $r, a, 1]]
        > QNACK q $r DELAY 60000 ERROR boom => retry
        > QJOB q $id => {attempts: 1, failures: 1, state: delayed, ...}
        > QPUSH q b DEDUPE k UNTIL DONE REPLACE STATUS => [replaced, $id]
        > QJOB q $id => {attempts: 0, failures: 0, state: ready, payload: b, ...}
        > QCLAIM q => [[q, $r2, b, 1]]
        > QACK q $r => 0
        > QACK q $r2 => 1
        "#,
    );
}

#[test]
fn a_replaced_job_keeps_its_place_if_it_was_and_is_ready() {
    Server::start().check(
        r#"
        > QPUSH q first DEDUPE k
        > QPUSH q second
        > QPUSH q first2 DEDUPE k REPLACE
        > QCLAIM q COUNT 2 => [[q, *, first2, 1], [q, *, second, 1]]
        "#,
    );
}

#[test]
fn replace_moves_a_due_time() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k DELAY 600000 => $id
        > QPUSH q b DEDUPE k REPLACE STATUS => [replaced, $id]
        > QLEN q READY => 1
        > QPUSH q c DEDUPE k REPLACE DELAY 600000 STATUS => [replaced, $id]
        > QLEN q READY => 0
        > QLEN q DELAYED => 1
        "#,
    );
}

#[test]
fn a_holder_that_is_claimed_or_gone_is_not_replaced() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k UNTIL DONE WINDOW 600000 => $id
        > QCLAIM q => [[q, $r, a, 1]]
        > QPUSH q b DEDUPE k REPLACE STATUS => [duplicate, $id]
        > QPUSH q b DEDUPE k REPLACE => nil
        > QACK q $r => 1
        > QPUSH q b DEDUPE k REPLACE STATUS => [duplicate, $id]
        > QLEN q ALL => 0
        "#,
    );
}

#[test]
fn a_requeued_dead_job_takes_its_key_back_if_it_is_free() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE k UNTIL DONE => $a
        > QCLAIM q => [[q, $r, a, 1]]
        > QNACK q $r DEAD => dead
        > QREQUEUE q $a => 1
        > QPUSH q b DEDUPE k STATUS => [duplicate, $a]
        > QCLAIM q => [[q, $r2, a, 1]]
        > QNACK q $r2 DEAD => dead
        > QPUSH q b DEDUPE k STATUS => [ready, $b]
        > QREQUEUE q $a => 1
        > QPUSH q c DEDUPE k STATUS => [duplicate, $b]
        > QLEN q READY => 2
        "#,
    );
}

#[test]
fn a_resent_push_is_a_duplicate_with_the_first_ones_id() {
    Server::start().check(
        r#"
        > QPUSH q a DEDUPE 6f9619ff-8b86-d011-b42d-00c04fc964ff WINDOW 600000 STATUS => [ready, $id]
        > QCLAIM q => [[q, $r, a, 1]]
        > QACK q $r => 1
        > QPUSH q a DEDUPE 6f9619ff-8b86-d011-b42d-00c04fc964ff WINDOW 600000 STATUS => [duplicate, $id]
        > QLEN q ALL => 0
        "#,
    );
}

#[test]
fn keys_and_windows_survive_a_crash() {
    let options = Options::new();
    let mut server = options.start();
    let mut session = server.session();
    session.check(
        r#"
        > QPUSH q gone DEDUPE w WINDOW 600000 => $gone
        > QCLAIM q => [[q, $r, gone, 1]]
        > QACK q $r => 1
        > QPUSH q held DEDUPE k UNTIL DONE => $held
        > QPUSH q taken DEDUPE t => $taken
        > QCLAIM q COUNT 2 => [[q, *, held, 1], [q, *, taken, 1]]
        "#,
    );
    let (gone, held) = (session.captured("gone"), session.captured("held"));
    // The barrier makes the claims durable too, whose own replies did not wait.
    session.check("> WAITAOF 1 0 0 => [1, 0]");
    server.kill();
    options.start().check(&format!(
        r#"
        > QPUSH q x DEDUPE w STATUS => [duplicate, "{gone}"]
        > QPUSH q x DEDUPE k STATUS => [duplicate, "{held}"]
        > QPUSH q x DEDUPE t STATUS => [ready, *]
        "#
    ));
}
