//! What a server shows to those who watch over it: /health and /metrics, from the first moment to the last.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use stanchion_tests::{Connection, Options, PATIENCE, Server, Value};

use crate::runner_status::{ask, pages, sample};

/// A server with pages.
pub(crate) fn watched() -> Options {
    Options::new().arguments(&["--http", "127.0.0.1:0"])
}

fn metrics(server: &Server) -> String {
    let (status, page) = ask(pages(server), "GET /metrics");
    assert_eq!(status, 200);
    page
}

#[track_caller]
fn has_no(page: &str, name: &str) {
    assert!(!page.lines().any(|line| line.starts_with(name)), "there is {name} in\n{page}");
}

#[test]
fn metrics_tell_of_the_jobs_of_each_queue() {
    let server = watched().start();
    server.check(
        "
        > QMPUSH mail a NEXT b NEXT c NEXT d DELAY 60000
        > QPUSH mail once DEDUPE k
        > QPUSH mail twice DEDUPE k => nil
        > QCLAIM mail COUNT 3 WORKER w => [[mail, $r1, a, 1], [mail, $r2, b, 1], [mail, $r3, c, 1]]
        > QACK mail $r1 => 1
        > QNACK mail $r2 DEAD => dead
        > QPUSH idle x
        > QPAUSE idle
        ",
    );
    let page = metrics(&server);
    for (state, jobs) in [("ready", 1.0), ("delayed", 1.0), ("claimed", 1.0), ("dead", 1.0)] {
        let name = format!(r#"stanchion_queue_jobs{{queue="mail",state="{state}"}}"#);
        assert_eq!(sample(&page, &name), jobs, "{state}");
    }
    for (event, count) in [
        ("pushed", 5.0),
        ("duplicate", 1.0),
        ("claimed", 3.0),
        ("acked", 1.0),
        ("nacked", 1.0),
        ("died", 1.0),
        ("lapsed", 0.0),
    ] {
        let name = format!(r#"stanchion_queue_events_total{{queue="mail",event="{event}"}}"#);
        assert_eq!(sample(&page, &name), count, "{event}");
    }
    for (name, value) in [
        ("stanchion_queues", 2.0),
        ("stanchion_queues_left_out", 0.0),
        (r#"stanchion_queue_workers{queue="mail"}"#, 1.0),
        (r#"stanchion_queue_paused{queue="idle",what="claim"}"#, 1.0),
        (r#"stanchion_queue_paused{queue="idle",what="push"}"#, 0.0),
        (r#"stanchion_queue_wait_seconds_count{queue="mail"}"#, 3.0),
        (r#"stanchion_queue_wait_seconds_bucket{queue="mail",le="+Inf"}"#, 3.0),
        (r#"stanchion_queue_run_seconds_count{queue="mail"}"#, 2.0),
        (r#"stanchion_phase{phase="serving"}"#, 1.0),
        (r#"stanchion_phase{phase="loading"}"#, 0.0),
        (r#"stanchion_disk_space{level="ample"}"#, 1.0),
        ("stanchion_memory_full", 0.0),
    ] {
        assert_eq!(sample(&page, name), value, "{name}");
    }
    assert!(sample(&page, r#"stanchion_queue_memory_bytes{queue="mail"}"#) > 1_000.0);
    has_no(&page, r#"stanchion_queue_wait_seconds_count{queue="idle"}"#);
    has_no(&page, "stanchion_loading_bytes");
}

#[test]
fn metrics_tell_of_commands_connections_and_the_log() {
    let server = watched().start();
    server.check(
        "
        > QMPUSH mail a NEXT b
        > QPUSH mail x BOGUS => -ERR *
        > QLEN mail => 2
        > BLPOP mail 0 => -ERR *
        ",
    );
    let page = metrics(&server);
    assert_eq!(sample(&page, r#"stanchion_commands_total{command="qmpush"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_command_failures_total{command="qpush",why="failed"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_command_seconds_count{command="qmpush"}"#), 1.0);
    assert!(sample(&page, r#"stanchion_errors_total{code="ERR"}"#) >= 2.0);
    assert!(sample(&page, "stanchion_connections_accepted_total") >= 2.0);
    assert_eq!(sample(&page, "stanchion_connections_refused_total"), 0.0);
    assert!(sample(&page, "stanchion_network_received_bytes_total") > 50.0);
    assert!(sample(&page, "stanchion_log_bytes") > 100.0);
    assert!(sample(&page, "stanchion_log_live_bytes") > 10.0);
    assert!(sample(&page, "stanchion_log_appended_bytes_total") > 10.0);
    assert_eq!(sample(&page, "stanchion_log_write_amplification"), 1.0);
    assert!(sample(&page, "stanchion_log_sync_seconds_count") >= 1.0);
    assert!(sample(&page, "stanchion_disk_left_bytes") > 1e6);
    assert!(sample(&page, "stanchion_memory_budget_bytes") > 1e6);
    assert!(sample(&page, "stanchion_uptime_seconds") > 0.0);
    assert!(sample(&page, "process_open_fds") > 3.0);
}

#[test]
fn the_biggest_queues_are_shown_and_the_others_summed() {
    const QUEUES: usize = 250;
    let server = watched().start();
    let mut connection = server.connect();
    for n in 0..QUEUES {
        let jobs = if n < 200 { 2 } else { 1 };
        let words: Vec<String> = (0..jobs)
            .flat_map(|at| [if at == 0 { format!("q{n}") } else { "NEXT".into() }, "x".into()])
            .collect();
        let words: Vec<&str> = ["QMPUSH"].into_iter().chain(words.iter().map(String::as_str)).collect();
        assert_eq!(connection.call(&words).array().len(), jobs);
    }
    let page = metrics(&server);
    assert_eq!(sample(&page, "stanchion_queues"), QUEUES as f64);
    assert_eq!(sample(&page, "stanchion_queues_left_out"), 50.0);
    assert_eq!(sample(&page, r#"stanchion_queue_jobs{queue="q0",state="ready"}"#), 2.0);
    assert_eq!(sample(&page, r#"stanchion_queue_jobs{queue="\\others",state="ready"}"#), 50.0);
    has_no(&page, r#"stanchion_queue_jobs{queue="q249""#);
    has_no(&page, r#"stanchion_queue_events_total{queue="\\others""#);
}

#[test]
fn names_of_any_bytes_are_shown() {
    let server = watched().start();
    server.check(
        r#"
        > QPUSH "a\\b \"c\"\n" x
        > QPUSH "\xff" x
        "#,
    );
    let page = metrics(&server);
    assert_eq!(sample(&page, r#"stanchion_queue_jobs{queue="a\\\\b \"c\"\n",state="ready"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_queue_jobs{queue="\\xff",state="ready"}"#), 1.0);
}

#[test]
fn counters_begin_anew_with_the_process_and_jobs_do_not() {
    let options = watched().arguments(&["--durability", "always"]);
    let server = options.start();
    server.check("> QMPUSH mail a NEXT b\n> QCLAIM mail => [[mail, *, a, 1]]");
    // A claim's reply does not wait for its record, and this one's is behind it.
    server.check("> QPUSH other x");
    server.into_process().kill();
    let server = options.start();
    let page = metrics(&server);
    assert_eq!(sample(&page, r#"stanchion_queue_jobs{queue="mail",state="ready"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_queue_events_total{queue="mail",event="pushed"}"#), 0.0);
    has_no(&page, r#"stanchion_queue_wait_seconds_count{queue="mail"}"#);
    server.check("> QPUSH mail c\n> QSTATS mail => {pushed: 3, ...}");
    let page = metrics(&server);
    assert_eq!(sample(&page, r#"stanchion_queue_events_total{queue="mail",event="pushed"}"#), 1.0);
}

#[test]
fn a_server_that_loads_says_how_far_it_is() {
    let options = watched();
    let mut server = options.start();
    server.check("> QPUSH q kept");
    server.kill();
    // Recovery is made to last: its first read takes three seconds.
    let delay = "inject=pread64:delay_enter=3000000:when=1";
    let slow =
        options.wrapper(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pread64", "-e", delay]);
    let mut process = slow.spawn();
    let pages = pages(&process);
    let (status, health) = ask(pages, "GET /health");
    assert_eq!(status, 503, "{health}");
    assert!(health.starts_with("failing\nloading: ") && health.contains("% of the log read"), "{health}");
    let (status, page) = ask(pages, "GET /metrics");
    assert_eq!((status, sample(&page, r#"stanchion_phase{phase="loading"}"#)), (200, 1.0));
    assert!(sample(&page, "stanchion_loading_bytes") >= 0.0);
    has_no(&page, "stanchion_queues ");
    has_no(&page, "stanchion_log_bytes ");
    let address: SocketAddr =
        process.wait_line("where it listens", |line| line.split_once("listening on ")?.1.trim().parse().ok());
    assert_eq!(ask(pages, "GET /health"), (200, "ok\n".to_owned()));
    let (_, page) = ask(pages, "GET /metrics");
    assert_eq!(sample(&page, r#"stanchion_queue_jobs{queue="q",state="ready"}"#), 1.0);
    // It is strace that a signal would reach.
    let mut connection = Connection::tcp(address).expect("a connection");
    connection.send(&["SHUTDOWN"]).expect("sent");
    assert!(process.wait().success(), "{}", process.output());
}

#[test]
fn work_that_waits_for_workers_that_are_gone_is_a_problem() {
    let server = watched().start();
    server.check("> QPUSH mail x\n> QWORKER BEAT w version 1.0 slots 4 jobs 1 => ok");
    let page = metrics(&server);
    assert_eq!(sample(&page, r#"stanchion_workers{version="1.0"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_worker_slots{version="1.0"}"#), 4.0);
    assert_eq!(sample(&page, "stanchion_workers_gone"), 0.0);
    // Eleven seconds pass on the server.
    server.check("> QCLAIM nothing BLOCK 11000 => []");
    assert_eq!(ask(pages(&server), "GET /health"), (200, "ok\n".to_owned()));
    server.check("> QWORKER BYE w => 0");
    let (status, health) = ask(pages(&server), "GET /health");
    assert_eq!(status, 503, "{health}");
    assert!(
        health.starts_with(
            "failing\nworkers gone: none is heard any more, and 1 ready jobs of 1 queues wait, "
        ) && health.contains(" in queue mail for 1"),
        "{health}"
    );
    assert_eq!(sample(&metrics(&server), "stanchion_workers_gone"), 1.0);
    server.check("> QWORKER BEAT other => ok");
    assert_eq!(ask(pages(&server), "GET /health"), (200, "ok\n".to_owned()));
}

#[test]
fn memory_that_is_full_is_a_problem() {
    let server = watched().configuration("maxmemory = \"1mb\"\n").start();
    let mut connection = server.connect();
    let words: Vec<&str> =
        ["QMPUSH", "q", "x"].into_iter().chain((1..500).flat_map(|_| ["NEXT", "x"])).collect();
    let refused = (0..1_000)
        .find_map(|_| Some(connection.call(&words)).filter(|reply| matches!(reply, Value::Error(_))));
    assert!(refused.is_some_and(|reply| reply.is_error("FULL memory: ")));
    let (status, health) = ask(pages(&server), "GET /health");
    assert_eq!(status, 503, "{health}");
    assert!(health.starts_with("failing\nmemory full: "), "{health}");
    let page = metrics(&server);
    assert_eq!(sample(&page, "stanchion_memory_full"), 1.0);
    let jobs_bytes = sample(&page, "stanchion_memory_jobs_bytes");
    assert!(jobs_bytes >= sample(&page, "stanchion_memory_budget_bytes") * 0.9, "{jobs_bytes}");
}

#[test]
fn those_who_watch_take_no_place_of_a_client() {
    let server = watched().configuration("clients-max = 1\n").start();
    let pages = pages(&server);
    // More than are served at once; none of them asks for anything.
    let mut idle: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(pages).expect("the system takes the connection")).collect();
    let mut connection = server.connect();
    assert_eq!(connection.call(&["QPUSH", "q", "x"]).text().len(), 16);
    // Those that are served end when they ask, and the others come in their turn.
    for socket in &mut idle {
        socket.write_all(b"GET /health HTTP/1.0\r\n\r\n").expect("a request");
    }
    for mut socket in idle {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.ends_with("ok\n"), "{answer}");
    }
    assert_eq!(sample(&metrics(&server), "stanchion_connections"), 1.0);
}

#[test]
fn other_requests_are_refused() {
    let server = watched().start();
    let pages = pages(&server);
    assert_eq!(ask(pages, "GET /"), (404, "there are /health and /metrics\n".to_owned()));
    assert_eq!(ask(pages, "PUT /metrics"), (405, "only GET and HEAD\n".to_owned()));
    assert_eq!(ask(pages, "HEAD /metrics"), (200, String::new()));
    assert_eq!(ask(pages, "QPUSH q x").0, 400);
    let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(10_000));
    let many_headers = format!("GET /health HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200));
    for (request, status) in
        [(long_path.as_bytes(), "431"), (many_headers.as_bytes(), "431"), (&[0; 100_000], "400")]
    {
        let mut socket = TcpStream::connect(pages).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // The end may be a reset, for not all of it is read.
        drop(socket.write_all(request));
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    server.check("> PING => +PONG");
}

#[test]
fn the_address_is_shown_by_config_get() {
    let server = watched().start();
    let address = pages(&server);
    server.check(&format!(
        "> CONFIG GET http => {{http: `{address}`}}\n> CONFIG SET http off => -ERR CONFIG SET failed *"
    ));
    let server = Server::start();
    server.check("> CONFIG GET http => {http: off}");
    assert!(!server.output().contains("/metrics"), "{}", server.output());
    let address = free_address();
    let server = Options::new().environment("STANCHION_HTTP", &address.to_string()).start();
    assert_eq!(pages(&server), address);
    let server = Options::new().configuration("http = \"[::1]:0\"\n").start();
    assert!(pages(&server).is_ipv6());
}

#[test]
fn a_server_that_can_not_be_watched_does_not_start() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut process = Options::new().arguments(&["--http", &address]).spawn();
    assert_eq!(process.wait().code(), Some(1));
    let said = process.output();
    assert!(said.contains(&format!("cannot listen on {address} for /health and /metrics")), "{said}");
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}
