//! Peers that mean harm: whatever they send, they get an error or lose their connection, and nobody else notices.

use stanchion_tests::{Connection, Server, Value};

/// What the server says to bytes, until it closes the connection.
fn last_words(server: &Server, bytes: &[u8]) -> String {
    let mut connection = server.connect();
    // It may close before all is sent, which is as good.
    _ = connection.send_bytes(bytes);
    _ = connection.finish_sending();
    String::from_utf8_lossy(&connection.receive_to_end().expect("it closes the connection")).into_owned()
}

#[track_caller]
fn is_well(server: &Server) {
    server.check("> PING => +PONG");
}

#[test]
fn a_page_in_a_browser_can_not_push() {
    let server = Server::start();
    for head in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: stanchion\r\n"] {
        let said = last_words(&server, format!("{head}\r\nQPUSH q x\r\n").as_bytes());
        assert!(!said.contains("+PONG") && !said.contains("0000"), "{said}");
    }
    server.check("> EXISTS q => 0");
    is_well(&server);
}

#[test]
fn nesting_is_refused_at_the_second_level() {
    let server = Server::start();
    let said = last_words(&server, &b"*1\r\n".repeat(7_500));
    assert_eq!(said, "-ERR Protocol error: expected '$', got '*'\r\n");
    is_well(&server);
}

#[test]
fn a_line_without_an_end_is_cut_off() {
    let server = Server::start();
    let said = last_words(&server, &vec![b'a'; 8 << 20]);
    // The rest of what it sent may have reset the connection before this could be read.
    assert!(said.is_empty() || said == "-ERR Protocol error: too big inline request\r\n", "{said}");
    is_well(&server);
}

#[test]
fn errors_stay_on_their_line_whatever_they_quote() {
    let server = Server::start();
    let evil = "x\r\n+OK\r\n:1\r\n";
    let commands: &[&[&str]] = &[
        &[evil],
        &[evil, evil],
        &["QPUSH", "q", "p", evil],
        &["QPUSH", "q", "p", "DELAY", evil],
        &["QCLAIM", "q", "COUNT", evil],
        &["QACK", "q", evil],
        &["QSCAN", "q", evil],
        &["QCONFIG", "SET", "q", evil, "1"],
        &["QCONFIG", "SET", "q", "lease", evil],
        &["CONFIG", "SET", evil, "1"],
        &["CONFIG", "SET", "timeout", evil],
        &["CLIENT", evil],
        &["CLIENT", "SETNAME", evil],
        &["CLIENT", "SETINFO", "lib-name", evil],
        &["CLIENT", "KILL", evil],
        &["HELLO", "3", evil],
        &["AUTH", evil, evil],
        &["ACL", "SETUSER", "u", evil],
        &["ACL", "DRYRUN", evil, "ping"],
        &["COMMAND", "LIST", evil],
        &["SCAN", evil],
        &["SELECT", evil],
        &["EVAL", evil, "0"],
        &["SHUTDOWN", evil],
    ];
    for proto in ["2", "3"] {
        let mut connection = server.connect();
        connection.call(&["HELLO", proto]);
        for words in commands {
            let reply = connection.call(words);
            assert!(matches!(reply, Value::Error(_)), "{words:?} was answered {reply}");
            let pong = connection.call(&["PING"]);
            assert_eq!(pong.text(), "PONG", "behind the reply to {words:?}");
        }
    }
}

#[test]
fn names_stay_within_their_fields() {
    let server = Server::start();
    let mut connection = server.connect();
    let evil = "q\r\nredis_version:666\r\nid=1";
    connection.call(&["QPUSH", evil, "x", "GROUP", evil]);
    connection.call(&["QCLAIM", evil, "WORKER", evil]);
    connection.call(&["SUBSCRIBE", evil]);
    let mut other = server.connect();
    for line in other.call(&["CLIENT", "LIST"]).text().lines() {
        assert!(line.starts_with("id=") && line.contains(" addr="), "{line}");
    }
    for line in other.call(&["INFO", "everything"]).text().lines() {
        assert!(line.is_empty() || line.starts_with("# ") || line.contains(':'), "{line}");
        // Not just 666: a figure may have these digits.
        assert!(!line.starts_with("redis_version:666"), "{line}");
    }
    let listed = other.call(&["QLIST"]);
    assert_eq!(listed.array()[0].field("queue").map(Value::text).as_deref(), Some(evil));
    assert!(!server.output().lines().any(|line| line.starts_with("redis_version")), "{}", server.output());
}

#[test]
fn a_peer_that_sends_no_more_gets_its_replies() {
    let server = Server::start();
    let pushes: String = (0..1_000).map(|job| format!("QPUSH q {job}\r\n")).collect();
    let said = last_words(&server, pushes.as_bytes());
    assert_eq!(said.matches("$16\r\n").count(), 1_000);
    server.check("> QLEN q => 1000");
    // A claim that would wait for ever has nobody left to wait for it.
    assert_eq!(last_words(&server, b"QCLAIM other BLOCK 0\r\n"), "");
    server.check("> QPUSH other x\n> QLEN other => 1\n~ 0 blocked");
}

#[test]
fn long_questions_are_answered() {
    let server = Server::start();
    let ask = |connection: &mut Connection, first: &[&str], word: &str, times: usize| {
        let words: Vec<&str> = first.iter().copied().chain(std::iter::repeat_n(word, times)).collect();
        connection.call(&words)
    };
    let mut connection = server.connect();
    let stars = "*a".repeat(2_000);
    let long = "a".repeat(200_000);
    assert_eq!(ask(&mut connection, &["COMMAND", "INFO"], "qpush", 10_000).array().len(), 10_000);
    assert_eq!(ask(&mut connection, &["COMMAND", "INFO"], &long, 10).array().len(), 10);
    assert!(ask(&mut connection, &["CONFIG", "GET"], &stars, 1_000).array().is_empty());
    assert_eq!(ask(&mut connection, &["EXISTS"], "q", 10_000).integer(), 0);
    assert!(ask(&mut connection, &["QLIST", "MATCH"], &stars, 1).array().is_empty());
    assert!(matches!(ask(&mut connection, &["QCONFIG", "SET", "q"], &long, 2), Value::Error(_)));
    is_well(&server);
}
