//! `[runner] http`: /health and /metrics for those who watch over the runner.
//!
//! It is for a few checkers on a local network: so many connections at once, each with one request, which is
//! answered and the connection closed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_REQUEST_MAX};
use crate::runner::Shared;
use crate::{health, metrics};

const TEXT: &str = "text/plain; charset=utf-8";

/// Listens, so that a runner that can't be watched does not start.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let listener =
        TcpListener::bind(address).await.map_err(|error| Error::Listen { address, error: error.kind() })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for /health and /metrics");
    }
    Ok(listener)
}

/// Answers for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let connections = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    converse(socket, shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely; some come back when connections end.
                tracing::warn!(%error, "a connection to /health can't be accepted");
                tokio::time::sleep(HTTP_REQUEST_MAX / 10).await;
            }
        }
    }
}

async fn converse(socket: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&request, &shared).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HTTP_REQUEST_MAX);
    // The whole of it is bounded: health is, and a reader that does not read is not waited for.
    let conversation = server.serve_connection(TokioIo::new(socket), service);
    match tokio::time::timeout(2 * HTTP_REQUEST_MAX, conversation).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request was not one"),
        Err(_) => tracing::debug!("a reader took too long"),
    }
}

async fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/health" => {
            let health = health::check(shared).await;
            let status = match health.problems.is_empty() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            response(status, TEXT, page(&health))
        }
        "/metrics" => response(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(shared)),
        _ => response(StatusCode::NOT_FOUND, TEXT, "there are /health and /metrics\n".to_owned()),
    }
}

/// What is wrong, a line each; then what could not be looked at.
fn page(health: &health::Health) -> String {
    let verdict = if health.problems.is_empty() { "ok" } else { "failing" };
    let notes = health.notes.iter().map(|note| format!("note: {note}"));
    let lines = std::iter::once(verdict.to_owned()).chain(health.problems.iter().cloned()).chain(notes);
    lines.map(|line| line + "\n").collect()
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
