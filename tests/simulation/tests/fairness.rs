//! That a client which pipelines without end does not keep the others waiting: in a simulation it is known who came
//! when, so nothing has to be timed.

use std::time::Duration;

use stanchion_server::Config;
use stanchion_server::simulation::{Machine, MemoryStream, SimulatedServer};
use stanchion_storage::simulation::SimulatedDisk;

/// Commands of the pipeline.
const FLOOD: usize = 20_000;

/// How many of them may be answered between a command of another client and its answer.
const ANSWERED_MAX: usize = 400;

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// Many short commands come with one read, and few long ones.
const WORD_BYTES: [usize; 2] = [1, 500];

/// Reads until there are so many bytes.
async fn read(stream: &mut MemoryStream, bytes: usize) -> Vec<u8> {
    let mut replies = Vec::new();
    while replies.len() < bytes {
        assert!(stream.read(&mut replies).await > 0, "the server ended the connection");
    }
    replies
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_pipeline_without_end_leaves_others_their_turn() {
    for word_bytes in WORD_BYTES {
        flood_and_ask(&"x".repeat(word_bytes)).await;
    }
}

/// Sends a pipeline of commands with this word, and asks beside it.
async fn flood_and_ask(word: &str) {
    let (command, reply) = (format!("PING {word}\r\n"), format!("${}\r\n{word}\r\n", word.len()));
    let config = Config { threads: 1, ..Config::default() };
    let machine = Machine { disk: SimulatedDisk::new(), wall_ms: 1_780_000_000_000, seed: 1, planted: None };
    let (server, mut turns) = SimulatedServer::start(config, machine).expect("a server");
    let writer = tokio::spawn(async move {
        while turns.due().await {
            turns.take();
        }
    });
    let connect = || server.connect(FLOOD * command.len().max(reply.len())).expect("a connection");
    let (mut flood, mut other) = (connect(), connect());
    // Both have begun.
    other.write_all(PING).await.expect("room");
    read(&mut other, PONG.len()).await;

    flood.write_all(command.repeat(FLOOD).as_bytes()).await.expect("room");
    let mut answered = 0;
    for _ in 0..10 {
        other.write_all(PING).await.expect("room");
        assert_eq!(read(&mut other, PONG.len()).await, PONG);
        let mut replies = Vec::new();
        flood.try_read(&mut replies);
        let meanwhile = replies.len() / reply.len();
        let length = word.len();
        assert!(meanwhile <= ANSWERED_MAX, "{meanwhile} commands with a word of {length} bytes came first");
        answered += replies.len();
    }
    assert!(answered < FLOOD * reply.len(), "the pipeline was over too soon to be in anybody's way");
    let rest =
        tokio::time::timeout(Duration::from_secs(60), read(&mut flood, FLOOD * reply.len() - answered));
    rest.await.expect("all of it is answered");
    server.kill();
    writer.abort();
}
