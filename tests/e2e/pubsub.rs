//! Channels and patterns: who gets a message, in which order and form, and what a subscriber may still say.

use stanchion_tests::{Server, Value};

#[test]
fn a_message_reaches_those_who_listen() {
    Server::start().check(
        r#"
        > PUBLISH news early => 0
        a> SUBSCRIBE news => [subscribe, news, 1]
        b> SUBSCRIBE other news => [subscribe, other, 1]
        b< => [subscribe, news, 2]
        c> PSUBSCRIBE n[aeo]* x => [psubscribe, "n[aeo]*", 1]
        c< => [psubscribe, x, 2]
        > PUBLISH news "hello\r\nworld" => 3
        a< => [message, news, "hello\r\nworld"]
        b< => [message, news, "hello\r\nworld"]
        c< => [pmessage, "n[aeo]*", news, "hello\r\nworld"]
        > PUBLISH other "" => 1
        b< => [message, other, ""]
        > PUBLISH quiet x => 0
        a> PING => [pong, ""]
        "#,
    );
}

#[test]
fn whoever_listens_by_name_and_by_pattern_gets_it_twice() {
    Server::start().check(
        r#"
        a> SUBSCRIBE news
        a> PSUBSCRIBE n* => [psubscribe, "n*", 2]
        > PUBLISH news x => 2
        a< => [message, news, x]
        a< => [pmessage, "n*", news, x]
        a> SUBSCRIBE news => [subscribe, news, 2]
        > PUBLISH news y => 2
        a< => [message, news, y]
        a< => [pmessage, "n*", news, y]
        "#,
    );
}

#[test]
fn unsubscribing_names_what_ends() {
    Server::start().check(
        r#"
        a> UNSUBSCRIBE => [unsubscribe, nil, 0]
        a> PUNSUBSCRIBE => [punsubscribe, nil, 0]
        a> UNSUBSCRIBE never => [unsubscribe, never, 0]
        a> SUBSCRIBE one
        a> SUBSCRIBE two
        a> PSUBSCRIBE p* => [psubscribe, "p*", 3]
        a> UNSUBSCRIBE one => [unsubscribe, one, 2]
        > PUBLISH one x => 0
        a> PUNSUBSCRIBE => [punsubscribe, "p*", 1]
        a> UNSUBSCRIBE => [unsubscribe, two, 0]
        # an ordinary connection again
        a> PING => +PONG
        a> QLEN q => 0
        "#,
    );
}

#[test]
fn a_subscriber_of_resp2_may_say_little() {
    let server = Server::start();
    for (command, name) in [("QLEN q", "qlen"), ("PUBLISH x 1", "publish"), ("CLIENT LIST", "client|list")] {
        let mut connection = server.connect();
        connection.call(&["SUBSCRIBE", "x"]);
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(
            connection.call(&words).text(),
            format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
            )
        );
    }
    server.check(
        r#"
        b> SUBSCRIBE x
        b> PING hello => [pong, hello]
        b> PING a b => -ERR wrong number of arguments for 'ping' command
        b> RESET => +RESET
        b> PING => +PONG
        > PUBSUB NUMSUB x => [x, 0..4]
        b> SUBSCRIBE x
        b> QUIT => +OK
        "#,
    );
}

#[test]
fn a_subscriber_of_resp3_may_say_anything() {
    Server::start().check(
        r#"
        a> HELLO 3
        a> SUBSCRIBE news => >[subscribe, news, 1]
        a> QLEN q => 0
        a> PING => +PONG
        > PUBLISH news one => 1
        a< => >[message, news, one]
        # its own message stands behind the reply
        a> PUBLISH news two => 1
        a< => >[message, news, two]
        a> PSUBSCRIBE * => >[psubscribe, *, 2]
        > PUBLISH news three => 2
        a< => >[message, news, three]
        a< => >[pmessage, *, news, three]
        a> UNSUBSCRIBE none => >[unsubscribe, none, 2]
        a> UNSUBSCRIBE => >[unsubscribe, news, 1]
        a> UNSUBSCRIBE => >[unsubscribe, nil, 1]
        "#,
    );
}

#[test]
fn a_transaction_may_subscribe_and_publish() {
    Server::start().check(
        r#"
        b> SUBSCRIBE n
        a> HELLO 3
        a> MULTI
        a> PUBLISH n 1 => +QUEUED
        a> SUBSCRIBE n => +QUEUED
        a> PUBLISH n 2 => +QUEUED
        a> QPUSH q x => +QUEUED
        a> EXEC => [1, >[subscribe, n, 1], 2, *]
        a< => >[message, n, "2"]
        b< => [message, n, "1"]
        b< => [message, n, "2"]
        # in RESP2 the queue of commands is closed to a subscriber, as any other
        b> MULTI => -ERR Can't execute 'multi'*
        c> MULTI
        c> SUBSCRIBE n => +QUEUED
        c> PING => +QUEUED
        c> EXEC => [[subscribe, n, 1], [pong, ""]]
        "#,
    );
}

