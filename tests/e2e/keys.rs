//! Redis's generic commands: a key is a queue.

use std::collections::HashSet;

use stanchion_tests::Server;

#[test]
fn a_queue_is_a_key_of_type_queue() {
    Server::start().check(
        r#"
        > TYPE q => +none
        > EXISTS q => 0
        > QPUSH q a
        > TYPE q => +queue
        > EXISTS q p q => 2
        > DBSIZE => 1
        > QROOT r sig 1
        > QCONFIG SET c attempts 2
        > QPAUSE p
        > DBSIZE => 4
        > EXISTS r c p => 3
        "#,
    );
}

#[test]
fn del_takes_everything_and_its_receipts_are_stale() {
    Server::start().check(
        r#"
        > QMPUSH q a NEXT b DELAY 600000 NEXT c DEDUPE k WINDOW 600000 ROOT sig 5
        > QCONFIG SET q attempts 9
        > QPAUSE q PUSH
        > QCLAIM q => [[q, $r, a, 1]]
        > DEL q missing => 1
        > EXISTS q => 0
        > QACK q $r => 0
        > QLEN q ALL => 0
        > QSTATS q => nil
        > QCONFIG GET q attempts => {attempts: ["3", default]}
        # windows, roots and pauses are gone too
        > QPUSH q d DEDUPE k ROOT sig 1 STATUS => [ready, *]
        > QSTATS q => {pushed: 1, ready: 1, ...}
        > UNLINK q => 1
        > DEL q => 0
        "#,
    );
}

#[test]
fn scan_iterates_over_queues() {
    let server = Server::start();
    let mut connection = server.connect();
    let names: HashSet<String> = (0..250).map(|i| format!("queue:{i}")).collect();
    for name in &names {
        connection.call(&["QPUSH", name, "x", "NOSYNC"]);
    }
    let mut found = HashSet::new();
    let mut cursor = "0".to_owned();
    for _ in 0..1_000 {
        let reply = connection.call(&["SCAN", &cursor, "COUNT", "10"]);
        found.extend(reply.array()[1].array().iter().map(|name| name.text()));
        cursor = reply.array()[0].text();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(cursor, "0");
    assert_eq!(found, names);
    server.check(
        r#"
        > SCAN 0 MATCH queue:1? COUNT 1000 => ["0", [*, *, *, *, *, *, *, *, *, *]]
        > SCAN 0 MATCH none COUNT 1000 => ["0", []]
        > SCAN 0 TYPE queue MATCH queue:7 COUNT 1000 => ["0", ["queue:7"]]
        > SCAN 0 TYPE string COUNT 1000 => ["0", []]
        > SCAN junk => -ERR invalid cursor*
        > SCAN 0 COUNT 0 => -ERR syntax error*
        > SCAN 0 COUNT x => -ERR value is not an integer or out of range
        "#,
    );
}
