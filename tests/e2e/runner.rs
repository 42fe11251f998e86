//! The runner against a real server: jobs are done once, nothing outlives its time, and stopping loses nothing.

use std::process::Command;

use stanchion_tests::{Options, Process, Server, binary};

use crate::job_host::{
    Gate, PLAIN, Setup, Witness, came_back, field, push, runner, stat, stopped, wait_for, write_minimal,
};

#[test]
fn every_job_is_done_and_acked() {
    let server = Server::start();
    let ids: Vec<String> = (0..50).map(|n| push(&server, &["q", &format!("payload {n}")])).collect();
    let mut runner = runner(&server, &PLAIN, r#"read -r said; case $said in payload*) ;; *) exit 1;; esac"#);
    for id in &ids {
        wait_for(&runner, &["job ended", id, "status=\"done\"", "attempt=1"]);
    }
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "claims")), (50, 50));
    assert_eq!(stat(&server, "q", "stale-acks"), 0);
}

#[test]
fn exit_codes_decide_what_is_reported() {
    let server = Server::start();
    let failed = push(&server, &["failing", "x"]);
    let released = push(&server, &["busy", "x"]);
    let dead = push(&server, &["nul", "x", "GROUP", "a\0b"]);
    let script = r#"case $JOB_QUEUE in failing) echo boom >&2; exit 3;; busy) exit 75;; esac"#;
    let mut runner = runner(&server, &PLAIN, script);
    for (id, status) in [(&failed, "failed"), (&released, "released"), (&dead, "dead")] {
        wait_for(&runner, &["job ended", id, status]);
    }
    runner.terminate();
    stopped(&mut runner);
    let mut connection = server.connect();
    let job = connection.call(&["QJOB", "failing", &failed]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("delayed", 1));
    assert_eq!(field(&job, "last-error").text(), "boom");
    let job = connection.call(&["QJOB", "busy", &released]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("delayed", 0));
    let job = connection.call(&["QJOB", "nul", &dead]);
    assert_eq!(field(&job, "state").text(), "dead");
    assert_eq!(field(&job, "last-error").text(), "NUL in the job's group: no process can be told it");
}

#[test]
fn a_lease_is_extended_while_the_job_runs() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "lease = \"1s\"", ..PLAIN };
    let mut runner = runner(&server, &setup, r#"read go <"$1/gate""#);
    wait_for(&runner, &["job started", &id]);
    // Nobody else gets it for well over a lease.
    assert_eq!(server.connect().call(&["QCLAIM", "q", "BLOCK", "2500"]).array().len(), 0);
    gate.let_through();
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "lapsed")), (1, 0));
}

#[test]
fn a_lost_lease_cancels_the_job() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "lease = \"1s\"", ..PLAIN };
    let mut runner = runner(&server, &setup, r#"exec >"$1/witness"; echo up; sleep 1000 & sleep 1000"#);
    witness.wait_line("up");
    assert_eq!(server.connect().call(&["QDEL", "q", &id]).integer(), 1);
    witness.wait_gone();
    wait_for(&runner, &["lease was lost", &id]);
    wait_for(&runner, &["job ended", &id, "status=\"cancelled\""]);
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn when_the_runner_is_killed_its_jobs_go_and_come_back() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "lease = \"1s\"", ..PLAIN };
    let script = r#"trap '' TERM; exec >"$1/witness"; echo up; sh -c 'trap "" TERM; sleep 1000' & sleep 1000; sleep 1000"#;
    let mut runner = runner(&server, &setup, script);
    witness.wait_line("up");
    runner.kill();
    witness.wait_gone();
    came_back(&server, &id);
}

#[test]
fn a_stopping_runner_takes_no_job_along() {
    let server = Server::start();
    let id = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &PLAIN, "exit 0");
    // From here on it waits for a job, or is about to.
    wait_for(&runner, &["job ended", &id]);
    runner.terminate();
    stopped(&mut runner);
    push(&server, &["q", "x"]);
    assert_eq!((stat(&server, "q", "ready"), stat(&server, "q", "claimed")), (1, 0));
    assert_eq!(stat(&server, "q", "acked"), 1);
}

#[test]
fn running_jobs_may_finish_when_it_stops() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "drain = \"10m\"", ..PLAIN };
    let mut runner = runner(&server, &setup, r#"read go <"$1/gate""#);
    wait_for(&runner, &["job started", &id]);
    runner.terminate();
    wait_for(&runner, &["stopping", "SIGTERM"]);
    let waiting = push(&server, &["q", "y"]);
    gate.let_through();
    stopped(&mut runner);
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "ready")), (1, 1));
    assert_eq!(field(&server.connect().call(&["QJOB", "q", &waiting]), "attempts").integer(), 0);
}

#[test]
fn jobs_that_outlast_the_drain_time_are_given_back() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "drain = \"0s\"", ..PLAIN };
    let mut runner = runner(&server, &setup, r#"exec >"$1/witness"; echo up; sleep 1000"#);
    witness.wait_line("up");
    runner.terminate();
    stopped(&mut runner);
    witness.wait_gone();
    let job = server.connect().call(&["QJOB", "q", &id]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("ready", 0));
}

