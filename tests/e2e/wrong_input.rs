//! Wrong input at the start: one clear line, a failure to scripts, and nothing changed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use stanchion_tests::{Options, Process, Server, binary, snapshot};

/// Starts a server that must refuse, and checks how it does.
#[track_caller]
fn refused(options: &Options, says: &[&str]) {
    let before = data_snapshot(options);
    let mut process = options.spawn();
    let status = process.wait();
    let said = process.output();
    assert!(!status.success(), "it should have refused; it said:\n{said}");
    assert_eq!(said.lines().count(), 1, "not one line:\n{said}");
    for word in says {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert_eq!(data_snapshot(options), before, "the directory was changed");
}

/// What is in the data directory, if there is one. The lock file names whoever held it last, refused or not.
fn data_snapshot(options: &Options) -> Option<Vec<(PathBuf, usize, u32)>> {
    let data = options.data();
    let files = data.exists().then(|| snapshot(&data))?;
    Some(files.into_iter().filter(|(path, ..)| !path.ends_with("LOCK")).collect())
}

/// The same for flags of clap, whose complaint is followed by how to get help.
#[track_caller]
fn refused_by_flags(arguments: &[&str], says: &[&str]) {
    let output =
        Command::new(binary("stanchion")).args(arguments).stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{arguments:?} should have been refused: {said}"
    );
    for word in says {
        assert!(
            said.lines().next().is_some_and(|line| line.contains(word)),
            "`{word}` is not in the first line of: {said}"
        );
    }
}

#[test]
fn unknown_flags_and_commands() {
    refused_by_flags(&["server", "--prot", "7379"], &["--prot"]);
    refused_by_flags(&["server", "extra"], &["extra"]);
    refused_by_flags(&["serve"], &["serve"]);
    refused_by_flags(&["--bogus"], &["--bogus"]);
}

#[test]
fn bad_values_of_flags() {
    for (flag, value) in [
        ("--port", "70000"),
        ("--port", "http"),
        ("--bind", "nowhere"),
        ("--durability", "sometimes"),
        ("--durability", "0s"),
        ("--shards", "0"),
        ("--shards", "257"),
        ("--log-format", "xml"),
        ("--http", "7380"),
        ("--http", "localhost:7380"),
        ("--http", "127.0.0.1:70000"),
    ] {
        refused(&Options::new().arguments(&[flag, value]), &[flag, value]);
    }
}

#[test]
fn bad_variables_of_the_environment() {
    refused(&Options::new().environment("STANCHION_PROT", "1"), &["STANCHION_PROT", "STANCHION_PORT"]);
    refused(&Options::new().environment("STANCHION_SHARDS", "many"), &["STANCHION_SHARDS"]);
    refused(
        &Options::new().environment("STANCHION_HTTP", "yes"),
        &["STANCHION_HTTP", "yes", "127.0.0.1:7380"],
    );
    refused(&Options::new().environment("STANCHION_LEASE_GRACE", "soon"), &["STANCHION_LEASE_GRACE"]);
}

#[test]
fn bad_configuration_files_are_named_with_their_line() {
    for (toml, says) in [
        ("port = 1\nprot = 2\n", &["stanchion.toml:2", "prot", "port"][..]),
        ("shards = \"many\"\n", &["stanchion.toml:1", "many"]),
        ("bind = \n", &["stanchion.toml:1"]),
        ("durability = true\n", &["stanchion.toml:1"]),
        ("[limits]\npayload-bytes-mx = 5\n", &["stanchion.toml:2", "payload-bytes-mx", "payload-bytes-max"]),
        ("http = 7380\n", &["stanchion.toml:1", "7380", "IP:PORT"]),
        ("[bogus]\nx = 1\n", &["stanchion.toml:1", "bogus"]),
        ("[[queues]]\nattempts = 5\n", &["stanchion.toml", "match"]),
        ("[[queues]]\nmatch = \"a\"\natempts = 5\n", &["stanchion.toml:3", "atempts", "attempts"]),
        ("[[queues]]\nmatch = \"a\"\n\nattempts = \"x\"\n", &["stanchion.toml:4", "x"]),
        ("port = 1\nport = 2\n", &["stanchion.toml:2", "duplicate"]),
    ] {
        refused(&Options::new().configuration(toml), says);
    }
    refused(
        &Options::new().arguments(&["--config", "/nonexistent/stanchion.toml"]),
        &["/nonexistent/stanchion.toml"],
    );
}

