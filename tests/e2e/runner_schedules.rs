//! Schedules: each time exactly once, whatever the number of runners, and what was missed once or not at all.

use std::collections::BTreeSet;
use std::process::Command;

use rustix::process::Signal;
use stanchion_tests::{Options, Process, Server, binary};

use crate::job_host::{PLAIN, Setup, configure, runner, stat, stopped, wait_for};

const EVERY_SECOND: &str =
    "[schedules.often]\ncron = \"* * * * * *\"\nqueue = \"ticks\"\npayload = \"tick\"\nmissed = \"skip\"";

/// The last time before now was at the beginning of this year.
const YEARLY: &str = "[schedules.yearly]\ncron = \"0 0 1 1 *\"\nqueue = \"yearly\"\npayload = \"x\"\nmissed = \"once\"\n\
                      [schedules.skipped]\ncron = \"0 0 1 1 *\"\nqueue = \"skipped\"\npayload = \"x\"";

/// A runner that also tells when another one was first.
fn start(server: &Server, setup: &Setup<'_>) -> Process {
    let file = configure(server, setup, "exit 0");
    let log = "info,stanchion_runner::scheduler=debug";
    Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file).env("RUST_LOG", log))
}

/// The time that a line about a push is about, if it is one.
fn tick(line: &str) -> Option<i64> {
    let is_push = line.contains("schedule pushed") || line.contains("another runner has pushed it");
    let (_, tick) = line.split_once("tick=").filter(|_| is_push)?;
    tick.split(' ').next()?.parse().ok()
}

#[test]
fn two_runners_push_each_time_once() {
    let server = Server::start();
    let setup = Setup { dispatcher: EVERY_SECOND, ..PLAIN };
    let mut runners = [start(&server, &setup), start(&server, &setup)];
    let first = runners.iter().map(|runner| runner.wait_line("a time", tick)).max().expect("two");
    for runner in &runners {
        // Both have been there for some times.
        runner.wait_line("three more times", |line| tick(line).filter(|tick| *tick >= first + 3));
    }
    for runner in &mut runners {
        runner.terminate();
        stopped(runner);
    }
    let output = runners.iter().map(Process::output).collect::<Vec<_>>().join("\n");
    let all: Vec<i64> =
        output.lines().filter(|line| line.contains("schedule pushed")).filter_map(tick).collect();
    let different: BTreeSet<&i64> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "one was pushed twice: {all:?}");
    assert_eq!(stat(&server, "ticks", "pushed"), i64::try_from(all.len()).expect("a few"));
    assert!(stat(&server, "ticks", "duplicates") >= 3, "both have pushed");
}

#[test]
fn what_was_missed_is_caught_up_once_or_left_out() {
    let server = Server::start();
    let setup = Setup { dispatcher: YEARLY, ..PLAIN };
    for attempt in 1..=2 {
        let mut runner = start(&server, &setup);
        if attempt == 1 {
            wait_for(&runner, &["schedule pushed", "yearly"]);
            wait_for(&runner, &["job ended", "queue=\"yearly\"", "status=\"done\""]);
        } else {
            wait_for(&runner, &["another runner has pushed it", "yearly"]);
        }
        runner.terminate();
        stopped(&mut runner);
    }
    assert_eq!((stat(&server, "yearly", "pushed"), stat(&server, "yearly", "duplicates")), (1, 1));
    assert_eq!(server.connect().call(&["TYPE", "skipped"]).text(), "none");
}

#[test]
fn a_server_that_was_away_gets_what_it_missed() {
    let options = Options::new();
    let server = options.start();
    let address = server.address();
    let file = configure(&server, &Setup { dispatcher: YEARLY, ..PLAIN }, "exit 0");
    server.into_process().kill();
    let mut runner = Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file));
    wait_for(&runner, &["the schedule's job can't be pushed; trying again"]);
    let server = options.arguments(&["--port", &address.port().to_string()]).start();
    wait_for(&runner, &["job ended", "queue=\"yearly\"", "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "yearly", "pushed"), 1);
}

#[test]
fn a_reload_brings_schedules_and_takes_them_away() {
    let server = Server::start();
    let mut runner = runner(&server, &PLAIN, "exit 0");
    wait_for(&runner, &["runner started"]);
    configure(&server, &Setup { dispatcher: YEARLY, ..PLAIN }, "exit 0");
    runner.signal(Signal::HUP);
    wait_for(&runner, &["[schedules.yearly] is new"]);
    wait_for(&runner, &["schedule pushed", "yearly"]);
    configure(&server, &PLAIN, "exit 0");
    runner.signal(Signal::HUP);
    wait_for(&runner, &["[schedules.yearly] is gone"]);
    runner.terminate();
    stopped(&mut runner);
}
