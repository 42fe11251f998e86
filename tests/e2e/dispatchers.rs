//! The runner's other dispatchers against a real server: workers that live on, and commands that take jobs by
//! themselves. What a job is told and what its answers mean is tested beside the dispatchers.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use stanchion_tests::{Process, Server, binary};

use crate::job_host::{Witness, came_back, field, push, stat, stopped, wait_for};

/// Starts a runner with one group over all queues and this dispatcher.
fn runner(server: &Server, slots: u32, dispatcher: &str) -> Process {
    let toml = format!(
        "[server]\nurl = \"redis://{}\"\n[runner]\nname = \"tested\"\nlease = \"2s\"\n\
         [groups.all]\nslots = {slots}\ninclude = [\"*\"]\ndispatcher = \"d\"\n[dispatchers.d]\n{dispatcher}\n",
        server.address(),
    );
    let file = server.directory().join("runner.toml");
    std::fs::write(&file, toml).expect("the configuration is written");
    Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file))
}

/// The dispatcher of a pool whose worker answers every job with this Python code, which has `job`, `payload`,
/// `answer(status)` and `argv`; the first argument is the server's directory.
fn pool(server: &Server, code: &str, rest: &str) -> String {
    let program = format!(
        "import json, os, signal, sys, time\nstdin, stdout, argv = sys.stdin.buffer, sys.stdout.buffer, sys.argv\n\
         def answer(status):\n    stdout.write(json.dumps({{'id': job['id'], 'status': status}}).encode() + b'\\n')\n    stdout.flush()\n\
         while line := stdin.readline():\n    job = json.loads(line)\n    payload = stdin.read(job['bytes'])\n    {code}\n"
    );
    let path = server.directory().join("worker.py");
    std::fs::write(&path, program).expect("the worker is written");
    format!("kind = \"pool\"\ncommand = [\"python3\", {path:?}, {:?}]\n{rest}", server.directory())
}

#[test]
fn a_pool_does_every_job_once() {
    let server = Server::start();
    let mut connection = server.connect();
    for n in 0..2_000 {
        connection.call(&["QPUSH", "q", &format!("payload {n}")]);
    }
    let dispatcher = pool(&server, "answer('done')", "batch = 16\njobs-max = 100");
    let mut runner = runner(&server, 32, &dispatcher);
    let last = push(&server, &["q", "last"]);
    wait_for(&runner, &["job ended", &last, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "claims")), (2_001, 2_001));
    assert_eq!((stat(&server, "q", "nacked"), stat(&server, "q", "released")), (0, 0));
}

#[test]
fn workers_die_with_a_killed_runner_and_their_jobs_come_back() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let code = "fifo = open(argv[1] + '/witness', 'w'); signal.signal(signal.SIGTERM, signal.SIG_IGN); \
                fifo.write('up\\n'); fifo.flush(); signal.pause(); signal.pause()";
    let mut runner = runner(&server, 1, &pool(&server, code, ""));
    witness.wait_line("up");
    runner.kill();
    witness.wait_gone();
    came_back(&server, &id);
}

#[test]
fn idle_workers_leave_with_their_runner() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let code = "fifo = open(argv[1] + '/witness', 'w'); answer('done')";
    let mut runner = runner(&server, 1, &pool(&server, code, "kill-after = \"10m\""));
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    wait_for(&runner, &["worker ended", "exit code 0"]);
    stopped(&mut runner);
    witness.wait_gone();
}

/// A drain whose command is this shell script; `$1` is the server's directory, `$2` its port, `$3` the queue.
fn drain(server: &Server, script: &str, rest: &str) -> String {
    format!(
        "kind = \"drain\"\ncommand = [\"/bin/sh\", \"-c\", {script:?}, \"sh\", {:?}, \"{}\", \"{{queue}}\"]\n\
         poll = \"100ms\"\n{rest}",
        server.directory(),
        server.address().port(),
    )
}

/// Claims one job in raw replies: queue, receipt, payload, attempt, one a line; acks it and says its payload.
const POP_ONE: &str = r#"set -- "$1" "$2" $(redis-cli -p "$2" QCLAIM "$3")
    test -n "$4" && redis-cli -p "$2" QACK "$3" "$4" >&2 && echo "$5" >"$1/witness""#;

