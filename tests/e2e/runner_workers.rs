//! What runners tell the server of themselves, what they do when operators tell them something, and whether a
//! deploy script can trust `canary`.

use std::process::{Command, Output};

use stanchion_tests::{Process, Server, Value, binary};

use crate::job_host::{Gate, PLAIN, Setup, field, push, runner, stat, stopped, wait_for};

/// What the server knows of the runner of `job_host`.
fn listed(server: &Server) -> Option<Value> {
    let workers = server.connect().call(&["QWORKER", "LIST"]);
    workers.array().iter().find(|worker| field(worker, "name").text() == "tested").cloned()
}

#[test]
fn a_runner_is_listed_while_it_runs() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "version = \"1.34.0\"", ..PLAIN };
    let mut runner = runner(&server, &setup, r#"read go <"$1/gate""#);
    wait_for(&runner, &["job started", &id]);
    let worker = listed(&server).expect("it has beaten before its first claim");
    assert_eq!(field(&worker, "version").text(), "1.34.0");
    assert_eq!(field(&worker, "pid").integer(), i64::from(runner.id()));
    assert_eq!((field(&worker, "slots").integer(), field(&worker, "claimed").integer()), (4, 1));
    assert_eq!(field(&worker, "groups").text(), "all");
    // The next beat knows of the job.
    server.check("? QWORKER LIST => [{name: tested, jobs: 1, ...}]");
    gate.let_through();
    runner.terminate();
    stopped(&mut runner);
    assert!(listed(&server).is_none(), "it has said goodbye");
    let versions = server.connect().call(&["QWORKER", "VERSIONS"]);
    let [line] = versions.array() else { panic!("{versions:?}") };
    assert_eq!((field(line, "version").text().as_str(), field(line, "acked").integer()), ("1.34.0", 1));
}

#[test]
fn a_quiet_runner_finishes_what_it_has_and_claims_again_when_told_to() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &PLAIN, r#"read go <"$1/gate""#);
    wait_for(&runner, &["job started", &id]);
    assert_eq!(server.connect().call(&["QWORKER", "QUIET", "tested"]).text(), "OK");
    wait_for(&runner, &["the server wants quiet: nothing is claimed"]);
    let waiting = push(&server, &["q", "y"]);
    gate.let_through();
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    // Reported although no claim comes by that would take the report along.
    server.check("? QSTATS q => {acked: 1, ready: 1, claimed: 0, ...}");
    assert_eq!(server.connect().call(&["QWORKER", "RESUME", "tested"]).text(), "OK");
    gate.let_through();
    wait_for(&runner, &["job ended", &waiting, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn a_runner_that_is_told_to_stop_drains_and_ends_well() {
    let server = Server::start();
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { settings: "drain = \"10m\"", ..PLAIN };
    let mut runner = runner(&server, &setup, r#"read go <"$1/gate""#);
    wait_for(&runner, &["job started", &id]);
    assert_eq!(server.connect().call(&["QWORKER", "STOP", "tested"]).text(), "OK");
    wait_for(&runner, &["the server wants the runner to stop"]);
    gate.let_through();
    stopped(&mut runner);
    assert_eq!(stat(&server, "q", "acked"), 1);
}

#[test]
fn a_runner_without_permission_to_beat_works_on_and_says_so() {
    let server = Server::start();
    server.check("> ACL SETUSER default -qworker => +OK");
    let id = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &PLAIN, "exit 0");
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    wait_for(&runner, &["the server refuses the runner's beat"]);
    runner.terminate();
    stopped(&mut runner);
}

/// Starts a runner of a version whose jobs are done by this shell script.
fn versioned(server: &Server, version: &str, script: &str) -> Process {
    let toml = format!(
        "[server]\nurl = \"redis://{}\"\n[runner]\nname = \"host-{version}\"\nversion = \"{version}\"\n\
         [groups.all]\nslots = 4\ninclude = [\"*\"]\ndispatcher = \"script\"\n\
         [dispatchers.script]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n",
        server.address()
    );
    let file = server.directory().join(format!("{version}.toml"));
    std::fs::write(&file, toml).expect("the configuration is written");
    Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file))
}

