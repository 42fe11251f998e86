//! `kind = "http"`: one POST per job, the payload as its body, the job's fields as headers.
//!
//! An answer of 2xx is done. One that says "not now" gives the job back without using up an attempt: 503 with
//! Retry-After, or X-Readonly with any 5xx, as MediaWiki's job endpoint says that a database is read-only. All
//! else is a failure with the answer's body as the reason. A server that can't be connected to is not the job's
//! fault: the job is given back. A connection that breaks once the request is on its way is a failure, because
//! the job may have been begun.
//!
//! Connections are kept and used again. A job that is cancelled closes its connection: that is all that HTTP
//! can say.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use stanchion_client::Job;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Http;
use crate::limits;
use crate::outcome::{Cancel, Outcome, more_urgent};
use crate::template::Field;

/// What MediaWiki's job endpoint sends with a 500 while its database is read-only.
const X_READONLY: HeaderName = HeaderName::from_static("x-readonly");

/// The headers that say which job it is.
const JOB_HEADERS: [(Field, HeaderName); Field::ALL.len()] = [
    (Field::Queue, HeaderName::from_static("x-job-queue")),
    (Field::Group, HeaderName::from_static("x-job-group")),
    (Field::Id, HeaderName::from_static("x-job-id")),
    (Field::Attempt, HeaderName::from_static("x-job-attempt")),
    (Field::Priority, HeaderName::from_static("x-job-priority")),
];

/// Posts jobs.
#[derive(Debug, Clone)]
pub struct HttpDispatcher {
    http: Http,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HttpDispatcher {
    /// A dispatcher with connections of its own.
    #[must_use]
    pub fn new(mut http: Http) -> HttpDispatcher {
        let agent = concat!("stanchion-runner/", env!("CARGO_PKG_VERSION"));
        let defaults = [(USER_AGENT, agent), (CONTENT_TYPE, "application/octet-stream")];
        for (name, value) in defaults {
            http.headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(limits::CONNECT_MAX));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::CONNECTION_IDLE_MAX)
            .build(connector);
        HttpDispatcher { http, client }
    }

    /// A job has been answered or given up after this long.
    pub(crate) fn time_max(&self) -> Duration {
        self.http.timeout
    }

    /// Runs the job to its end.
    pub async fn run(&self, job: &Job, mut cancel: watch::Receiver<Cancel>) -> Outcome {
        let request = match self.request(job) {
            Ok(request) => request,
            Err(reason) => return Outcome::Hopeless(reason),
        };
        tokio::select! {
            biased;
            answered = timeout(self.http.timeout, self.exchange(request)) => {
                answered.unwrap_or_else(|_| Outcome::Failed(format!("timed out after {:?}", self.http.timeout)))
            }
            _ = more_urgent(&mut cancel, Cancel::No) => Outcome::Cancelled,
        }
    }

    /// The job as a request. An error is one that no attempt can mend.
    fn request(&self, job: &Job) -> Result<Request<Full<Bytes>>, String> {
        let url = self.http.url.fill_url(job);
        let uri: Uri = url.parse().map_err(|error| format!("\"{url}\" is no url: {error}"))?;
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(&job.payload)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.http.headers.clone();
        for (field, name) in &JOB_HEADERS {
            // A value with a line break would be two headers, and one without it another job.
            let value = HeaderValue::from_maybe_shared(Bytes::from(field.bytes(job))).map_err(|_| {
                format!("a control character in the job's fields: the header {name} can't have it")
            })?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Outcome {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        match self.client.request(request).await {
            Ok(answer) => read(answer).await,
            Err(error) if error.is_connect() => {
                let error = reason(&error);
                tracing::warn!(
                    host,
                    error,
                    "the dispatcher's server can't be reached; the job is given back"
                );
                Outcome::Release { after: None }
            }
            Err(error) => Outcome::Failed(format!("no answer from {host}: {}", reason(&error))),
        }
    }
}

/// Reads an answer to its end, so that its connection can be used again, and keeps the beginning.
async fn read(answer: Response<Incoming>) -> Outcome {
    let (head, mut body) = answer.into_parts();
    let mut kept = Vec::new();
    let mut bytes_read = 0;
    while bytes_read < limits::ANSWER_BYTES_MAX {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => {
                let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                bytes_read += data.len();
                let room = limits::ERROR_BYTES_MAX - kept.len();
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
            // A program that died while it answered: 200 may have been its first word, not its last.
            Some(Err(error)) => {
                let status = head.status.as_u16();
                return Outcome::Failed(format!("HTTP {status}, and the answer broke off: {error}"));
            }
        }
    }
    judge(head.status, &head.headers, &kept, SystemTime::now())
}

/// What an answer means for its job.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Outcome {
    if status.is_success() {
        return Outcome::Done;
    }
    let is_unavailable = status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER);
    let is_readonly = status.is_server_error() && headers.contains_key(X_READONLY);
    if is_unavailable || is_readonly {
        let after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value, now));
        return Outcome::Release { after };
    }
    let said = String::from_utf8_lossy(body);
    let mut error = format!("HTTP {}", status.as_u16());
    if !said.trim().is_empty() {
        error = format!("{error}: {}", said.trim());
    }
    error.truncate(error.floor_char_boundary(limits::ERROR_BYTES_MAX));
    Outcome::Failed(error)
}

/// Seconds, or a date.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.clamp(limits::RETRY_AFTER_MIN, limits::RETRY_AFTER_MAX))
}

/// An error with its causes: hyper's own words are short.
fn reason(error: &legacy::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_decide() {
        let released = |seconds: Option<u64>| Outcome::Release { after: seconds.map(Duration::from_secs) };
        let failed = |error: &str| Outcome::Failed(error.into());
        type Case = (u16, &'static [(&'static str, &'static str)], &'static str, Outcome);
        let cases: [Case; 15] = [
            (200, &[], "{\"status\":true}", Outcome::Done),
            (204, &[], "", Outcome::Done),
            (202, &[("Retry-After", "5")], "", Outcome::Done),
            (503, &[("Retry-After", "7")], "later", released(Some(7))),
            (503, &[("Retry-After", "0")], "", released(Some(1))),
            (503, &[("Retry-After", "99999999999")], "", released(Some(86_400))),
            (503, &[("Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT")], "", released(Some(60))),
            (503, &[("Retry-After", "soon")], "", released(None)),
            (503, &[("X-Readonly", "true")], "", released(None)),
            (500, &[("X-Readonly", "true")], "read-only", released(None)),
            (500, &[("X-Readonly", "true"), ("Retry-After", "9")], "", released(Some(9))),
            (503, &[], "no words when", failed("HTTP 503: no words when")),
            (500, &[("Retry-After", "7")], "boom\n", failed("HTTP 500: boom")),
            (404, &[("X-Readonly", "true")], "", failed("HTTP 404")),
            (301, &[("Location", "/")], " \n", failed("HTTP 301")),
        ];
        for (status, headers, body, expected) in cases {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
                })
                .collect();
            let status = StatusCode::from_u16(status).unwrap();
            let found = judge(status, &headers, body.as_bytes(), SystemTime::UNIX_EPOCH);
            assert_eq!(found, expected, "{status} {headers:?}");
        }
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let body = "é".repeat(limits::ERROR_BYTES_MAX / 2);
        let Outcome::Failed(error) =
            judge(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes(), SystemTime::now())
        else {
            panic!("400 is a failure")
        };
        assert!(error.len() <= limits::ERROR_BYTES_MAX && error.ends_with('é'), "{} bytes", error.len());
    }
}
