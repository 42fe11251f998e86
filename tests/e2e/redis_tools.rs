//! The tools that come with Redis, for what an operator looks at: redis-cli's modes, redis-benchmark, and an exporter.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use stanchion_tests::{Options, PATIENCE, Process, Server, client_program};

/// Runs a tool to its end; it must succeed and complain of nothing.
fn run(server: &Server, tool: &str, words: &[&str]) -> String {
    let port = server.address().port().to_string();
    let output = Command::new(tool).args(["-p", &port]).args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} does not start: {error}"));
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complained.is_empty(), "{tool} {words:?}: {said}{complained}");
    said.into_owned()
}

/// Starts redis-cli in a mode that has no end; it is killed with what this returns.
fn start(server: &Server, words: &[&str]) -> Process {
    let port = server.address().port().to_string();
    // Its lines are to come one by one, though nobody looks at a terminal.
    Process::start(Command::new("stdbuf").args(["-oL", "redis-cli", "-p", &port]).args(words))
}

#[test]
fn keys_are_scanned_and_measured() {
    let server = Server::start();
    let jobs: String = (0..300).map(|i| format!("> QPUSH queue{i} x\n")).collect();
    server.check(&jobs);
    server.check(&format!("> QPUSH large {}", "x".repeat(100_000)));
    let mut scanned: Vec<String> =
        run(&server, "redis-cli", &["--scan"]).lines().map(str::to_owned).collect();
    scanned.sort_unstable();
    scanned.dedup();
    assert_eq!(scanned.len(), 301);
    let some = run(&server, "redis-cli", &["--scan", "--pattern", "queue29?"]);
    assert_eq!(some.lines().count(), 10, "{some}");
    let largest = run(&server, "redis-cli", &["--bigkeys"]);
    assert!(largest.contains("301 queues"), "{largest}");
    let largest = run(&server, "redis-cli", &["--memkeys"]);
    assert!(largest.contains("Biggest  queue found '\"large\"' has 1"), "{largest}");
}

#[test]
fn the_state_of_the_server_is_shown_as_it_changes() {
    let server = Server::start();
    server.check("> QPUSH a x\n> QPUSH b x");
    let mut stat = start(&server, &["--stat", "-i", "0.05"]);
    let keys = stat.wait_line("a row", |line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        // keys, memory, clients, blocked, requests, connections
        (columns.len() >= 6 && columns[1].ends_with('M')).then(|| columns[0].to_owned())
    });
    assert_eq!(keys, "2", "{}", stat.output());
    server.check("> QPUSH c x");
    stat.wait_line("the third queue", |line| line.starts_with("3 ").then_some(()));
    stat.kill();
}

#[test]
fn latency_is_measured() {
    let server = Server::start();
    let measured = run(&server, "redis-cli", &["--latency", "-i", "1"]);
    let numbers: Vec<f64> =
        measured.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [min, max, average, samples] = numbers[..] else { panic!("{measured}") };
    assert!(min <= average && average <= max && samples > 0.0, "{measured}");
}

#[test]
fn commands_are_watched() {
    let server = Server::start();
    let mut monitor = start(&server, &["MONITOR"]);
    monitor.wait_line("OK", |line| (line == "OK").then_some(()));
    server.check("> QPUSH q hello");
    monitor.wait_line("the push", |line| line.ends_with(r#""QPUSH" "q" "hello""#).then_some(()));
    monitor.kill();
}

#[test]
fn slow_commands_and_latencies_are_shown() {
    let server = Options::new().configuration("slowlog-log-slower-than = 0\n").start();
    server.check("> QPUSH q hello");
    let slow = run(&server, "redis-cli", &["--no-raw", "SLOWLOG", "GET", "9"]);
    assert!(slow.contains("1) \"QPUSH\"") && slow.contains("3) \"hello\""), "{slow}");
    let latency = run(&server, "redis-cli", &["-3", "--no-raw", "LATENCY", "HISTOGRAM", "qpush"]);
    assert!(latency.contains("\"calls\" => (integer) 1"), "{latency}");
    let memory = run(&server, "redis-cli", &["-3", "--no-raw", "MEMORY", "STATS"]);
    assert!(memory.contains("\"dataset.percentage\" => (double) "), "{memory}");
}

#[test]
fn hints_stand_behind_the_prompt() {
    let server = Server::start();
    let script = client_program("redis_cli_hints.py");
    let port = server.address().port().to_string();
    let output = Command::new("python3").arg(script).arg(port).stdin(Stdio::null()).output().expect("python");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "ok\n");
}

#[test]
fn redis_benchmark_runs() {
    let server = Server::start();
    let pings = run(&server, "redis-benchmark", &["-t", "ping", "-n", "2000", "-P", "8", "-q"]);
    assert!(pings.contains("PING_MBULK: ") && pings.contains(" requests per second"), "{pings}");
    let pushes = run(&server, "redis-benchmark", &["-n", "2000", "-q", "QPUSH", "q", "x"]);
    assert!(pushes.contains(" requests per second"), "{pushes}");
    server.check("> QLEN q => 2000");
}

#[test]
fn redis_exporter_scrapes_without_an_error() {
    let server = Options::new().configuration("slowlog-log-slower-than = 0\n").start();
    server.check("> QPUSH mail x\n> QPUSH news x\n> BOGUS => -ERR*");
    // Its port must be known before; the system gives one that nobody has, and gives no other process the same soon.
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let target = format!("redis://{}", server.address());
    let exporter = Process::start(Command::new("prometheus-redis-exporter").args([
        "-redis.addr",
        &target,
        "-web.listen-address",
        &free.to_string(),
    ]));
    let metrics = scrape(free, &exporter);
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("there is no {name} in\n{metrics}")).to_owned()
    };
    assert_eq!(value("redis_up"), "1");
    assert_eq!(value("redis_exporter_last_scrape_error{err=\"\"}"), "0");
    assert_eq!(value("redis_db_keys{db=\"db0\"}"), "2");
    assert_eq!(value("redis_commands_total{cmd=\"qpush\"}"), "2");
    for name in [
        "redis_uptime_in_seconds",
        "redis_connected_clients",
        "redis_blocked_clients",
        "redis_memory_used_bytes",
        "redis_memory_used_rss_bytes",
        "redis_memory_max_bytes",
        "redis_connections_received_total",
        "redis_commands_processed_total",
        "redis_net_input_bytes_total",
        "redis_net_output_bytes_total",
        "redis_rejected_connections_total",
        "redis_slowlog_length",
        "redis_aof_enabled",
        "redis_cpu_sys_seconds_total",
    ] {
        assert!(value(name).parse::<f64>().is_ok_and(|value| value >= 0.0), "{name}");
    }
    let said = exporter.output();
    assert!(!said.contains("level=error") && !said.contains("level=warning"), "{said}");
}

/// The exporter's page, once it listens.
fn scrape(address: SocketAddr, exporter: &Process) -> String {
    let started = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => {
                assert!(started.elapsed() < PATIENCE, "{error}; the exporter said:\n{}", exporter.output());
                std::thread::yield_now();
            }
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it takes the request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it answers");
    assert!(page.starts_with("HTTP/1.0 200"), "{page}");
    page
}
