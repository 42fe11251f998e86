//! The server's own table of commands against these tests: none may be without one.

use std::collections::HashSet;
use std::path::Path;

use stanchion_tests::{Server, Value};

#[test]
fn every_command_is_tested() {
    let tests = sources();
    let server = Server::start();
    let listed = server.connect().call(&["COMMAND", "LIST"]);
    let untested: Vec<String> = listed
        .array()
        .iter()
        .map(|name| name.text().to_ascii_uppercase())
        .filter(|name| {
            let name = name.replace('|', " ");
            // As a word of a script, or as the first of a list of words.
            !tests.contains(&format!("> {name}")) && !tests.contains(&format!("\"{name}"))
        })
        .collect();
    assert!(untested.is_empty(), "no test sends {}", untested.join(", "));
}

#[test]
fn command_and_its_likes_agree() {
    let server = Server::start();
    let mut connection = server.connect();
    let listed: HashSet<String> =
        connection.call(&["COMMAND", "LIST"]).array().iter().map(Value::text).collect();
    let count = connection.call(&["COMMAND", "COUNT"]).integer();
    let all = connection.call(&["COMMAND"]);
    let described: HashSet<String> = all.array().iter().map(|command| command.array()[0].text()).collect();
    assert_eq!(usize::try_from(count).expect("a count"), described.len());
    assert!(described.is_subset(&listed), "{:?}", described.difference(&listed));
    let docs = connection.call(&["COMMAND", "DOCS"]);
    for name in &described {
        let doc = docs.field(name).unwrap_or_else(|| panic!("COMMAND DOCS has no {name}"));
        let summary = doc.field("summary").unwrap_or_else(|| panic!("{name} has no summary"));
        assert!(!summary.text().is_empty(), "{name} has an empty summary");
    }
}

#[test]
fn the_commands_of_the_contract_are_there() {
    let server = Server::start();
    let listed: HashSet<String> =
        server.connect().call(&["COMMAND", "LIST"]).array().iter().map(Value::text).collect();
    let wanted = "qpush qmpush qroot qclaim qmclaim qack qnack qrelease qextend qlen qstats qlist qready qpeek qjob qscan \
        qrequeue qdel qpurge qpause qresume qconfig qworker ping echo hello auth select quit reset client command info config type \
        exists del scan dbsize multi exec discard time shutdown";
    let missing: Vec<&str> = wanted.split_whitespace().filter(|&name| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn keys_are_where_the_contract_says() {
    Server::start().check(
        r#"
        > COMMAND INFO qpush => [[qpush, *, *, 1, 1, 1, ...]]
        > COMMAND INFO qlist => [[qlist, *, *, 0, 0, 0, ...]]
        > COMMAND GETKEYS QPUSH q x => [q]
        > COMMAND GETKEYS QCONFIG SET q lease 1 => [q]
        > COMMAND GETKEYS QMCLAIM QUEUES 2 a b COUNT 2 => [a, b]
        > COMMAND GETKEYS QMCLAIM MATCH 1 * => -ERR The command has no key arguments
        > COMMAND GETKEYS BOGUS => -ERR*
        > COMMAND GETKEYS QPUSH => -ERR Invalid number of arguments specified for command
        "#,
    );
}

/// The text of all these tests.
fn sources() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    let files = std::fs::read_dir(directory).expect("the tests' directory can be read");
    let paths = files.map(|file| file.expect("a file").path()).filter(|path| path.is_file());
    paths.map(|path| std::fs::read_to_string(path).expect("a text")).collect()
}
