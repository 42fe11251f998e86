//! Backlogs larger than memory: payloads beyond `maxmemory` are only in the log, and no client sees a difference.
//!
//! Every payload is made from its number and compared byte for byte, however it comes out.

use std::process::Command;
use std::time::Instant;

use stanchion_tests::{Connection, Options, PATIENCE, Server, Value, resident_bytes};

/// `maxmemory` of most servers here.
const MEMORY: &str = "16mb";
/// What those may take of the machine's memory with it: buffers of the log and of clients, and the program, come on top.
const RESIDENT_BYTES_MAX: usize = 128 << 20;

/// The payload of a job by its number: 40 bytes to 200 kB, of which most are small.
fn payload(number: u64) -> Vec<u8> {
    let bytes = match number % 64 {
        0 => 200_000,
        1..4 => 20_000,
        4..32 => 2_000,
        _ => 40 + number as usize % 500,
    };
    let mut payload = format!("job {number} ").into_bytes();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while payload.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        payload.extend_from_slice(&state.to_le_bytes());
    }
    payload.truncate(bytes);
    payload
}

/// The number of the job that a payload is of; panics when a byte of it is wrong.
#[track_caller]
fn number(found: &[u8]) -> u64 {
    let text = found.strip_prefix(b"job ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let number = text.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let Some(number) = number else { panic!("{} is no job's", found[..found.len().min(40)].escape_ascii()) };
    assert!(found == payload(number), "the payload of job {number} is wrong");
    number
}

/// A claimed job: its receipt and number.
#[track_caller]
fn job(claimed: &Value) -> (String, u64) {
    let fields = claimed.array();
    (fields[1].text(), number(fields[2].bytes().expect("a payload")))
}

fn limited(memory: &str) -> Options {
    Options::new()
        .environment("STANCHION_MAXMEMORY", memory)
        .environment("STANCHION_SEGMENT_BYTES", "4194304")
}

/// Pushes jobs of these numbers, some with each command.
fn push(connection: &mut Connection, queue: &str, numbers: impl Iterator<Item = u64>, options: &[&str]) {
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(50) {
        let mut words: Vec<Vec<u8>> = vec![b"QMPUSH".into(), queue.into()];
        for (at, number) in some.iter().enumerate() {
            if at > 0 {
                words.push(b"NEXT".into());
            }
            words.push(payload(*number));
            words.extend(options.iter().map(|word| word.as_bytes().to_vec()));
        }
        assert_eq!(connection.call(&words).array().len(), some.len());
    }
}

/// Claims and acks so many jobs, some with each command; their numbers.
fn drain(connection: &mut Connection, queue: &str, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let some = (count - numbers.len()).min(30).to_string();
        let claimed = connection.call(&["QCLAIM", queue, "COUNT", &some]);
        let jobs: Vec<_> = claimed.array().iter().map(job).collect();
        assert!(!jobs.is_empty(), "only {} of {count} jobs came", numbers.len());
        let mut ack = vec!["QACK", queue];
        ack.extend(jobs.iter().map(|(receipt, _)| receipt.as_str()));
        assert_eq!(connection.call(&ack), Value::Integer(jobs.len() as i64));
        numbers.extend(jobs.iter().map(|(_, number)| number));
    }
    numbers
}

/// A figure of INFO.
#[track_caller]
fn figure(connection: &mut Connection, name: &str) -> u64 {
    let info = connection.call(&["INFO", "everything"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("INFO has no {name}:\n{info}"))
}

/// Asks until something is so, which the server brings about by itself.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never {what}");
    }
}

/// A server whose memory is full of the payloads of the queue `filler`.
fn full_server() -> (Server, Connection) {
    let server = limited(MEMORY).start();
    let mut connection = server.connect();
    push(&mut connection, "filler", 0..6_000, &[]);
    assert!(figure(&mut connection, "payload_bytes_in_log") > 10 << 20);
    (server, connection)
}

