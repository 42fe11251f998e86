//! A server within a test's own runtime: its phases, and what it does with what can't be delivered.

use stanchion_server::{Config, Phase, Running, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server on a fresh directory and a port that the system chose.
async fn server(dir: &tempfile::TempDir) -> Running {
    let config = Config { port: Some(0), dir: dir.path().join("data"), ..Config::default() };
    let running = start(config).await.expect("the address is free");
    assert_eq!(running.ready().await, Phase::Serving);
    running
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address().expect("the network is on")).await.expect("it listens")
}

/// Sends inline commands and reads until the reply has this many bytes.
async fn ask(stream: &mut TcpStream, request: &str, reply: &str) {
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut bytes = vec![0; reply.len()];
    stream.read_exact(&mut bytes).await.expect("it answers");
    assert_eq!(String::from_utf8_lossy(&bytes), reply, "to {request}");
}

/// Asks again and again, without waiting in between, until the reply is this one.
async fn ask_until(stream: &mut TcpStream, request: &str, reply: &str) {
    loop {
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut bytes = vec![0; reply.len()];
        stream.read_exact(&mut bytes).await.expect("it answers");
        if bytes == reply.as_bytes() {
            return;
        }
    }
}

#[tokio::test]
async fn a_stop_is_orderly_and_answers_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let (mut blocked, mut other) = (connect(&server).await, connect(&server).await);
    blocked.write_all(b"QCLAIM q BLOCK 0\r\n").await.unwrap();
    // CLIENT LIST has one line with the flag b once the claim waits.
    loop {
        other.write_all(b"CLIENT LIST\r\n").await.unwrap();
        let mut buffer = vec![0; 4096];
        let bytes = other.read(&mut buffer).await.unwrap();
        if String::from_utf8_lossy(&buffer[..bytes]).contains("flags=b") {
            break;
        }
    }
    server.stop();
    let mut rest = Vec::new();
    blocked.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "*0\r\n");
    let report = server.ended().await.expect("it ends well");
    assert!(report.orderly);
    assert_eq!(report.connections, 2);
}

#[tokio::test]
async fn jobs_that_nobody_reads_are_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let mut stream = connect(&server).await;
    // More than the sockets' buffers hold, so that part of the claim's reply stays with the server.
    let payload = vec![b'x'; 8 << 20];
    stream
        .write_all(format!("*3\r\n$5\r\nQPUSH\r\n$1\r\nq\r\n${}\r\n", payload.len()).as_bytes())
        .await
        .unwrap();
    stream.write_all(&payload).await.unwrap();
    ask(&mut stream, "\r\n", "$16\r\n").await;
    let mut id = [0; 18];
    stream.read_exact(&mut id).await.unwrap();
    let mut gone = connect(&server).await;
    gone.write_all(b"QCLAIM q\r\n").await.unwrap();
    ask_until(&mut stream, "QLEN q CLAIMED\r\n", ":1\r\n").await;
    drop(gone);
    ask_until(&mut stream, "QLEN q CLAIMED\r\n", ":0\r\n").await;
    ask(&mut stream, "QLEN q READY\r\n", ":1\r\n").await;
    server.stop();
    drop(stream);
    server.ended().await.expect("it ends well");
}

#[tokio::test]
async fn a_directory_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let first = server(&dir).await;
    let config = Config { port: Some(0), dir: dir.path().join("data"), ..Config::default() };
    let second = start(config).await.expect("its port is another one");
    assert_eq!(second.ready().await, Phase::Failed);
    let error = second.ended().await.expect_err("the directory is in use").to_string();
    assert!(error.contains("in use by process"), "{error}");
    first.stop();
    first.ended().await.expect("it ends well");
}

#[tokio::test]
async fn a_taken_port_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let first = server(&dir).await;
    let port = first.address().expect("the network is on").port();
    let config = Config { port: Some(port), dir: dir.path().join("other"), ..Config::default() };
    let error = start(config).await.err().expect("the port is taken").to_string();
    assert!(error.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");
    assert!(error.contains("--port"), "{error}");
    assert!(!dir.path().join("other").exists(), "nothing was made");
    first.stop();
    first.ended().await.expect("it ends well");
}
