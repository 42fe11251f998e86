//! `always` means a sync before the reply, and a sync that fails is the end: both seen from outside, by strace.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use stanchion_tests::{Connection, Options, Server};

/// The calls that make a file durable.
const SYNC_CALLS: &str = "fsync,fdatasync,sync_file_range,msync,sync";

#[test]
fn every_depth_1_push_is_synced_before_its_reply() {
    let options = Options::new();
    let (server, trace) = traced(&options);
    let mut connection = server.connect();
    let before = syncs(&trace);
    for _ in 0..100 {
        connection.call(&["QPUSH", "q", "x"]);
    }
    // Each reply was held until its sync had returned, which strace has written by then.
    let synced = syncs(&trace) - before;
    assert!(synced >= 100, "100 pushes one after the other were acknowledged with {synced} syncs");
    finish(server, &mut connection);
}

#[test]
fn every_command_that_changes_something_is_synced_before_its_reply() {
    let options = Options::new();
    let (server, trace) = traced(&options);
    let mut connection = server.connect();
    let mut receipts = Vec::new();
    connection.call(&["QMPUSH", "q", "a", "NEXT", "b", "NEXT", "c", "NEXT", "d", "NEXT", "e"]);
    for job in connection.call(&["QCLAIM", "q", "COUNT", "4"]).array() {
        receipts.push(job.array()[1].text());
    }
    // The claim's own record needs no sync for its reply; this one ends any that is under way.
    connection.call(&["WAITAOF", "1", "0", "0"]);
    let dead = receipts[1].split('-').next().expect("an id");
    let commands: [&[&str]; 12] = [
        &["QACK", "q", &receipts[0]],
        &["QNACK", "q", &receipts[1], "DEAD"],
        &["QRELEASE", "q", &receipts[2]],
        &["QCLAIM", "q", "COUNT", "1", "ACK", "1", &receipts[3]],
        &["QROOT", "q", "sig", "1"],
        &["QREQUEUE", "q", dead],
        &["QPAUSE", "q"],
        &["QRESUME", "q"],
        &["QCONFIG", "SET", "q", "attempts", "5"],
        &["QCONFIG", "UNSET", "q", "attempts"],
        &["QDEL", "q", dead],
        &["DEL", "q"],
    ];
    for command in commands {
        let before = syncs(&trace);
        let reply = connection.call(command);
        let synced = syncs(&trace) - before;
        assert!(synced >= 1, "{command:?} was answered {reply} without a sync");
    }
    finish(server, &mut connection);
}

#[test]
fn save_syncs_what_no_reply_waits_for() {
    let options = Options::new().arguments(&["--durability", "never"]);
    let (server, trace) = traced(&options);
    let mut connection = server.connect();
    let before = syncs(&trace);
    connection.call(&["QPUSH", "q", "x"]);
    assert_eq!(connection.call(&["SAVE"]).text(), "OK");
    assert!(syncs(&trace) > before, "SAVE was answered without a sync");
    finish(server, &mut connection);
}

/// A server under strace, and the file that tells its syncs.
fn traced(options: &Options) -> (Server, PathBuf) {
    let trace = options.file("trace", "");
    let (file, calls) = (trace.to_str().expect("UTF-8"), format!("trace={SYNC_CALLS}"));
    let server =
        options.clone().wrapper(&["strace", "-f", "--seccomp-bpf", "-qq", "-o", file, "-e", &calls]).start();
    (server, trace)
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    let options = Options::new();
    let failing = options.clone().wrapper(&[
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={SYNC_CALLS}"),
        "-e",
        "inject=fsync,fdatasync,sync_file_range,msync:error=EIO:when=40+",
    ]);
    let server = failing.start();
    let mut acknowledged = Vec::new();
    let mut connection = server.connect();
    let mut bystander = server.connect();
    for i in 0..1_000 {
        match connection.try_call(&["QPUSH", "q", &format!("{i}")]) {
            Ok(reply) if reply.is_error("MISCONF") => break,
            Ok(reply) => acknowledged.push(reply.text()),
            Err(_) => break,
        }
    }
    assert!(acknowledged.len() < 40, "{} pushes were acknowledged with 39 good syncs", acknowledged.len());
    assert!(!acknowledged.is_empty(), "the syncs of the start alone were 40");
    // On this connection and on any other.
    for connection in [&mut connection, &mut bystander] {
        if let Ok(reply) = connection.try_call(&["QPUSH", "q", "after"]) {
            assert!(reply.is_error("MISCONF"), "{reply}");
        }
    }
    let mut process = server.into_process();
    let status = process.wait();
    assert!(!status.success(), "{status}");
    let said = process.output();
    assert!(said.contains("Input/output error") || said.contains("os error 5"), "{said}");

    let server = options.start();
    let mut connection = server.connect();
    for id in acknowledged {
        assert!(
            connection.call(&["QJOB", "q", &id]).field("payload").is_some(),
            "the acknowledged {id} was lost"
        );
    }
}

fn syncs(trace: &Path) -> usize {
    let text = std::fs::read_to_string(trace).expect("strace writes its trace");
    text.lines().filter(|line| line.contains("sync") && line.contains("= 0")).count()
}

/// Stops the server itself: killed alone, strace would leave it behind.
fn finish(server: Server, connection: &mut Connection) {
    let info = connection.call(&["INFO", "server"]).text();
    let id = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("INFO names the process");
    let id = Pid::from_raw(id.trim().parse().expect("a number")).expect("a process");
    kill_process(id, Signal::KILL).expect("the server can be killed");
    server.into_process().wait();
}
