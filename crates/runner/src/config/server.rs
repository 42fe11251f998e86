//! `[server]`: where the server is, and what TLS takes besides.

use std::path::PathBuf;

use stanchion_client::{Client, Error, Tls};
use toml::de::DeValue;

use super::problem::Problems;
use super::section::{KeySpec, Section};

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `url`.
    pub url: String,
    /// `ca-file`, `cert-file` and `key-file`, when there is one of them.
    pub tls: Option<Tls>,
}

impl Server {
    /// A client of this server. Reads the files; an error names the one that can't be used.
    pub fn client(&self) -> Result<Client, Error> {
        match &self.tls {
            Some(tls) => Client::with_tls(&self.url, tls),
            None => Client::new(&self.url),
        }
    }
}

const KEYS: &[KeySpec] =
    &[KeySpec::here("url"), KeySpec::here("ca-file"), KeySpec::here("cert-file"), KeySpec::here("key-file")];

const EXAMPLE: &str = "url = \"redis://127.0.0.1:7379\"";
const TLS_SCHEME: &str = "rediss:";

pub(super) fn read(top: &Section<'_>, problems: &mut Problems) -> Option<Server> {
    if !top.has("server") {
        let instead = format!("write [server] and below it {EXAMPLE}");
        problems.add_missing(top, "the section [server]", &instead);
        return None;
    }
    let section = top.section("server", problems)?;
    section.refuse_unknown(KEYS, problems);
    let url = url(&section, problems);
    let tls = tls(&section, url.as_deref(), problems);
    Some(Server { url: url?, tls: tls? })
}

fn url(section: &Section<'_>, problems: &mut Problems) -> Option<String> {
    let at = section.value_at("url");
    if let Some(DeValue::Array(_)) = section.value("url").map(toml::Spanned::get_ref) {
        let what = "several servers (a cluster) are not in this version, and the server has no clusters";
        problems.add(at, what, format!("write one, as in {EXAMPLE}"));
        return None;
    }
    let url = section.required_text("url", EXAMPLE, problems)?;
    if let Err(error) = Client::new(url) {
        problems.add(at, error.to_string().replace('\n', " "), format!("write {EXAMPLE}"));
        return None;
    }
    Some(url.to_owned())
}

/// The files, if there are any. The outer `None` is a problem.
fn tls(section: &Section<'_>, url: Option<&str>, problems: &mut Problems) -> Option<Option<Tls>> {
    let mut path = |key| match section.text(key, problems) {
        Some("") => {
            problems.add(section.value_at(key), format!("\"{key}\" names no file"), "name one, or remove it");
            None
        }
        Some(path) => Some(Some(PathBuf::from(path))),
        None => (!section.has(key)).then_some(None),
    };
    let (ca, cert, key) = (path("ca-file"), path("cert-file"), path("key-file"));
    let (ca, cert, key) = (ca?, cert?, key?);
    for (one, other) in [("cert-file", "key-file"), ("key-file", "cert-file")] {
        if section.has(one) && !section.has(other) {
            let what = format!("\"{one}\" without \"{other}\"");
            problems.add(section.value_at(one), what, format!("write {other} = \"FILE\" too"));
            return None;
        }
    }
    let first = ["ca-file", "cert-file"].into_iter().find(|key| section.has(key));
    if let (Some(first), Some(url)) = (first, url)
        && !url.starts_with(TLS_SCHEME)
    {
        let what = format!("\"{first}\" is for TLS, and the url is not");
        problems.add(
            section.value_at(first),
            what,
            "write rediss:// and the server's tls-port, or remove it",
        );
        return None;
    }
    let mut tls = first.map(|_| Tls::new());
    if let Some(ca) = ca {
        tls = tls.map(|tls| tls.ca_file(ca));
    }
    if let Some((cert, key)) = cert.zip(key) {
        tls = tls.map(|tls| tls.identity_files(cert, key));
    }
    Some(tls)
}