#[test]
fn a_directory_that_is_not_ours() {
    let options = Options::new();
    fs::create_dir(options.data()).expect("a directory");
    fs::write(options.data().join("thesis.tex"), "years of work").expect("a file");
    refused(&options, &["thesis.tex"]);

    let options = Options::new();
    fs::write(options.data(), "a file").expect("a file");
    let mut process = options.spawn();
    assert!(!process.wait().success());
    assert_eq!(process.output().lines().count(), 1, "{}", process.output());
    assert_eq!(fs::read(options.data()).expect("still a file"), b"a file");
}

#[test]
fn a_log_from_a_newer_version() {
    let options = with_jobs();
    let newest = segments(&options).pop().expect("a segment");
    let mut bytes = fs::read(&newest).expect("the segment");
    // FORMAT.md: the version is at byte 8, and at byte 60 is the checksum of what stands before it.
    bytes[8] = 200;
    let checksum = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&newest, bytes).expect("it can be written");
    refused(&options, &[&newest.display().to_string(), "version"]);
}

#[test]
fn a_damaged_log() {
    let options = with_jobs();
    // More commits, so that the first record's batch is known to have been durable.
    options.start().check("> QPUSH q c\n> QPUSH q d");
    let (path, mut bytes, at) = segments(&options)
        .into_iter()
        .find_map(|path| {
            let bytes = fs::read(&path).expect("the segment");
            let at = find(&bytes, b"payload one")?;
            Some((path, bytes, at))
        })
        .expect("the first payload is in the log");
    bytes[at] ^= 0x20;
    fs::write(&path, bytes).expect("it can be written");
    refused(&options, &[&path.display().to_string(), "byte"]);
}

#[test]
fn a_missing_segment() {
    let options = Options::new().configuration("segment-bytes = 65536\n");
    let server = options.start();
    let mut connection = server.connect();
    for _ in 0..500 {
        connection.call(&["QPUSH", "q", &"x".repeat(1_000), "NOSYNC"]);
    }
    server.check("> WAITAOF 1 0 0");
    drop(server);
    let segments = segments(&options);
    assert!(segments.len() >= 3, "{segments:?}");
    fs::remove_file(&segments[1]).expect("it can be removed");
    refused(&options, &[]);
}

#[test]
fn a_second_process_on_one_directory() {
    let options = Options::new();
    let server = options.start();
    server.check("> QPUSH q a");
    let mut second = options.spawn();
    assert!(!second.wait().success());
    let said = second.output();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&server.id().to_string()), "the other process is not named: {said}");
    server.check("> QPUSH q b\n> QLEN q => 2");
}

#[test]
fn a_port_in_use() {
    let server = Server::start();
    let port = server.address().port().to_string();
    refused(&Options::new().arguments(&["--port", &port]), &[&port]);
    server.check("> PING => +PONG");
}

#[test]
fn an_address_that_is_not_ours() {
    refused(&Options::new().arguments(&["--bind", "192.0.2.1"]), &["192.0.2.1"]);
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["--version"], &["server", "--help"]] {
        let mut process = Process::start(Command::new(binary("stanchion")).args(arguments));
        assert!(process.wait().success(), "{arguments:?}");
        assert!(process.output().contains("stanchion"), "{}", process.output());
    }
}

/// A directory with two jobs in its log, and no server any more.
fn with_jobs() -> Options {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QPUSH q \"payload one\"\n> QPUSH q \"payload two\"");
    server.kill();
    options
}

/// The log's segments, oldest first.
fn segments(options: &Options) -> Vec<PathBuf> {
    let paths = snapshot(&options.data()).into_iter().map(|(path, ..)| path);
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    // By the first byte at first: a segment is large, and mostly zeros.
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == part[0]);
    starts.map(|(at, _)| at).find(|&at| bytes[at..].starts_with(part))
}