#[test]
fn a_backlog_larger_than_memory_comes_out_in_order_also_after_a_restart() {
    const JOBS: u64 = 40_000;
    let options = limited(MEMORY);
    let server = options.start();
    let mut connection = server.connect();
    push(&mut connection, "q", 0..JOBS, &[]);
    let logged = figure(&mut connection, "payload_bytes_in_log");
    assert!(logged > 170 << 20, "{logged} bytes are in the log only");
    assert!(figure(&mut connection, "payload_bytes_in_memory") < 16 << 20);
    let resident = resident_bytes(server.id());
    assert!(resident < RESIDENT_BYTES_MAX, "{} MiB after the pushes", resident >> 20);

    assert_eq!(drain(&mut connection, "q", 12_000), (0..12_000).collect::<Vec<_>>());
    let resident = resident_bytes(server.id());
    assert!(resident < RESIDENT_BYTES_MAX, "{} MiB after the claims", resident >> 20);
    let misses = figure(&mut connection, "payload_cache_misses");
    assert!(misses < 4_000, "{misses} of 12,000 claims read the log, though they go through it in order");

    let mut process = server.into_process();
    process.terminate();
    assert!(process.wait().success());
    let server = options.start();
    let mut connection = server.connect();
    let resident = resident_bytes(server.id());
    assert!(resident < RESIDENT_BYTES_MAX, "{} MiB after a restart", resident >> 20);
    assert_eq!(drain(&mut connection, "q", 28_000), (12_000..JOBS).collect::<Vec<_>>());
    let bytes = ["payload_bytes_in_memory", "payload_bytes_in_log"].map(|name| figure(&mut connection, name));
    assert_eq!(bytes, [0, 0]);
    let resident = resident_bytes(server.id());
    assert!(resident < RESIDENT_BYTES_MAX, "{} MiB at the end", resident >> 20);
}

#[test]
fn the_newest_first_and_groups_in_turn() {
    let (server, mut connection) = full_server();
    server.check("> QCONFIG SET lifo order lifo => +OK");
    push(&mut connection, "lifo", 0..2_000, &[]);
    assert_eq!(drain(&mut connection, "lifo", 2_000), (0..2_000).rev().collect::<Vec<_>>());
    for (nth, group) in ["a", "b", "c"].into_iter().enumerate() {
        push(&mut connection, "grouped", (0..700).map(|n| 3 * n + nth as u64), &["GROUP", group]);
    }
    let turns = drain(&mut connection, "grouped", 900);
    assert_eq!(turns, (0..900).collect::<Vec<_>>());
    let claimed = connection.call(&["QCLAIM", "grouped", "COUNT", "100", "GROUP", "b", "META"]);
    for (nth, claimed) in claimed.array().iter().enumerate() {
        assert_eq!(job(claimed).1, 901 + 3 * nth as u64);
        assert_eq!(claimed.array()[4].field("group"), Some(&Value::Bulk(b"b".into())));
    }
    assert_eq!(claimed.array().len(), 100);
}

#[test]
fn every_way_to_a_payload_reads_it() {
    let (_server, mut connection) = full_server();
    push(&mut connection, "one", 0..400, &[]);
    push(&mut connection, "two", 400..800, &[]);
    // Several queues in one claim, by name and by pattern.
    let claimed = connection.call(&["QMCLAIM", "QUEUES", "2", "one", "two", "COUNT", "500"]);
    let numbers: Vec<_> = claimed.array().iter().map(|claimed| job(claimed).1).collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    let claimed = connection.call(&["QMCLAIM", "MATCH", "1", "t*", "COUNT", "100"]);
    let numbers: Vec<_> = claimed.array().iter().map(|claimed| job(claimed).1).collect();
    assert_eq!(numbers, (500..600).collect::<Vec<_>>());
    // Within a transaction, with other replies around.
    let mut words = |words: &[&str]| connection.call(words);
    words(&["MULTI"]);
    for command in [&["QLEN", "two"][..], &["QCLAIM", "two", "COUNT", "3"], &["PING"], &["QCLAIM", "two"]] {
        assert_eq!(words(command), Value::Simple(b"QUEUED".into()));
    }
    let replies = words(&["EXEC"]);
    let numbers = |claimed: &Value| claimed.array().iter().map(|claimed| job(claimed).1).collect::<Vec<_>>();
    assert_eq!(numbers(&replies.array()[1]), [600, 601, 602]);
    assert_eq!(replies.array()[2], Value::Simple(b"PONG".into()));
    assert_eq!(numbers(&replies.array()[3]), [603]);
    // Looked at, without claiming.
    let peeked = words(&["QPEEK", "two", "READY", "COUNT", "10"]);
    for (nth, seen) in peeked.array().iter().enumerate() {
        assert_eq!(number(seen.field("payload").and_then(Value::bytes).unwrap()), 604 + nth as u64);
        let looked_up = words(&["QJOB", "two", &seen.field("id").unwrap().text()]);
        assert_eq!(looked_up.field("payload"), seen.field("payload"));
    }
    assert_eq!(peeked.array().len(), 10);
    // Tried again, given back, dead and taken up again.
    let claimed = words(&["QCLAIM", "two", "COUNT", "3"]);
    let jobs: Vec<_> = claimed.array().iter().map(job).collect();
    words(&["QRELEASE", "two", &jobs[0].0]);
    words(&["QNACK", "two", &jobs[1].0, "DELAY", "0"]);
    words(&["QNACK", "two", &jobs[2].0, "DEAD", "ERROR", "boom"]);
    let dead = words(&["QPEEK", "two", "DEAD"]);
    assert_eq!(number(dead.array()[0].field("payload").and_then(Value::bytes).unwrap()), jobs[2].1);
    assert_eq!(words(&["QREQUEUE", "two", "DEAD"]), Value::Integer(1));
    let mut again = numbers(&words(&["QCLAIM", "two", "COUNT", "500"]));
    again.sort_unstable();
    assert_eq!(again, (604..800).collect::<Vec<_>>());
}

