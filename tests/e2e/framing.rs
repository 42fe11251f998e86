//! Bytes that are no proper request, answered byte for byte as redis-server answers them.
//!
//! The redis-server of Debian runs beside ours: a table of bytes is sent to both and both are read to the end, so
//! the expectation is Redis itself and not what somebody remembers of it.

use stanchion_tests::{Connection, RedisServer, Server};

/// What a client may send, and whether the connection is still good for a PING afterwards is Redis's to say.
fn requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = [
        // Inline commands.
        "PING\r\n",
        "PING\n",
        "ping\r\n",
        "\r\n",
        "   \r\n",
        "PING hello\r\n",
        "PING \"hello there\"\r\n",
        "PING 'it''s'\r\n",
        "PING 'hello there'\r\n",
        "PING \"\\x41\\n\\t\\\"\"\r\n",
        "PING 'a\\'b'\r\n",
        "PING \"open\r\n",
        "PING 'open\r\n",
        "PING \"a\"b\r\n",
        "  PING   hello  \r\n",
        "ECHO\r\n",
        "NOTACOMMAND a b\r\n",
        // Arrays.
        "*1\r\n$4\r\nPING\r\n",
        "*2\r\n$4\r\nPING\r\n$5\r\nhello\r\n",
        "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*-2\r\n",
        "*01\r\n$4\r\nPING\r\n",
        "*+1\r\n$4\r\nPING\r\n",
        "*1 \r\n$4\r\nPING\r\n",
        "* 1\r\n$4\r\nPING\r\n",
        "*\r\n",
        "*abc\r\n",
        "*99999999999999999999\r\n",
        "*2147483648\r\n",
        "*-9223372036854775808\r\n",
        "*1\n$4\nPING\n",
        // Bulk strings.
        "*1\r\n:4\r\nPING\r\n",
        "*1\r\n+PING\r\n",
        "*1\r\n*1\r\n$4\r\nPING\r\n",
        "*1\r\n\r\n",
        "*1\r\n$\r\n",
        "*1\r\n$abc\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$-2\r\n",
        "*1\r\n$04\r\nPING\r\n",
        "*1\r\n$+4\r\nPING\r\n",
        "*1\r\n$536870913\r\n",
        "*1\r\n$99999999999999999999\r\n",
        "*1\r\n$4\r\nPINGxx",
        "*1\r\n$4\r\nPI",
        "*1\r\n$0\r\n\r\n",
        "*2\r\n$4\r\nPING\r\n$-1\r\n",
        "*1\r\n$4\r\nPING\r\n*1\r\n!4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
        "$4\r\nPING\r\n",
        "+PING\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    requests.push("*1\r\n".repeat(20_000).into_bytes());
    requests.push(vec![b'x'; 64 * 1024 + 16]);
    requests.push([b"*".as_slice(), &[b'1'; 64 * 1024 + 16]].concat());
    requests.push([b"*1\r\n$".as_slice(), &[b'1'; 64 * 1024 + 16]].concat());
    requests.push([b"PING ".as_slice(), &[b'x'; 60_000], b"\r\n"].concat());
    requests
}

/// Commands that Redis has too, where its very words matter to clients.
const COMMANDS: &[&str] = &[
    "PING",
    "PING a",
    "PING a b",
    "ECHO a",
    "ECHO",
    "ECHO a b",
    "SELECT 0",
    "SELECT",
    "SELECT x",
    "SELECT 99999",
    "AUTH",
    "AUTH x",
    "AUTH default x",
    "AUTH a b c",
    "HELLO 1",
    "HELLO 4",
    "HELLO x",
    "HELLO 3 SETNAME",
    "HELLO 3 BOGUS",
    "HELLO 2 AUTH a b",
    "CLIENT",
    "CLIENT BOGUS",
    "CLIENT SETNAME",
    "CLIENT SETNAME a",
    "CLIENT GETNAME",
    "CLIENT ID x",
    "MULTI x",
    "EXEC",
    "DISCARD",
    "MULTI\r\nMULTI\r\nEXEC",
    "MULTI\r\nPING\r\nEXEC",
    "MULTI\r\nPING\r\nDISCARD",
    "MULTI\r\nBOGUS\r\nPING\r\nEXEC",
    "MULTI\r\nECHO\r\nEXEC\r\nPING",
    "MULTI\r\nEXEC",
    "MULTI\r\nQUIT\r\nPING",
    "RESET",
    "MULTI\r\nRESET\r\nEXEC",
    "QUIT\r\nPING",
    "EXISTS",
    "EXISTS a",
    "TYPE",
    "TYPE a",
    "DEL",
    "DEL a",
    "UNLINK a",
    "DBSIZE",
    "DBSIZE x",
    "SCAN",
    "SCAN 0",
    "SCAN x",
    "SCAN 0 COUNT x",
    "SCAN 0 COUNT 0",
    "SCAN 0 BOGUS",
    "TIME x",
    "COMMAND BOGUS",
    "CONFIG",
    "CONFIG BOGUS",
    "CONFIG GET",
    "CONFIG GET bogus",
    "BOGUS",
    "bogus one two three four five",
];

