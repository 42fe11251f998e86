//! `stanchion backup`: copies of a server that goes on, and servers that start from them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use stanchion_tests::{Connection, Options, Secured, Server, binary};

/// Segments so small that a few thousand jobs fill several.
const SEGMENT: &str = "segment-bytes = 1048576\n";

fn backup(url: &str, destination: &Path) -> Output {
    Command::new(binary("stanchion"))
        .args(["backup", "--url", url])
        .arg(destination)
        .output()
        .expect("the program starts")
}

fn url(address: SocketAddr) -> String {
    format!("redis://{address}")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Pushes numbered jobs in a pipeline, and waits for all replies.
fn push(connection: &mut Connection, queue: &str, numbers: std::ops::Range<usize>) {
    let filler = "x".repeat(500);
    for number in numbers.clone() {
        connection.send(&["QPUSH", queue, &format!("{number} {filler}")]).expect("sent");
    }
    for _ in numbers {
        let reply = connection.receive().expect("a reply");
        assert!(!reply.is_error(""), "{reply}");
    }
}

/// Claims everything that is in a queue, and gives the numbers.
fn drain(connection: &mut Connection, queue: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    loop {
        let jobs = connection.call(&["QCLAIM", queue, "COUNT", "500"]);
        if jobs.array().is_empty() {
            return numbers;
        }
        for job in jobs.array() {
            let payload = job.array()[2].text();
            numbers.push(payload.split(' ').next().and_then(|word| word.parse().ok()).expect("a number"));
        }
    }
}

#[test]
fn a_backup_under_load_has_what_was_acknowledged_before_it() {
    let options = Options::new().configuration(SEGMENT);
    let mut server = options.start();
    let mut connection = server.connect();
    push(&mut connection, "still", 0..6_000);
    // The first third is done, and must not come back.
    for _ in 0..4 {
        let jobs = connection.call(&["QCLAIM", "still", "COUNT", "500"]);
        let receipts: Vec<String> = jobs.array().iter().map(|job| job.array()[1].text()).collect();
        let mut command = vec!["QACK", "still"];
        command.extend(receipts.iter().map(String::as_str));
        assert_eq!(connection.call(&command).integer(), 500);
    }
    let address = server.address();
    let destination = server.directory().join("backup");
    let (is_done, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let before = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = Connection::tcp(address).expect("a connection");
            while !is_done.load(SeqCst) {
                let next = acknowledged.load(SeqCst);
                push(&mut connection, "load", next..next + 50);
                acknowledged.store(next + 50, SeqCst);
            }
        });
        while acknowledged.load(SeqCst) < 500 {
            std::thread::yield_now();
        }
        let before = acknowledged.load(SeqCst);
        let output = backup(&url(address), &destination);
        is_done.store(true, SeqCst);
        assert!(output.status.success(), "{}", said(&output));
        before
    });
    let after = acknowledged.load(SeqCst);
    server.kill();
    let checked = Command::new(binary("stanchion")).arg("check").arg(&destination).output();
    let checked = checked.expect("the program starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let restored = Options::new().configuration(SEGMENT);
    std::fs::rename(&destination, restored.data()).expect("the directory moves");
    let server = restored.start();
    let mut connection = server.connect();
    let mut still = drain(&mut connection, "still");
    still.sort_unstable();
    assert_eq!(still, (2_000..6_000).collect::<Vec<_>>());
    // Pushed one after the other, so what is there is the beginning of what was pushed.
    let load = drain(&mut connection, "load");
    assert_eq!(load, (0..load.len()).collect::<Vec<_>>());
    assert!((before..=after + 50).contains(&load.len()), "{before} ≤ {} ≤ {after}", load.len());
    // It is a server like any other.
    push(&mut connection, "new", 0..10);
    assert_eq!(drain(&mut connection, "new").len(), 10);
}

