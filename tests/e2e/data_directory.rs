//! `stanchion check`, `dump` and `repair` on directories that a real server wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;
use stanchion_tests::{Options, Server, binary};

/// Some dozens of commands each.
const SMALL_SEGMENTS: &str = "segment-bytes = 4096\n";

/// What a command printed, and how it ended.
struct Ended {
    code: i32,
    printed: String,
    said: String,
}

fn run(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
    Ended { code: status.code().expect("it ends by itself"), printed: text(stdout), said: text(stderr) }
}

fn stanchion(command: &str, dir: &Path, arguments: &[&str]) -> Ended {
    run(Command::new(binary("stanchion")).arg(command).arg(dir).args(arguments))
}

/// A directory of three runs, the last of them killed.
fn written() -> Options {
    let options = Options::new().configuration(SMALL_SEGMENTS);
    let server = options.start();
    server.check(
        r#"
        > QMPUSH mail a NEXT b NEXT c NEXT d NEXT e NEXT f
        > QPUSH mail later DELAY 600000 GROUP wiki PRIORITY 3
        > QPUSH mail "one that is too long to be kept in memory beside the index"
        > QPUSH mail once DEDUPE key WINDOW 600000 TTL 900000 ATTEMPTS 4
        > QPUSH mail of-root GROUP wiki ROOT sig 5
        > QPAUSE other
        > QCONFIG SET mail attempts 9
        "#,
    );
    let mut connection = server.connect();
    for reply in connection.call(&["QCLAIM", "mail", "COUNT", "3", "WORKER", "w1"]).array() {
        let receipt = reply.array()[1].text();
        match reply.array()[2].text().as_str() {
            "a" => connection.call(&["QACK", "mail", &receipt]),
            "b" => connection.call(&["QNACK", "mail", &receipt, "DEAD", "ERROR", "broken"]),
            _ => continue,
        };
    }
    connection.call(&[&b"QPUSH"[..], b"\xffbytes", b"\x00\xff\xfe"]);
    server.terminate();
    assert!(server.into_process().wait().success());
    for run in 0..2 {
        let mut server = options.start();
        let mut connection = server.connect();
        for number in 0..60 {
            connection.call(&["QPUSH", "filling", &format!("{run} {number} {}", "x".repeat(90))]);
        }
        server.kill();
    }
    options
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    files.sort();
    files
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
}

/// Breaks a byte of the body of the record `number` (counted from 0) of a segment; where that record begins.
fn break_record(dir: &Path, segment: &Path, number: usize) -> u64 {
    let dumped = stanchion("dump", dir, &["--records"]);
    let file: u64 = segment.file_stem().expect("a name").to_string_lossy().parse().expect("a number");
    let offsets = dumped.printed.lines().map(json).filter(|line| line["segment"] == file);
    let offset = offsets.map(|line| line["offset"].as_u64().expect("a number")).nth(number);
    let offset = offset.expect("the segment has so many records");
    let mut bytes = fs::read(segment).expect("a segment");
    bytes[offset as usize + 21] ^= 0x10;
    fs::write(segment, bytes).expect("written");
    offset
}

