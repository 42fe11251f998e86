//! Checkpoints: a start reads the log only from the newest one on, finds what it would find without, and does
//! without when there is anything wrong with it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use stanchion_tests::{Connection, Options, Process, Server, Value};

const JOBS: usize = 3_000;

/// Small segments, so that there are some behind a checkpoint.
fn options() -> Options {
    Options::new().configuration("segment-bytes = 65536\ndurability = \"never\"\n")
}

/// Pushes jobs with all that a job can have; what is claimed stays so for an hour.
fn fill(connection: &mut Connection) {
    connection.call(&["QCONFIG", "SET", "q", "group-concurrency", "40", "lease", "1h", "backoff", "1h"]);
    for number in 0..JOBS {
        let (payload, key) =
            (format!("a payload that is a little longer, number {number}"), format!("k{number}"));
        let group = format!("g{}", number % 7);
        let mut words = vec!["QPUSH", "q", &payload, "GROUP", &group, "DEDUPE", &key, "UNTIL", "DONE"];
        match number % 10 {
            1 => words.extend(["DELAY", "3600000"]),
            2 => words.extend(["PRIORITY", "5"]),
            3 => words.extend(["ROOT", "s", "7"]),
            4 => words.extend(["WINDOW", "3600000"]),
            _ => {}
        }
        assert!(connection.call(&words).bytes().is_some());
    }
    for _ in 0..10 {
        let jobs = connection.call(&["QCLAIM", "q", "COUNT", "20", "WORKER", "w"]);
        for (at, job) in jobs.array().iter().enumerate() {
            let receipt = job.array()[1].text();
            match at % 4 {
                0 => drop(connection.call(&["QACK", "q", &receipt])),
                1 => drop(connection.call(&["QNACK", "q", &receipt, "ERROR", "boom"])),
                2 => drop(connection.call(&["QNACK", "q", &receipt, "DEAD"])),
                _ => {}
            }
        }
    }
    connection.call(&["QPUSH", "{other}", "x"]);
}

/// Everything that can be seen of a queue.
fn seen(connection: &mut Connection) -> Vec<String> {
    let stats = connection.call(&["QSTATS", "q"]);
    let totals = ["pushed", "claims", "acked", "nacked", "died", "groups", "bytes"];
    let total = |name: &&str| format!("{name} {}", stats.field(name).expect("a field of QSTATS"));
    let mut seen: Vec<String> = totals.iter().map(total).collect();
    for state in ["READY", "DELAYED", "CLAIMED", "DEAD"] {
        let mut cursor = "0".to_owned();
        loop {
            let page = connection.call(&["QSCAN", "q", &cursor, "STATE", state, "COUNT", "500"]);
            for job in page.array()[1].array() {
                seen.push(connection.call(&["QJOB", "q", &job.text()]).to_string());
            }
            cursor = page.array()[0].text();
            if cursor == "0" {
                break;
            }
        }
    }
    seen.sort();
    seen
}

