//! SLOWLOG: what is in it, what is cut from it, and what must never be in it.

use stanchion_tests::{Options, Server, Value};

/// Commands may sleep, so that one of them is slow for sure.
const DEBUG: &str = "enable-debug-command = \"local\"\n";

/// The words of each entry, newest first.
fn commands(reply: &Value) -> Vec<String> {
    let words = |entry: &Value| entry.array()[3].array().iter().map(Value::text).collect::<Vec<_>>();
    reply.array().iter().map(|entry| words(entry).join(" ")).collect()
}

#[test]
fn a_slow_command_is_logged_once_with_who_sent_it() {
    let server = Options::new().configuration(DEBUG).start();
    server.check(
        r#"
        > CONFIG GET slowlog* => {slowlog-log-slower-than: "10000", slowlog-max-len: "128"}
        > CLIENT SETNAME sleeper
        > SLOWLOG RESET => +OK
        > DEBUG SLEEP 0.02 => +OK
        > SLOWLOG LEN => 1
        > SLOWLOG GET => [[$id, 1700000000..9999999999, 20000..60000000, [DEBUG, SLEEP, "0.02"], `127.0.0.1:*`, sleeper]]
        > SLOWLOG GET 0 => []
        > SLOWLOG GET -1 => [[$id, ...]]
        > SLOWLOG GET -2 => -ERR count should be greater than or equal to -1
        > SLOWLOG GET x => -ERR count should be greater than or equal to -1
        > SLOWLOG RESET => +OK
        > SLOWLOG LEN => 0
        > SLOWLOG GET => []
        > SLOWLOG HELP => [...]
        > SLOWLOG BOGUS => -ERR unknown subcommand*
        "#,
    );
}

#[test]
fn the_slow_one_of_a_pipeline_is_the_one_that_is_logged() {
    let server = Options::new().configuration(DEBUG).start();
    let mut connection = server.connect();
    // A cheap command can be slow on a busy machine, but not for so long.
    connection.call(&["CONFIG", "SET", "slowlog-log-slower-than", "400000"]);
    let pipeline = "PING\r\nQPUSH q x\r\nDEBUG SLEEP 0.5\r\nPING\r\nQPUSH q y\r\nPING\r\n";
    connection.send_bytes(pipeline.as_bytes()).expect("sent");
    for _ in 0..6 {
        connection.receive().expect("a reply");
    }
    assert_eq!(commands(&connection.call(&["SLOWLOG", "GET"])), ["DEBUG SLEEP 0.5"]);
}

#[test]
fn a_threshold_of_zero_logs_every_command_of_a_pipeline() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    connection.call(&["SLOWLOG", "RESET"]);
    connection.send_bytes(b"PING\r\nQPUSH q x\r\nQLEN q\r\nMULTI\r\nECHO a\r\nEXEC\r\n").expect("sent");
    for _ in 0..6 {
        connection.receive().expect("a reply");
    }
    // As in Redis a transaction's commands are entries, and EXEC is none.
    assert_eq!(
        commands(&connection.call(&["SLOWLOG", "GET"])),
        ["ECHO a", "MULTI", "QLEN q", "QPUSH q x", "PING", "SLOWLOG RESET"]
    );
    connection.call(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    connection.call(&["SLOWLOG", "RESET"]);
    connection.call(&["QPUSH", "q", "x"]);
    assert_eq!(connection.call(&["SLOWLOG", "LEN"]), Value::Integer(0));
}

#[test]
fn commands_in_steps_are_logged_as_one() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        "> QMPUSH q a NEXT b NEXT c\n> CONFIG SET slowlog-log-slower-than 0\n> QPURGE q STATE READY => 3",
    );
    let logged = session.connection("main").call(&["SLOWLOG", "GET", "1"]);
    assert_eq!(commands(&logged), ["QPURGE q STATE READY"]);
    let stats = session.connection("main").call(&["INFO", "commandstats"]).text();
    assert!(stats.contains("cmdstat_qpurge:calls=1,"), "{stats}");
}

#[test]
fn waiting_for_a_job_is_not_slow() {
    Server::start().check(
        r#"
        > CONFIG SET slowlog-log-slower-than 900000
        > QCLAIM q BLOCK 1000 => []
        > SLOWLOG LEN => 0
        "#,
    );
}

#[test]
fn long_commands_are_cut_and_passwords_left_out() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    let long = "x".repeat(200);
    connection.call(&["QPUSH", "q", &long]);
    let logged = connection.call(&["SLOWLOG", "GET", "1"]);
    assert_eq!(commands(&logged), [format!("QPUSH q {}... (72 more bytes)", "x".repeat(128))]);
    let many: Vec<String> = ["DEL".to_owned()].into_iter().chain((0..40).map(|i| format!("q{i}"))).collect();
    connection.call(&many);
    let logged = connection.call(&["SLOWLOG", "GET", "1"]);
    let words = logged.array()[0].array()[3].array();
    assert_eq!((words.len(), words[31].text()), (32, "... (10 more arguments)".into()));

    connection.try_call(&["AUTH", "sesame"]).expect("an answer");
    connection.try_call(&["HELLO", "2", "AUTH", "default", "sesame"]).expect("an answer");
    connection.call(&["CONFIG", "SET", "requirepass", "sesame"]);
    let logged = connection.call(&["SLOWLOG", "GET"]);
    assert!(!format!("{logged}").contains("sesame"), "{logged}");
    assert_eq!(
        commands(&logged)[..3],
        ["CONFIG SET requirepass (redacted)", "HELLO 2 AUTH (redacted) (redacted)", "AUTH (redacted)"]
    );
}

#[test]
fn the_log_has_a_bound_which_can_change() {
    let server = Options::new().configuration("slowlog-max-len = 3\nslowlog-log-slower-than = 0\n").start();
    let mut connection = server.connect();
    for _ in 0..9 {
        connection.call(&["PING"]);
    }
    assert_eq!(connection.call(&["SLOWLOG", "LEN"]), Value::Integer(3));
    connection.call(&["CONFIG", "SET", "slowlog-max-len", "2"]);
    assert_eq!(connection.call(&["SLOWLOG", "GET", "-1"]).array().len(), 2);
    server.check(
        r#"
        > CONFIG SET slowlog-max-len x => -ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument couldn't be parsed into an integer
        > CONFIG SET slowlog-log-slower-than -2 => -ERR CONFIG SET failed (possibly related to argument 'slowlog-log-slower-than') - argument must be between -1 and 9223372036854775807 inclusive
        > CONFIG SET slowlog-max-len 0
        > SLOWLOG LEN => 0
        "#,
    );
}

#[test]
fn debug_is_refused_unless_the_configuration_allows_it() {
    Server::start().check(
        r#"
        > CONFIG GET enable-debug-command => {enable-debug-command: no}
        > DEBUG SLEEP 0 => -ERR DEBUG command not allowed. If the enable-debug-command option is set to "local"*
        > CONFIG SET enable-debug-command yes => -ERR*immutable config*
        "#,
    );
    let server = Options::new().configuration("enable-debug-command = \"yes\"\n").start();
    server.check(
        "> DEBUG SLEEP 0 => +OK\n> DEBUG SLEEP x => +OK\n> DEBUG BOGUS => -ERR*\n> DEBUG HELP => [...]",
    );
}