fn json(line: &str) -> Json {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn a_good_directory_is_good_and_stays_as_it_is() {
    let options = written();
    let dir = options.data();
    let before = contents(&dir);
    let checked = stanchion("check", &dir, &[]);
    assert_eq!((checked.code, checked.said.as_str()), (0, ""), "{}", checked.printed);
    for expected in ["nothing is damaged", "not stopped in order", "130 jobs in 4 queues", "newest", "sealed"]
    {
        assert!(checked.printed.contains(expected), "no {expected:?} in:\n{}", checked.printed);
    }
    let queue = checked.printed.lines().find(|line| line.trim_start().starts_with("mail"));
    let words: Vec<&str> = queue.expect("a row of the queue").split_whitespace().collect();
    assert_eq!(words, ["mail", "6", "1", "1", "1"]);
    for command in ["dump", "repair"] {
        let ended = stanchion(command, &dir, &[]);
        assert_eq!((ended.code, ended.said.as_str()), (0, ""), "{command}");
    }
    assert!(contents(&dir) == before, "looking has changed something");

    let server = options.start();
    assert_eq!(server.connect().call(&["QLEN", "filling"]).integer(), 120);
    server.terminate();
    assert!(server.into_process().wait().success());
    assert!(stanchion("check", &dir, &[]).printed.contains("the server was stopped in order"));
}

#[test]
fn a_dump_has_every_job_with_all_its_fields() {
    let options = written();
    let dumped = stanchion("dump", &options.data(), &[]);
    let lines: Vec<Json> = dumped.printed.lines().map(json).collect();
    assert_eq!((&lines[0]["type"], &lines[0]["version"]), (&"dump".into(), &1.into()));
    let of_type = |name: &str| lines.iter().filter(|line| line["type"] == name).collect::<Vec<_>>();
    assert_eq!((of_type("job").len(), of_type("queue").len()), (130, 4));
    let job = |payload: &str| {
        let found = lines.iter().find(|line| line["payload"] == payload);
        found.unwrap_or_else(|| panic!("no job {payload}"))
    };
    let server = options.start();
    let mut connection = server.connect();
    // The fields of QJOB that are not relative to now, and how they are called here.
    let names = [
        ("state", "state"),
        ("group", "group"),
        ("priority", "priority"),
        ("attempts", "attempts"),
        ("failures", "failures"),
        ("pushed-at", "pushed_at"),
        ("ready-at", "ready_at"),
        ("expires-at", "expires_at"),
        ("dedupe", "dedupe"),
        ("last-error", "last_error"),
        ("payload", "payload"),
    ];
    let long = "one that is too long to be kept in memory beside the index";
    for payload in ["b", "c", "d", "later", "once", "of-root", long] {
        let line = job(payload);
        let id = line["id"].as_str().expect("an id").to_owned();
        let shown = connection.call(&["QJOB", "mail", &id]);
        for (shown_as, dumped_as) in names {
            let Some(value) = shown.field(shown_as) else {
                assert!(line.get(dumped_as).is_none(), "{payload}: {dumped_as} in {line}, not in {shown}");
                continue;
            };
            let dumped = match &line[dumped_as] {
                Json::String(text) => text.clone(),
                Json::Null => String::new(),
                other => other.to_string(),
            };
            let shown = match value.bytes() {
                Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                None => value.integer().to_string(),
            };
            assert_eq!(dumped, shown, "{payload}: {dumped_as} in {line}");
        }
    }
    assert_eq!(
        (&job("of-root")["root_signature"], &job("of-root")["root_timestamp"]),
        (&"sig".into(), &5.into())
    );
    assert_eq!(job("once")["attempts_max"], 4);
    let claimed = lines.iter().find(|line| line["state"] == "claimed").expect("a claimed job");
    assert_eq!(claimed["worker"], "w1");
    let bytes = lines.iter().find(|line| line.get("payload_base64").is_some()).expect("a job of bytes");
    assert_eq!((&bytes["payload_base64"], &bytes["queue_base64"]), (&"AP/+".into(), &"/2J5dGVz".into()));
    assert_eq!(of_type("set")[0]["value"], "9");
    assert!(of_type("queue").iter().any(|line| line["claim_paused_until"] == "until_resumed"));
    assert_eq!(of_type("root_kept")[0]["signature"], "sig");
    drop(server);

    let only = stanchion("dump", &options.data(), &["--queue", "ma*"]);
    let queues = only.printed.lines().skip(1).map(|line| json(line)["queue"].clone());
    assert!(queues.into_iter().all(|queue| queue == "mail"));
}

#[test]
fn the_records_of_a_log_are_dumped_in_their_order() {
    let options = written();
    let dumped = stanchion("dump", &options.data(), &["--records"]);
    let records: Vec<Json> = dumped.printed.lines().skip(1).map(json).collect();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["lsn"].as_u64(), Some(index as u64 + 1), "{record}");
    }
    let events = |record: &Json| {
        let parts = record["parts"].as_array().expect("parts").clone();
        parts.into_iter().flat_map(|part| part["events"].as_array().expect("events").clone())
    };
    let names: Vec<Json> = records.iter().flat_map(events).map(|event| event["event"].clone()).collect();
    for name in ["boot", "push", "claim", "ack", "die", "pause", "set"] {
        assert!(names.contains(&name.into()), "no {name} in {names:?}");
    }
    let only = stanchion("dump", &options.data(), &["--records", "--queue", "other"]);
    assert_eq!(only.printed.lines().count(), 2, "{}", only.printed);
}

