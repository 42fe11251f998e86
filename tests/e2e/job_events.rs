//! Job events: what listeners learn of the jobs of a queue with `notify on`.

use stanchion_tests::{Server, Value};

#[test]
fn a_job_is_followed_from_its_push_to_its_end() {
    Server::start().check(
        r#"
        > QCONFIG SET q notify on attempts 2 backoff 0
        s> SUBSCRIBE __job__:q
        > QPUSH q x => $id
        s< => [message, "__job__:q", `pushed * 0`]
        > QCLAIM q => [[q, $r, x, 1]]
        s< => [message, "__job__:q", `claimed * 1`]
        > QRELEASE q $r => 1
        s< => [message, "__job__:q", `released * 1`]
        > QCLAIM q => [[q, $r1, x, 1]]
        s< => [message, "__job__:q", `claimed * 1`]
        > QNACK q $r1 => retry
        s< => [message, "__job__:q", `retried * 1`]
        > QCLAIM q BLOCK 0 => [[q, $r2, x, 2]]
        s< => [message, "__job__:q", `claimed * 2`]
        > QNACK q $r2 => dead
        s< => [message, "__job__:q", `died * 2`]
        > QREQUEUE q $id => 1
        s< => [message, "__job__:q", `requeued *`]
        > QCLAIM q => [[q, $r3, x, 1]]
        s< => [message, "__job__:q", `claimed * 1`]
        > QACK q $r3 => 1
        s< => [message, "__job__:q", `acked * 1`]
        s> PING => [pong, ""]
        "#,
    );
}

#[test]
fn an_event_names_the_job_and_its_group() {
    let server = Server::start();
    server.check("> QCONFIG SET q notify on");
    let mut session = server.session();
    session.check(
        r#"
        s> PSUBSCRIBE __job__:*
        > QPUSH q x GROUP "two words" => $id
        "#,
    );
    let id = session.captured("id");
    session.check(&format!("s< => [pmessage, \"__job__:*\", \"__job__:q\", \"pushed {id} 0 two words\"]"));
}

#[test]
fn only_queues_that_are_told_to_say_something() {
    Server::start().check(
        r#"
        s> PSUBSCRIBE *
        > QPUSH q silent
        > QCONFIG SET p notify on
        > QPUSH p heard
        s< => [pmessage, *, "__job__:p", `pushed *`]
        > QCONFIG SET p notify off
        > QPUSH p silent
        > PUBLISH c x
        s< => [pmessage, *, c, x]
        > QCONFIG SET p notify perhaps => -ERR*
        "#,
    );
}

#[test]
fn timers_and_waiting_claims_are_heard_too() {
    Server::start().check(
        r#"
        > QCONFIG SET q notify on attempts 1
        s> SUBSCRIBE __job__:q
        w! QCLAIM q BLOCK 0 LEASE 20
        ~ 1 blocked
        > QPUSH q x DELAY 10
        w< => [[q, *, x, 1]]
        s< => [message, "__job__:q", `pushed * 0`]
        s< => [message, "__job__:q", `claimed * 1`]
        s< => [message, "__job__:q", `lapsed * 1`]
        s< => [message, "__job__:q", `died * 1`]
        > QPUSH q y TTL 10
        s< => [message, "__job__:q", `pushed * 0`]
        s< => [message, "__job__:q", `expired * 0`]
        "#,
    );
}

#[test]
fn a_transaction_tells_what_it_did_in_order() {
    Server::start().check(
        r#"
        > QCONFIG SET q notify on
        s> SUBSCRIBE __job__:q
        > MULTI
        > QPUSH q x
        > QCLAIM q
        > QPUSH q y
        > EXEC
        s< => [message, "__job__:q", `pushed *`]
        s< => [message, "__job__:q", `claimed *`]
        s< => [message, "__job__:q", `pushed *`]
        "#,
    );
}

#[test]
fn the_events_of_a_queue_are_in_order_whoever_causes_them() {
    let server = Server::start();
    let mut listener = server.connect();
    listener.call(&["HELLO", "3"]);
    server.check("> QCONFIG SET q notify on");
    listener.call(&["SUBSCRIBE", "__job__:q"]);
    let jobs = 500;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = server.connect();
            std::thread::spawn(move || {
                for _ in 0..jobs / 4 {
                    connection.call(&["QPUSH", "q", "x", "NOSYNC"]);
                    let claimed = connection.call(&["QCLAIM", "q", "BLOCK", "0"]);
                    let receipt = claimed.array()[0].array()[1].text();
                    assert_eq!(connection.call(&["QACK", "q", &receipt]), Value::Integer(1));
                }
            })
        })
        .collect();
    let mut states = std::collections::HashMap::new();
    for _ in 0..3 * jobs {
        let Value::Push(message) = listener.receive().expect("an event") else { panic!("no message") };
        let text = message[2].text();
        let (event, job) = text.split_once(' ').expect("words");
        let id = job.split(' ').next().expect("an id").to_owned();
        let before = states.insert(id, event.to_owned());
        let expected = match event {
            "pushed" => None,
            "claimed" => Some("pushed"),
            "acked" => Some("claimed"),
            other => panic!("{other} did not happen"),
        };
        assert_eq!(before.as_deref(), expected, "before {text}");
    }
    workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
}

#[test]
fn a_listener_that_does_not_read_loses_events_and_nothing_else() {
    let server = Server::start();
    let mut listener = server.connect();
    listener.call(&["SUBSCRIBE", "__job__:q"]);
    let mut pusher = server.connect();
    pusher.call(&["QCONFIG", "SET", "q", "notify", "on"]);
    let group = "g".repeat(255);
    let mut words = vec!["QMPUSH", "q", "x", "GROUP", &group, "NOSYNC"];
    for _ in 1..5_000 {
        words.extend(["NEXT", "x", "GROUP", &group]);
    }
    let lost = |connection: &mut stanchion_tests::Connection| -> u64 {
        let info = connection.call(&["INFO", "all"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix("job_events_lost:"));
        line.expect("INFO counts them").parse().expect("a number")
    };
    // What the sockets and the server keep for it is bounded, so this ends.
    let mut pushed = 0;
    while lost(&mut pusher) == 0 {
        assert_eq!(pusher.call(&words).array().len(), 5_000);
        pushed += 5_000;
        assert!(pushed < 500_000, "nobody bounds what a listener leaves unread");
    }
    // Now it reads, and is served as ever.
    listener.send(&["PING"]).expect("sent");
    let mut received = 0;
    loop {
        let message = listener.receive().expect("a message");
        if message.array()[0].text() == "pong" {
            break;
        }
        received += 1;
    }
    assert!(received < pushed, "{received} of {pushed} arrived");
    pusher.call(&["DEL", "q"]);
    pusher.call(&["QCONFIG", "SET", "q", "notify", "on"]);
    pusher.call(&["QPUSH", "q", "x"]);
    assert!(listener.receive().expect("an event").array()[2].text().starts_with("pushed "));
}
