//! Waiting costs nothing: blocked claims and delayed jobs are woken, never polled.

use std::time::{Duration, Instant};

use stanchion_tests::{Connection, Server, cpu_ticks};

/// Clock ticks of Linux in a second.
const TICKS_PER_SECOND: u64 = 100;

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

    // The window itself is a claim that waits, so it is measured while the server does exactly that.
    let (ticks, started) = (cpu_ticks(server.id()), Instant::now());
    server.check("> QCLAIM nothing BLOCK 3000 => []");
    let (ticks, window) = (cpu_ticks(server.id()) - ticks, started.elapsed());
    assert!(window >= Duration::from_secs(3));
    let share = ticks as f64 / (window.as_secs_f64() * TICKS_PER_SECOND as f64);
    assert!(share < 0.01, "{ticks} ticks in {window:?} are {:.2} % of a core", share * 100.0);
    server.check("> QLEN later DELAYED => 100000");
}