#[test]
fn damage_is_found_and_written_off_and_the_original_is_kept() {
    let options = written();
    let dir = options.data();
    let files = segments(&dir);
    assert!(files.len() >= 5, "{files:?}");
    let broken = files[files.len() - 3].clone();
    let offset = break_record(&dir, &broken, 3);
    let place = format!("{}:{offset}", broken.display());

    let checked = stanchion("check", &dir, &[]);
    assert_eq!(checked.code, 1, "{}", checked.printed);
    assert!(checked.printed.contains(&format!("damaged: {place} to ")), "{}", checked.printed);
    assert!(checked.printed.contains("is lost") && checked.said.contains("stanchion repair"));
    let mut server = options.spawn();
    assert!(!server.wait().success());
    assert!(server.output().contains(&format!("is damaged at byte {offset}")), "{}", server.output());
    let dumped = stanchion("dump", &dir, &[]);
    assert_eq!(dumped.code, 1);
    assert_eq!(dumped.printed.lines().filter(|line| json(line)["type"] == "job").count(), 129);

    let before = contents(&dir);
    let shown = stanchion("repair", &dir, &["--skip", &place]);
    assert_eq!(shown.code, 0, "{}", shown.said);
    assert!(shown.printed.contains("nothing was changed; add --apply"), "{}", shown.printed);
    assert!(contents(&dir) == before, "it was only asked");

    let backup = dir.with_file_name("kept");
    let applied =
        stanchion("repair", &dir, &["--skip", &place, "--apply", "--backup", backup.to_str().expect("text")]);
    assert_eq!(applied.code, 0, "{}{}", applied.printed, applied.said);
    assert_eq!(fs::read(backup.join(broken.file_name().expect("a name"))).expect("kept"), before[&broken]);
    let note = fs::read_to_string(backup.join("repair.txt")).expect("a note");
    assert!(note.contains(&place), "{note}");
    let checked = stanchion("check", &dir, &[]);
    assert_eq!(checked.code, 0, "{}", checked.printed);
    assert!(checked.printed.contains("1 of the records stand for lost ones"), "{}", checked.printed);

    // A checkpoint may still know the job.
    for entry in fs::read_dir(options.data()).expect("the data directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "checkpoint") {
            fs::remove_file(path).expect("a file can be removed");
        }
    }
    let server = options.start();
    server.wait_line("that something was written off", |line| {
        line.contains("a repair has written off records").then_some(())
    });
    server.check("> QLEN filling => 119\n> QPUSH filling x\n> QLEN filling => 120");
}

#[test]
fn a_log_is_cut_where_it_is_asked_for() {
    let options = written();
    let dir = options.data();
    let files = segments(&dir);
    let cut = files[files.len() - 3].clone();
    let offset = break_record(&dir, &cut, 2);
    let place = format!("{}:{offset}", cut.file_name().expect("a name").to_string_lossy());
    let checked = stanchion("check", &dir, &[]).printed;
    let applied = stanchion("repair", &dir, &["--cut", &place, "--apply"]);
    assert_eq!(applied.code, 0, "{}{}", applied.printed, applied.said);
    assert!(applied.printed.contains("jobs before it, "), "{}", applied.printed);
    let backup = dir.with_file_name("data.before-repair-1");
    assert_eq!(segments(&backup).len(), 2, "the segments behind the cut are kept: {checked}");
    assert_eq!(stanchion("check", &dir, &[]).code, 0);
    // The fourth run: ids of the runs that were cut off are not given out again.
    let server = options.start();
    let id = server.connect().call(&["QPUSH", "new", "x"]).text();
    assert!(id.starts_with("00004"), "{id} may be of an earlier run");
}

