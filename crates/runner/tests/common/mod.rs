//! What the tests of several dispatchers need.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stanchion_client::{Job, Receipt};
use stanchion_runner::outcome::Outcome;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// A job whose fields are all different.
pub(crate) fn job() -> Job {
    let receipt = Receipt::from("0000100000000001-7".to_owned());
    Job {
        attempt: 2,
        group: b"enwiki".to_vec(),
        priority: 3,
        ..Job::new("transcode", receipt, "the payload")
    }
}

/// The reason of a failure.
#[track_caller]
pub(crate) fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(error) => error,
        other => panic!("not a failure: {other:?}"),
    }
}

/// A fifo that each process of a job holds open for writing: reading it to its end waits until all are gone.
pub(crate) fn witness(directory: &Path) -> (String, pipe::Receiver) {
    let path = directory.join("witness");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    (path.to_str().unwrap().to_owned(), receiver)
}

/// What is written to it, until nobody holds it any more.
pub(crate) async fn read_to_end(mut fifo: pipe::Receiver) -> String {
    let mut said = String::new();
    let read = tokio::time::timeout(Duration::from_secs(60), fifo.read_to_string(&mut said));
    read.await.expect("somebody still holds it").unwrap();
    said
}
