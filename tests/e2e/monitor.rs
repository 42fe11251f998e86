//! MONITOR: every command of every client, but no secret and nothing of operators.

use stanchion_tests::{Options, Server};

#[test]
fn a_monitor_sees_what_others_send() {
    Server::start().check(
        r#"
        m> MONITOR => +OK
        > QPUSH q "a b\r\n\x00" => $id
        m< => `1*.* [0 127.0.0.1:*] "QPUSH" "q" "a b\\r\\n\\x00"`
        > MULTI
        > PING
        > EXEC
        m< => `*] "MULTI"`
        m< => `*] "PING"`
        m< => `*] "EXEC"`
        # Of operators nothing is shown, and a monitor sees itself.
        > CONFIG GET port
        > CLIENT LIST
        > TIME
        > CLIENT LIST TYPE normal => `* flags=O *`
        > ECHO last
        m< => `*] "TIME"`
        m< => `*] "ECHO" "last"`
        m> PING => +PONG
        m< => `*] "PING"`
        m> RESET => +RESET
        > ECHO unseen
        m> PING => +PONG
        m> ECHO alone => alone
        "#,
    );
}

#[test]
fn passwords_are_not_shown() {
    let server = Options::new().configuration("requirepass = \"sesame\"\n").start();
    server.check(
        r#"
        m> AUTH sesame => +OK
        m> MONITOR => +OK
        > AUTH sesame => +OK
        m< => `*] "AUTH" "(redacted)"`
        > AUTH default wrong => -WRONGPASS*
        m< => `*] "AUTH" "(redacted)" "(redacted)"`
        > HELLO 3 AUTH default sesame => {...}
        m< => `*] "HELLO" "3" "AUTH" "(redacted)" "(redacted)"`
        > CONFIG SET requirepass other => +OK
        > PING => +PONG
        m< => `*] "PING"`
        "#,
    );
}

#[test]
fn lines_are_simple_strings_in_resp3_too() {
    let server = Server::start();
    let mut monitor = server.connect();
    monitor.call(&["HELLO", "3"]);
    assert_eq!(monitor.call(&["MONITOR"]).to_string(), "+OK");
    server.check("> PING");
    let line = monitor.receive().expect("a line").to_string();
    assert!(line.starts_with('+') && line.ends_with("\\\"PING\\\""), "{line}");
    server.check(
        "> MULTI\n> MONITOR => +QUEUED\n> EXEC => [-\"ERR MONITOR isn't allowed for DENY BLOCKING client\"]",
    );
}

#[test]
fn a_monitor_that_does_not_read_is_disconnected() {
    let server = Server::start();
    let mut monitor = server.connect();
    monitor.call(&["MONITOR"]);
    let payload = "x".repeat(1 << 20);
    let mut connection = server.connect();
    // As much again as the socket's buffers and the bound on what may wait.
    for _ in 0..64 {
        connection.call(&["ECHO", &payload]);
    }
    assert_eq!(connection.call(&["CLIENT", "LIST"]).text().lines().count(), 1);
    monitor.receive_to_end().expect("what was written before, and the end");
    connection.call(&["PING"]);
}
