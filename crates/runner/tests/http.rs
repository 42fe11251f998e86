//! The http dispatcher against a small server. Every wait is for an event: a request, the end of a connection,
//! an outcome.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{failed, job};
use stanchion_client::Job;
use stanchion_runner::config::{Config, Dispatcher, Http};
use stanchion_runner::http::HttpDispatcher;
use stanchion_runner::outcome::{Cancel, Outcome};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// A request as it arrived.
#[derive(Debug)]
struct Heard {
    /// Its first line and its headers.
    lines: Vec<String>,
    body: Vec<u8>,
    /// Which connection brought it, from 0.
    connection: usize,
}

/// A server that gives the same answer to every request and tells what it heard.
struct Endpoint {
    port: u16,
    heard: mpsc::UnboundedReceiver<Heard>,
    /// Connections that the other side has closed.
    closed: mpsc::UnboundedReceiver<usize>,
}

impl Endpoint {
    /// An empty answer leaves every request without one; one without a length is ended by the connection's end.
    async fn start(answer: impl Into<Vec<u8>>) -> Endpoint {
        let answer = Arc::new(answer.into());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell_heard, heard) = mpsc::unbounded_channel();
        let (tell_closed, closed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let numbers = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let (tell_heard, tell_closed) = (tell_heard.clone(), tell_closed.clone());
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    serve(stream, number, &answer, &tell_heard).await;
                    let _ = tell_closed.send(number); // the test may be over
                });
            }
        });
        Endpoint { port, heard, closed }
    }

    fn http(&self, path: &str, rest: &str) -> Http {
        http(&format!("http://127.0.0.1:{}{path}", self.port), rest)
    }
}

async fn serve(stream: TcpStream, connection: usize, answer: &[u8], tell: &mpsc::UnboundedSender<Heard>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => lines.push(line.trim_end().to_owned()),
            }
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let _ = tell.send(Heard { lines, body, connection }); // the test may be over
        if stream.write_all(answer).await.is_err() {
            return;
        }
        let has_end = answer.is_empty() || answer.windows(15).any(|word| word == b"Content-Length:");
        if !has_end {
            return;
        }
    }
}

/// The dispatcher of a configuration file with this url and these other keys.
fn http(url: &str, rest: &str) -> Http {
    let text = format!(
        "[server]\nurl='redis://h'\n[groups.g]\nslots=1\ninclude=['*']\ndispatcher='d'\n\
         [dispatchers.d]\nkind='http'\nurl='{url}'\n{rest}\n"
    );
    match Config::parse("f", &text).unwrap().groups.remove(0).dispatcher {
        Dispatcher::Http(http) => http,
        other => panic!("not http: {other:?}"),
    }
}

