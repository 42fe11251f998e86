//! `stanchion bench` on real servers: that it works, and that it refuses what it can't do. Nothing here looks at times.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;
use stanchion_bench::process::{Persistence, Process};
use stanchion_tests::{Server, binary};
use tempfile::TempDir;

fn bench(arguments: &[&str]) -> Output {
    Command::new(binary("stanchion")).arg("bench").args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn figures(file: &Path, arguments: &[&str]) -> Json {
    let file = file.join("figures.json");
    let name = file.to_str().expect("a path in UTF-8");
    let output = bench(&[&["run"], arguments, &["--warm-up", "0", "--json", name]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("each job was claimed once and acked once, and none is left"));
    serde_json::from_slice(&std::fs::read(file).expect("the figures are written")).expect("they are JSON")
}

#[test]
fn run_loads_a_server_that_runs_and_leaves_nothing_behind() {
    let server = Server::start();
    let address = server.address().to_string();
    let loads: &[&[&str]] = &[
        &["--jobs", "200", "--depth", "8"],
        &["--jobs", "200", "--rate", "20000", "--arrivals", "poisson", "--seed", "3"],
        &["--jobs", "64", "--batch", "16", "--dedupe", "--groups", "3", "--queues", "5", "--backlog", "100"],
        &["--jobs", "100", "--payload", "32,200,65536", "--acks", "with-claims"],
        &["--jobs", "60", "--producers", "2", "--consumers", "3", "--delay", "20ms", "--batch", "2"],
    ];
    for load in loads {
        let figures = figures(server.directory(), &[&[&address[..]], *load].concat());
        let wanted: u64 = load[1].parse().expect("the number of jobs");
        assert!(figures["jobs"].as_u64() >= Some(wanted), "{load:?}: {figures}");
        let push = &figures["latencies"]["push"];
        assert!(push["p99-us"].as_f64() >= push["p50-us"].as_f64(), "{figures}");
        assert!(figures["server-us-per-job"].is_number(), "the server's process is found: {figures}");
    }
    server.check("> DBSIZE => 0");
}

#[test]
fn run_loads_redis_in_three_ways() {
    let directory = TempDir::with_prefix("stanchion-e2e-").expect("a temporary directory");
    let redis = Process::redis(directory.path(), Persistence::None).expect("Redis starts");
    let address = redis.address().to_string();
    for peer in ["lua", "lists", "streams"] {
        let arguments = [
            &address[..],
            "--peer",
            peer,
            "--jobs",
            "200",
            "--batch",
            "4",
            "--queues",
            "2",
            "--backlog",
            "50",
        ];
        let figures = figures(directory.path(), &arguments);
        assert_eq!(figures["peer"], peer);
        assert!(figures["jobs"].as_u64() >= Some(200), "{figures}");
    }
}

#[test]
fn run_refuses_what_it_can_not_do() {
    let server = Server::start();
    let address = server.address().to_string();
    let refusals: &[(&[&str], &str)] = &[
        (&["--peer", "beanstalkd", "--groups", "2"], "--groups: the peer beanstalkd has no groups"),
        (&["--peer", "lists", "--dedupe"], "--dedupe: the peer lists has no dedupe keys"),
        (&["--peer", "bullmq"], "bullmq is spoken by its own client only"),
        (&["--peer", "rabbitmq"], "invalid value 'rabbitmq'"),
        (&["--delay", "5ms"], "name --producers and --consumers beside --delay"),
        (&["--seed", "5"], "--rate"),
        (&["--depth", "32", "--batch", "32"], "more than 512 jobs under way"),
        (&["--payload", "31"], "a payload of 31 B is not between 32"),
        (&["--rate", "0"], "a number of jobs a second"),
    ];
    for (arguments, message) in refusals {
        let output = bench(&[&["run", &address], *arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
    }
    server.check("> QPUSH bench:jobqueue:refreshLinks0 x");
    let output = bench(&["run", &address, "--jobs", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("holds 1 jobs already"), "{}", text(&output.stderr));
}

#[test]
fn run_loads_beanstalkd_and_jetstream() {
    let directory = TempDir::with_prefix("stanchion-e2e-").expect("a temporary directory");
    let beanstalkd = Process::beanstalkd(directory.path(), "-F").expect("beanstalkd starts");
    let nats = Process::nats(directory.path()).expect("NATS starts");
    let loads: &[(&str, &Process, &[&str])] = &[
        ("beanstalkd", &beanstalkd, &["--batch", "4", "--queues", "3", "--backlog", "20"]),
        ("jetstream", &nats, &["--batch", "4", "--queues", "3", "--backlog", "20", "--dedupe"]),
        ("jetstream", &nats, &["--producers", "1", "--consumers", "2", "--depth", "8"]),
    ];
    for (peer, process, load) in loads {
        let address = process.address().to_string();
        let arguments = [&[&address[..], "--peer", peer, "--jobs", "200"], *load].concat();
        let figures = figures(directory.path(), &arguments);
        assert!(figures["jobs"].as_u64() >= Some(200), "{figures}");
    }
    nats.stop().expect("NATS ends well");
    beanstalkd.stop().expect("beanstalkd ends well");
}

/// All peers, which the gate installs.
#[test]
fn compare_writes_a_report_of_all_peers() {
    let directory = TempDir::with_prefix("stanchion-e2e-").expect("a temporary directory");
    let (out, dir) = (directory.path().join("report"), directory.path().to_str().expect("a path in UTF-8"));
    let bullmq = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/bench/bullmq");
    let peers =
        ["stanchion", "lua", "lists", "streams", "beanstalkd", "jetstream", "floor", "floor-kept", "bullmq"];
    let workloads = "depth-1,dedupe-batch-16,apart,durable-always";
    let out_name = out.to_str().expect("a path in UTF-8");
    let arguments =
        ["compare", "--require-all", "--peers", &peers.join(","), "--workloads", workloads, "--rounds", "2"];
    let output = bench(
        &[&arguments[..], &["--jobs", "100", "--out", out_name, "--dir", dir, "--bullmq", bullmq]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("it is written");
    let results: Json = serde_json::from_str(&read("results.json")).expect("it is JSON");
    let measured = |workload: usize| -> Vec<String> {
        let servers = results["workloads"][workload]["servers"].as_array().expect("servers");
        let measured =
            servers.iter().filter(|server| server["samples"].as_array().is_some_and(|all| all.len() == 2));
        measured.map(|server| server["peer"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(measured(0), peers);
    assert_eq!(
        measured(1),
        ["stanchion", "lua", "jetstream", "floor-kept", "bullmq"],
        "the others have no dedupe keys"
    );
    assert_eq!(measured(2), peers[..8], "BullMQ's client pushes and works side by side");
    let always = ["stanchion", "lua", "lists", "streams", "beanstalkd", "bullmq"];
    assert_eq!(measured(3), always, "JetStream can't sync each write");
    let report = read("report.md");
    for words in ["## durable-always", "jetstream is left out: it has no durability always", "| beanstalkd"] {
        assert!(report.contains(words), "{words} is missing in:\n{report}");
    }
    // A parser that is not ours.
    let parse = "import sys, xml.dom.minidom as m; [m.parse(name) for name in sys.argv[1:]]";
    let plots = ["throughput.svg", "cpu.svg", "latency.svg"].map(|name| out.join(name));
    let parsed = Command::new("python3").args(["-c", parse]).args(plots).output().expect("Python starts");
    assert!(parsed.status.success(), "{}", text(&parsed.stderr));
}

/// Small sizes: that the work is done and proved, and that the tables are there.
#[test]
fn compare_tries_an_attack_and_a_fan_out() {
    let directory = TempDir::with_prefix("stanchion-e2e-").expect("a temporary directory");
    let (out, dir) = (directory.path().join("report"), directory.path().to_str().expect("a path in UTF-8"));
    let out_name = out.to_str().expect("a path in UTF-8");
    let arguments =
        ["compare", "--workloads", "attack,fan-out", "--size", "2000", "--jobs", "20", "--rounds", "1"];
    let peers = ["--require-all", "--peers", "stanchion,lua,lists,streams,beanstalkd,jetstream"];
    let output = bench(&[&arguments[..], &peers, &["--out", out_name, "--dir", dir]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("it is written");
    let results: Json = serde_json::from_str(&read("results.json")).expect("it is JSON");
    let lines = |trial: usize, server: usize| -> Vec<String> {
        let lines = results["trials"][trial]["servers"][server]["rounds"][0].as_array();
        let names = lines.into_iter().flatten().map(|line| line["line"].as_str().expect("a name").to_owned());
        names.collect()
    };
    let all =
        ["alone", "busy, 1 thread", "busy, 4 threads", "flood", "list", "reclaim", "purge", "all together"];
    assert_eq!(lines(0, 0), all);
    let redis = ["alone", "busy, 1 thread", "busy, 3 threads", "flood", "list", "purge", "all together"];
    for (at, peer) in ["lua", "lists", "streams"].iter().enumerate() {
        assert_eq!(lines(0, 1 + at), redis, "{peer} reclaims nothing");
    }
    assert_eq!(lines(0, 4), ["alone", "busy, 1 thread", "flood"], "beanstalkd lists and purges nothing");
    let edits: Vec<String> = (1..=4).map(|edit| format!("edit {edit} fans out")).collect();
    let fan_out = lines(1, 0);
    assert!(edits.iter().all(|edit| fan_out.contains(edit)), "{fan_out:?}");
    assert_eq!(fan_out.len(), 1 + 4 + 3);
    let superseded = &results["trials"][1]["servers"][0]["rounds"][0][2]["figures"];
    assert!(superseded["leaves"].as_f64() > Some(1_000.0), "most have not run: {superseded}");
    assert_eq!(results["bars"].as_array().map(Vec::len), Some(10 + 9));
    let report = read("report.md");
    for words in ["| lua ", "- jetstream is left out: it asks back", " jobs gone by ", "## fan-out"] {
        assert!(report.contains(words), "{words} is missing in:\n{report}");
    }
    assert!(!out.join("cpu.svg").exists(), "there is nothing to plot");
}

#[test]
fn compare_says_that_memory_is_no_disk() {
    let directory = TempDir::with_prefix_in("stanchion-e2e-", "/dev/shm").expect("a directory in memory");
    let (out, dir) = (directory.path().join("report"), directory.path().to_str().expect("a path in UTF-8"));
    let out_name = out.to_str().expect("a path in UTF-8");
    let arguments = ["compare", "--peers", "stanchion", "--workloads", "depth-1", "--rounds", "1"];
    let output = bench(&[&arguments[..], &["--jobs", "10", "--out", out_name, "--dir", dir]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("is in memory (tmpfs)"), "{}", text(&output.stderr));
    let report = std::fs::read_to_string(out.join("report.md")).expect("it is written");
    assert!(report.contains("is in memory (tmpfs), where a sync costs nothing"), "{report}");
}

#[test]
fn compare_refuses_what_it_does_not_know() {
    let refused: &[&[&str]] = &[
        &["--workloads", "depth-2"],
        &["--peers", "rabbitmq"],
        &["--rounds", "0"],
        &["--size", "999"],
        &["--workloads", "depth-1", "--check"],
        &["--workloads", "attack", "--peers", "lua", "--check"],
    ];
    for arguments in refused {
        let output = bench(&[&["compare"], *arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
}
