//! Waiting costs next to nothing: no processor time, for blocked claims and delayed jobs are woken, never polled;
//! and little memory, for a connection borrows its buffers.

use std::time::{Duration, Instant};

use stanchion_tests::{
    Connection, Options, PATIENCE, Server, Value, allow_open_files, cpu_ticks, resident_bytes,
};

/// Clock ticks of Linux in a second.
const TICKS_PER_SECOND: u64 = 100;

/// What an idle server may take of a core.
const IDLE_SHARE_MAX: f64 = 0.01;

/// How often that is looked at.
const WINDOWS: usize = 5;

#[test]
fn a_thousand_waiters_and_a_hundred_thousand_delayed_jobs_are_idle() {
    let server = Server::start();
    let mut connection = server.connect();
    for _ in 0..10 {
        let job = ["x", "DELAY", "3600000"];
        let words = ["QMPUSH", "later"]
            .into_iter()
            .chain(job)
            .chain((1..10_000).flat_map(|_| ["NEXT", "x", "DELAY", "3600000"]));
        assert_eq!(connection.call(&words.collect::<Vec<_>>()).array().len(), 10_000);
    }
    let _waiters: Vec<Connection> = (0..1_000)
        .map(|i| {
            let mut waiter = server.connect();
            waiter.send(&["QCLAIM", &format!("q{}", i % 10), "BLOCK", "0"]).expect("sent");
            waiter
        })
        .collect();
    server.check("~ 1000 blocked");

    // A server that polls does so in every window; one of a few is without what a busy machine books on it, and
    // without the rest of the work before.
    let mut shares = Vec::new();
    while shares.last().is_none_or(|share| *share >= IDLE_SHARE_MAX) {
        assert!(shares.len() < WINDOWS, "the shares of a core that it took: {shares:?}");
        shares.push(share_of_a_core(&server));
    }
    server.check("> QLEN later DELAYED => 100000");
}

/// What the server takes of a core while it waits. The window itself is a claim that waits, so it is measured while the
/// server does exactly that.
fn share_of_a_core(server: &Server) -> f64 {
    let (ticks, started) = (cpu_ticks(server.id()), Instant::now());
    server.check("> QCLAIM nothing BLOCK 3000 => []");
    let (ticks, window) = (cpu_ticks(server.id()) - ticks, started.elapsed());
    assert!(window >= Duration::from_secs(3));
    ticks as f64 / (window.as_secs_f64() * TICKS_PER_SECOND as f64)
}

/// Clients that are allowed by default.
const CLIENTS_MAX: usize = 10_000;
/// What one that does nothing may take of the process's memory.
const IDLE_BYTES_MAX: usize = 4 << 10;

#[test]
fn ten_thousand_idle_clients_take_little_memory_and_one_more_is_refused() {
    allow_open_files(CLIENTS_MAX as u64 + 500);
    // The server raises its own limit from what most systems begin with.
    let server = Options::new().wrapper(&["prlimit", "--nofile=1024:"]).start();
    let mut watcher = server.connect();
    // What the allocator and the tables need at first is not what a client takes.
    drop((0..100).map(|i| served(&server, i)).collect::<Vec<_>>());
    wait_connected(&mut watcher, 1);
    let before = resident_bytes(server.id());
    let clients: Vec<Connection> = (1..CLIENTS_MAX).map(|i| served(&server, i)).collect();
    let each = (resident_bytes(server.id()) - before) / clients.len();
    assert!(each < IDLE_BYTES_MAX, "an idle client takes {each} bytes");

    let refused = server.connect().receive_to_end().expect("the end");
    assert_eq!(refused.escape_ascii().to_string(), "-ERR max number of clients reached\\r\\n");
    wait_connected(&mut watcher, CLIENTS_MAX);
    drop(clients);
    wait_connected(&mut watcher, 1);
    server.check("> PING => +PONG");
}

/// Waits until so many clients are connected; those that have gone are noticed a little later.
fn wait_connected(watcher: &mut Connection, count: usize) {
    let (wanted, started) = (format!("connected_clients:{count}\r\n"), Instant::now());
    while !watcher.call(&["INFO", "clients"]).text().contains(&wanted) {
        assert!(started.elapsed() < PATIENCE, "there never were {count} clients");
    }
}

/// A client that was answered, some of them at length, before it does nothing.
fn served(server: &Server, number: usize) -> Connection {
    let mut connection = server.connect();
    let word = vec![b'x'; if number.is_multiple_of(10) { 40_000 } else { 100 }];
    assert_eq!(connection.call(&[&b"ECHO"[..], &word]), Value::Bulk(word));
    connection
}
