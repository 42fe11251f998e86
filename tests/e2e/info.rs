//! INFO: the fields that dashboards read, and that they are true.

use std::collections::HashMap;

use stanchion_tests::{Connection, Server};

/// All fields of some sections by their names.
fn info(connection: &mut Connection, sections: &[&str]) -> HashMap<String, String> {
    let words: Vec<&str> = ["INFO"].iter().chain(sections).copied().collect();
    let text = connection.call(&words).text();
    let fields = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    fields
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("a field is `name:value`, not {line}")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn number(fields: &HashMap<String, String>, name: &str) -> f64 {
    let value = fields.get(name).unwrap_or_else(|| panic!("there is no {name} in {fields:?}"));
    value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
}

#[test]
fn sections_are_those_of_redis_and_our_own() {
    let server = Server::start();
    let mut connection = server.connect();
    let sections = |connection: &mut Connection, word: &[&str]| {
        let words: Vec<&str> = ["INFO"].iter().chain(word).copied().collect();
        let text = connection.call(&words).text();
        text.lines()
            .filter_map(|line| line.strip_prefix("# ").map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let default =
        "Server Clients Memory Persistence Stats Replication CPU Errorstats Cluster Keyspace Stanchion";
    assert_eq!(sections(&mut connection, &[]), default);
    assert_eq!(sections(&mut connection, &["default"]), default);
    assert_eq!(
        sections(&mut connection, &["everything"]),
        "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster \
         Keyspace Stanchion"
    );
    assert_eq!(sections(&mut connection, &["MEMORY", "cpu", "memory"]), "Memory CPU");
}

#[test]
fn what_dashboards_read_is_there() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["QPUSH", "q", "x"]);
    let fields = info(&mut connection, &["everything"]);
    // Read by redis_exporter, by Datadog's agent, by Grafana's dashboards or by redis-cli --stat.
    for name in "uptime_in_seconds connected_clients blocked_clients maxclients used_memory used_memory_rss used_memory_peak \
        used_memory_overhead used_memory_dataset total_system_memory maxmemory mem_fragmentation_ratio used_memory_lua \
        loading rdb_bgsave_in_progress aof_enabled aof_rewrite_in_progress aof_current_size \
        total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes \
        total_net_output_bytes instantaneous_input_kbps instantaneous_output_kbps rejected_connections \
        expired_keys evicted_keys pubsub_channels pubsub_patterns latest_fork_usec total_error_replies \
        connected_slaves master_repl_offset used_cpu_sys used_cpu_user used_cpu_sys_children cluster_enabled \
        total_reads_processed total_writes_processed tcp_port process_id jobs_ready"
        .split_whitespace()
    {
        assert!(number(&fields, name) >= 0.0, "{name}");
    }
    for (name, value) in [
        ("role", "master"),
        ("redis_mode", "standalone"),
        ("maxmemory_policy", "noeviction"),
        ("aof_last_write_status", "ok"),
        ("aof_last_bgrewrite_status", "ok"),
        ("rdb_last_bgsave_status", "ok"),
        ("db0", "keys=1,expires=0,avg_ttl=0"),
        ("jobs_ready", "1"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(number(&fields, "used_memory") <= number(&fields, "used_memory_rss"));
    assert!(number(&fields, "used_memory_dataset") > 0.0);
    assert!(fields["used_memory_human"].ends_with('M'), "{}", fields["used_memory_human"]);
}

#[test]
fn bytes_commands_and_errors_are_counted() {
    let server = Server::start();
    let mut connection = server.connect();
    let before = info(&mut connection, &["everything"]);
    let payload = "x".repeat(100_000);
    for _ in 0..10 {
        connection.call(&["ECHO", &payload]);
    }
    for (command, count) in [("BOGUS", 3), ("QPUSH", 2)] {
        (0..count).for_each(|_| _ = connection.call(&[command]));
    }
    connection.call(&["QCONFIG", "SET", "q", "lease", "bogus"]);
    let after = info(&mut connection, &["everything"]);
    let rose = |name: &str| number(&after, name) - number(&before, name);
    assert!(rose("total_net_input_bytes") > 1e6 && rose("total_net_output_bytes") > 1e6);
    assert!(rose("total_net_input_bytes") < 1.1e6 && rose("total_net_output_bytes") < 1.1e6);
    assert_eq!(rose("total_commands_processed"), 12.0, "the first INFO, ten ECHO and QCONFIG SET");
    assert_eq!(rose("total_error_replies"), 6.0);
    assert_eq!(after["errorstat_ERR"], "count=6");
    assert!(after["cmdstat_echo"].starts_with("calls=10,usec="), "{}", after["cmdstat_echo"]);
    assert!(after["cmdstat_qconfig|set"].ends_with("rejected_calls=0,failed_calls=1"));
    assert!(after["latency_percentiles_usec_echo"].starts_with("p50="));
}

#[test]
fn statistics_can_be_reset() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["PING"]);
    connection.call(&["BOGUS"]);
    assert_eq!(connection.call(&["CONFIG", "RESETSTAT"]).to_string(), "+OK");
    let fields = info(&mut connection, &["everything"]);
    for name in ["total_connections_received", "rejected_connections", "total_error_replies"] {
        assert_eq!(number(&fields, name), 0.0, "{name}");
    }
    assert_eq!(number(&fields, "total_commands_processed"), 1.0, "RESETSTAT itself");
    assert!(!fields.contains_key("cmdstat_ping") && !fields.contains_key("errorstat_ERR"));
    assert!(number(&fields, "connected_clients") >= 1.0);
    let id = connection.call(&["CLIENT", "ID"]).integer();
    let next = server.connect().call(&["CLIENT", "ID"]).integer();
    assert!(next > id, "numbers of clients go on rising: {id}, {next}");
}

#[test]
fn rates_are_those_of_the_last_moments() {
    let server = Server::start();
    let mut connection = server.connect();
    // An idle claim is time that passes on the server.
    connection.call(&["QCLAIM", "q", "BLOCK", "200"]);
    let pings = "PING\r\n".repeat(5_000);
    connection.send_bytes(pings.as_bytes()).expect("sent");
    (0..5_000).for_each(|_| _ = connection.receive().expect("a reply"));
    connection.call(&["QCLAIM", "q", "BLOCK", "150"]);
    let busy = info(&mut connection, &["stats"]);
    assert!(number(&busy, "instantaneous_ops_per_sec") > 100.0, "{busy:?}");
    assert!(number(&busy, "instantaneous_input_kbps") > 1.0, "{busy:?}");
    connection.call(&["QCLAIM", "q", "BLOCK", "1900"]);
    let idle = info(&mut connection, &["stats"]);
    assert!(number(&idle, "instantaneous_ops_per_sec") < 100.0, "{idle:?}");
}
