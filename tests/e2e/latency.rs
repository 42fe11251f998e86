//! LATENCY: events above the threshold, and histograms of every command.

use stanchion_tests::{Options, Server, Value};

#[test]
fn slow_commands_are_events() {
    let server = Options::new().configuration("enable-debug-command = \"local\"\n").start();
    let mut session = server.session();
    session.check(
        r#"
        > LATENCY LATEST => []
        > LATENCY DOCTOR => `*latency-monitor-threshold*`
        > LATENCY GRAPH command => -ERR No samples available for event 'command'
        > DEBUG SLEEP 0.02
        > LATENCY LATEST => []
        > CONFIG SET latency-monitor-threshold 500 => +OK
        > DEBUG SLEEP 0.6
        > LATENCY LATEST => [[command, $at, 600..60000, 600..60000]]
        > LATENCY HISTORY command => [[$at, 600..60000]]
        > LATENCY HISTORY bogus => []
        > LATENCY GRAPH command => `command - high * ms, low * ms (all time high * ms)*`
        > LATENCY DOCTOR => `*command: 1 latency spikes*`
        > LATENCY RESET bogus => 0
        > LATENCY RESET command => 1
        > LATENCY LATEST => []
        > LATENCY RESET => 0
        > LATENCY HELP => [...]
        > LATENCY BOGUS => -ERR unknown subcommand*
        > LATENCY HISTORY => -ERR wrong number of arguments for 'latency|history' command
        > CONFIG SET latency-monitor-threshold -1 => -ERR*argument must be between 0 and*
        "#,
    );
}

#[test]
fn slow_syncs_are_events() {
    let server = Options::new()
        .wrapper(&[
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:delay_enter=60000",
        ])
        .start();
    server.check(
        r#"
        > CONFIG SET latency-monitor-threshold 50
        > QPUSH q x
        > LATENCY HISTORY fsync => [[1700000000..9999999999, 60..60000], ...]
        > LATENCY DOCTOR => `*the disk is slow to sync*`
        "#,
    );
    // Killed alone, strace would leave the server behind.
    server.connect().send(&["SHUTDOWN"]).expect("sent");
    server.into_process().wait();
}

#[test]
fn each_command_has_a_histogram() {
    let server = Server::start();
    let mut connection = server.connect();
    for version in ["2", "3"] {
        connection.call(&["HELLO", version]);
        connection.call(&["CONFIG", "RESETSTAT"]);
        let pings = "PING\r\n".repeat(100);
        connection.send_bytes(pings.as_bytes()).expect("sent");
        (0..100).for_each(|_| _ = connection.receive().expect("a reply"));
        connection.call(&["QPUSH", "q", "x"]);
        connection.call(&["CONFIG", "GET", "port"]);
        let all = connection.call(&["LATENCY", "HISTOGRAM"]);
        assert_eq!(matches!(all, Value::Map(_)), version == "3", "{all}");
        let ping = all.field("ping").expect("it was used");
        assert_eq!(ping.field("calls"), Some(&Value::Integer(100)));
        assert_eq!(cumulative(ping.field("histogram_usec").expect("buckets")).last(), Some(&100));
        let some = connection.call(&["LATENCY", "HISTOGRAM", "config", "QPUSH", "bogus", "qack"]);
        for name in ["config|get", "config|resetstat", "qpush"] {
            assert_eq!(
                some.field(name).and_then(|total| total.field("calls")),
                Some(&Value::Integer(1)),
                "{some}"
            );
        }
        assert!(some.field("qack").is_none() && some.field("ping").is_none(), "{some}");
    }
}

/// The counts of a histogram's buckets, which rise with their ends.
fn cumulative(buckets: &Value) -> Vec<i64> {
    let pairs: Vec<(i64, i64)> = match buckets {
        Value::Map(pairs) => pairs.iter().map(|(end, count)| (end.integer(), count.integer())).collect(),
        flat => flat.array().chunks(2).map(|pair| (pair[0].integer(), pair[1].integer())).collect(),
    };
    assert!(pairs.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1), "{pairs:?}");
    pairs.into_iter().map(|(_, count)| count).collect()
}
