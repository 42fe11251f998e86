//! The client against a scripted server: what it sends in which order, and what a broken socket does.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{Claim, Receipt, Report, Reported, Sources};

/// A server that answers each request with what `answer` says; `None` closes the socket.
struct Script {
    url: String,
    seen: tokio::sync::mpsc::UnboundedReceiver<String>,
}

fn serve(listener: TcpListener, answer: fn(&str) -> Option<&'static [u8]>) -> Script {
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (tell, seen) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move { converse(socket, answer, tell).await });
        }
    });
    Script { url, seen }
}

async fn converse(
    mut socket: TcpStream,
    answer: fn(&str) -> Option<&'static [u8]>,
    tell: tokio::sync::mpsc::UnboundedSender<String>,
) {
    let mut buffer = Vec::new();
    loop {
        while let Some((request, used)) = first_request(&buffer) {
            buffer.drain(..used);
            // What redis-rs says by itself when it connects.
            let reply: Option<&[u8]> = match request.as_str() {
                "CLIENT ID" => Some(b":7\r\n"),
                request if request.starts_with("CLIENT SETINFO") => Some(b"+OK\r\n"),
                request => {
                    tell.send(request.to_owned()).ok();
                    answer(request)
                }
            };
            match reply {
                Some(bytes) => socket.write_all(bytes).await.unwrap(),
                None => return,
            }
        }
        if !matches!(socket.read_buf(&mut buffer).await, Ok(n) if n > 0) {
            return;
        }
    }
}

/// The first whole `*n $len word …` in the buffer, as words, and its length.
fn first_request(buffer: &[u8]) -> Option<(String, usize)> {
    let (count, mut at) = header(buffer, 0)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (len, start) = header(buffer, at)?;
        words.push(String::from_utf8_lossy(buffer.get(start..start + len)?).into_owned());
        at = start + len + 2;
    }
    (at <= buffer.len()).then(|| (words.join(" "), at))
}

/// The number of a `*n` or `$n` line, and where the next line starts.
fn header(buffer: &[u8], at: usize) -> Option<(usize, usize)> {
    let end = buffer.get(at..)?.windows(2).position(|pair| pair == b"\r\n")? + at;
    Some((std::str::from_utf8(&buffer[at + 1..end]).ok()?.parse().ok()?, end + 2))
}

#[tokio::test]
async fn reports_go_in_front_of_a_claim_that_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut script = serve(listener, |request| match request {
        "QACK q 01-1" => Some(b":1\r\n"),
        "QACK q 02-1" => Some(b"-ERR no\r\n"),
        _ => Some(b"*0\r\n"),
    });
    let client = Client::new(&script.url).unwrap().for_claims();
    let reports = ["01-1", "02-1"]
        .map(|receipt| Report::Ack { queue: b"q".to_vec(), receipt: Receipt::from(receipt.to_owned()) });
    let from = Sources::Match { globs: vec!["*".into()], except: vec![] };
    let claim = Claim::new().block(Duration::from_secs(1));
    let (told, claimed) = client.report_and_claim_many(&reports, &from, &claim).await.unwrap();
    let told = told.unwrap();
    assert!(matches!(told[0], Ok(Reported::Done)));
    assert!(matches!(&told[1], Err(Error::Command(message)) if message == "no"));
    assert_eq!(claimed.unwrap(), []);
    assert_eq!(script.seen.recv().await.unwrap(), "QACK q 01-1");
    assert_eq!(script.seen.recv().await.unwrap(), "QACK q 02-1");
    assert_eq!(script.seen.recv().await.unwrap(), "QMCLAIM MATCH 1 * BLOCK 1000 META");
}

#[tokio::test]
async fn a_broken_socket_fails_one_command_and_the_next_opens_a_new_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let script = serve(listener, |request| match request {
        "QLEN broken" => None,
        _ => Some(b":3\r\n"),
    });
    let client = Client::new(&script.url).unwrap();
    let error = client.len("broken").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("QLEN at 127.0.0.1:"), "{error}");
    assert_eq!(client.len("whole").await.unwrap(), 3);
}

#[tokio::test]
async fn a_server_error_keeps_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let script = serve(listener, |_| Some(b"-PAUSED the queue\r\n"));
    let client = Client::new(&script.url).unwrap();
    assert!(matches!(client.len("q").await, Err(Error::Paused(message)) if message == "the queue"));
    assert!(client.link.lock().await.is_some());
}

#[tokio::test]
async fn no_server_is_transient_and_a_bad_url_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::new(&format!("redis://{address}")).unwrap().ping().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    for url in ["http://127.0.0.1", "127.0.0.1 7379", ""] {
        assert!(matches!(Client::new(url), Err(Error::Url(_))), "{url}");
    }
}
