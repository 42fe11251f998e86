//! QLIST, QREADY and QSCAN: what there is, without blocking anybody.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use stanchion_tests::{Connection, Server, Value};

#[test]
fn qlist_shows_queues_with_their_counts() {
    Server::start().check(
        r#"
        > QLIST => []
        > QMPUSH mail:a x NEXT y DELAY 600000
        > QPUSH mail:b x
        > QPAUSE idle => +OK
        > QLIST => ({queue: "mail:a", ready: 1, delayed: 1, claimed: 0, dead: 0, oldest-ready-ms: 0..60000, paused: *},
            {queue: "mail:b", ready: 1, delayed: 0, claimed: 0, dead: 0, oldest-ready-ms: *, paused: *},
            {queue: idle, ready: 0, delayed: 0, claimed: 0, dead: 0, ...})
        > QLIST MATCH mail:[ab] => (*, *)
        > QLIST MATCH none* => []
        > HELLO 3
        > QLIST MATCH idle => [{queue: idle, ...}]
        > QLIST BOGUS => -ERR syntax error*BOGUS*
        > QLIST MATCH => -ERR*
        "#,
    );
}

#[test]
fn a_long_list_is_whole_and_keeps_its_place_among_replies() {
    let server = Server::start();
    let mut connection = server.connect();
    let expected: HashSet<String> = (0..1_000).map(|queue| format!("q{queue}")).collect();
    for queue in &expected {
        connection.call(&["QPUSH", queue, "x"]);
    }
    let names = |list: &Value| -> HashSet<String> {
        let names = list.array().iter().map(|line| line.field("queue").expect("a queue").text());
        names.collect()
    };
    connection.send(&["QLIST", "MATCH", "q*"]).expect("it is sent");
    connection.send(&["PING"]).expect("it is sent");
    assert_eq!(names(&connection.receive().expect("a list")), expected);
    assert_eq!(connection.receive().expect("a reply").text(), "PONG");
    for words in [&["MULTI"][..], &["QLIST"], &["PING"]] {
        connection.call(words);
    }
    let replies = connection.call(&["EXEC"]);
    assert_eq!((names(&replies.array()[0]), replies.array()[1].text()), (expected, "PONG".to_owned()));
}

/// Says that it is over, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What all questions about all queues are asked of: so many queues that stay, each with a job whose claim a version acked,
/// and another that is ready.
fn many_queues(server: &Server, count: usize) -> HashSet<String> {
    let mut connection = server.connect();
    connection.call(&["QWORKER", "BEAT", "w", "VERSION", "1.0"]);
    let names: HashSet<String> = (0..count).map(|queue| format!("stays-{queue}")).collect();
    for queue in &names {
        connection.call(&["QMPUSH", queue, "x", "NEXT", "y"]);
        let job = connection.call(&["QCLAIM", queue, "WORKER", "w"]);
        let receipt = job.array()[0].array()[1].text();
        assert_eq!(connection.call(&["QACK", queue, &receipt]).integer(), 1);
    }
    names
}

