//! An ordered end: what was asked is answered, what was answered is kept.

use std::sync::mpsc;

use stanchion_tests::{Options, PATIENCE, Value};

#[test]
fn sigterm_under_load_keeps_everything_that_was_acknowledged() {
    let options = Options::new();
    let server = options.start();
    let (took_step, steps) = mpsc::channel();
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let mut connection = server.connect();
                let took_step = took_step.clone();
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    // A refusal on the way out is as good as an end; what counts is what was acknowledged.
                    while let Ok(Value::Bulk(id)) = connection.try_call(&["QPUSH", "q", "x"]) {
                        acknowledged.push(String::from_utf8(id).expect("an id"));
                        let _ = took_step.send(());
                    }
                    acknowledged
                })
            })
            .collect();
        for _ in 0..300 {
            steps.recv().expect("the clients work until the server ends");
        }
        server.terminate();
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client ends with its connection"))
            .collect()
    });
    assert!(server.into_process().wait().success());
    assert!(acknowledged.len() >= 300);
    let server = options.start();
    let mut connection = server.connect();
    for id in &acknowledged {
        assert!(
            connection.call(&["QJOB", "q", id]).field("payload").is_some(),
            "the acknowledged {id} was lost"
        );
    }
}

#[test]
fn sigterm_answers_what_it_has() {
    let server = Options::new().start();
    let mut connection = server.connect();
    // A pipeline that the server has certainly begun: its first reply has come.
    let pipeline = "*3\r\n$5\r\nQPUSH\r\n$1\r\nq\r\n$1\r\nx\r\n".repeat(1_000);
    connection.send_bytes(pipeline.as_bytes()).expect("sent");
    connection.receive().expect("the first reply");
    server.terminate();
    let mut answered = 1;
    while connection.receive().is_ok() {
        answered += 1;
    }
    assert_eq!(answered, 1_000, "the pipeline had been sent whole before the signal");
    assert!(server.into_process().wait().success());
}

#[test]
fn unsynced_pushes_are_synced_on_the_way_out() {
    let options = Options::new().arguments(&["--durability", "never"]);
    let server = options.start();
    server.check("> QPUSH q kept => $id");
    server.terminate();
    assert!(server.into_process().wait().success());
    options.start().check("> QCLAIM q => [[q, *, kept, 1]]");
}

#[test]
fn nobody_is_let_in_after_sigterm() {
    let server = Options::new().start();
    let address = server.address();
    server.terminate();
    let mut process = server.into_process();
    assert!(process.wait().success());
    assert!(stanchion_tests::Connection::tcp(address).is_err());
}

#[test]
fn a_second_sigterm_hurries() {
    // A client that does not read its replies holds an ordered shutdown up, for an hour if it is allowed to.
    let server = Options::new().configuration("shutdown-timeout = \"1h\"\n").start();
    let mut stubborn = server.connect();
    let payload = "x".repeat(1 << 20);
    for _ in 0..30 {
        stubborn.call(&["QPUSH", "q", &payload, "NOSYNC"]);
    }
    for _ in 0..5 {
        stubborn.send(&["QPEEK", "q", "COUNT", "30"]).expect("sent");
    }
    server.check("> QLEN q => 30");
    server.terminate();
    let mut process = server.into_process();
    process.wait_line("that it stops", |line| line.to_lowercase().contains("stop").then_some(()));
    process.terminate();
    assert!(process.wait_for(PATIENCE).is_some(), "{}", process.output());
}

#[test]
fn a_restart_finds_the_port_and_the_directory_free() {
    let options = Options::new();
    for _ in 0..5 {
        let server = options.start();
        server.check("> QPUSH q x");
        server.terminate();
        assert!(server.into_process().wait().success());
    }
    options.start().check("> QLEN q => 5");
}
