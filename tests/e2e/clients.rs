//! Clients that others wrote: redis-cli and redis-py, without a word of ours in them.

use std::path::Path;
use std::process::{Command, Stdio};

use stanchion_tests::{Identity, Server, client_program, compiled_c, compiled_go, converse, venv_python};

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

/// A test for each: how the program is started, what its library calls itself, if anything, and the RESP it speaks.
macro_rules! conversations {
    ($($name:ident: $command:expr => $identity:expr;)*) => {
        $(
            #[test]
            fn $name() {
                converse($command, $identity);
            }
        )*
    };
}

conversations! {
    redis_py_on_resp2: python("redis_py.py").arg("2") => named("redis-py", 2);
    redis_py_on_resp3: python("redis_py.py").arg("3") => named("redis-py", 3);
    redis_py_asyncio_on_resp2: python("redis_py_asyncio.py").arg("2") => named("redis-py", 2);
    redis_py_asyncio_on_resp3: python("redis_py_asyncio.py").arg("3") => named("redis-py", 3);
    node_redis_on_resp2: program("node", "node_redis.js").arg("2") => named("node-redis", 2);
    node_redis_on_resp3: program("node", "node_redis.js").arg("3") => named("node-redis", 3);
    ioredis: &mut program("node", "ioredis.js") => named("ioredis", 2);
    phpredis: &mut program("php", "phpredis.php") => named("", 2);
    predis: &mut program("php", "predis.php") => named("", 2);
    redis_rb: &mut program("ruby", "redis_rb.rb") => named("", 2);
    hiredis: &mut compiled_c(&client_program("hiredis.c")) => named("", 2);
    go_redis: &mut compiled_go(&client_program("go_redis.go")) => named("", 2);
    redigo: &mut compiled_go(&client_program("redigo.go")) => named("", 2);
    redis_rs_on_resp2: Command::new(REDIS_RS).arg("2") => named("redis-rs", 2);
    redis_rs_on_resp3: Command::new(REDIS_RS).arg("3") => named("redis-rs", 3);
    redis_cli_on_resp2: program("bash", "redis_cli.sh").arg("2") => named("", 2);
    redis_cli_on_resp3: program("bash", "redis_cli.sh").arg("3") => named("", 3);
    shell: &mut program("sh", "shell.sh") => None;
}

#[test]
fn no_program_is_forgotten() {
    let read = |directory: &Path| {
        let entries = std::fs::read_dir(directory).expect("the directory can be read");
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect::<Vec<_>>()
    };
    let tests = read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e")));
    let tests: String =
        tests.iter().map(|path| std::fs::read_to_string(path).expect("a test can be read")).collect();
    for path in read(&client_program("")) {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let is_program =
            [".py", ".js", ".php", ".rb", ".c", ".go", ".sh"].iter().any(|end| name.ends_with(end));
        assert!(!is_program || tests.contains(&name), "no test runs tests/clients/{name}");
    }
}

fn named(library: &'static str, resp: u8) -> Option<Identity> {
    Some(Identity { library, resp })
}

/// The program of `clients/redis_rs.rs`, which cargo builds with these tests.
const REDIS_RS: &str = env!("CARGO_BIN_EXE_redis-rs");

fn program(language: &str, file: &str) -> Command {
    let mut command = Command::new(language);
    command.arg(client_program(file));
    command
}

fn python(file: &str) -> Command {
    let mut command = Command::new(venv_python());
    command.arg(client_program(file));
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
