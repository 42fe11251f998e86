//! What a runner shows to those who watch over it: /health, /metrics, and silence when there is nothing to do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use stanchion_tests::{Options, PATIENCE, Process, Server};

use crate::job_host::{PLAIN, Setup, push, runner, stopped, wait_for};

const WATCHED: Setup<'static> = Setup { settings: "http = \"127.0.0.1:0\"", ..PLAIN };

/// Where the pages of a runner, or of a server, are.
#[track_caller]
pub(crate) fn pages(runner: &Process) -> SocketAddr {
    runner.wait_line("where its pages are", |line| {
        let (_, address) = line.split_once("listening for /health and /metrics address=")?;
        address.trim().parse().ok()
    })
}

/// Asks for a page; its status and its body.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).expect("a connection is accepted");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).expect("a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// The value of a sample, named with its labels.
#[track_caller]
pub(crate) fn sample(page: &str, name: &str) -> f64 {
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

#[test]
fn metrics_count_jobs_by_queue_and_end() {
    let server = Server::start();
    let ids = ["fine", "fine", "bad"].map(|queue| push(&server, &[queue, "x"]));
    let mut runner = runner(&server, &WATCHED, r#"test "$JOB_QUEUE" = fine"#);
    for id in &ids {
        wait_for(&runner, &["job ended", id]);
    }
    let (status, page) = ask(pages(&runner), "GET /metrics");
    assert_eq!(status, 200);
    assert_eq!(sample(&page, r#"stanchion_runner_jobs_ended_total{queue="fine",status="done"}"#), 2.0);
    assert_eq!(sample(&page, r#"stanchion_runner_jobs_ended_total{queue="bad",status="failed"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_runner_job_run_seconds_bucket{queue="fine",le="+Inf"}"#), 2.0);
    assert_eq!(sample(&page, r#"stanchion_runner_job_wait_seconds_count{queue="bad"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_runner_slots{group="all"}"#), 4.0);
    assert_eq!(sample(&page, "stanchion_runner_config_current"), 1.0);
    assert_eq!(sample(&page, "stanchion_runner_stuck"), 0.0);
    assert!(sample(&page, "process_resident_memory_bytes") > 1e6);
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn health_says_when_the_server_is_gone_and_when_it_is_back() {
    let options = Options::new();
    let server = options.start();
    let address = server.address();
    let mut runner = runner(&server, &WATCHED, "exit 0");
    let pages = pages(&runner);
    assert_eq!(ask(pages, "GET /health"), (200, "ok\n".to_owned()));
    server.into_process().kill();
    let (status, body) = ask(pages, "GET /health");
    assert_eq!(status, 503);
    assert!(body.starts_with("failing\nserver unreachable: 127.0.0.1:"), "{body}");
    wait_for(&runner, &["the server is away"]);
    assert_eq!(sample(&ask(pages, "GET /metrics").1, r#"stanchion_runner_server_up{group="all"}"#), 0.0);
    let _server = options.arguments(&["--port", &address.port().to_string()]).start();
    wait_for(&runner, &["the server is back"]);
    assert_eq!(ask(pages, "GET /health"), (200, "ok\n".to_owned()));
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn other_requests_are_refused() {
    let server = Server::start();
    let mut runner = runner(&server, &WATCHED, "exit 0");
    let pages = pages(&runner);
    assert_eq!(ask(pages, "GET /healthz"), (404, "there are /health and /metrics\n".to_owned()));
    assert_eq!(ask(pages, "POST /health"), (405, "only GET and HEAD\n".to_owned()));
    assert_eq!(ask(pages, "HEAD /health"), (200, String::new()));
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn a_runner_that_can_not_be_watched_does_not_start() {
    let server = Server::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let settings = format!("http = \"{}\"", taken.local_addr().expect("an address"));
    let setup = Setup { settings: &settings, ..PLAIN };
    let id = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &setup, "exit 0");
    assert_eq!(runner.wait().code(), Some(1));
    let said = runner.output();
    assert!(said.contains("can't be listened to: address in use"), "{said}");
    assert!(!said.contains(&id), "it took a job: {said}");
}

#[test]
fn a_runner_without_work_sends_nothing() {
    let server = Server::start();
    let mut runner = runner(&server, &WATCHED, "exit 0");
    let id = push(&server, &["q", "x"]);
    wait_for(&runner, &["job ended", &id]);
    let mut connection = server.connect();
    // Its heartbeat aside, and what this test sends itself.
    let mut calls = || -> Vec<String> {
        let info = connection.call(&["INFO", "commandstats"]).text();
        // Two seconds pass on the server.
        assert_eq!(connection.call(&["QCLAIM", "nothing", "BLOCK", "2000"]).array().len(), 0);
        let lines = info.lines().filter_map(|line| Some(line.split_once(",usec=")?.0.to_owned()));
        lines.filter(|line| !["info", "qclaim", "qworker"].iter().any(|name| line.contains(name))).collect()
    };
    // The report of the one job comes after the line about it.
    let (_, before) = (calls(), calls());
    assert_eq!(before, calls());
    runner.terminate();
    stopped(&mut runner);
}
