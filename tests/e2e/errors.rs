//! Errors that belong to no single command: every one of them has a test here or beside its command.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use stanchion_tests::{Options, Server};

#[test]
fn scripts_are_refused_by_the_name_of_the_native_command() {
    let server = Server::start();
    for command in [
        "EVAL \"return 1\" 0",
        "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
        "EVAL_RO \"return 1\" 0",
        "EVALSHA_RO ffffffffffffffffffffffffffffffffffffffff 0",
        "SCRIPT LOAD \"return 1\"",
        "SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff",
        "FCALL f 0",
        "FCALL_RO f 0",
    ] {
        // Never -NOSCRIPT, which makes clients send the script again.
        server.check(&format!("> {command} => -ERR *QPUSH*"));
    }
}

#[test]
fn unknown_commands_are_answered_as_redis_answers_them() {
    Server::start().check(
        r#"
        > BOGUS a b => -ERR unknown command 'BOGUS', with args beginning with: 'a' 'b'*
        > LPUSH q x => -ERR unknown command 'LPUSH', with args beginning with: 'q' 'x'*
        "#,
    );
}

#[test]
fn an_error_is_one_line_whatever_the_word_holds() {
    Server::start().check(
        r#"
        > "BAD\r\n+INJECTED" => -ERR unknown command*
        > PING => +PONG
        > QPUSH q x "BAD\r\n+INJECTED" => -ERR*
        > PING => +PONG
        > QJOB q "\r\n+INJECTED" => -ERR*
        > PING => +PONG
        "#,
    );
}

#[test]
fn nothing_works_before_the_password() {
    let options = Options::new().environment("STANCHION_REQUIREPASS", "open sesame");
    options.start().check(
        r#"
        > PING => -NOAUTH*
        > QPUSH q x => -NOAUTH*
        > QCLAIM q => -NOAUTH*
        > CONFIG GET port => -NOAUTH*
        > AUTH wrong => -WRONGPASS*
        > AUTH default wrong => -WRONGPASS*
        > AUTH somebody "open sesame" => -WRONGPASS*
        > HELLO 3 AUTH default wrong => -WRONGPASS*
        > HELLO 3 => -NOAUTH*
        > AUTH "open sesame" => +OK
        > QPUSH q x
        > RESET => +RESET
        > QLEN q => -NOAUTH*
        > HELLO 3 AUTH default "open sesame" => {proto: 3, ...}
        > QLEN q => 1
        "#,
    );
}

#[test]
fn the_password_is_in_no_log_and_no_reply() {
    let options = Options::new().environment("STANCHION_REQUIREPASS", "open-sesame");
    let server = options.start();
    let mut session = server.session();
    session.check("> AUTH wrong-guess => -WRONGPASS*\n> AUTH open-sesame => +OK\n> CONFIG GET * => *");
    let config = session.connection("main").call(&["CONFIG", "GET", "*"]).to_string();
    assert!(!config.contains("open-sesame"), "{config}");
    server.terminate();
    let mut process = server.into_process();
    process.wait();
    let log = process.output();
    assert!(!log.contains("open-sesame") && !log.contains("wrong-guess"), "{log}");
}

#[test]
fn too_many_clients_are_told_so() {
    let options = Options::new().configuration("clients-max = 4\n");
    let server = options.start();
    let mut clients = Vec::new();
    while clients.len() < 4 {
        // The connection that the start's PING used may still be on its way out.
        let mut client = server.connect();
        if client.try_call(&["PING"]).is_ok_and(|reply| reply.text() == "PONG") {
            clients.push(client);
        }
    }
    let mut refused = server.connect();
    let said = refused.receive_to_end().expect("an error and the end");
    assert_eq!(said.as_slice(), b"-ERR max number of clients reached\r\n", "{}", said.escape_ascii());
    assert_eq!(clients[0].call(&["PING"]).text(), "PONG");
}

#[test]
fn an_unreadable_configuration_is_named() {
    let options = Options::new();
    let path = options.file("broken.toml", "port = \n");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the file is there");
    file.write_all(&[0xff]).expect("it can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let mut process = options.arguments(&["--config", path.to_str().expect("UTF-8")]).spawn();
    assert!(!process.wait().success());
    assert!(process.output().contains("broken.toml"), "{}", process.output());
}
