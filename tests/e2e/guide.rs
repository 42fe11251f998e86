//! The guide to clients, `docs/clients.md`: every program in it is run as it stands there, and what it prints compared.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use stanchion_tests::{
    Process, RestartingServer, client_program, compiled_go, guide, guide_programs, venv_python,
};

#[test]
fn python() {
    follow("python", "py", |file| {
        let mut python = Command::new(venv_python());
        python.arg("-u").arg(file);
        python
    });
}

#[test]
fn node() {
    follow("js", "mjs", |file| {
        // Node looks for modules beside the program.
        let modules = file.with_file_name("node_modules");
        if !modules.exists() {
            symlink(client_program("node_modules"), &modules).expect("a link can be made");
        }
        interpreted("node", file)
    });
}

#[test]
fn php() {
    follow("php", "php", |file| interpreted("php", file));
}

#[test]
fn ruby() {
    follow("ruby", "rb", |file| interpreted("ruby", file));
}

#[test]
fn go() {
    follow("go", "go", compiled_go);
}

#[test]
fn rust() {
    // Cargo has compiled the two: build.rs took them out of the guide.
    follow("rust", "rs", |file| {
        Command::new(if file.ends_with("guide-push.rs") {
            env!("CARGO_BIN_EXE_guide-push")
        } else {
            env!("CARGO_BIN_EXE_guide-worker")
        })
    });
}

#[test]
fn shell() {
    follow("sh", "sh", |file| interpreted("sh", file));
}

#[test]
fn every_program_of_the_guide_is_run() {
    let tests = include_str!("guide.rs");
    for program in guide_programs(&guide()) {
        let language = program.language;
        assert!(tests.contains(&format!("follow(\"{language}\"")), "no test runs the programs in {language}");
    }
}

fn interpreted(language: &str, file: &Path) -> Command {
    let mut command = Command::new(language);
    command.arg(file);
    command
}

/// Runs the two programs of a language, the producer and the worker, and restarts the server under the worker.
#[track_caller]
fn follow(language: &str, extension: &str, command: impl Fn(&Path) -> Command) {
    let programs = guide_programs(&guide());
    let programs: Vec<_> = programs.iter().filter(|program| program.language == language).collect();
    let [push, worker] = programs.as_slice() else {
        panic!("the guide has {} programs in {language}, not a producer and a worker", programs.len())
    };
    let mut server = RestartingServer::start();
    let url = format!("redis://{}", server.address());
    let start = |name: &str, code: &str| {
        let file = server.directory().join(format!("guide-{name}.{extension}"));
        std::fs::write(&file, code).expect("the temporary directory can be written");
        Process::start(command(&file).env("REDIS_URL", &url))
    };

    let mut pushing = start("push", &push.code);
    expect(&mut pushing, &push.prints);
    assert_eq!(pushing.next_line(), None);
    assert!(pushing.wait().success(), "the producer failed:\n{}", pushing.output());
    server.check("> QSTATS mail => {pushed: 2, duplicates: 1, ...}");

    let mut working = start("worker", &worker.code);
    expect(&mut working, &worker.prints);
    server.check("> QSTATS mail => {acked: 1, nacked: 2, died: 1, ...}");
    server.restart();
    server.check("> QPUSH mail eve");
    expect(&mut working, "delivered: eve\n");
    server.check("> QLEN mail ALL => 1\n> QLEN mail DEAD => 1\n> QSTATS mail => {acked: 2, ...}");
    // First, so that the claim of a shell's redis-cli, which outlives its shell, ends with its connection.
    drop(server);
}

#[track_caller]
fn expect(program: &mut Process, lines: &str) {
    assert!(!lines.is_empty(), "the guide does not say what the program prints");
    for line in lines.lines() {
        let printed = program.next_line();
        assert_eq!(printed.as_deref(), Some(line), "the program said:\n{}", program.output());
    }
}
