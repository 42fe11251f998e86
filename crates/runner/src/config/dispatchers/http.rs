//! `kind = "http"`: a request per job.

use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::Authority;
use toml::de::DeValue;

use super::Dispatcher;
use crate::config::problem::Problems;
use crate::config::section::{KeySpec, Section, kind_of};
use crate::template::Template;

/// A POST per job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to; the job's fields are percent-encoded.
    pub url: Template,
    /// Sent with each request, besides those that say which job it is.
    pub headers: HeaderMap,
    /// Until the whole answer is there.
    pub timeout: Duration,
}

pub(super) const KEYS: &[KeySpec] =
    &[KeySpec::here("kind"), KeySpec::here("url"), KeySpec::here("headers"), KeySpec::here("timeout")];

const EXAMPLE: &str = "url = \"http://127.0.0.1:9005/rpc/RunSingleJob.php\"";
const SCHEME: &str = "http://";
/// Headers that the dispatcher or its connection writes itself.
const OWN_HEADERS: &[&str] =
    &["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// So do the names of all headers that say which job it is begin.
const JOB_HEADERS: &str = "x-job-";

pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let url = url(section, problems);
    let headers = headers(section, problems);
    let timeout = super::timeout(section, problems);
    Some(Dispatcher::Http(Http { url: url?, headers: headers?, timeout: timeout? }))
}

fn url(section: &mut Section<'_>, problems: &mut Problems) -> Option<Template> {
    let text = section.required_text("url", EXAMPLE, problems)?;
    let at = section.value_at("url");
    if text.starts_with("https://") {
        let instead = "write the http:// url of a proxy on this host that speaks TLS";
        problems.add(at, "the runner does not speak https", instead);
        return None;
    }
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            problems.add(at, format!("in \"{text}\": {}", error.what), error.instead);
            return None;
        }
    };
    let host = text.strip_prefix(SCHEME).and_then(|rest| rest.split(['/', '?']).next());
    if host.is_some_and(|host| host.contains('{')) {
        problems.add(at, "the host depends on the job", "name one host, and put placeholders behind it");
        return None;
    }
    // Whatever the fields hold, they are percent-encoded: letters are as good as any.
    let parsed = template.literal().parse::<Uri>().ok().filter(|_| host.is_some());
    if !parsed.and_then(|uri| uri.into_parts().authority).is_some_and(|authority| is_usable(&authority)) {
        problems.add(at, format!("\"{text}\" is no url that can be posted to"), format!("write {EXAMPLE}"));
        return None;
    }
    Some(template)
}

/// A host, perhaps a port, and no password that nobody would send.
fn is_usable(authority: &Authority) -> bool {
    let is_bare = authority.as_str().len() == authority.host().len();
    !authority.host().is_empty()
        && !authority.as_str().contains('@')
        && (is_bare || authority.port_u16().is_some())
}

/// `headers = { Content-Type = "application/json" }`.
fn headers(section: &mut Section<'_>, problems: &mut Problems) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    if !section.has("headers") {
        return Some(headers);
    }
    let mut good = true;
    for (name, at, value) in section.section("headers", problems)?.entries() {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let Some(header) = parsed.ok().filter(|header| !is_own(header.as_str())) else {
            let what = format!("the header \"{name}\" can't be set");
            problems.add(at, what, "remove it, or write another name");
            good = false;
            continue;
        };
        match value.get_ref() {
            DeValue::String(text) => match HeaderValue::from_str(text) {
                Ok(text) => drop(headers.insert(header, text)),
                Err(_) => {
                    let what = format!("the value of \"{name}\" is none that a header can have");
                    problems.add(value.span().start, what, "write one line of ASCII");
                    good = false;
                }
            },
            other => {
                let what = format!("\"{name}\" is {}, not a string", kind_of(other));
                problems.add(value.span().start, what, format!("write {name} = \"…\""));
                good = false;
            }
        }
    }
    good.then_some(headers)
}

fn is_own(name: &str) -> bool {
    name.starts_with(JOB_HEADERS) || OWN_HEADERS.contains(&name)
}
