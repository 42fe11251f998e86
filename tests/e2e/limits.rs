//! The limits of one command: each is answered by an error that names it, and what fits exactly is served.

use stanchion_tests::{Options, Server, Value};

#[test]
fn names_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let (fits, over) = ("n".repeat(255), "n".repeat(256));
    let commands: [(&[&str], usize); 12] = [
        (&["QPUSH", "NAME", "x"], 1),
        (&["QPUSH", "q", "x", "GROUP", "NAME"], 1),
        (&["QPUSH", "q", "x", "DEDUPE", "NAME"], 1),
        (&["QPUSH", "q", "x", "ROOT", "NAME", "1"], 1),
        (&["QROOT", "q", "NAME", "1"], 1),
        (&["QCLAIM", "NAME"], 1),
        (&["QCLAIM", "q", "WORKER", "NAME"], 1),
        (&["QMCLAIM", "QUEUES", "1", "NAME"], 1),
        (&["QLEN", "NAME"], 1),
        (&["QPAUSE", "NAME"], 1),
        (&["QJOB", "q", "KEY", "NAME"], 1),
        (&["QCONFIG", "SET", "NAME", "attempts", "3"], 1),
    ];
    for (words, _) in commands {
        let with = |name: &str| -> Vec<String> {
            words.iter().map(|&word| if word == "NAME" { name.to_owned() } else { word.to_owned() }).collect()
        };
        let served = connection.call(&with(&fits));
        assert!(!matches!(served, Value::Error(_)), "{words:?} with 255 bytes: {served}");
        let refused = connection.call(&with(&over));
        assert!(
            refused.is_error("ERR") && refused.text().contains("255"),
            "{words:?} with 256 bytes: {refused}"
        );
    }
}

#[test]
fn payloads_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let payload = vec![b'x'; 16 << 20];
    connection.call(&[b"QPUSH", &b"q"[..], &payload]);
    let reply = connection.call(&["QCLAIM", "q"]);
    assert_eq!(reply.array()[0].array()[2].bytes().map(<[u8]>::len), Some(16 << 20));
    let over = vec![b'x'; (16 << 20) + 1];
    let refused = connection.call(&[b"QPUSH", &b"q"[..], &over]);
    assert!(refused.is_error("ERR") && refused.text().contains("16777216"), "{refused}");
    assert_eq!(connection.call(&["QLEN", "q", "ALL"]), Value::Integer(1));
}

#[test]
fn the_arguments_of_one_command_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let payload = vec![b'x'; 11 << 20];
    let refused = connection.call(&[b"QMPUSH", &b"q"[..], &payload, b"NEXT", &payload, b"NEXT", &payload]);
    assert!(refused.is_error("ERR") && refused.text().contains("33554432"), "{refused}");
    assert_eq!(connection.call(&["EXISTS", "q"]), Value::Integer(0));
}

#[test]
fn the_jobs_of_one_command_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let push = |count: usize| {
        let words =
            ["QMPUSH", "q", "x"].into_iter().chain(std::iter::repeat_n(["NEXT", "x"], count - 1).flatten());
        words.collect::<Vec<_>>()
    };
    let refused = connection.call(&push(10_001));
    assert!(refused.is_error("ERR") && refused.text().contains("10000"), "{refused}");
    assert_eq!(connection.call(&["EXISTS", "q"]), Value::Integer(0));
    assert_eq!(connection.call(&push(10_000)).array().len(), 10_000);
    let claimed = connection.call(&["QCLAIM", "q", "COUNT", "10000"]);
    assert_eq!(claimed.array().len(), 10_000);
    let receipts: Vec<String> = claimed.array().iter().map(|job| job.array()[1].text()).collect();
    let ack: Vec<&str> = ["QACK", "q"].into_iter().chain(receipts.iter().map(String::as_str)).collect();
    let over: Vec<&str> = ack.iter().copied().chain([receipts[0].as_str()]).collect();
    let refused = connection.call(&over);
    assert!(refused.is_error("ERR") && refused.text().contains("10000"), "{refused}");
    assert_eq!(connection.call(&ack), Value::Integer(10_000));
}

#[test]
fn a_claim_ends_early_at_64_mib() {
    let server = Server::start();
    let mut connection = server.connect();
    let payload = vec![b'x'; 15 << 20];
    for _ in 0..6 {
        connection.call(&[b"QPUSH", &b"q"[..], &payload, b"NOSYNC"]);
    }
    assert_eq!(connection.call(&["QCLAIM", "q", "COUNT", "6"]).array().len(), 4);
    assert_eq!(connection.call(&["QCLAIM", "q", "COUNT", "6"]).array().len(), 2);
}

#[test]
fn the_arguments_of_one_exec_are_bounded() {
    let server = Server::start();
    let mut connection = server.connect();
    let payload = vec![b'x'; 11 << 20];
    connection.call(&["MULTI"]);
    for _ in 0..2 {
        assert_eq!(connection.call(&[b"QPUSH", &b"q"[..], &payload]).text(), "QUEUED");
    }
    let refused = connection.call(&[b"QPUSH", &b"q"[..], &payload]);
    assert!(refused.is_error("ERR") && refused.text().contains("33554432"), "{refused}");
    let aborted = connection.call(&["EXEC"]);
    assert!(aborted.is_error("EXECABORT"), "{aborted}");
    assert_eq!(connection.call(&["EXISTS", "q"]), Value::Integer(0));
}

#[test]
fn limits_can_be_configured() {
    let options = Options::new().configuration(
        "[limits]\nname-bytes-max = 8\npayload-bytes-max = 10\ncommand-jobs-max = 2\nclaim-jobs-max = 2\n",
    );
    options.start().check(
        r#"
        > QPUSH 12345678 1234567890
        > QPUSH 123456789 x => -ERR*8*
        > QPUSH q 12345678901 => -ERR*10*
        > QMPUSH q a NEXT b NEXT c => -ERR*2*
        > QCLAIM q COUNT 3 => -ERR*2*
        "#,
    );
}
