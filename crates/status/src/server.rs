//! The listener: so many connections at once, each with one request, which is answered and the connection closed.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::limits::{
    ACCEPT_PAUSE, CONNECTION_TIME_MAX, CONNECTIONS_MAX, REQUEST_BYTES_MAX, REQUEST_HEADERS_MAX,
    REQUEST_TIME_MAX,
};
use crate::{Health, samples};

const TEXT: &str = "text/plain; charset=utf-8";

/// What stands in the pages. It is looked at when somebody asks, and costs nothing while nobody does.
pub trait Pages: Send + Sync + 'static {
    /// Whether all is well.
    fn health(&self) -> impl Future<Output = Health> + Send;

    /// All metrics, in Prometheus's text format.
    fn metrics(&self) -> impl Future<Output = String> + Send;
}

/// Listens, so that a process that can't be watched does not start.
///
/// # Errors
/// When the address is taken, or not ours.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening for /health and /metrics");
    Ok(listener)
}

/// Answers for as long as it is polled. Connections end with it.
pub async fn serve(listener: TcpListener, pages: Arc<impl Pages>) {
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(converse(socket, Arc::clone(&pages)))),
                Err(error) => {
                    // Out of descriptors, most likely; some come back when connections end.
                    tracing::warn!(%error, "a connection to /health can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request. The whole of it is bounded, also by a reader that does not read.
async fn converse(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, pages: Arc<impl Pages>) {
    let service = service_fn(|request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(&request, &*pages).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .keep_alive(false)
        .max_buf_size(REQUEST_BYTES_MAX)
        .max_headers(REQUEST_HEADERS_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME_MAX);
    let conversation = server.serve_connection(TokioIo::new(socket), service);
    match tokio::time::timeout(CONNECTION_TIME_MAX, conversation).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request was not one"),
        Err(_) => tracing::debug!("a reader took too long"),
    }
}

async fn answer(request: &Request<Incoming>, pages: &impl Pages) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/health" => {
            let health = pages.health().await;
            let status = if health.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            response(status, TEXT, health.page())
        }
        "/metrics" => response(StatusCode::OK, samples::CONTENT_TYPE, pages.metrics().await),
        _ => response(StatusCode::NOT_FOUND, TEXT, "there are /health and /metrics\n".to_owned()),
    }
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;

    /// Well, or not.
    struct Page(bool);

    impl Pages for Page {
        async fn health(&self) -> Health {
            let problems = if self.0 { Vec::new() } else { vec!["tired".to_owned()] };
            Health { problems, notes: Vec::new() }
        }

        async fn metrics(&self) -> String {
            "x 1\n".to_owned()
        }
    }

    fn connect(is_well: bool) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(converse(theirs, Arc::new(Page(is_well))));
        ours
    }

    async fn read(mut socket: impl AsyncRead + Unpin) -> String {
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The status and the body.
    async fn ask(is_well: bool, request: &str) -> (String, String) {
        let mut socket = connect(is_well);
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = read(socket).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, body.to_owned())
    }

    #[tokio::test]
    async fn each_request_has_its_answer() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(REQUEST_BYTES_MAX));
        let headers = format!("GET /health HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(REQUEST_HEADERS_MAX + 1));
        for (is_well, request, status, body) in [
            (true, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n", "200", "ok\n"),
            (true, "GET /health HTTP/1.0\r\n\r\n", "200", "ok\n"),
            (false, "GET /health?verbose=1 HTTP/1.1\r\nHost: h\r\n\r\n", "503", "failing\ntired\n"),
            (false, "HEAD /health HTTP/1.1\r\nHost: h\r\n\r\n", "503", ""),
            (true, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "200", "x 1\n"),
            (true, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404", "there are /health and /metrics\n"),
            (true, "POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405", "only GET and HEAD\n"),
            (true, "DELETE /metrics HTTP/1.1\r\n\r\n", "405", "only GET and HEAD\n"),
            (true, "*1\r\n$4\r\nPING\r\n", "400", ""),
            (true, "\0\0\0\0\r\n\r\n", "400", ""),
            (true, long.as_str(), "431", ""),
            (true, headers.as_str(), "431", ""),
        ] {
            let answer = ask(is_well, request).await;
            assert_eq!(answer, (status.to_owned(), body.to_owned()), "{:.40}", request.escape_debug());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_ask_is_not_waited_for() {
        for begun in ["", "GET /health HTTP/1.1\r\nHost: "] {
            let mut socket = connect(true);
            let started = Instant::now();
            socket.write_all(begun.as_bytes()).await.unwrap();
            read(socket).await;
            assert_eq!(started.elapsed().as_secs(), REQUEST_TIME_MAX.as_secs(), "{begun:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_waited_for() {
        let (mut ours, theirs) = tokio::io::duplex(8);
        let conversation = tokio::spawn(converse(theirs, Arc::new(Page(true))));
        let started = Instant::now();
        ours.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        conversation.await.unwrap();
        assert_eq!(started.elapsed(), CONNECTION_TIME_MAX);
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_others_to_end() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, Arc::new(Page(true))));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(b"GET /health HTTP/1.0\r\n\r\n").await.unwrap();
        // The last of them is served, so all of them are accepted, and the late one is not.
        idle.last_mut().unwrap().write_all(b"GET /health HTTP/1.0\r\n\r\n").await.unwrap();
        let first = idle.pop().unwrap();
        assert!(read(first).await.ends_with("ok\n"));
        assert!(read(late).await.ends_with("ok\n"), "a place was free");
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        for socket in idle {
            assert_eq!(read(socket).await, "", "connections end with the server");
        }
    }
}
