//! Jobs and machines that misbehave: whatever happens, a job is done once or tried again, nothing of it is left
//! behind, and a line of the log says so. Runners and servers that are killed or restarted are in `runner.rs`.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use stanchion_tests::{Connection, Options, Server, Value, resident_bytes_peak};

use crate::job_host::{Gate, PLAIN, Setup, Witness, field, push, runner, stat, stopped, wait_for};

/// State, attempts and last error of a job.
fn fate(connection: &mut Connection, queue: &str, id: &str) -> (String, i64, String) {
    let job = connection.call(&["QJOB", queue, id]);
    (field(&job, "state").text(), field(&job, "attempts").integer(), field(&job, "last-error").text())
}

#[test]
fn a_job_that_defies_everything_is_gone_and_tried_again() {
    let server = Server::start();
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    let setup = Setup { dispatcher: "timeout = \"500ms\"\nkill-after = \"100ms\"", ..PLAIN };
    // It ignores SIGTERM, has a child that does, and a grandchild that has left for a session of its own.
    let script = r#"trap '' TERM; exec >"$1/witness"; sh -c 'trap "" TERM; sleep 1000' &
        setsid sh -c 'trap "" TERM; sleep 1000 & sleep 1000' & echo up; sleep 1000; sleep 1000; sleep 1000"#;
    let mut runner = runner(&server, &setup, script);
    witness.wait_line("up");
    wait_for(&runner, &["job ended", &id, "status=\"failed\"", "timed out after 500ms"]);
    witness.wait_gone();
    runner.terminate();
    stopped(&mut runner);
    let fate = fate(&mut server.connect(), "q", &id);
    assert_eq!(fate, ("delayed".into(), 1, "timed out after 500ms".into()));
}

#[test]
fn a_gigabyte_on_stderr_costs_the_runner_nothing() {
    let server = Server::start();
    let id = push(&server, &["q", "x"]);
    let script = "head -c 1073741824 /dev/zero | tr '\\0' 'x' >&2; echo the end >&2; exit 1";
    let mut runner = runner(&server, &PLAIN, script);
    let line = wait_for(&runner, &["job ended", &id, "status=\"failed\"", "the end"]);
    assert!(line.len() < 2 * 4096, "the log has {} bytes of it", line.len());
    let peak = resident_bytes_peak(runner.id());
    assert!(peak < 64 << 20, "the runner took {peak} bytes");
    runner.terminate();
    stopped(&mut runner);
    let (state, attempts, error) = fate(&mut server.connect(), "q", &id);
    assert_eq!((state.as_str(), attempts, error.len()), ("delayed", 1, 4096 - "\n".len()));
    assert!(error.ends_with("the end"), "{error}");
}

#[test]
fn signals_and_leaks_are_failures_with_a_reason() {
    let server = Server::start();
    let leaking = push(&server, &["leaking", "x"]);
    let crashing = push(&server, &["crashing", "x"]);
    let aborting = push(&server, &["aborting", "x"]);
    let script = r#"case $JOB_QUEUE in
        crashing) kill -SEGV $$;;
        aborting) exec python3 -c 'import os; os.abort()';;
        leaking) ulimit -v 400000; exec python3 -c 'kept = []
while True: kept.append(bytearray(1 << 20))';;
        esac"#;
    let mut runner = runner(&server, &PLAIN, script);
    wait_for(&runner, &["job ended", &crashing, "status=\"failed\"", "killed by signal 11"]);
    wait_for(&runner, &["job ended", &aborting, "status=\"failed\"", "killed by signal 6"]);
    wait_for(&runner, &["job ended", &leaking, "status=\"failed\"", "MemoryError"]);
    runner.terminate();
    stopped(&mut runner);
    for (queue, id) in [("leaking", &leaking), ("crashing", &crashing), ("aborting", &aborting)] {
        let (state, attempts, _) = fate(&mut server.connect(), queue, id);
        assert_eq!((state.as_str(), attempts), ("delayed", 1), "{queue}");
    }
}

#[test]
fn jobs_leave_no_zombie_and_no_descriptor() {
    let server = Server::start();
    let setup = Setup { group: "slots = 1\ninclude = [\"*\"]", ..PLAIN };
    let first = push(&server, &["q", "x"]);
    // Each leaves a child of its own behind.
    let mut runner = runner(&server, &setup, "sleep 1000 & exit 0");
    wait_for(&runner, &["job ended", &first]);
    let before = descriptors(runner.id());
    let ids: Vec<String> = (0..200).map(|_| push(&server, &["q", "x"])).collect();
    for id in &ids {
        wait_for(&runner, &["job ended", id, "status=\"done\""]);
    }
    // There is one slot, and the last job's processes were gone when its end was logged.
    let left = children(runner.id());
    let zombies = left.iter().filter(|status| status.contains("State:\tZ")).count();
    assert_eq!((left.len(), zombies), (1, 0), "the shim waits for the next job, and that is all: {left:?}");
    // The connection that reports while a claim waits may have been opened meanwhile.
    let after = descriptors(runner.id());
    assert!(after <= before + 2, "{before} descriptors, then {after}");
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(&server, "q", "acked"), 201);
}

fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs").count()
}

/// What the kernel says of a process's children, zombies among them.
fn children(process: u32) -> Vec<String> {
    let parent = format!("PPid:\t{process}");
    let processes = std::fs::read_dir("/proc").expect("there are processes");
    let statuses =
        processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("status")).ok());
    statuses.filter(|status| status.lines().any(|line| line == parent)).collect()
}