#[test]
fn a_blocked_claim_gets_what_is_not_even_written_yet() {
    for durability in ["always", "never", "10s"] {
        let server = limited(MEMORY).arguments(&["--durability", durability]).start();
        let mut connection = server.connect();
        push(&mut connection, "filler", 0..6_000, &[]);
        // What the queue keeps in any case is taken by jobs that nobody gets.
        push(&mut connection, "q", 64..128, &["DELAY", "3600000"]);
        for round in 0..20 {
            let mut waiter = server.connect();
            waiter.send(&["QCLAIM", "q", "BLOCK", "0", "COUNT", "9"]).expect("sent");
            server.check("~ 1 blocked");
            connection.send(&[b"QPUSH".to_vec(), b"q".to_vec(), payload(64 * round)]).expect("sent");
            let claimed = waiter.receive().expect("the job");
            assert_eq!(job(&claimed.array()[0]).1, 64 * round, "{durability}");
            connection.receive().expect("the id");
            // Pushed and claimed in one go, too.
            connection.send(&[b"QPUSH".to_vec(), b"q".to_vec(), payload(64 * round + 2)]).expect("sent");
            connection.send(&["QCLAIM", "q"]).expect("sent");
            connection.receive().expect("the id");
            let claimed = connection.receive().expect("the job");
            assert_eq!(job(&claimed.array()[0]).1, 64 * round + 2, "{durability}");
        }
        assert!(figure(&mut connection, "payload_cache_misses") > 0);
    }
}

#[test]
fn replies_that_nobody_reads_give_their_jobs_back() {
    let (server, mut connection) = full_server();
    push(&mut connection, "q", 0..640, &[]);
    let mut quitter = server.connect();
    for _ in 0..8 {
        quitter.send(&["QCLAIM", "q", "COUNT", "80"]).expect("sent");
    }
    drop(quitter);
    connection.call(&["CLIENT", "REPLY", "ON"]);
    let mut silent = server.connect();
    silent.send(&["CLIENT", "REPLY", "SKIP"]).expect("sent");
    silent.send(&["QCLAIM", "q", "COUNT", "80"]).expect("sent");
    assert_eq!(silent.call(&["PING"]), Value::Simple(b"PONG".into()));
    wait_until("all given back", || connection.call(&["QLEN", "q", "READY"]) == Value::Integer(640));
    let mut numbers = drain(&mut connection, "q", 640);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..640).collect::<Vec<_>>());
}

#[test]
fn the_limit_is_changed_while_the_server_runs() {
    let server = limited("0").start();
    let mut connection = server.connect();
    push(&mut connection, "q", 0..6_000, &[]);
    assert_eq!(figure(&mut connection, "payload_bytes_in_log"), 0);
    server.check("> CONFIG GET maxmemory => [maxmemory, \"0\"]\n> CONFIG SET maxmemory 4mb => +OK");
    wait_until("given up", || figure(&mut connection, "payload_bytes_in_memory") < 4 << 20);
    server.check("> CONFIG GET maxmemory => [maxmemory, \"4194304\"]");
    assert!(figure(&mut connection, "maxmemory") == 4 << 20);
    push(&mut connection, "q", 6_000..7_000, &[]);
    assert_eq!(drain(&mut connection, "q", 3_000), (0..3_000).collect::<Vec<_>>());
    server.check("> CONFIG SET maxmemory 0 => +OK");
    assert!(connection.call(&["CONFIG", "SET", "maxmemory", "1kb"]).is_error("ERR "));
    wait_until("unlimited", || {
        let before = figure(&mut connection, "payload_bytes_in_log");
        push(&mut connection, "other", 0..64, &[]);
        figure(&mut connection, "payload_bytes_in_log") == before
    });
    assert_eq!(drain(&mut connection, "q", 4_000), (3_000..7_000).collect::<Vec<_>>());
}

