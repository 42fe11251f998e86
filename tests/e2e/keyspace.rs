//! Commands about all queues at once: KEYS, RANDOMKEY, FLUSHALL; and those that wait for copies: SAVE and WAIT.

use std::collections::HashSet;

use stanchion_tests::{Options, Server, Value};

#[test]
fn keys_lists_the_queues_that_match() {
    Server::start().check(
        r#"
        > KEYS * => []
        > QPUSH one x
        > QPUSH two x
        > QPUSH three x
        > KEYS * => (one, two, three)
        > KEYS t* => (two, three)
        > KEYS t[wx]o => [two]
        > KEYS none => []
        > KEYS => -ERR wrong number of arguments for 'keys' command
        > MULTI
        > KEYS o* => +QUEUED
        > RANDOMKEY => +QUEUED
        > EXEC => [[one], *]
        "#,
    );
}

#[test]
fn each_queue_is_drawn_some_time() {
    let server = Server::start();
    let mut connection = server.connect();
    assert_eq!(connection.call(&["RANDOMKEY"]), Value::Nil);
    let names: HashSet<String> = (0..20).map(|i| format!("queue-{i}")).collect();
    for name in &names {
        connection.call(&["QPUSH", name, "x", "NOSYNC"]);
    }
    let mut drawn = HashSet::new();
    // One of them is missed by 2,000 draws once in 10^43 times.
    for _ in 0..2_000 {
        let name = connection.call(&["RANDOMKEY"]).text();
        assert!(names.contains(&name), "{name}");
        drawn.insert(name);
    }
    assert_eq!(drawn, names);
}

#[test]
fn a_flush_takes_all_that_was_there() {
    let server = Server::start();
    let mut connection = server.connect();
    for i in 0..3_000 {
        connection.send(&["QPUSH", &format!("queue-{i}"), "x", "NOSYNC"]).expect("sent");
    }
    (0..3_000).for_each(|_| assert_eq!(connection.receive().expect("an id").text().len(), 16));
    server.check(
        r#"
        > QCONFIG SET queue-1 attempts 9
        > QPAUSE queue-2 PUSH
        > QCLAIM queue-3 => [[queue-3, $r, x, 1]]
        > DBSIZE => 3000
        > FLUSHALL => +OK
        > DBSIZE => 0
        > KEYS * => []
        > QACK queue-3 $r => 0
        > QCONFIG GET queue-1 attempts => {attempts: ["3", default]}
        > QPUSH queue-2 y
        > FLUSHDB ASYNC => +OK
        > EXISTS queue-2 => 0
        > FLUSHDB sync => +OK
        > FLUSHALL NOW => -ERR syntax error
        > FLUSHALL SYNC ASYNC => -ERR syntax error
        > MULTI
        > FLUSHALL => -ERR Command not allowed inside a transaction
        > DISCARD
        "#,
    );
}

#[test]
fn what_is_flushed_stays_gone_after_a_crash() {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QPUSH q x\n> QPUSH p x\n> FLUSHALL => +OK\n> QPUSH new y");
    server.kill();
    options.start().check("> KEYS * => [new]");
}

#[test]
fn commands_behind_a_flush_come_after_it() {
    Server::start().check(
        r#"
        > QPUSH q x
        a! FLUSHALL
        a! DBSIZE
        a! QPUSH q y
        a! DBSIZE
        a< => +OK
        a< => 0
        a< => *
        a< => 1
        "#,
    );
}

#[test]
fn save_waits_for_the_disk_and_lastsave_knows() {
    let options = Options::new().arguments(&["--durability", "never"]);
    let mut server = options.start();
    server.check(
        r#"
        > LASTSAVE => 1700000000..9999999999
        > QPUSH q x
        > SAVE => +OK
        > QPUSH q y
        > MULTI
        > SAVE => -ERR Command not allowed inside a transaction
        > DISCARD
        > SAVE now => -ERR wrong number of arguments for 'save' command
        > BGSAVE => `Background saving started`
        > BGSAVE SCHEDULE => `Background saving started`
        > BGSAVE now => -ERR syntax error
        > SAVE => +OK
        > LASTSAVE => 1700000000..9999999999
        "#,
    );
    server.kill();
    options.start().check("> QLEN q => 2");
}

#[test]
fn wait_waits_for_replicas_that_never_come() {
    Server::start().check(
        r#"
        > WAIT 0 0 => 0
        > WAIT -1 1000 => 0
        > WAIT 1 10 => 0
        w> CLIENT ID => $w
        w! WAIT 1 0
        ~ 1 blocked
        > CLIENT UNBLOCK $w => 1
        w< => 0
        w! WAIT 2 600000
        ~ 1 blocked
        > CLIENT UNBLOCK $w ERROR => 1
        w< => -UNBLOCKED client unblocked via CLIENT UNBLOCK
        ~ 0 blocked
        > MULTI
        > WAIT 1 0 => +QUEUED
        > WAITAOF 1 0 0 => +QUEUED
        > EXEC => [0, [*, 0]]
        > WAIT x 0 => -ERR value is not an integer or out of range
        > WAIT 1 x => -ERR timeout is not an integer or out of range
        > WAIT 1 -1 => -ERR timeout is negative
        "#,
    );
}
