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