#[test]
fn what_stays_is_listed_once_while_others_come_and_go() {
    const QUEUES: usize = 1_500;
    let server = Server::start();
    let stays = many_queues(&server, QUEUES);
    let mut connection = server.connect();
    let info = |info: &Value| -> u64 {
        let text = info.text();
        let ready = text.lines().find_map(|line| line.strip_prefix("jobs_ready:"));
        ready.expect("a count").parse().expect("a number")
    };
    assert_eq!(info(&connection.call(&["INFO", "stanchion"])), QUEUES as u64);

    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = server.connect();
            for nth in 0.. {
                let queue = format!("goes-{}", nth % 700);
                other.call(&["QPUSH", &queue, "x"]);
                other.call(&["DEL", &format!("goes-{}", (nth + 350) % 700)]);
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let _over = Over(&over);
        for _ in 0..20 {
            for words in [
                &["KEYS", "*"][..],
                &["QLIST"],
                &["QWORKER", "VERSIONS"],
                &["INFO", "stanchion"],
                &["QWORKER", "LIST"],
                &["ECHO", "done"],
            ] {
                connection.send(words).expect("it is sent");
            }
            let mut reply = || connection.receive().expect("a reply");
            let check = |names: Vec<String>| {
                let found: Vec<String> = names.into_iter().filter(|name| stays.contains(name)).collect();
                assert_eq!(found.len(), QUEUES, "each once");
                assert_eq!(found.into_iter().collect::<HashSet<_>>(), stays);
            };
            check(reply().array().iter().map(Value::text).collect());
            for _ in 0..2 {
                let lines = reply();
                let queue = |line: &Value| line.field("queue").expect("a queue").text();
                check(lines.array().iter().map(queue).collect());
            }
            assert!(info(&reply()) >= QUEUES as u64);
            assert_eq!(reply().array()[0].field("name").expect("a name").text(), "w");
            assert_eq!(reply().text(), "done");
        }
    });
}

#[test]
fn in_a_transaction_all_queues_are_looked_at_in_one_piece() {
    const QUEUES: usize = 600;
    let server = Server::start();
    many_queues(&server, QUEUES);
    let mut connection = server.connect();
    let questions = [&["KEYS", "*"][..], &["QWORKER", "VERSIONS"], &["QLIST"], &["INFO", "stanchion"]];
    connection.call(&["MULTI"]);
    for words in questions {
        assert_eq!(connection.call(words).text(), "QUEUED");
    }
    let replies = connection.call(&["EXEC"]);
    for list in &replies.array()[..3] {
        assert_eq!(list.array().len(), QUEUES);
    }
    assert!(replies.array()[3].text().contains("jobs_ready:600\r\n"));
}

#[test]
fn messages_come_between_replies_and_not_within_them() {
    let server = Server::start();
    many_queues(&server, 1_500);
    let mut connection = server.connect();
    connection.call(&["HELLO", "3"]);
    connection.call(&["SUBSCRIBE", "news"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = server.connect();
            while !over.load(Ordering::Relaxed) {
                other.call(&["PUBLISH", "news", "x"]);
            }
        });
        let _over = Over(&over);
        for _ in 0..20 {
            connection.send(&["QLIST"]).expect("it is sent");
        }
        let (mut lists, mut messages) = (0, 0);
        while lists < 20 {
            match connection.receive().expect("a reply or a message") {
                Value::Push(message) => {
                    assert_eq!(message[2].text(), "x");
                    messages += 1;
                }
                list => {
                    assert_eq!(list.array().len(), 1_500);
                    lists += 1;
                }
            }
        }
        assert!(messages > 0, "the messages came while there was something else to write");
    });
}

#[test]
fn qready_shows_pairs_with_ready_jobs() {
    Server::start().check(
        r#"
        > QREADY 0 => ["0", []]
        > QMPUSH q a GROUP g NEXT b GROUP g NEXT c GROUP h NEXT d NEXT e GROUP later DELAY 600000
        > QPUSH p x GROUP g
        > QREADY 0 COUNT 100 => ["0", ([q, g, 2, 0..60000], [q, h, 1, *], [q, "", 1, *], [p, g, 1, *])]
        > QREADY 0 MATCH p COUNT 100 => ["0", [[p, g, 1, *]]]
        > QCLAIM q COUNT 9
        > QREADY 0 COUNT 100 => ["0", [[p, g, 1, *]]]
        > QREADY junk => -ERR*junk*
        > QREADY 0 COUNT 0 => -ERR*0*
        > QREADY 0 BOGUS => -ERR syntax error*BOGUS*
        > QREADY => -ERR wrong number of arguments for 'qready' command
        "#,
    );
}