#[test]
fn a_running_server_is_left_alone() {
    let options = Options::new();
    let server = options.start();
    server.check("> QPUSH q x");
    let before = contents(&options.data());
    for (command, arguments) in
        [("check", &[][..]), ("dump", &[]), ("repair", &[]), ("repair", &["--skip", "all", "--apply"])]
    {
        let ended = stanchion(command, &options.data(), arguments);
        let pid = server.id().to_string();
        assert_eq!((ended.code, ended.printed.as_str()), (2, ""), "{command}");
        assert!(ended.said.contains(&format!("is in use by process {pid}")), "{}", ended.said);
    }
    assert!(contents(&options.data()) == before);
    server.check("> QLEN q => 1");
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let options = Options::new();
    let mut server: Server = options.start();
    server.check("> QPUSH q x");
    server.kill();
    drop(server);
    let data = options.data();
    let beside = |name: &str| data.with_file_name(name);
    let file = options.file("a-file", "text");
    fs::create_dir(beside("empty")).expect("made");
    fs::create_dir(beside("foreign")).expect("made");
    fs::write(beside("foreign").join("dump.rdb"), b"REDIS0011").expect("written");
    fs::create_dir(beside("newer")).expect("made");
    let mut segment = fs::read(&segments(&data)[0]).expect("a segment");
    segment.truncate(4096);
    segment[8] = 77;
    let crc = crc32fast::hash(&segment[..60]);
    segment[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(beside("newer").join("00000000000000000001.seg"), segment).expect("written");

    let table: [(PathBuf, &str); 5] = [
        (beside("missing"), "cannot open the directory"),
        (file, "cannot open the directory"),
        (beside("empty"), "holds no log: there is no segment in it"),
        (beside("foreign"), "is not a directory of this log: it contains dump.rdb"),
        (beside("newer"), "has format version 77, and this program reads up to"),
    ];
    for (dir, expected) in &table {
        let before = fs::read_dir(dir).map(|_| contents(dir)).ok();
        for (command, arguments) in
            [("check", &[][..]), ("dump", &[]), ("repair", &[]), ("repair", &["--skip", "all", "--apply"])]
        {
            let ended = stanchion(command, dir, arguments);
            assert_eq!(ended.code, 2, "{command} {}: {}{}", dir.display(), ended.printed, ended.said);
            assert!(
                ended.said.starts_with(&format!("stanchion {command}: ")) && ended.said.contains(expected),
                "{}",
                ended.said
            );
            assert_eq!(ended.said.lines().count(), 1, "{}", ended.said);
        }
        let mut after = fs::read_dir(dir).map(|_| contents(dir)).ok();
        // The lock of the one that was to be repaired.
        if let (Some(before), Some(after)) = (&before, &mut after) {
            after.retain(|path, _| before.contains_key(path) || !path.ends_with("LOCK"));
        }
        assert_eq!(after, before, "{} was changed", dir.display());
    }

    let table: [(&[&str], &str); 8] = [
        (&["--skip", "all"], "nothing is damaged, so there is nothing to skip"),
        (&["--skip", "00000000000000000001.seg:64"], "no damage begins at 00000000000000000001.seg:64"),
        (&["--skip", "somewhere"], "somewhere is no place in a log; write FILE:OFFSET"),
        (&["--cut", "data:12"], "data:12 is no place in a log"),
        (
            &["--cut", "00000000000000000009.seg:64"],
            "has no segment 00000000000000000009.seg that can be read",
        ),
        (&["--cut", "00000000000000000001.seg:65"], "nothing begins at byte 65 of 00000000000000000001.seg"),
        (&["--apply"], "--apply needs something to do"),
        (&["--cut", "00000000000000000001.seg:64", "--skip", "all"], "cannot be used with"),
    ];
    let before = contents(&data);
    for (arguments, expected) in table {
        let ended = stanchion("repair", &data, arguments);
        assert!(ended.code == 2 && ended.said.contains(expected), "{arguments:?}: {}", ended.said);
    }
    let inside = data.join("backup");
    let ended = stanchion(
        "repair",
        &data,
        &["--cut", "00000000000000000001.seg:64", "--apply", "--backup", inside.to_str().expect("text")],
    );
    assert!(ended.code == 2 && ended.said.contains("is in the data directory"), "{}", ended.said);
    let ended = stanchion(
        "repair",
        &data,
        &["--cut", "00000000000000000001.seg:64", "--apply", "--backup", data.to_str().expect("text")],
    );
    assert!(ended.code == 2 && ended.said.contains("cannot make the directory"), "{}", ended.said);
    let mut after = contents(&data);
    after.retain(|path, _| !path.ends_with("LOCK"));
    assert!(before.into_iter().filter(|(path, _)| !path.ends_with("LOCK")).eq(after), "it was refused");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QPUSH q x");
    server.kill();
    for (name, calls) in [("LOCK", "openat"), ("00000000000000000001.seg", "openat,pread64")] {
        let file = options.data().join(name);
        // A test may run as root, who may read everything; so the system is made to refuse.
        let inject = format!("inject={calls}:error=EACCES");
        let ended = run(Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-P"])
            .arg(&file)
            .args(["-e", &format!("trace={calls}"), "-e", &inject])
            .arg(binary("stanchion"))
            .arg("check")
            .arg(options.data()));
        assert_eq!(ended.code, 2, "{}{}", ended.printed, ended.said);
        assert!(ended.said.contains(name) && ended.said.contains("Permission denied"), "{}", ended.said);
    }
}
