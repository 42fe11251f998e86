//! What a runner tells systemd, over a real socket.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;
use stanchion_tests::{PATIENCE, Process, Server, binary};

use crate::job_host::{PLAIN, configure, push, stopped, wait_for};

/// Reads until a notice has this line; those before it are returned.
#[track_caller]
fn wait_notice(manager: &UnixDatagram, line: &str) -> Vec<String> {
    let mut before = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let length =
            manager.recv(&mut buffer).unwrap_or_else(|error| panic!("no {line}: {error}; {before:?}"));
        let notice = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if notice.lines().any(|found| found == line) {
            return before;
        }
        before.push(notice);
    }
}

#[test]
fn systemd_hears_of_start_work_reload_and_stop() {
    let server = Server::start();
    let path = server.directory().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let file = configure(&server, &PLAIN, r#"test -z "$NOTIFY_SOCKET$WATCHDOG_USEC""#);
    let mut command = Command::new(binary("stanchion-runner"));
    command.arg("run").arg(&file).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let mut runner = Process::start(&mut command);

    let early = wait_notice(&manager, "READY=1");
    assert!(early.iter().all(|notice| notice == "WATCHDOG=1"), "{early:?}");
    for _ in 0..3 {
        wait_notice(&manager, "WATCHDOG=1");
    }
    let id = push(&server, &["q", "x"]);
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);

    runner.signal(Signal::HUP);
    wait_notice(&manager, "RELOADING=1");
    wait_notice(&manager, "READY=1");
    std::fs::write(&file, "nonsense").expect("written");
    runner.signal(Signal::HUP);
    wait_notice(&manager, "RELOADING=1");
    wait_notice(&manager, "READY=1");

    runner.terminate();
    let late = wait_notice(&manager, "STOPPING=1");
    assert!(late.iter().all(|notice| notice == "WATCHDOG=1"), "{late:?}");
    stopped(&mut runner);
}

#[test]
fn a_runner_without_systemd_runs_all_the_same() {
    let server = Server::start();
    let file = configure(&server, &PLAIN, "exit 0");
    let mut command = Command::new(binary("stanchion-runner"));
    command.arg("run").arg(&file).env("NOTIFY_SOCKET", "/nowhere/notify");
    let mut runner = Process::start(&mut command);
    wait_for(&runner, &["NOTIFY_SOCKET names nothing that can be told"]);
    let id = push(&server, &["q", "x"]);
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
}
