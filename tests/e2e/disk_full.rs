//! A full disk: pushes are refused, jobs are claimed and acked, and pushes come back by themselves; also when the
//! server is killed in between and starts again without a free byte.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use stanchion_tests::{Connection, Options, PATIENCE, Server, Value};

use crate::runner_status::{ask, pages, sample};
use crate::server_status::watched;

const SMALL_SEGMENTS: &str = "segment-bytes = 65536\nthreads = 2\n";

/// A small disk of its own for a server.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one where the server's files are going to be.
    fn mount(options: &Options) -> SmallDisk {
        let path = options.data().parent().expect("the data directory is in another").to_owned();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&path).output();
        let mount = mount.expect("mount can be run");
        let said = String::from_utf8_lossy(&mount.stderr);
        assert!(
            mount.status.success(),
            "this test mounts a small disk, for which it must run as root: {said}"
        );
        SmallDisk { path }
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file without content takes no space");
        while match file.write(&[7; 4096]) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::StorageFull => false,
            Err(error) => panic!("cannot fill the disk: {error}"),
        } {}
    }

    /// Gives back what [`SmallDisk::fill`] took.
    fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("the filler is there");
    }

    fn filler(&self) -> PathBuf {
        Path::new(&self.path).join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for the server may not be gone yet. What fails here is in nobody's way.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Pushes until that is refused; how many jobs were taken.
#[track_caller]
fn fill(connection: &mut Connection) -> i64 {
    let payload = "p".repeat(700);
    for pushed in 0.. {
        match connection.call(&["QPUSH", "q", &payload]) {
            Value::Bulk(_) => {}
            reply if reply.is_error("FULL disk: ") => return pushed,
            reply => panic!("a push was answered {reply}"),
        }
        assert!(pushed < 10_000, "the disk has no end");
    }
    unreachable!("it ends when it is full");
}

/// Pushes until the server calls the disk full and leaves it at that; how many jobs were taken. A push may be refused a
/// moment before, and files that are given up may make room once more.
#[track_caller]
fn fill_up(connection: &mut Connection) -> i64 {
    let started = Instant::now();
    let mut jobs = fill(connection);
    loop {
        let more = fill(connection);
        jobs += more;
        let info = connection.call(&["INFO", "persistence"]).text();
        if more == 0 && info.lines().any(|line| line == "log_disk_full:1") {
            return jobs;
        }
        assert!(started.elapsed() < PATIENCE, "{info}");
    }
}

/// The receipts of up to `count` jobs.
fn claim(connection: &mut Connection, count: &str) -> Vec<String> {
    let jobs = connection.call(&["QCLAIM", "q", "COUNT", count]);
    jobs.array().iter().map(|job| job.array()[1].text()).collect()
}

/// Claims and acks everything, one job at a time, while the disk is full.
#[track_caller]
fn drain(connection: &mut Connection, jobs: i64) {
    let before = connection.call(&["QLEN", "q"]).integer();
    for left in (0..jobs).rev() {
        let receipts = claim(connection, "1");
        assert_eq!(receipts.len(), 1, "{left} jobs are left");
        let acked = connection.call(&["QACK", "q", &receipts[0]]);
        assert_eq!(acked, Value::Integer(1), "{left} jobs are left: {acked}");
    }
    assert_eq!(connection.call(&["QLEN", "q"]).integer(), before - jobs);
}

/// Waits until pushes are taken again, and takes that job away.
#[track_caller]
fn wait_room(connection: &mut Connection) {
    let started = Instant::now();
    loop {
        match connection.call(&["QPUSH", "q", &"p".repeat(700)]) {
            Value::Bulk(_) => break,
            reply => assert!(
                reply.is_error("FULL disk: ") && started.elapsed() < PATIENCE,
                "{reply}\n{}",
                connection.call(&["INFO", "persistence"]).text()
            ),
        }
    }
    drain(connection, 1);
}

#[track_caller]
fn has_field(connection: &mut Connection, field: &str) {
    let info = connection.call(&["INFO", "persistence"]).text();
    assert!(info.lines().any(|line| line == field), "{field} is not in {info}");
}

#[test]
fn a_full_disk_takes_everything_but_pushes_and_then_pushes_again() {
    let options = Options::new();
    let _disk = SmallDisk::mount(&options);
    let server = options.configuration(SMALL_SEGMENTS).start();
    let mut connection = server.connect();
    for round in 0..3 {
        let jobs = fill_up(&mut connection);
        assert!(jobs > 500, "round {round}: {jobs} jobs");
        server.check(
            "
            > QROOT q Page:X 1 => -FULL disk: *
            > QPAUSE q => -FULL disk: *
            > QCONFIG SET q lease 5m => -FULL disk: *
            > QPUSH q small DEDUPE k => -FULL disk: *
            ",
        );
        // Everything but an ack leaves the job where it was.
        let receipts = claim(&mut connection, "4");
        assert_eq!(connection.call(&["QEXTEND", "q", "60000", &receipts[0]]), Value::Integer(1));
        assert_eq!(connection.call(&["QRELEASE", "q", &receipts[0]]), Value::Integer(1));
        let nacked = connection.call(&["QNACK", "q", &receipts[1], "DELAY", "0", "ERROR", "a message"]);
        assert_eq!(nacked.text(), "retry");
        assert_eq!(connection.call(&["QACK", "q", &receipts[2]]), Value::Integer(1));
        connection.call(&["MULTI"]);
        connection.call(&["QPUSH", "q", &"p".repeat(700)]);
        connection.call(&["QACK", "q", &receipts[3]]);
        let replies = connection.call(&["EXEC"]);
        assert!(replies.array()[0].is_error("FULL disk: "), "{replies}");
        assert_eq!(replies.array()[1], Value::Integer(1), "{replies}");
        drain(&mut connection, jobs - 2);
        wait_room(&mut connection);
        has_field(&mut connection, "log_disk_full:0");
    }
    assert!(server.output().contains("the disk is full"), "{}", server.output());
}

#[test]
fn a_server_that_is_killed_on_a_full_disk_starts_without_a_free_byte() {
    let options = Options::new();
    let disk = SmallDisk::mount(&options);
    let options = options.configuration(SMALL_SEGMENTS);
    let mut server: Server = options.start();
    for round in 0..3 {
        let jobs = fill(&mut server.connect());
        server.kill();
        disk.fill();
        server = options.start();
        let mut connection = server.connect();
        assert_eq!(connection.call(&["QLEN", "q"]), Value::Integer(jobs), "round {round}");
        let reply = connection.call(&["QPUSH", "q", &"p".repeat(700)]);
        assert!(reply.is_error("FULL disk: "), "{reply}");
        drain(&mut connection, jobs / 2);
        server.kill();
        server = options.start();
        let mut connection = server.connect();
        assert_eq!(connection.call(&["QLEN", "q"]), Value::Integer(jobs - jobs / 2), "round {round}");
        drain(&mut connection, jobs - jobs / 2);
        disk.empty();
        wait_room(&mut connection);
    }
}

#[test]
fn who_watches_is_told_of_a_full_disk() {
    let options = watched();
    let _disk = SmallDisk::mount(&options);
    let server = options.configuration(SMALL_SEGMENTS).start();
    let mut connection = server.connect();
    let pages = pages(&server);
    let jobs = fill_up(&mut connection);
    let (status, health) = ask(pages, "GET /health");
    assert_eq!(status, 503, "{health}");
    assert!(health.starts_with("failing\ndisk full: pushes are refused, claims and acks go on"), "{health}");
    let (_, page) = ask(pages, "GET /metrics");
    assert_eq!(sample(&page, r#"stanchion_disk_space{level="full"}"#), 1.0);
    assert_eq!(sample(&page, r#"stanchion_disk_space{level="ample"}"#), 0.0);
    assert!(sample(&page, "stanchion_disk_left_bytes") < 2e6);
    drain(&mut connection, jobs);
    wait_room(&mut connection);
    // On so small a disk the reserve stays near, which is a note.
    let (status, health) = ask(pages, "GET /health");
    assert!(status == 200 && health.starts_with("ok\n"), "{health}");
}

#[test]
fn a_budget_is_kept() {
    let budget = 20 * 65_536;
    let options = Options::new().configuration(&format!("{SMALL_SEGMENTS}disk-budget = {budget}\n"));
    let server = options.start();
    let mut connection = server.connect();
    let jobs = fill(&mut connection);
    let files = std::fs::read_dir(options.data()).expect("the data directory");
    let bytes: u64 = files.map(|file| file.expect("a file").metadata().expect("its size").len()).sum();
    assert!((budget / 2..=budget + 4096).contains(&bytes), "{bytes}");
    has_field(&mut connection, &format!("log_budget_bytes:{budget}"));
    drain(&mut connection, jobs);
    wait_room(&mut connection);
}

#[test]
fn a_budget_takes_no_job_that_it_could_not_write_again() {
    let options = Options::new().configuration(&format!("{SMALL_SEGMENTS}disk-budget = 2000000\n"));
    let server = options.start();
    let mut connection = server.connect();
    let (fits, large) = ("p".repeat(32_000), "p".repeat(33_000));
    let refused =
        "ERR a job of 33424 bytes in the log is above the limit of 32768, which is half of segment-bytes";
    assert!(connection.call(&["QPUSH", "q", &large]).is_error(refused));
    assert!(connection.call(&["QMPUSH", "q", "small", "NEXT", &large]).is_error(refused));
    assert_eq!(connection.call(&["QSTATS", "q"]), Value::Nil, "nothing has changed");
    // Whatever fits is worked off, however full the log is.
    let mut jobs = 0;
    while matches!(connection.call(&["QPUSH", "q", &fits]), Value::Bulk(_)) {
        jobs += 1;
    }
    assert!(jobs > 20, "{jobs}");
    drain(&mut connection, jobs);
    wait_room(&mut connection);

    let server = Options::new().configuration(SMALL_SEGMENTS).start();
    let pushed = server.connect().call(&["QPUSH", "q", &large]);
    assert!(matches!(pushed, Value::Bulk(_)), "without a budget: {pushed}");
}