#[test]
fn when_jobs_alone_are_too_many_pushes_are_refused_until_some_are_gone() {
    let server = limited("1mb").start();
    let mut connection = server.connect();
    // A server that had nothing to do for a while measures again as soon as it has.
    wait_until("idle", || figure(&mut connection, "uptime_in_seconds") >= 2);
    let refused = (0..1_000).find_map(|_| {
        let words: Vec<&str> =
            ["QMPUSH", "q"].into_iter().chain(["x"]).chain((1..500).flat_map(|_| ["NEXT", "x"])).collect();
        Some(connection.call(&words)).filter(|reply| matches!(reply, Value::Error(_)))
    });
    let refused = refused.expect("a refusal");
    assert!(refused.is_error("FULL memory: "), "{refused}");
    assert_eq!(figure(&mut connection, "memory_full"), 1);
    assert!(connection.call(&["QROOT", "q", "s", "1"]).is_error("FULL memory: "));
    // Claims and acks go on.
    let claimed = connection.call(&["QCLAIM", "q", "COUNT", "2"]);
    let receipt = claimed.array()[0].array()[1].text();
    assert_eq!(connection.call(&["QACK", "q", &receipt]), Value::Integer(1));
    assert!(connection.call(&["QPURGE", "q"]).integer() > 1_000);
    wait_until("let in again", || !matches!(connection.call(&["QPUSH", "q", "x"]), Value::Error(_)));
}

#[test]
fn reclaiming_keeps_what_is_only_in_the_log() {
    let options = limited(MEMORY);
    let server = options.start();
    let mut connection = server.connect();
    push(&mut connection, "kept", 0..6_000, &[]);
    push(&mut connection, "later", 6_000..7_000, &["DELAY", "3600000"]);
    let logged = figure(&mut connection, "payload_bytes_in_log");
    assert!(logged > 15 << 20);
    // Many times what is kept comes and goes, so all of it is written again.
    for round in 0..12 {
        push(&mut connection, "churn", (0..2_000).map(|n| round * 2_000 + n), &[]);
        assert_eq!(drain(&mut connection, "churn", 2_000).len(), 2_000);
    }
    let log_bytes = |options: &Options| -> u64 {
        let files = std::fs::read_dir(options.data()).expect("the data directory");
        let sizes = files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len());
        sizes.sum()
    };
    wait_until("reclaimed", || {
        push(&mut connection, "churn", 0..1, &[]);
        drain(&mut connection, "churn", 1);
        log_bytes(&options) < 140 << 20
    });
    assert!(figure(&mut connection, "payload_bytes_in_log") > 15 << 20);
    assert_eq!(drain(&mut connection, "kept", 2_000), (0..2_000).collect::<Vec<_>>());
    let mut process = server.into_process();
    process.kill();
    let server = options.start();
    let mut connection = server.connect();
    assert_eq!(drain(&mut connection, "kept", 4_000), (2_000..6_000).collect::<Vec<_>>());
    let delayed = connection.call(&["QPEEK", "later", "DELAYED", "COUNT", "1000"]);
    let numbers: Vec<_> = delayed
        .array()
        .iter()
        .map(|seen| number(seen.field("payload").and_then(Value::bytes).unwrap()))
        .collect();
    assert_eq!(numbers.len(), 1_000);
}