#[test]
fn a_second_signal_hurries() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "drain = \"10m\"", ..PLAIN };
    let script = r#"trap '' TERM; exec >"$1/witness"; echo up; sleep 1000; sleep 1000"#;
    let mut runner = runner(&server, &setup, script);
    witness.wait_line("up");
    runner.terminate();
    wait_for(&runner, &["stopping", "phase=Running"]);
    runner.terminate();
    stopped(&mut runner);
    witness.wait_gone();
    let job = server.connect().call(&["QJOB", "q", &id]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("ready", 0));
}

#[test]
fn low_priority_queues_get_their_share_only() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let low: Vec<String> = (0..6).map(|_| push(&server, &["low", "x"])).collect();
    let normal: Vec<String> = (0..5).map(|_| push(&server, &["normal", "x"])).collect();
    let group = "slots = 4\ninclude = [\"*\"]\nlow-priority = [\"low\"]\nlow-priority-share = 0.25";
    let mut runner = runner(&server, &Setup { group, ..PLAIN }, r#"read go <"$1/gate""#);
    for id in [&low[0], &normal[0], &normal[1], &normal[2]] {
        wait_for(&runner, &["job started", id]);
    }
    assert_eq!((stat(&server, "low", "claimed"), stat(&server, "normal", "claimed")), (1, 3));
    // One after the other: the normal queue has two jobs left, then the low one may have all slots.
    for _ in 0..low.len() + normal.len() {
        gate.let_through();
    }
    for id in low.iter().chain(&normal) {
        wait_for(&runner, &["job ended", id, "status=\"done\""]);
    }
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "low", "acked"), stat(&server, "normal", "acked")), (6, 5));
}

#[test]
fn low_priority_queues_get_all_slots_when_nothing_else_waits() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let low: Vec<String> = (0..4).map(|_| push(&server, &["low", "x"])).collect();
    let group = "slots = 4\ninclude = [\"*\"]\nlow-priority = [\"low\"]\nlow-priority-share = 0.25";
    let mut runner = runner(&server, &Setup { group, ..PLAIN }, r#"read go <"$1/gate""#);
    for id in &low {
        wait_for(&runner, &["job started", id]);
    }
    for _ in &low {
        gate.let_through();
    }
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "low", "acked"), 4);
}

#[test]
fn excluded_queues_are_left_alone() {
    let server = Server::start();
    push(&server, &["uploads", "x"]);
    let id = push(&server, &["mail", "x"]);
    let group = "slots = 1\ninclude = [\"*\"]\nexclude = [\"upl*\"]";
    let mut runner = runner(&server, &Setup { group, ..PLAIN }, "exit 0");
    wait_for(&runner, &["job ended", &id]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "uploads", "claims"), stat(&server, "uploads", "ready")), (0, 1));
}

#[test]
fn a_job_that_ends_while_the_server_is_away_is_reported_when_it_is_back() {
    let options = Options::new();
    let server = options.start();
    let address = server.address();
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &PLAIN, r#"read go <"$1/gate""#);
    wait_for(&runner, &["job started", &id]);
    // A claim's own record may be lost in a crash, and its receipt with it: have it on the disk first.
    server.connect().call(&["WAITAOF", "1", "0", "0"]);
    server.into_process().kill();
    gate.let_through();
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    let server = options.arguments(&["--port", &address.port().to_string()]).start();
    wait_for(&runner, &["the server is back"]);
    let next = push(&server, &["q", "y"]);
    wait_for(&runner, &["job started", &next]);
    gate.let_through();
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "q", "claimed"), 0);
    assert!(server.connect().call(&["QJOB", "q", &id]).field("state").is_none(), "it was acked");
}

#[test]
fn a_server_that_is_no_stanchion_is_refused() {
    let redis = stanchion_tests::RedisServer::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("runner.toml");
    write_minimal(&file, &format!("unix://{}", redis.socket().display()));
    let mut checked = Process::start(Command::new(binary("stanchion-runner")).arg("check").arg(&file));
    assert_eq!(checked.wait().code(), Some(2));
    assert!(checked.output().contains("runner.toml:2: the server at"), "{}", checked.output());
    assert!(checked.output().contains("is not a Stanchion"), "{}", checked.output());
    let mut run = Process::start(Command::new(binary("stanchion-runner")).arg("--config").arg(&file));
    assert_eq!(run.wait().code(), Some(1));
    assert!(run.output().contains("refuses group \"all\""), "{}", run.output());
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let options = Options::new();
    let server = options.start();
    let file = server.directory().join("runner.toml");
    let check = || {
        let mut process = Process::start(Command::new(binary("stanchion-runner")).arg("check").arg(&file));
        let code = process.wait().code();
        (code, process.output())
    };
    write_minimal(&file, &format!("redis://{}", server.address()));
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok; groups: 1, slots: 1, server: "), "{said}");

    let text = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, text.replace("slots", "slot")).expect("written");
    let (code, said) = check();
    assert_eq!(code, Some(2));
    assert!(
        said.contains("runner.toml:4: unknown key \"slot\" in [groups.all]; did you mean \"slots\"?"),
        "{said}"
    );

    server.into_process().kill();
    std::fs::write(&file, text).expect("written");
    let (code, said) = check();
    assert_eq!(code, Some(2));
    assert!(said.contains("does not answer") && said.contains("runner.toml:2"), "{said}");
}