#[test]
fn broken_framing_is_answered_as_redis_answers_it() {
    let (redis, server) = (RedisServer::start(), Server::start());
    let requests = requests();
    let differences: Vec<String> = requests
        .iter()
        .filter_map(|request| difference(&redis, &server, request, |theirs, ours| ours == theirs))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_nul_in_an_inline_command_is_answered() {
    // Redis reads lines as C strings: it waits for ever for the end of one that holds a NUL.
    let said = exchange(Server::start().connect(), b"PI\0NG\r\n");
    assert!(said.starts_with(b"-ERR unknown command"), "{}", said.escape_ascii());
}

#[test]
fn redis_commands_are_answered_in_its_words() {
    let (redis, server) = (RedisServer::start(), Server::start());
    let requests = COMMANDS.iter().map(|command| format!("{command}\r\nPING last\r\n").into_bytes());
    let differences: Vec<String> =
        requests.filter_map(|request| difference(&redis, &server, &request, is_redis_wording)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whether our reply is Redis's, line for line; an error may go on where Redis's ends, to name the word at fault.
fn is_redis_wording(theirs: &[u8], ours: &[u8]) -> bool {
    let (theirs, ours) = (String::from_utf8_lossy(theirs), String::from_utf8_lossy(ours));
    let same =
        |(theirs, ours): (&str, &str)| ours == theirs || theirs.starts_with('-') && ours.starts_with(theirs);
    theirs.split("\r\n").count() == ours.split("\r\n").count()
        && theirs.split("\r\n").zip(ours.split("\r\n")).all(same)
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let server = Server::start();
    let mut connection = server.connect();
    let request = b"*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\nPING inline\r\n*1\r\n$4\r\nPING\r\n";
    for size in 1..request.len() {
        for piece in request.chunks(size) {
            connection.send_bytes(piece).expect("sent");
        }
        for expected in ["0123456789", "inline", "PONG"] {
            assert_eq!(connection.receive().expect("a reply").text(), expected, "in pieces of {size}");
        }
    }
}

#[test]
fn a_client_without_a_password_may_say_little() {
    let server = stanchion_tests::Options::new().environment("STANCHION_REQUIREPASS", "secret").start();
    for (request, error) in [
        (&b"*11\r\n"[..], "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let said = exchange(server.connect(), request);
        assert_eq!(String::from_utf8_lossy(&said), format!("-ERR Protocol error: {error}\r\n"));
    }
}

/// How the two servers' answers to one request differ, if they do.
fn difference(
    redis: &RedisServer,
    server: &Server,
    request: &[u8],
    is_same: fn(&[u8], &[u8]) -> bool,
) -> Option<String> {
    let expected = exchange(redis.connect(), request);
    let answered = exchange(server.connect(), request);
    (!is_same(&expected, &answered)).then(|| {
        let request = request[..request.len().min(200)].escape_ascii();
        let (expected, answered) = (expected.escape_ascii(), answered.escape_ascii());
        format!("to {request}\n  redis answers {expected}\n  stanchion     {answered}")
    })
}

/// Sends everything, says that this was all, and reads until the server closes.
fn exchange(mut connection: Connection, request: &[u8]) -> Vec<u8> {
    // A server that has refused the start may have closed before the rest is written.
    let sent = connection.send_bytes(request).and_then(|()| connection.finish_sending());
    let said = connection.receive_to_end().expect("the server closes the connection");
    assert!(sent.is_ok() || !said.is_empty(), "{sent:?}");
    said
}
