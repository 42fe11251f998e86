//! MULTI, EXEC and DISCARD: all of it or none, in memory and on disk.

use stanchion_tests::{Options, Server};

#[test]
fn a_transaction_runs_as_one() {
    Server::start().check(
        r#"
        > MULTI => +OK
        > QPUSH q a STATUS => +QUEUED
        > QPUSH p b => +QUEUED
        > QCLAIM q => +QUEUED
        > QLEN p => +QUEUED
        # nothing has happened yet
        b> EXISTS q p => 0
        > EXEC => [[ready, *], *, [[q, $r, a, 1]], 1]
        > QACK q $r => 1
        > EXEC => -ERR EXEC without MULTI
        > DISCARD => -ERR DISCARD without MULTI
        "#,
    );
}

#[test]
fn a_discarded_transaction_leaves_nothing() {
    Server::start().check(
        r#"
        > MULTI => +OK
        > QPUSH q a => +QUEUED
        > DISCARD => +OK
        > EXISTS q => 0
        > QPUSH q b
        > QLEN q => 1
        "#,
    );
}

#[test]
fn a_command_that_cannot_be_queued_aborts_the_whole() {
    Server::start().check(
        r#"
        > MULTI => +OK
        > QPUSH q a => +QUEUED
        > BOGUS => -ERR unknown command*
        > QPUSH q b => +QUEUED
        > EXEC => -EXECABORT Transaction discarded because of previous errors.
        > EXISTS q => 0
        > MULTI => +OK
        > QPUSH q => -ERR wrong number of arguments for 'qpush' command
        > EXEC => -EXECABORT*
        > EXISTS q => 0
        "#,
    );
}

#[test]
fn a_command_that_fails_inside_leaves_the_others() {
    Server::start().check(
        r#"
        > QPAUSE p PUSH
        > MULTI => +OK
        > QPUSH q a => +QUEUED
        > QPUSH p b => +QUEUED
        > QPUSH q c => +QUEUED
        > EXEC => [*, -"PAUSED*", *]
        > QLEN q => 2
        "#,
    );
}

#[test]
fn some_commands_are_refused_inside() {
    let server = Server::start();
    for command in ["QPURGE q", "QREQUEUE q DEAD", "SHUTDOWN"] {
        server.check(&format!(
            r#"
            > QPUSH kept a
            > MULTI => +OK
            > QPUSH q a => +QUEUED
            > {command} => -ERR*
            > EXEC => -EXECABORT*
            > EXISTS q => 0
            "#
        ));
    }
    // One id at a time is a bounded step, and so may stand inside.
    server.check("> MULTI\n> QREQUEUE q 0000000000000001 => +QUEUED\n> EXEC => [0]");
}

#[test]
fn a_transaction_survives_a_crash_whole() {
    let options = Options::new();
    let mut server = options.start();
    let mut session = server.session();
    session.check(
        r#"
        > QPUSH q a
        > QCLAIM q => [[q, $r, a, 1]]
        > MULTI
        > QACK q $r
        > QPUSH next b
        > QROOT other sig 5
        > EXEC => [1, *, 1]
        "#,
    );
    server.kill();
    options.start().check(
        r#"
        > QLEN q ALL => 0
        > QCLAIM next => [[next, *, b, 1]]
        > QROOT other sig 4 => 0
        "#,
    );
}

#[test]
fn a_transactions_commands_see_no_others_between_them() {
    let server = Server::start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut connection = server.connect();
            scope.spawn(move || {
                for _ in 0..200 {
                    connection.call(&["MULTI"]);
                    for words in [
                        &["QPUSH", "q", "x"][..],
                        &["QLEN", "q", "ALL"],
                        &["QPUSH", "p", "x"],
                        &["QLEN", "p", "ALL"],
                    ] {
                        connection.call(words);
                    }
                    let reply = connection.call(&["EXEC"]);
                    let replies = reply.array();
                    assert_eq!(replies[1], replies[3], "the two queues differ inside a transaction");
                }
            });
        }
    });
    server.check("> QLEN q => 800\n> QLEN p => 800");
}

#[test]
fn a_refused_exec_ends_the_watch_too() {
    Server::start().check(
        r#"
        > WATCH q => +OK
        > QPUSH q x
        > EXEC odd => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
        > MULTI => +OK
        > EXEC => []
        "#,
    );
}

/// Whichever shards they are in: the job that a waiting claim takes is a record behind that of the transaction.
#[test]
fn a_synced_transaction_that_serves_a_claim_is_answered() {
    let server = Options::new().arguments(&["--durability", "never", "--shards", "8"]).start();
    for (synced, awaited) in [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"), ("i", "j"), ("l", "k")] {
        server.check(&format!(
            r#"
            w! QCLAIM {awaited} BLOCK 0
            ~ 1 blocked
            > MULTI => +OK
            > QPUSH {synced} x SYNC => +QUEUED
            > QPUSH {awaited} y => +QUEUED
            > EXEC => [*, *]
            w< => [[{awaited}, *, y, 1]]
            "#
        ));
    }
}