#[test]
fn qready_goes_on_where_it_stopped() {
    let server = Server::start();
    let mut connection = server.connect();
    let mut expected = HashSet::new();
    for queue in 0..20 {
        for group in 0..20 {
            let (queue, group) = (format!("q{queue}"), format!("g{group}"));
            connection.call(&["QPUSH", &queue, "x", "GROUP", &group]);
            expected.insert((queue, group));
        }
    }
    let mut found = HashSet::new();
    for pair in iterate(&mut connection, &["QREADY"], &["COUNT", "7"]) {
        found.insert((pair.array()[0].text(), pair.array()[1].text()));
    }
    assert_eq!(found, expected);
}

#[test]
fn qscan_returns_every_job_that_stays() {
    let server = Server::start();
    let mut connection = server.connect();
    let stays: HashSet<String> =
        (0..500).map(|i| connection.call(&["QPUSH", "q", &format!("{i}")]).text()).collect();
    let goes: Vec<String> =
        (0..500).map(|_| connection.call(&["QPUSH", "q", "goes", "GROUP", "g"]).text()).collect();
    let mut other = server.connect();
    let mut found = HashSet::new();
    let mut cursor = "0".to_owned();
    let mut calls = 0;
    loop {
        let reply = connection.call(&["QSCAN", "q", &cursor, "COUNT", "20"]);
        found.extend(reply.array()[1].array().iter().map(Value::text));
        cursor = reply.array()[0].text();
        // Jobs come and go between the calls.
        if let Some(id) = goes.get(calls) {
            other.call(&["QDEL", "q", id]);
        }
        other.call(&["QPUSH", "q", "new"]);
        calls += 1;
        if cursor == "0" {
            break;
        }
        assert!(calls < 10_000, "the scan does not end");
    }
    assert!(
        stays.is_subset(&found),
        "{} jobs that stayed were not returned",
        stays.difference(&found).count()
    );
    assert!(calls > 5, "a scan of 1,000 jobs, about 20 a call, took {calls} calls");
}

#[test]
fn qscan_filters_by_state_and_group() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QMPUSH q a NEXT b GROUP g NEXT c DELAY 600000 GROUP g => [$a, $b, $c]
        > QSCAN missing 0 => ["0", []]
        > QSCAN q junk => -ERR*junk*
        > QSCAN q 0 STATE BOGUS => -ERR*BOGUS*
        > QSCAN q 0 COUNT 0 => -ERR*0*
        > QSCAN q 0 BOGUS => -ERR syntax error*BOGUS*
        > QSCAN q => -ERR wrong number of arguments for 'qscan' command
        "#,
    );
    let id = |name| session.captured(name);
    let (a, b, c) = (id("a"), id("b"), id("c"));
    let mut connection = server.connect();
    let mut scan = |options: &[&str]| -> HashSet<String> {
        iterate(&mut connection, &["QSCAN", "q"], options).iter().map(Value::text).collect()
    };
    assert_eq!(scan(&[]), HashSet::from([a.clone(), b.clone(), c.clone()]));
    assert_eq!(scan(&["STATE", "READY"]), HashSet::from([a.clone(), b.clone()]));
    assert_eq!(scan(&["GROUP", "g"]), HashSet::from([b, c.clone()]));
    assert_eq!(scan(&["GROUP", "g", "STATE", "delayed"]), HashSet::from([c]));
    assert_eq!(scan(&["GROUP", ""]), HashSet::from([a]));
    assert_eq!(scan(&["STATE", "DEAD", "COUNT", "1000"]), HashSet::new());
}

/// Everything that a cursor command returns from 0 to 0.
fn iterate(connection: &mut Connection, command: &[&str], options: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = "0".to_owned();
    for _ in 0..10_000 {
        let reply = connection.call(&[command, &[cursor.as_str()], options].concat());
        all.extend_from_slice(reply.array()[1].array());
        cursor = reply.array()[0].text();
        if cursor == "0" {
            return all;
        }
    }
    panic!("{} does not end", command.join(" "));
}