async fn run(http: Http, job: &Job) -> Outcome {
    let (_keep, cancel) = watch::channel(Cancel::No);
    HttpDispatcher::new(http).run(job, cancel).await
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_job_is_one_post() {
    let mut endpoint = Endpoint::start(answer("200 OK", b"{\"status\":true}")).await;
    let http = endpoint.http(
        "/rpc/RunSingleJob.php?wiki={group}",
        "headers = { Content-Type = 'application/json', Host = 'jobs.example' }",
    );
    let mut job = job();
    job.group = b"a&b=c".to_vec();
    job.payload = vec![0, 1, 2, 255];
    assert_eq!(run(http, &job).await, Outcome::Done);
    let heard = endpoint.heard.recv().await.unwrap();
    assert_eq!(heard.lines[0], "POST /rpc/RunSingleJob.php?wiki=a%26b%3Dc HTTP/1.1");
    assert_eq!(heard.body, job.payload);
    for line in [
        "x-job-queue: transcode",
        "x-job-group: a&b=c",
        "x-job-id: 0000100000000001",
        "x-job-attempt: 2",
        "x-job-priority: 3",
        "content-type: application/json",
        "host: jobs.example",
        "content-length: 4",
    ] {
        assert!(heard.lines.iter().any(|heard| heard == line), "no {line} in {:#?}", heard.lines);
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let mut endpoint = Endpoint::start(answer("500 Oh", &vec![b'x'; 100_000])).await;
    let dispatcher = HttpDispatcher::new(endpoint.http("/", ""));
    for _ in 0..3 {
        let (_keep, cancel) = watch::channel(Cancel::No);
        let error = failed(dispatcher.run(&job(), cancel).await);
        assert!(error.starts_with("HTTP 500: xxx"), "{error}");
        assert_eq!(error.len(), 4096);
        assert_eq!(endpoint.heard.recv().await.unwrap().connection, 0);
    }
}

#[tokio::test]
async fn an_endless_answer_costs_its_connection_and_nothing_else() {
    let body = vec![b'x'; 4 << 20];
    let head = format!("HTTP/1.1 500 Oh\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
    let mut endpoint = Endpoint::start([head.as_bytes(), &body].concat()).await;
    assert_eq!(failed(run(endpoint.http("/", ""), &job()).await).len(), 4096);
    assert_eq!(endpoint.closed.recv().await, Some(0));
}

#[tokio::test]
async fn a_cut_answer_is_a_failure_whatever_it_began_with() {
    for cut in ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", "HTTP/1.1 200 OK\r\nX: y\r"]
    {
        let endpoint = Endpoint::start(cut).await;
        let error = failed(run(endpoint.http("/", ""), &job()).await);
        assert!(error.contains("broke off") || error.starts_with("no answer from 127.0.0.1"), "{error}");
    }
    let endpoint = Endpoint::start("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    assert_eq!(
        run(endpoint.http("/", ""), &job()).await,
        Outcome::Done,
        "without a length the end is the end"
    );
}

#[tokio::test]
async fn a_release_waits_as_long_as_it_is_told() {
    let endpoint = Endpoint::start("HTTP/1.1 503 No\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n").await;
    let after = Some(Duration::from_secs(17));
    assert_eq!(run(endpoint.http("/", ""), &job()).await, Outcome::Release { after });
}

#[tokio::test]
async fn no_answer_in_time_is_a_failure_and_ends_the_request() {
    let mut endpoint = Endpoint::start("").await;
    let error = failed(run(endpoint.http("/", "timeout = '200ms'"), &job()).await);
    assert_eq!(error, "timed out after 200ms");
    assert_eq!(endpoint.closed.recv().await, Some(0));
}

#[tokio::test]
async fn a_cancelled_job_ends_its_request() {
    for why in [Cancel::Lost, Cancel::Stopping, Cancel::Now] {
        let mut endpoint = Endpoint::start("").await;
        let (tell, cancel) = watch::channel(Cancel::No);
        let dispatcher = HttpDispatcher::new(endpoint.http("/", ""));
        let running = tokio::spawn(async move { dispatcher.run(&job(), cancel).await });
        endpoint.heard.recv().await.unwrap();
        tell.send(why).unwrap();
        assert_eq!(running.await.unwrap(), Outcome::Cancelled);
        assert_eq!(endpoint.closed.recv().await, Some(0));
    }
}

#[tokio::test]
async fn a_field_can_not_add_a_header() {
    let mut endpoint = Endpoint::start(answer("200 OK", b"")).await;
    for group in [&b"a\r\nX-Evil: 1"[..], b"a\nb", b"a\rb", b"a\0b"] {
        let mut job = job();
        job.group = group.to_vec();
        let Outcome::Hopeless(reason) = run(endpoint.http("/", ""), &job).await else {
            panic!("{group:?} was sent")
        };
        assert!(reason.contains("the header x-job-group can't have it"), "{reason}");
    }
    assert!(endpoint.heard.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn bytes_that_are_no_text_arrive_as_they_are() {
    let mut endpoint = Endpoint::start(answer("200 OK", b"")).await;
    let mut job = job();
    job.group = "dewiki-é".as_bytes().to_vec();
    assert_eq!(run(endpoint.http("/", ""), &job).await, Outcome::Done);
    assert!(endpoint.heard.recv().await.unwrap().lines.contains(&"x-job-group: dewiki-é".to_owned()));
}

#[tokio::test]
async fn a_server_that_is_not_there_uses_no_attempt() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let outcome = run(http(&format!("http://127.0.0.1:{port}/"), ""), &job()).await;
    assert_eq!(outcome, Outcome::Release { after: None });
}

#[tokio::test]
async fn a_server_that_hangs_up_without_a_word_is_a_failure() {
    let endpoint = Endpoint::start("garbage that is not HTTP\r\n\r\n").await;
    let error = failed(run(endpoint.http("/", ""), &job()).await);
    assert!(error.starts_with("no answer from 127.0.0.1"), "{error}");
}