#[test]
fn pubsub_tells_who_listens() {
    Server::start().check(
        r#"
        > PUBSUB CHANNELS => []
        a> SUBSCRIBE news weather
        a< => [subscribe, weather, 2]
        b> SUBSCRIBE news
        b> PSUBSCRIBE n*
        a> PSUBSCRIBE n*
        > PUBSUB CHANNELS => (news, weather)
        > PUBSUB CHANNELS n* => [news]
        > PUBSUB CHANNELS x* => []
        > PUBSUB NUMSUB => []
        > PUBSUB NUMSUB news weather none => [news, 2, weather, 1, none, 0]
        > PUBSUB NUMPAT => 1
        > PUBSUB CHANNELS a b => -ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.
        > PUBSUB NUMPAT a => -ERR wrong number of arguments for 'pubsub|numpat' command
        > PUBSUB BOGUS => -ERR unknown subcommand 'BOGUS'. Try PUBSUB HELP.
        > PUBSUB HELP => [*, ...]
        > INFO stats => `*pubsub_channels:2*pubsub_patterns:1*`
        b> QUIT
        ? PUBSUB NUMSUB news => [news, 1]
        "#,
    );
}

#[test]
fn messages_of_one_publisher_arrive_in_order_between_replies() {
    let server = Server::start();
    let (mut subscriber, mut publisher) = (server.connect(), server.connect());
    subscriber.call(&["HELLO", "3"]);
    subscriber.call(&["SUBSCRIBE", "n"]);
    let count = 5_000;
    let feeder = std::thread::spawn(move || {
        for i in 0..count {
            publisher.send(&["PUBLISH", "n", &i.to_string()]).expect("sent");
        }
        (0..count).for_each(|_| assert_eq!(publisher.receive().expect("a reply"), Value::Integer(1)));
    });
    // Meanwhile it pushes jobs, whose replies wait for the disk.
    let (mut replies, mut messages) = (0, 0);
    for i in 0..20 {
        subscriber.send(&["QPUSH", "q", &i.to_string(), "SYNC"]).expect("sent");
    }
    while replies < 20 || messages < count {
        match subscriber.receive().expect("something") {
            Value::Push(message) => {
                assert_eq!(message[2].text(), messages.to_string());
                messages += 1;
            }
            Value::Bulk(id) if id.len() == 16 => replies += 1,
            other => panic!("neither a message nor an id: {other}"),
        }
    }
    feeder.join().expect("the publisher");
}

#[test]
fn subscriptions_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let (fits, over) = ("c".repeat(1_024), "c".repeat(1_025));
    assert_eq!(connection.call(&["PUBLISH", &fits, "x"]), Value::Integer(0));
    for command in ["SUBSCRIBE", "PSUBSCRIBE"] {
        let refused = connection.call(&[command, "fine", &over]);
        assert!(refused.is_error("ERR") && refused.text().contains("1024"), "{refused}");
    }
    assert!(connection.call(&["PUBLISH", &over, "x"]).is_error("ERR"));
    let mut names: Vec<String> = (0..10_000).map(|i| format!("c{i}")).collect();
    names.insert(0, "SUBSCRIBE".into());
    connection.send(&names).expect("sent");
    for i in 1..=10_000 {
        assert_eq!(connection.receive().expect("a message").array()[2], Value::Integer(i));
    }
    assert!(connection.call(&["PING"]).array()[0].text() == "pong");
    let refused = connection.call(&["SUBSCRIBE", "c1", "more"]);
    assert!(refused.is_error("ERR") && refused.text().contains("10000"), "{refused}");
    assert_eq!(connection.call(&["SUBSCRIBE", "c1"]).array()[2], Value::Integer(10_000));
}

#[test]
fn a_subscriber_that_does_not_read_is_disconnected() {
    let server = Server::start();
    let mut subscriber = server.connect();
    subscriber.call(&["SUBSCRIBE", "n"]);
    let mut publisher = server.connect();
    let payload = vec![b'x'; 1 << 20];
    // What the sockets and the server take is bounded, so this ends.
    let mut sent = 0;
    while publisher.call(&[b"PUBLISH", &b"n"[..], &payload]) == Value::Integer(1) {
        sent += 1;
        assert!(sent < 200, "nobody bounds what a subscriber leaves unread");
    }
    assert!(sent >= 32, "{sent} MiB are too few");
    server.check("? PUBSUB NUMSUB n => [n, 0]");
}