#[test]
fn a_damaged_payload_makes_its_job_dead_and_nothing_else_wrong() {
    let options = limited(MEMORY);
    let server = options.start();
    let mut connection = server.connect();
    push(&mut connection, "filler", 0..6_000, &[]);
    push(&mut connection, "q", 64..192, &[]);
    let ids: Vec<String> = (0..40)
        .map(|n| {
            let mut words: Vec<Vec<u8>> = vec![b"QPUSH".into(), b"q".into(), payload(1_000_000 + 64 * n + 5)];
            words.extend([b"PRIORITY".to_vec(), b"9".to_vec()]);
            connection.call(&words).text()
        })
        .collect();
    // Some may have found room that others had just given up: now there is none, and the newest go first.
    connection.call(&["CONFIG", "SET", "maxmemory", "1mb"]);
    wait_until("given up", || figure(&mut connection, "payload_bytes_in_memory") < 1 << 20);
    let damaged = payload(1_000_000 + 64 * 17 + 5);
    let hit = std::fs::read_dir(options.data()).expect("the data directory").find_map(|file| {
        let path = file.ok()?.path();
        let mut content = std::fs::read(&path).ok()?;
        let at = content.windows(64).position(|window| window == &damaged[100..164])?;
        content[at + 40] ^= 0x20;
        std::fs::write(&path, content).ok()?;
        Some(path)
    });
    hit.expect("the payload is in a segment");

    // The claim that meets it ends with its connection; what else it claimed is given back.
    let mut unlucky = server.connect();
    let ended = unlucky.try_call(&["QCLAIM", "q", "COUNT", "40"]);
    assert!(ended.is_err(), "the reply can't be whole: {ended:?}");
    server.wait_line("that it can't be read", |line| line.contains("a payload can't be read").then_some(()));
    let dead = connection.call(&["QJOB", "q", &ids[17]]);
    assert_eq!(dead.field("state"), Some(&Value::Bulk(b"dead".into())), "{dead}");
    let error = dead.field("last-error").expect("a reason").text();
    assert!(
        error.starts_with("its payload can't be read: ") && error.contains("is damaged at byte"),
        "{error}"
    );
    wait_until("the others given back", || {
        connection.call(&["QLEN", "q", "READY"]) == Value::Integer(39 + 128)
    });
    let first = drain(&mut connection, "q", 39);
    let wanted: Vec<_> = (0..40).filter(|n| *n != 17).map(|n| 1_000_000 + 64 * n + 5).collect();
    assert_eq!(first, wanted);
    assert_eq!(drain(&mut connection, "q", 128), (64..192).collect::<Vec<_>>());
}

#[test]
fn a_payload_that_can_t_be_read_just_now_is_read_later() {
    let server = limited(MEMORY).start();
    let mut connection = server.connect();
    let numbers = || (0..100).map(|n| 64 * n + 1);
    push(&mut connection, "q", numbers(), &[]);
    connection.call(&["CONFIG", "SET", "maxmemory", "1mb"]);
    wait_until("given up", || figure(&mut connection, "payload_bytes_in_log") > 1 << 20);
    let limit_open_files = |count: &str| {
        let (pid, limit) = (format!("--pid={}", server.id()), format!("--nofile={count}:"));
        assert!(Command::new("prlimit").args([pid, limit]).status().expect("prlimit").success());
    };
    let mut unlucky = server.connect();
    limit_open_files("5");
    let ended = unlucky.try_call(&["QCLAIM", "q", "COUNT", "100"]);
    assert!(ended.is_err(), "the reply can't be whole: {ended:?}");
    server.wait_line("that it can't now", |line| line.contains("a payload can't be read now").then_some(()));
    limit_open_files("1000");
    wait_until("all given back", || connection.call(&["QLEN", "q", "READY"]) == Value::Integer(100));
    assert_eq!(drain(&mut connection, "q", 100), numbers().collect::<Vec<_>>());
}

#[test]
fn a_disk_that_fails_to_read_for_a_while_loses_no_payload() {
    let options = limited(MEMORY);
    let server = options.start();
    let mut connection = server.connect();
    connection.call(&["QCONFIG", "SET", "q", "backoff", "1"]);
    let numbers = || (0..800).map(|n| 64 * n + 1);
    push(&mut connection, "q", numbers(), &[]);
    connection.call(&["CONFIG", "SET", "maxmemory", "1mb"]);
    wait_until("given up", || figure(&mut connection, "payload_bytes_in_log") > 14 << 20);

    // Nobody has read any segment yet, so none is open.
    let away = options.data().with_extension("away");
    std::fs::create_dir(&away).expect("a directory");
    let move_segments = |from: &std::path::Path, to: &std::path::Path| {
        for file in
            std::fs::read_dir(from).expect("a directory").map(|file| file.expect("a file").file_name())
        {
            if file.to_string_lossy().ends_with(".seg") {
                std::fs::rename(from.join(&file), to.join(&file)).expect("moved");
            }
        }
    };
    move_segments(&options.data(), &away);
    let ended = server.connect().try_call(&["QCLAIM", "q", "COUNT", "800"]);
    assert!(ended.is_err(), "the reply can't be whole: {ended:?}");
    server.wait_line("a claim failed", |line| line.contains("its claim has failed").then_some(()));
    // Reclaiming meets the same once there is little left that lives.
    push(&mut connection, "churn", 0..2_000, &[]);
    connection.call(&["QPURGE", "churn"]);
    server.wait_line("reclaiming waits", |line| line.contains("reclaiming waits").then_some(()));
    move_segments(&away, &options.data());

    let mut back = drain(&mut connection, "q", 800);
    back.sort_unstable();
    assert_eq!(back, numbers().collect::<Vec<_>>());
    assert_eq!(connection.call(&["QLEN", "q"]), Value::Integer(0));
}
