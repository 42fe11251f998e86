//! WATCH and UNWATCH: EXEC does nothing when a watched queue changed, whoever or whatever changed it.

use stanchion_tests::{Server, Value};

#[test]
fn a_change_of_another_client_stops_the_transaction() {
    Server::start().check(
        r#"
        > WATCH q p => +OK
        > MULTI
        > QPUSH q mine => +QUEUED
        b> QPUSH p x
        > EXEC => nil-array
        > QLEN q => 0
        # once, for EXEC forgets what was watched
        > MULTI
        > QPUSH q mine => +QUEUED
        > EXEC => [*]
        > HELLO 3
        > WATCH q
        > MULTI
        b> QPUSH q x
        > EXEC => nil
        "#,
    );
}

#[test]
fn what_changes_nothing_stops_nothing() {
    Server::start().check(
        r#"
        > QPUSH q x DEDUPE k
        > WATCH q missing
        b> QLEN q => 1
        b> QPEEK q
        b> QSTATS q
        b> QCLAIM missing => []
        b> QPUSH q y DEDUPE k => nil
        b> QACK q 0123456789abcdef-1 => 0
        b> QPUSH other x
        > MULTI
        > QLEN q => +QUEUED
        > EXEC => [1]
        "#,
    );
}

#[test]
fn every_kind_of_change_counts() {
    let server = Server::start();
    server.check("> QPUSH q x\n> QPUSH q y");
    for change in [
        "QCLAIM q",
        "QPAUSE q",
        "QRESUME q",
        "QCONFIG SET q attempts 7",
        "QROOT q s 1",
        "DEL q",
        "QPUSH q again",
    ] {
        server.check(&format!("> WATCH q\nb> {change}\n> MULTI\n> PING => +QUEUED\n> EXEC => nil-array"));
    }
    // Its own changes do, too.
    server.check("> WATCH q\n> QPUSH q own\n> MULTI\n> EXEC => nil-array");
}

#[test]
fn a_timer_changes_a_queue_as_any_client_does() {
    Server::start().check(
        r#"
        > QPUSH q later DELAY 30
        > WATCH q
        b> QCLAIM q BLOCK 0 => [[q, *, later, 1]]
        > MULTI
        > EXEC => nil-array
        > QPUSH p later DELAY 30
        > WATCH p
        b? QLEN p => 1
        > MULTI
        > QPUSH p x => +QUEUED
        > EXEC => nil-array
        > QCLAIM p LEASE 30
        > WATCH p
        b? QLEN p => 1
        > MULTI
        > EXEC => nil-array
        "#,
    );
}

#[test]
fn a_queue_that_is_deleted_and_made_again_has_changed() {
    Server::start().check(
        r#"
        > WATCH q
        b> QPUSH q x
        b> DEL q => 1
        > MULTI
        > EXEC => nil-array
        > QPUSH q x
        > WATCH q
        b> DEL q => 1
        b> QPUSH q x
        > MULTI
        > EXEC => nil-array
        "#,
    );
}

#[test]
fn what_is_watched_is_forgotten_in_time() {
    Server::start().check(
        r#"
        > WATCH q
        b> QPUSH q x
        > UNWATCH => +OK
        > MULTI
        > EXEC => []
        > WATCH q
        b> QPUSH q x
        > MULTI
        > DISCARD => +OK
        > MULTI
        > EXEC => []
        > WATCH q
        b> QPUSH q x
        > RESET => +RESET
        > MULTI
        > EXEC => []
        > WATCH q
        b> QPUSH q x
        # UNWATCH inside comes too late
        > MULTI
        > UNWATCH => +QUEUED
        > EXEC => nil-array
        > MULTI
        > UNWATCH => +QUEUED
        > EXEC => [+OK]
        > WATCH q
        > DISCARD => -ERR DISCARD without MULTI
        > EXEC => -ERR EXEC without MULTI
        b> QPUSH q x
        > MULTI
        > EXEC => nil-array
        "#,
    );
}

#[test]
fn watch_answers_errors_as_redis_does() {
    Server::start().check(
        r#"
        > WATCH => -ERR wrong number of arguments for 'watch' command
        > UNWATCH q => -ERR wrong number of arguments for 'unwatch' command
        > MULTI
        > WATCH q => -ERR WATCH inside MULTI is not allowed
        > PING => +QUEUED
        > EXEC => [+PONG]
        # an error while queueing goes before a change
        > WATCH q
        b> QPUSH q x
        > MULTI
        > BOGUS => -ERR unknown command*
        > EXEC => -EXECABORT*
        > MULTI
        > PING => +QUEUED
        > EXEC => [+PONG]
        "#,
    );
}

#[test]
fn watched_queues_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let mut words: Vec<String> = (0..10_000).map(|i| format!("q{i}")).collect();
    words.insert(0, "WATCH".into());
    assert_eq!(connection.call(&words).text(), "OK");
    assert_eq!(connection.call(&words).text(), "OK");
    let refused = connection.call(&["WATCH", "q1", "more"]);
    assert!(refused.is_error("ERR") && refused.text().contains("10000"), "{refused}");
    let refused = connection.call(&["WATCH", &"n".repeat(256)]);
    assert!(refused.is_error("ERR") && refused.text().contains("255"), "{refused}");
    server.check("> QPUSH q9999 x");
    connection.call(&["MULTI"]);
    assert_eq!(connection.call(&["EXEC"]), Value::NilArray);
}

#[test]
fn of_many_who_count_with_watch_none_is_lost() {
    let server = Server::start();
    let (clients, each) = (4, 25);
    let counters: Vec<_> = (0..clients)
        .map(|_| {
            let mut connection = server.connect();
            std::thread::spawn(move || {
                let mut done = 0;
                while done < each {
                    connection.call(&["WATCH", "counter", "other"]);
                    let jobs = connection.call(&["QLEN", "counter"]).integer();
                    connection.call(&["MULTI"]);
                    // Whoever pushes after another has done so meanwhile repeats its number.
                    connection.call(&["QPUSH", "counter", &jobs.to_string(), "NOSYNC"]);
                    connection.call(&["QPUSH", "other", &jobs.to_string(), "NOSYNC"]);
                    done += usize::from(connection.call(&["EXEC"]) != Value::NilArray);
                }
            })
        })
        .collect();
    counters.into_iter().for_each(|counter| counter.join().expect("a counter"));
    let jobs = server.connect().call(&["QCLAIM", "counter", "COUNT", "1000"]);
    let numbers: Vec<String> = jobs.array().iter().map(|job| job.array()[2].text()).collect();
    let expected: Vec<String> = (0..clients * each).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected);
}
