//! What the server says that queues take in memory is what its process takes more than an empty one, whatever the jobs
//! are like and also after every second one is gone.

use std::time::{Duration, Instant};

use stanchion_tests::{Connection, Options, Value, anonymous_bytes};

const JOBS: usize = 200_000;

/// Jobs of one command.
const BATCH: usize = 1_000;

/// Commands that are sent before their replies are read.
const PIPELINE: usize = 500;

/// Freed memory goes back to the system a while later.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the allocator keeps of freed memory until it is busy again, whatever the queues take.
const KEPT_BYTES: usize = 2 << 20;

/// What lives in a queue, and how it got there.
struct Shape {
    name: &'static str,
    payload_bytes: fn(usize) -> usize,
    options: fn(usize) -> String,
    /// What happens to each job afterwards, if anything.
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Nothing,
    Claim,
    Die,
    Delete { every: usize },
}

const PLAIN: Shape =
    Shape { name: "plain", payload_bytes: |_| 200, options: |_| String::new(), then: Then::Nothing };

fn key_group_root(n: usize) -> String {
    format!("DEDUPE key-{n:012} GROUP wiki-{} ROOT page-{} 20260101000000", n % 100, n % 1_000)
}

#[test]
fn jobs_take_what_the_figures_say() {
    check(&[
        Shape { name: "keys, groups and roots", options: key_group_root, ..PLAIN },
        Shape { name: "sizes", payload_bytes: |n| n * 7_919 % 2_500, ..PLAIN },
        Shape { name: "groups of one job", options: |n| format!("GROUP group-{n}"), ..PLAIN },
    ]);
}

#[test]
fn jobs_with_terms_take_what_the_figures_say() {
    check(&[
        Shape { name: "delayed", options: |n| format!("DELAY {}", 3_600_000 + n * 7_919 % 100_000), ..PLAIN },
        Shape { name: "windows", options: |n| format!("DEDUPE key-{n} WINDOW 3600000"), ..PLAIN },
        Shape { name: "roots of one job", options: |n| format!("ROOT page-{n} 20260101000000"), ..PLAIN },
        Shape { name: "claimed", then: Then::Claim, ..PLAIN },
        Shape { name: "dead", then: Then::Die, ..PLAIN },
    ]);
}

#[test]
fn what_is_left_of_jobs_takes_what_the_figures_say() {
    check(&[
        Shape {
            name: "every second gone",
            options: key_group_root,
            then: Then::Delete { every: 2 },
            ..PLAIN
        },
        Shape { name: "two of three gone", then: Then::Delete { every: 3 }, ..PLAIN },
    ]);
}

fn check(shapes: &[Shape]) {
    let wrong: Vec<String> = shapes.iter().filter_map(|shape| measure(shape).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The figures and the process agree within a twentieth. What the server takes for itself is not asked here, so a
/// smaller queue of the same kind is there from the beginning.
fn measure(shape: &Shape) -> Result<(), String> {
    let server = Options::new().arguments(&["--durability", "never"]).start();
    let mut connection = server.connect();
    fill(&mut connection, "before", shape, JOBS / 4);
    connection.call(&["QCONFIG", "SET", "q", "dead-max", "1000000"]);
    let before = anonymous_bytes(server.id());
    let dataset_before = number(&info(&mut connection), "used_memory_dataset");
    fill(&mut connection, "q", shape, JOBS);
    // Not in the smaller queue: what it would leave free would be used again.
    if let Then::Delete { every } = shape.then {
        delete(&mut connection, "q", every, JOBS);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let usage = connection.call(&["MEMORY", "USAGE", "q"]).integer() as usize;
        let stats = connection.call(&["QSTATS", "q"]).field("memory").expect("a field").integer() as usize;
        let info = info(&mut connection);
        let dataset = number(&info, "used_memory_dataset") - dataset_before;
        let used = number(&info, "used_memory") - before;
        let taken = anonymous_bytes(server.id()) - before;
        let figures = [usage, stats, dataset, used];
        if figures.iter().all(|figure| figure.abs_diff(taken) <= taken / 20 + KEPT_BYTES) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let name = shape.name;
            return Err(format!(
                "{name}: {taken} bytes are taken; USAGE, QSTATS and INFO's two say {figures:?}"
            ));
        }
    }
}

fn fill(connection: &mut Connection, queue: &str, shape: &Shape, jobs: usize) {
    let batch = BATCH.min(jobs);
    for first in (0..jobs).step_by(batch) {
        let mut words = vec!["QMPUSH".to_owned(), queue.to_owned()];
        for n in first..first + batch {
            if n > first {
                words.push("NEXT".to_owned());
            }
            words.push("x".repeat((shape.payload_bytes)(n)));
            words.extend((shape.options)(n).split_whitespace().map(ToOwned::to_owned));
        }
        let ids = connection.call(&words);
        assert_eq!(ids.array().len(), batch, "{ids}");
        match shape.then {
            Then::Nothing | Then::Delete { .. } => {}
            Then::Claim => drop(claim(connection, queue, batch)),
            Then::Die => {
                for receipts in claim(connection, queue, batch).chunks(PIPELINE) {
                    for receipt in receipts {
                        let nack = ["QNACK", queue, receipt, "DEAD", "ERROR", "no such page"];
                        connection.send(&nack).expect("the server reads");
                    }
                    receipts.iter().for_each(|_| drop(connection.receive().expect("a reply")));
                }
            }
        }
        // Or a slow disk would let the log's buffers grow, which are no part of the jobs.
        connection.call(&["WAITAOF", "1", "0", "0"]);
    }
}

/// All but every so-many-th job.
fn delete(connection: &mut Connection, queue: &str, every: usize, jobs: usize) {
    let (mut cursor, mut ids) = ("0".to_owned(), Vec::new());
    loop {
        let reply = connection.call(&["QSCAN", queue, &cursor, "COUNT", "10000"]);
        let [next, found] = reply.array() else { panic!("QSCAN says {reply}") };
        ids.extend(found.array().iter().map(Value::text));
        cursor = next.text();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(ids.len(), jobs);
    let gone: Vec<String> =
        ids.into_iter().enumerate().filter(|(n, _)| n % every != 0).map(|(_, id)| id).collect();
    for ids in gone.chunks(BATCH) {
        let words: Vec<&str> = ["QDEL", queue].into_iter().chain(ids.iter().map(String::as_str)).collect();
        assert_eq!(connection.call(&words).integer(), ids.len() as i64);
        connection.call(&["WAITAOF", "1", "0", "0"]);
    }
}

fn claim(connection: &mut Connection, queue: &str, count: usize) -> Vec<String> {
    let jobs = connection.call(&[
        "QCLAIM",
        queue,
        "COUNT",
        &count.to_string(),
        "LEASE",
        "3600000",
        "WORKER",
        "runner-1",
    ]);
    let receipts: Vec<String> = jobs.array().iter().map(|job| job.array()[1].text()).collect();
    assert_eq!(receipts.len(), count, "{jobs}");
    receipts
}

fn info(connection: &mut Connection) -> String {
    connection.call(&["INFO", "memory"]).text()
}

fn number(info: &str, name: &str) -> usize {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no number {name} in {info}"))
}