/// The files of checkpoints.
fn checkpoints(options: &Options) -> Vec<PathBuf> {
    let entries = fs::read_dir(options.data()).expect("a data directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "checkpoint")).collect()
}

/// All files of the log.
fn files(options: &Options) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(options.data()).expect("a data directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

fn field(connection: &mut Connection, name: &str) -> i64 {
    let info = connection.call(&["INFO", "persistence"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    line.unwrap_or_else(|| panic!("{name} is not in {info}")).parse().expect("a number")
}

/// The bytes of the log that a start did not read.
fn skipped_bytes(process: &Process) -> u64 {
    process.wait_line("that it began from a checkpoint", |line| {
        let (_, fields) = line.split_once("began from a checkpoint")?;
        let (_, bytes) = fields.split_once("skipped_bytes=")?;
        bytes.split_whitespace().next()?.parse().ok()
    })
}

fn save(server: &Server) {
    let mut connection = server.connect();
    assert_eq!(connection.call(&["SAVE"]), Value::Simple(b"OK".to_vec()));
}

#[test]
fn a_kill_after_a_save_starts_from_there_with_all_jobs() {
    let options = options();
    let mut server = options.start();
    let mut connection = server.connect();
    fill(&mut connection);
    save(&server);
    assert!(field(&mut connection, "checkpoint_lsn") > 0);
    // The server may have found one due by itself before.
    assert!(field(&mut connection, "rdb_saves") >= 1);
    connection.call(&["QPUSH", "q", "after"]);
    connection.call(&["WAITAOF", "1", "0", "0"]);
    let before = seen(&mut connection);
    server.kill();
    let bytes: u64 = 64 * 1024;
    // Whatever the number of shards, and as often as one likes.
    for shards in ["3", "1", "2"] {
        let mut server = options.clone().arguments(&["--shards", shards]).start();
        assert!(skipped_bytes(&server) > bytes, "with {shards} shards");
        assert_eq!(seen(&mut server.connect()), before, "with {shards} shards");
        server.kill();
    }
}

#[test]
fn a_clean_end_leaves_one_unless_it_is_told_not_to() {
    let big = "x".repeat(1_000);
    for (words, written) in [(vec!["SHUTDOWN"], true), (vec!["SHUTDOWN", "NOSAVE"], false)] {
        let options = Options::new();
        let server = options.start();
        let mut connection = server.connect();
        for _ in 0..2_000 {
            connection.call(&["QPUSH", "q", &big]);
        }
        connection.send(&words).expect("sent");
        assert!(server.into_process().wait().success());
        assert_eq!(checkpoints(&options).len(), usize::from(written), "{words:?}");
        options.start().check("> QLEN q => 2000");
    }
}

#[test]
fn a_log_that_grew_gets_one_by_itself() {
    let options = options();
    let mut server = options.start();
    let mut connection = server.connect();
    fill(&mut connection);
    server.wait_line("that it wrote a checkpoint", |line| line.contains("wrote a checkpoint").then_some(()));
    server.kill();
    let server = options.start();
    skipped_bytes(&server);
    assert_eq!(
        server.connect().call(&["QSTATS", "q"]).field("pushed").map(Value::integer),
        Some(JOBS as i64)
    );
}

#[test]
fn a_damaged_one_is_told_of_and_done_without() {
    let options = options();
    let mut server = options.start();
    let mut connection = server.connect();
    fill(&mut connection);
    save(&server);
    let before = seen(&mut connection);
    server.kill();
    let [file] = &checkpoints(&options)[..] else { panic!("one checkpoint") };
    let kept = files(&options);
    let whole = fs::read(file).expect("a checkpoint");
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    for bytes in [&flipped[..], &whole[..middle], &whole[..10], b"rubbish"] {
        fs::remove_dir_all(options.data()).expect("removed");
        fs::create_dir(options.data()).expect("a new directory");
        kept.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("written"));
        fs::write(file, bytes).expect("written");
        let mut server = options.start();
        server.wait_line("a warning", |line| line.contains("a checkpoint cannot be used").then_some(()));
        assert!(!server.output().contains("began from a checkpoint"));
        assert_eq!(seen(&mut server.connect()), before);
        server.kill();
    }
}

#[test]
fn one_that_is_captured_under_load_has_transactions_whole() {
    let options = options().arguments(&["--shards", "4"]);
    for _ in 0..3 {
        let mut server = options.start();
        let found: Vec<i64> =
            ["a", "b"].map(|queue| server.connect().call(&["QLEN", queue, "ALL"]).integer()).to_vec();
        assert_eq!(found[0], found[1], "a transaction is in both queues or in none");
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    let mut connection = server.connect();
                    let ended = &ended;
                    scope.spawn(move || {
                        while !ended.load(Ordering::Relaxed) {
                            for words in
                                [&["MULTI"][..], &["QPUSH", "a", "x"], &["QPUSH", "b", "x"], &["EXEC"]]
                            {
                                connection.call(words);
                            }
                        }
                    })
                })
                .collect();
            let mut saver = server.connect();
            for _ in 0..5 {
                assert_eq!(saver.call(&["SAVE"]), Value::Simple(b"OK".to_vec()));
            }
            ended.store(true, Ordering::Relaxed);
            clients.into_iter().for_each(|client| client.join().expect("a client"));
        });
        server.kill();
    }
}
