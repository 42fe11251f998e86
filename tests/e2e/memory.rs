//! MEMORY and OBJECT: what queues take, and how they are kept.

use std::time::{Duration, Instant};

use stanchion_tests::{Options, Server, Value, anonymous_bytes};

#[test]
fn a_queue_takes_memory_for_its_jobs() {
    let server = Server::start();
    server.check(
        r#"
        > MEMORY USAGE q => nil
        > QPUSH q small
        > MEMORY USAGE q => $small
        > MEMORY USAGE q SAMPLES 0 => $small
        > MEMORY USAGE q SAMPLES 5 => $small
        > MEMORY USAGE q SAMPLES -1 => -ERR syntax error
        > MEMORY USAGE q SAMPLES x => -ERR value is not an integer or out of range
        > MEMORY USAGE q BOGUS 1 => -ERR syntax error
        > MEMORY USAGE q SAMPLES => -ERR syntax error
        > MEMORY PURGE => +OK
        > MEMORY DOCTOR => `*queues take*`
        > MEMORY MALLOC-STATS => "Stats not supported for the current allocator"
        > MEMORY HELP => [...]
        > MEMORY BOGUS => -ERR unknown subcommand*
        > MULTI
        > MEMORY USAGE q
        > MEMORY STATS
        > EXEC => [$small, {keys.count: 1, ...}]
        "#,
    );
    let mut connection = server.connect();
    let small = connection.call(&["MEMORY", "USAGE", "q"]).integer();
    connection.call(&["QPUSH", "q", &"x".repeat(1 << 20)]);
    let large = connection.call(&["MEMORY", "USAGE", "q"]).integer();
    assert!(small > 0 && large > small + (1 << 20), "{small} and {large}");
}

#[test]
fn the_server_knows_what_it_takes() {
    let server = Server::start();
    let mut connection = server.connect();
    for version in ["2", "3"] {
        connection.call(&["HELLO", version]);
        let stats = connection.call(&["MEMORY", "STATS"]);
        let number = |name: &str| stats.field(name).unwrap_or_else(|| panic!("{name} in {stats}")).integer();
        assert!(0 < number("dataset.bytes") || number("keys.count") == 0, "{stats}");
        assert!(number("overhead.total") + number("dataset.bytes") == number("total.allocated"), "{stats}");
        let share = stats.field("peak.percentage").expect("a share").to_string();
        assert!(
            share.trim_matches(|c| c == '"' || c == ',').parse::<f64>().is_ok_and(|share| share > 0.0),
            "{share}"
        );
        assert_eq!(matches!(stats, Value::Map(_)), version == "3");
    }
}

#[test]
fn queues_are_objects() {
    Server::start().check(
        r#"
        > OBJECT ENCODING q => nil
        > OBJECT REFCOUNT q => nil
        > OBJECT IDLETIME q => nil
        > OBJECT FREQ q => nil
        > QPUSH q x
        > OBJECT ENCODING q => slab
        > OBJECT REFCOUNT q => 1
        > OBJECT IDLETIME q => 0..60
        > OBJECT FREQ q => -ERR An LFU maxmemory policy is not selected*
        > OBJECT HELP => [...]
        > OBJECT ENCODING => -ERR wrong number of arguments for 'object|encoding' command
        > OBJECT BOGUS q => -ERR unknown subcommand*
        "#,
    );
}

/// What was freed goes back a second later, or two.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn freed_memory_goes_back_while_nobody_asks_for_anything() {
    const JOBS: usize = 100;
    let server = Options::new().arguments(&["--durability", "never"]).start();
    let mut connection = server.connect();
    let payload = "x".repeat(1 << 20);
    // The second time the server has been idle before.
    for round in 1..=2 {
        for _ in 0..JOBS {
            connection.call(&["QPUSH", "q", &payload]);
        }
        let filled = anonymous_bytes(server.id());
        assert!(filled > JOBS << 20, "{filled} bytes for {JOBS} jobs");
        assert_eq!(connection.call(&["QPURGE", "q"]).integer(), JOBS as i64);
        let deadline = Instant::now() + PATIENCE;
        while anonymous_bytes(server.id()) > filled / 2 {
            assert!(Instant::now() < deadline, "round {round}: {filled} bytes were taken, and still are");
            std::thread::yield_now();
        }
    }
}