#[test]
fn a_backup_goes_through_a_pipe_into_another_servers_directory() {
    let server = Options::new().configuration(SEGMENT).start();
    push(&mut server.connect(), "q", 0..3_000);
    let restored = Options::new().configuration(SEGMENT);
    std::fs::create_dir(restored.data()).expect("a directory");
    let mut backup = Command::new(binary("stanchion"))
        .args(["backup", "--url", &url(server.address()), "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let archive = backup.stdout.take().expect("its output");
    let unpacked = Command::new("tar")
        .args(["x", "-C"])
        .arg(restored.data())
        .stdin(archive)
        .status()
        .expect("tar starts");
    assert!(unpacked.success() && backup.wait().expect("it ends").success());
    let server = restored.start();
    let found: BTreeSet<usize> = drain(&mut server.connect(), "q").into_iter().collect();
    assert_eq!(found, (0..3_000).collect());
}

#[test]
fn a_destination_that_is_in_use_is_left_alone() {
    let server = Server::start();
    server.check("> QPUSH q x");
    let directory = server.directory().join("used");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::write(directory.join("precious"), "kept").expect("a file");
    let output = backup(&url(server.address()), &directory);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("is not empty"), "{}", said(&output));
    assert_eq!(std::fs::read_dir(&directory).expect("it is there").count(), 1);
}

#[test]
fn a_backup_that_fails_says_why_and_leaves_nothing() {
    let server = Options::new().start();
    let directory = server.directory().join("backup");
    let mut connection = server.connect();
    connection.call(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-backup"]);
    connection.call(&["ACL", "SETUSER", "keeper", "on", ">secret", "+backup"]);
    let as_user = |user: &str| backup(&format!("redis://{user}:secret@{}", server.address()), &directory);
    let refused = as_user("reader");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("no permissions to run the 'backup|begin' command"),
        "{}",
        said(&refused)
    );
    assert!(!directory.exists());
    // The one right that it takes.
    let output = as_user("keeper");
    assert!(output.status.success(), "{}", said(&output));

    let address = server.address();
    drop(server);
    let parent = tempfile::tempdir().expect("a directory");
    let nobody = backup(&url(address), &parent.path().join("backup"));
    assert_eq!(nobody.status.code(), Some(1));
    assert!(said(&nobody).contains("no connection to the server"), "{}", said(&nobody));
    assert_eq!(std::fs::read_dir(parent.path()).expect("it is there").count(), 0);
}

#[test]
fn a_backup_goes_over_tls_too() {
    let secured = Secured::start("yes");
    secured.server().check("> QPUSH q x");
    let (url, own) = (format!("rediss://{}", secured.address()), secured.authority().sign("keeper"));
    let ca = secured.authority().certificate();
    let backup = |url: &str, files: &[(&str, &Path)], name: &str| {
        let mut command = Command::new(binary("stanchion"));
        command.args(["backup", "--url", url]).arg(secured.server().directory().join(name));
        for (option, file) in files {
            command.arg(option).arg(file);
        }
        command.output().expect("the program starts")
    };
    let files = [("--ca-file", ca), ("--cert-file", &own.cert), ("--key-file", &own.key)];
    let output = backup(&url, &files, "backup");
    assert!(output.status.success(), "{}", said(&output));

    let plain = format!("redis://{}", secured.address());
    let missing: [(&str, &Path); 1] = [("--ca-file", Path::new("/no/ca.crt"))];
    let cases = [
        (&*url, &files[..0], 1, "name the authority's certificate as ca-file"),
        (&url, &files[..1], 1, "CertificateRequired"),
        (&url, &files[..2], 2, "--key-file"),
        (&url, &missing, 2, "/no/ca.crt"),
        (&plain, &files, 2, "rediss://"),
        ("http://localhost", &[], 2, "redis://[USER:PASSWORD@]HOST:PORT"),
    ];
    for (url, files, code, words) in cases {
        let output = backup(url, files, "refused");
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "no {words} in {}", said(&output));
    }
    assert!(!secured.server().directory().join("refused").exists());
}

#[test]
fn pieces_of_a_backup_are_read_one_by_one() {
    let server = Server::start();
    let mut connection = server.connect();
    connection.call(&["QPUSH", "q", "x"]);
    assert!(connection.call(&["BACKUP", "READ", "1", "0"]).is_error("ERR"));
    assert_eq!(connection.call(&["BACKUP", "END"]).integer(), 0);
    assert!(connection.call(&["BACKUP", "HELP"]).array().len() > 3);
    let begun = connection.call(&["BACKUP", "BEGIN"]);
    let [lsn, segments] = begun.array() else { panic!("{begun}") };
    let [number, first, last, bytes] = segments.array()[0].array() else { panic!("{segments}") };
    assert_eq!((first.integer(), last.integer()), (1, lsn.integer()));
    let number = number.integer().to_string();
    let piece = connection.call(&["BACKUP", "READ", &number, "0"]);
    assert_eq!(piece.bytes().expect("bytes").len() as i64, bytes.integer());
    assert!(piece.bytes().expect("bytes").starts_with(b"STANCLOG"));
    let end = connection.call(&["BACKUP", "READ", &number, &bytes.integer().to_string()]);
    assert_eq!(end.bytes(), Some(&b""[..]));
    for wrong in [["99", "0"], ["x", "0"], ["1", "-1"]] {
        let reply = connection.call(&["BACKUP", "READ", wrong[0], wrong[1]]);
        assert!(reply.is_error("ERR"), "{reply}");
    }
    assert_eq!(connection.call(&["BACKUP", "END"]).integer(), 1);
    assert!(connection.call(&["BACKUP", "READ", &number, "0"]).is_error("ERR"));
    // RESET forgets it, too.
    connection.call(&["BACKUP", "BEGIN"]);
    connection.call(&["RESET"]);
    assert_eq!(connection.call(&["BACKUP", "END"]).integer(), 0);
}