/// Pushes jobs, has a runner of this version do them, and stops it.
fn do_jobs(server: &Server, version: &str, script: &str, queues: &[(&str, usize)]) {
    let mut ids = Vec::new();
    for (queue, jobs) in queues {
        ids.extend((0..*jobs).map(|n| push(server, &[queue, &n.to_string(), "ATTEMPTS", "1"])));
    }
    let mut runner = versioned(server, version, script);
    for id in &ids {
        wait_for(&runner, &["job ended", id]);
    }
    runner.terminate();
    stopped(&mut runner);
}

fn canary(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("redis://{}", server.address());
    let mut command = Command::new(binary("stanchion-runner"));
    let Output { status, stdout, stderr } =
        command.args(["canary", "--url", &url]).args(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn canary_compares_two_versions_queue_by_queue() {
    let server = Server::start();
    do_jobs(&server, "1.0", "exit 0", &[("mail", 20), ("thumbs", 20)]);
    do_jobs(&server, "1.1", "exit 0", &[("mail", 12), ("thumbs", 12)]);
    do_jobs(&server, "1.2", r#"test "$JOB_QUEUE" = mail"#, &[("mail", 12), ("thumbs", 12)]);

    let (code, table, _) = canary(&server, &["--version", "1.1", "--against", "1.0", "--min-jobs", "24"]);
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("1.1 is ok"), "{table}");

    let (code, table, said) = canary(&server, &["--version", "1.2", "--against", "1.0", "--min-jobs", "24"]);
    assert_eq!(code, Some(1), "{table}");
    let verdict = |queue: &str| {
        let line = table.lines().find(|line| line.starts_with(queue)).expect("a line for each queue");
        line.rsplit("  ").next().expect("a verdict").to_owned()
    };
    assert_eq!((verdict("mail").as_str(), verdict("thumbs").as_str()), ("ok", "FAILS"), "{table}");
    assert!(said.contains("1.2 fails more than 1.5 times as often as 1.0"), "{said}");

    // The other way round it is an improvement, whatever the ratio.
    let arguments = ["--version", "1.1", "--against", "1.2", "--min-jobs", "1", "--max-failure-ratio", "1"];
    assert_eq!(canary(&server, &arguments).0, Some(0));
}

#[test]
fn canary_waits_for_the_jobs_that_it_was_told_to_wait_for() {
    let server = Server::start();
    do_jobs(&server, "1.0", "exit 0", &[("mail", 10)]);
    let url = format!("redis://{}", server.address());
    let mut waiting = Process::start(Command::new(binary("stanchion-runner")).args([
        "canary",
        "--url",
        &url,
        "--version",
        "2.0",
        "--against",
        "1.0",
        "--min-jobs",
        "10",
    ]));
    do_jobs(&server, "2.0", "exit 0", &[("mail", 10)]);
    assert!(waiting.wait().success(), "{}", waiting.output());
}

#[test]
fn canary_says_why_it_can_not_judge() {
    let server = Server::start();
    do_jobs(&server, "1.0", "exit 0", &[("mail", 1)]);
    for (arguments, wanted) in [
        (
            &["--version", "2.0", "--against", "1.0", "--timeout", "10ms"][..],
            "timeout: 0 attempts of version 2.0",
        ),
        (&["--version", "1.0", "--against", "0.9", "--min-jobs", "1"], "no attempt of version 0.9 has ended"),
        (&["--version", "1.0", "--against", "1.0"], "--version and --against name the same version"),
        (&["--version", "1.0"], "--against"),
        (&["--version", "1.0", "--against", "0.9", "--min-jobs", "0"], "'0'"),
        (&["--version", "1.0", "--against", "0.9", "--max-failure-ratio", "0"], "a number above 0"),
        (&["--version", "1.0", "--against", "0.9", "--timeout", "soon"], "as in 10m"),
    ] {
        let (code, _, said) = canary(&server, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

#[test]
fn canary_finds_the_server_in_the_runners_file() {
    let server = Server::start();
    do_jobs(&server, "1.0", "exit 0", &[("mail", 1)]);
    do_jobs(&server, "1.1", "exit 0", &[("mail", 1)]);
    let file = server.directory().join("1.1.toml");
    let arguments = ["--version", "1.1", "--against", "1.0", "--min-jobs", "1"];
    let output = Command::new(binary("stanchion-runner")).arg("canary").arg(&file).args(arguments).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