/// A witness of processes that come and go: this holds its fifo open meanwhile.
fn lasting_witness(server: &Server) -> (Witness, std::fs::File) {
    let witness = Witness::new(server);
    let holder =
        OpenOptions::new().write(true).open(server.directory().join("witness")).expect("the fifo opens");
    (witness, holder)
}

#[test]
fn a_drain_starts_commands_while_a_queue_has_jobs_and_never_more_than_slots() {
    let server = Server::start();
    let (mut witness, _holder) = lasting_witness(&server);
    for n in 0..12 {
        push(&server, &[if n < 10 { "many" } else { "few" }, &format!("payload-{n}")]);
    }
    let script = format!("echo + >>\"$1/depth\"; {POP_ONE}\nended=$?; echo - >>\"$1/depth\"; exit $ended");
    let mut runner = runner(&server, 2, &drain(&server, &script, ""));
    for n in 0..12 {
        witness.wait_line(&format!("payload-{n}"));
    }
    push(&server, &["many", "payload-later"]);
    witness.wait_line("payload-later");
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "many", "acked"), stat(&server, "few", "acked")), (11, 2));
    assert_eq!(deepest(&server.directory().join("depth")), 2, "two slots, and both were used");
    for queue in ["many", "few"] {
        wait_for(&runner, &["drain started", queue, "slot="]);
        wait_for(&runner, &["drain ended", queue, "status=\"done\""]);
    }
}

/// The largest number of `+` that had no `-` yet.
fn deepest(file: &Path) -> i32 {
    let text = std::fs::read_to_string(file).expect("every process has written to it");
    let depths = text.lines().scan(0, |depth, line| {
        *depth += if line == "+" { 1 } else { -1 };
        Some(*depth)
    });
    depths.max().unwrap_or(0)
}

#[test]
fn a_drain_that_fails_or_does_nothing_waits() {
    let server = Server::start();
    let failing = push(&server, &["failing", "x"]);
    push(&server, &["idle", "x"]);
    push(&server, &["busy", "x"]);
    let script = r#"echo started >>"$1/started-$3"
        case $3 in failing) echo boom >&2; exit 3;; busy) exit 75;; esac"#;
    let mut runner = runner(&server, 3, &drain(&server, script, ""));
    wait_for(&runner, &["drain ended", "failing", "status=\"failed\"", "boom"]);
    wait_for(&runner, &["drain ended", "queue=\"idle\"", "status=\"idle\""]);
    wait_for(&runner, &["drain ended", "queue=\"busy\"", "status=\"idle\""]);
    // A queue that comes now is seen: the pauses are the others' alone.
    push(&server, &["new", "x"]);
    wait_for(&runner, &["drain ended", "queue=\"new\"", "status=\"idle\""]);
    runner.terminate();
    stopped(&mut runner);
    let job = server.connect().call(&["QJOB", "failing", &failing]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("ready", 0));
    assert_eq!(stat(&server, "failing", "claims"), 0, "the runner claims nothing itself");
}

#[test]
fn a_stopping_runner_lets_drains_finish_and_ends_those_that_do_not() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    push(&server, &["q", "x"]);
    let script = r#"exec >"$1/witness"; echo up; sh -c 'sleep 1000' & sleep 1000"#;
    let toml = drain(
        &server,
        script,
        "kill-after = \"10m\"\n[groups.other]\nslots = 1\ninclude = [\"none\"]\ndispatcher = \"d\"",
    );
    let mut runner = runner(&server, 1, &toml);
    witness.wait_line("up");
    runner.terminate();
    wait_for(&runner, &["stopping", "SIGTERM"]);
    runner.terminate();
    stopped(&mut runner);
    witness.wait_gone();
    wait_for(&runner, &["drain ended", "queue=\"q\"", "status=\"cancelled\""]);
}

#[test]
fn drains_die_with_a_killed_runner() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    push(&server, &["q", "x"]);
    let script = r#"trap '' TERM; exec >"$1/witness"; echo up; sleep 1000; sleep 1000"#;
    let mut runner = runner(&server, 1, &drain(&server, script, ""));
    witness.wait_line("up");
    runner.kill();
    witness.wait_gone();
}
