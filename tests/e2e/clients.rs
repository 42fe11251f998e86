//! Clients that others wrote: redis-cli and redis-py, without a word of ours in them.

use std::process::{Command, Stdio};

use stanchion_tests::{Identity, Server, client_program, converse, venv_python};

#[test]
fn redis_cli_pushes_claims_and_acks() {
    let server = Server::start();
    let id = cli(&server, &["QPUSH", "mail", "hello"]);
    assert_eq!(id.trim().len(), 16, "{id}");
    let claimed = cli(&server, &["QCLAIM", "mail"]);
    let lines: Vec<&str> = claimed.lines().collect();
    assert_eq!(lines[0], "mail");
    assert_eq!(&lines[2..], ["hello", "1"], "{claimed}");
    assert_eq!(cli(&server, &["QACK", "mail", lines[1]]), "1\n");
    assert_eq!(cli(&server, &["QACK", "mail", lines[1]]), "0\n");
    assert!(cli(&server, &["INFO", "server"]).contains("stanchion_version:"));
    assert!(cli(&server, &["COMMAND", "DOCS", "QPUSH"]).contains("DEDUPE"));
}

#[test]
fn redis_cli_speaks_resp3() {
    let server = Server::start();
    cli(&server, &["-3", "QPUSH", "mail", "hello", "GROUP", "g"]);
    let stats = cli(&server, &["-3", "--no-raw", "QSTATS", "mail"]);
    assert!(stats.contains("\"ready\" => (integer) 1"), "{stats}");
    let job = cli(&server, &["-3", "--no-raw", "QPEEK", "mail"]);
    assert!(job.contains("\"group\" => \"g\""), "{job}");
    let missing = cli(&server, &["-3", "--no-raw", "QSTATS", "missing"]);
    assert_eq!(missing, "(nil)\n");
}

#[test]
fn redis_cli_reads_commands_from_its_input() {
    let server = Server::start();
    let mut commands = String::new();
    for i in 0..1_000 {
        commands.push_str(&format!("QPUSH q {i}\n"));
    }
    let file = server.directory().join("commands");
    std::fs::write(&file, commands).expect("the temporary directory can be written");
    let input = std::fs::File::open(&file).expect("the file is there");
    let port = server.address().port().to_string();
    let output =
        Command::new("redis-cli").args(["-p", &port, "--pipe"]).stdin(input).output().expect("redis-cli");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("errors: 0, replies: 1000"), "{said}");
    server.check("> QLEN q => 1000");
}

#[test]
fn redis_py_on_resp2() {
    converse(python("redis_py.py").arg("2"), &Identity { library: "redis-py", resp: 2 });
}

#[test]
fn redis_py_on_resp3() {
    converse(python("redis_py.py").arg("3"), &Identity { library: "redis-py", resp: 3 });
}

#[test]
fn redis_py_asyncio_on_resp2() {
    converse(python("redis_py_asyncio.py").arg("2"), &Identity { library: "redis-py", resp: 2 });
}

#[test]
fn redis_py_asyncio_on_resp3() {
    converse(python("redis_py_asyncio.py").arg("3"), &Identity { library: "redis-py", resp: 3 });
}

#[test]
fn node_redis_on_resp2() {
    converse(program("node", "node_redis.js").arg("2"), &Identity { library: "node-redis", resp: 2 });
}

#[test]
fn node_redis_on_resp3() {
    converse(program("node", "node_redis.js").arg("3"), &Identity { library: "node-redis", resp: 3 });
}

#[test]
fn ioredis() {
    converse(&mut program("node", "ioredis.js"), &Identity { library: "ioredis", resp: 2 });
}

#[test]
fn phpredis() {
    converse(&mut program("php", "phpredis.php"), &Identity { library: "", resp: 2 });
}

#[test]
fn predis() {
    converse(&mut program("php", "predis.php"), &Identity { library: "", resp: 2 });
}

#[test]
fn redis_rb() {
    converse(&mut program("ruby", "redis_rb.rb"), &Identity { library: "", resp: 2 });
}

fn program(language: &str, file: &str) -> Command {
    let mut command = Command::new(language);
    command.arg(client_program(file));
    command
}

fn python(program: &str) -> Command {
    let mut command = Command::new(venv_python());
    command.arg(client_program(program));
    command
}

fn cli(server: &Server, words: &[&str]) -> String {
    let port = server.address().port().to_string();
    let output = Command::new("redis-cli").args(["-p", &port]).args(words).stdin(Stdio::null()).output();
    let output = output.expect("redis-cli is installed");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
