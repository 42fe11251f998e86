//! SIGHUP: the runner reads its file again, jobs that run are left alone, and a file with a mistake changes nothing.

use rustix::process::Signal;
use stanchion_tests::{Process, Server};

use crate::job_host::{
    Gate, PLAIN, Setup, Witness, configure, push, runner, stat, stopped, wait_for, write_minimal,
};

/// Each job waits at the gate.
const WAIT: &str = r#"read go <"$1/gate""#;

/// Has the runner read its file, which is now made of these, and waits until it says so.
#[track_caller]
fn reload(runner: &Process, server: &Server, setup: &Setup<'_>, script: &str, words: &[&str]) {
    wait_for(runner, &["runner started"]);
    configure(server, setup, script);
    runner.signal(Signal::HUP);
    wait_for(runner, words);
}

#[test]
fn more_slots_take_more_jobs_and_fewer_fewer() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let ids: Vec<String> = (0..4).map(|_| push(&server, &["q", "x"])).collect();
    let one = Setup { group: "slots = 1\ninclude = [\"*\"]", ..PLAIN };
    let mut runner = runner(&server, &one, WAIT);
    wait_for(&runner, &["job started", &ids[0]]);
    reload(
        &runner,
        &server,
        &Setup { group: "slots = 3\ninclude = [\"*\"]", ..PLAIN },
        WAIT,
        &["slots 1 → 3"],
    );
    wait_for(&runner, &["job started", &ids[1], "slot=1"]);
    wait_for(&runner, &["job started", &ids[2], "slot=2"]);

    reload(&runner, &server, &one, WAIT, &["slots 3 → 1"]);
    gate.let_through();
    gate.let_through();
    runner.wait_line("two that ended", |line| line.contains("job ended").then_some(()));
    assert!(!runner.output().contains(&ids[3]), "the one slot is in use by who had it: {}", runner.output());
    gate.let_through();
    wait_for(&runner, &["job started", &ids[3]]);
    gate.let_through();
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "q", "acked"), 4);
}

#[test]
fn a_waiting_claim_asks_for_the_new_queues() {
    let server = Server::start();
    let old = Setup { group: "slots = 1\ninclude = [\"old\"]", ..PLAIN };
    let mut runner = runner(&server, &old, "exit 0");
    let first = push(&server, &["old", "x"]);
    wait_for(&runner, &["job ended", &first]);
    let new = Setup { group: "slots = 1\ninclude = [\"new\"]", ..PLAIN };
    reload(&runner, &server, &new, "exit 0", &["configuration reloaded", "changes=1"]);
    // From here on no job begins under the old file, even if the claim that waited brings one.
    push(&server, &["old", "left"]);
    let second = push(&server, &["new", "x"]);
    wait_for(&runner, &["job ended", &second, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "old", "ready"), 1);
}

#[test]
fn a_job_goes_on_under_what_it_began_with() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let mut witness = Witness::new(&server);
    let first = push(&server, &["q", "x"]);
    let old = r#"exec >"$1/witness"; echo up; read go <"$1/gate"; echo old"#;
    let mut runner = runner(&server, &PLAIN, old);
    witness.wait_line("up");
    reload(&runner, &server, &PLAIN, r#"echo new >"$1/witness""#, &["does its jobs otherwise"]);
    let second = push(&server, &["q", "y"]);
    witness.wait_line("new");
    wait_for(&runner, &["job ended", &second]);
    gate.let_through();
    witness.wait_line("old");
    wait_for(&runner, &["job ended", &first, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "q", "acked"), 2);
}

#[test]
fn groups_appear_and_vanish() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let (only_a, only_b) =
        (Setup { group: "slots = 1\ninclude = [\"a\"]", ..PLAIN }, "slots = 1\ninclude = [\"zzz\"]");
    let both = Setup {
        group: "slots = 1\ninclude = [\"a\"]\n[groups.more]\nslots = 2\ninclude = [\"b\"]\ndispatcher = \"script\"",
        ..PLAIN
    };
    let mut runner = runner(&server, &only_a, WAIT);
    let in_b = push(&server, &["b", "x"]);
    reload(&runner, &server, &both, WAIT, &["[groups.more] is new, with 2 slots"]);
    wait_for(&runner, &["job started", &in_b]);

    reload(&runner, &server, &Setup { group: only_b, ..PLAIN }, WAIT, &["[groups.more] is gone"]);
    push(&server, &["b", "left"]);
    gate.let_through();
    wait_for(&runner, &["job ended", &in_b, "status=\"done\""]);
    wait_for(&runner, &["the group has left", "more"]);
    assert_eq!((stat(&server, "b", "acked"), stat(&server, "b", "ready")), (1, 1), "reported before it left");
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "b", "acked"), stat(&server, "b", "ready")), (1, 1));
}

#[test]
fn a_file_with_a_mistake_changes_nothing_and_is_reported() {
    let server = Server::start();
    let mut runner = runner(&server, &PLAIN, "exit 0");
    let first = push(&server, &["q", "x"]);
    wait_for(&runner, &["job ended", &first]);

    let misspelt = Setup { group: "slots = 9\ninclude = [\"nothing\"]\nexlude = [\"q\"]", ..PLAIN };
    reload(&runner, &server, &misspelt, "exit 0", &["configuration not reloaded", "goes on as before"]);
    wait_for(&runner, &["line=10", "unknown key \"exlude\"", "did you mean \"exclude\"?"]);
    let second = push(&server, &["q", "x"]);
    wait_for(&runner, &["job ended", &second, "status=\"done\""]);

    // What only a start can decide takes nothing of the rest of its file along.
    write_minimal(&server.directory().join("runner.toml"), "redis://127.0.0.1:1");
    runner.signal(Signal::HUP);
    wait_for(&runner, &["configuration not reloaded", "[server] url can't change while the runner runs"]);
    std::fs::remove_file(server.directory().join("runner.toml")).expect("it is there");
    runner.signal(Signal::HUP);
    wait_for(&runner, &["configuration not reloaded", "can't be read"]);
    let third = push(&server, &["q", "x"]);
    wait_for(&runner, &["job ended", &third, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "q", "acked"), 3);
}

#[test]
fn a_shorter_lease_is_kept_from_the_reload_on() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let long = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &PLAIN, WAIT);
    wait_for(&runner, &["job started", &long]);
    let short = Setup { settings: "lease = \"1s\"", ..PLAIN };
    reload(&runner, &server, &short, WAIT, &["[runner] lease 30s → 1s"]);
    let id = push(&server, &["q", "x"]);
    wait_for(&runner, &["job started", &id]);
    // Nobody else gets it for well over the new lease, though the keeper was asleep for a third of the old one.
    assert_eq!(server.connect().call(&["QCLAIM", "q", "BLOCK", "2500"]).array().len(), 0);
    gate.let_through();
    gate.let_through();
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "lapsed")), (2, 0));
}
