//! The commands that a client's library sends by itself, and those that an administrator types.

use stanchion_tests::{Options, Server, Value};

#[test]
fn hello_switches_the_protocol() {
    Server::start().check(
        r#"
        > HELLO => {server: redis, version: `7.2.*`, proto: 2, id: *, mode: standalone, role: master, modules: []}
        > QSTATS missing => nil
        > HELLO 3 => {server: redis, proto: 3, ...}
        > QLIST => []
        > HELLO 2 SETNAME worker-7 => {proto: 2, ...}
        > CLIENT GETNAME => worker-7
        > HELLO 4 => -NOPROTO*
        > HELLO x => -ERR*
        > HELLO 3 BOGUS => -ERR*
        "#,
    );
}

#[test]
fn maps_are_maps_only_in_resp3() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["QPUSH", "q", "x"]);
    for (version, is_map) in [("2", false), ("3", true)] {
        connection.call(&["HELLO", version]);
        for command in [&["QSTATS", "q"][..], &["QCONFIG", "GET", "q"]] {
            let reply = connection.call(command);
            assert_eq!(matches!(reply, Value::Map(_)), is_map, "{command:?} in RESP{version}: {reply}");
        }
        let list = connection.call(&["QLIST"]);
        assert_eq!(matches!(list.array()[0], Value::Map(_)), is_map, "{list}");
        let peek = connection.call(&["QPEEK", "q"]);
        assert_eq!(matches!(peek.array()[0], Value::Map(_)), is_map, "{peek}");
    }
}

#[test]
fn a_connection_has_an_id_and_a_name() {
    Server::start().check(
        r#"
        > CLIENT ID => $id
        > CLIENT GETNAME => *
        > CLIENT SETNAME worker-1 => +OK
        > CLIENT GETNAME => worker-1
        > CLIENT SETNAME "has space" => -ERR Client names cannot contain spaces, newlines or special characters.
        > CLIENT SETINFO LIB-NAME e2e => +OK
        > CLIENT SETINFO LIB-VER 1.0 => +OK
        > CLIENT SETINFO BOGUS x => -ERR*
        > CLIENT INFO => `*name=worker-1*`
        b> CLIENT SETNAME other => +OK
        > CLIENT LIST => `*name=worker-1*`
        > CLIENT LIST => `*name=other*`
        > CLIENT BOGUS => -ERR*
        > RESET => +RESET
        > CLIENT GETNAME => *
        > CLIENT ID => $id
        "#,
    );
}

#[test]
fn the_usual_questions_are_answered() {
    Server::start().check(
        r#"
        > PING => +PONG
        > PING "hello there" => "hello there"
        > ECHO hey => hey
        > SELECT 0 => +OK
        > SELECT 1 => -ERR*
        > SELECT x => -ERR*
        > TIME => [*, *]
        > COMMAND COUNT => 1..1000
        > COMMAND INFO qpush bogus => [[qpush, *, *, 1, 1, 1, ...], *]
        > COMMAND DOCS qclaim => {qclaim: *}
        > COMMAND LIST => [...]
        > QUIT => +OK
        "#,
    );
}

#[test]
fn info_carries_what_clients_sniff() {
    let server = Server::start();
    let mut session = server.session();
    session.check("w! QCLAIM q BLOCK 0\n~ 1 blocked");
    let info = session.connection("main").call(&["INFO"]).text();
    for line in [
        "redis_version:7.2.",
        "stanchion_version:",
        "redis_mode:standalone",
        "cluster_enabled:0",
        "loading:0",
        "blocked_clients:1",
        "maxmemory_policy:noeviction",
        "process_id:",
    ] {
        assert!(info.contains(&format!("\r\n{line}")), "{line} is not in\n{info}");
    }
    let section = session.connection("main").call(&["INFO", "server"]).text();
    assert!(section.starts_with("# Server\r\n") && !section.contains("blocked_clients"), "{section}");
    session.check("> INFO bogus => ``\n> INFO server clients => `*redis_version*blocked_clients*`");
}

#[test]
fn configuration_can_be_read_and_partly_changed() {
    let options = Options::new();
    let server = options.start();
    let port = server.address().port();
    server.check(&format!(
        r#"
        > CONFIG GET port => {{port: "{port}"}}
        > CONFIG GET bogus => {{}}
        > CONFIG GET maxmemory-policy => *
        > CONFIG SET bogus 1 => -ERR*bogus*
        > CONFIG SET port 1 => -ERR*port*
        > CONFIG BOGUS => -ERR*
        > CONFIG GET => -ERR wrong number of arguments for 'config|get' command
        "#
    ));
}

#[test]
fn pipelines_of_ten_thousand_are_answered_in_order() {
    let server = Server::start();
    let mut connection = server.connect();
    let mut bytes = Vec::new();
    for i in 0..10_000 {
        bytes.extend_from_slice(format!("*3\r\n$5\r\nQPUSH\r\n$1\r\nq\r\n$5\r\n{i:05}\r\n").as_bytes());
        bytes.extend_from_slice(format!("*2\r\n$4\r\nECHO\r\n$5\r\n{i:05}\r\n").as_bytes());
    }
    let mut last = String::new();
    std::thread::scope(|scope| {
        let mut writer = server.connect();
        // Two connections at once, so that the pipelines meet.
        let bytes = &bytes;
        scope.spawn(move || {
            writer.send_bytes(bytes).expect("the server reads on");
            for _ in 0..20_000 {
                writer.receive().expect("a reply");
            }
        });
        connection.send_bytes(bytes).expect("the server reads on");
        for i in 0..10_000 {
            let id = connection.receive().expect("an id").text();
            assert!(id > last, "{id} after {last}");
            last = id;
            assert_eq!(connection.receive().expect("an echo").text(), format!("{i:05}"));
        }
    });
    assert_eq!(connection.call(&["QLEN", "q"]), Value::Integer(20_000));
}

#[test]
fn shutdown_by_command_keeps_everything() {
    let options = Options::new();
    let server = options.start();
    let mut session = server.session();
    session.check("> QPUSH q kept NOSYNC");
    session.connection("main").send(&["SHUTDOWN"]).expect("sent");
    let rest = session.connection("main").receive_to_end().expect("the end");
    assert_eq!(rest, b"", "{}", rest.escape_ascii());
    assert!(server.into_process().wait().success());
    options.start().check("> QCLAIM q => [[q, *, kept, 1]]");
}