#[test]
fn memory_limits_are_refused_where_they_can_not_be_kept_to() {
    let server = Server::start();
    let setup = Setup { dispatcher: "memory-max = \"1GiB\"", ..PLAIN };
    let file = crate::job_host::configure(&server, &setup, "exit 0");
    for command in ["check", "run"] {
        // A shell in between: a cgroup with other processes than the runner's is not the runner's to arrange.
        let output = Command::new("/bin/sh")
            .args(["-c", "\"$@\"; exit $?", "sh"])
            .arg(stanchion_tests::binary("stanchion-runner"))
            .arg(command)
            .arg(&file)
            .output()
            .expect("a shell starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("runner.toml:13: memory-max can't be kept to: "), "{command}: {said}");
        assert!(said.contains("write Delegate=yes into the runner's systemd unit"), "{command}: {said}");
    }
}

/// A network of its own with one cable to this one; gone with this.
struct Network {
    name: String,
    cable: String,
    /// This side's address.
    address: String,
}

impl Network {
    fn new() -> Network {
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NETWORKS.fetch_add(1, Ordering::Relaxed));
        let name = format!("stanchion-{process}-{number}");
        // A name of at most 15 characters, and four addresses of a block that is for private networks.
        let (cable, far_end) = (format!("sn{number}-{process}"), format!("sf{number}-{process}"));
        let block = ((process * 8 + number) % 16_000) * 4;
        let at = |host: u32| format!("10.203.{}.{}", block / 256 % 250, block % 256 + host);
        let network = Network { name, cable, address: at(1) };
        network.ip(&format!("netns add {}", network.name));
        network
            .ip(&format!("link add {} type veth peer name {far_end} netns {}", network.cable, network.name));
        network.ip(&format!("addr add {}/30 dev {}", network.address, network.cable));
        network.ip(&format!("link set {} up", network.cable));
        network.ip(&format!("-n {} addr add {}/30 dev {far_end}", network.name, at(2)));
        network.ip(&format!("-n {} link set {far_end} up", network.name));
        network
    }

    fn cut(&self) {
        self.ip(&format!("link set {} down", self.cable));
    }

    fn mend(&self) {
        self.ip(&format!("link set {} up", self.cable));
    }

    fn ip(&self, words: &str) {
        let output = Command::new("ip").args(words.split(' ')).output().expect("ip can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "this test makes a network, for which it must run as root: ip {words}: {said}"
        );
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What can't be taken down is not this test's failure.
        let _ = Command::new("ip").args(["link", "del", &self.cable]).output();
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A server that is also there on the network, and a runner on its other side.
fn apart(network: &Network, settings: &str, script: &str) -> (Server, stanchion_tests::Process) {
    let options = Options::new()
        .configuration(&format!("bind = [\"127.0.0.1\", \"{}\"]\nprotected-mode = false\n", network.address));
    let server = options.start();
    let setup = Setup { settings, group: "slots = 1\ninclude = [\"*\"]", ..PLAIN };
    let file = crate::job_host::configure(&server, &setup, script);
    let text = std::fs::read_to_string(&file).expect("it was written");
    let there = format!("{}:{}", network.address, server.address().port());
    std::fs::write(&file, text.replace(&server.address().to_string(), &there)).expect("written");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &network.name]).arg(stanchion_tests::binary("stanchion-runner"));
    let runner = stanchion_tests::Process::start(command.arg("run").arg(file));
    (server, runner)
}

#[test]
fn a_network_cut_during_a_job_gives_it_to_somebody_else() {
    let network = Network::new();
    let script = r#"exec >"$1/witness"; echo up; sleep 1000 & sleep 1000"#;
    let (server, mut runner) = apart(&network, "lease = \"2s\"", script);
    let mut witness = Witness::new(&server);
    let id = push(&server, &["q", "x"]);
    witness.wait_line("up");
    network.cut();
    let jobs = server.connect().call(&["QCLAIM", "q", "BLOCK", "60000", "LEASE", "600000"]);
    let [job] = jobs.array() else { panic!("the job did not come back: {jobs:?}") };
    assert_eq!(job.array()[3].integer(), 2, "the second attempt");
    network.mend();
    witness.wait_gone();
    wait_for(&runner, &["lease was lost", &id]);
    wait_for(&runner, &["job ended", &id, "status=\"cancelled\""]);
    assert_eq!(server.connect().call(&["QACK", "q", &job.array()[1].text()]), Value::Integer(1));
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "lapsed")), (1, 1));
}

#[test]
fn a_network_cut_during_a_report_does_the_job_once() {
    let network = Network::new();
    let (server, mut runner) = apart(&network, "lease = \"10m\"", r#"read go <"$1/gate""#);
    let mut gate = Gate::new(&server);
    let id = push(&server, &["q", "x"]);
    wait_for(&runner, &["job started", &id]);
    network.cut();
    gate.let_through();
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    network.mend();
    // The report goes in front of the claim that brings the next one.
    let next = push(&server, &["q", "y"]);
    wait_for(&runner, &["job started", &next]);
    assert!(server.connect().call(&["QJOB", "q", &id]).field("state").is_none(), "it was acked");
    gate.let_through();
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(&server, "q", "acked"), stat(&server, "q", "claims")), (2, 2));
    assert_eq!((stat(&server, "q", "lapsed"), stat(&server, "q", "stale-acks")), (0, 0));
}
