//! TLS: whom a client trusts, what it shows of itself, and in words why there is no agreement with a server.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redis::{ClientTlsConfig, TlsCertificates};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, RootCertStore};

use crate::error::{Error, Result};

/// The files that a `rediss://` URL takes besides itself, each in PEM format. They are read when a client is made, and
/// again whenever it opens a socket: a certificate that was renewed serves from the next one on.
///
/// ```no_run
/// # fn example() -> Result<(), stanchion_client::Error> {
/// use stanchion_client::{Client, Tls};
///
/// let tls = Tls::new().ca_file("ca.crt").identity_files("worker.crt", "worker.key");
/// let client = Client::with_tls("rediss://queue.example:7380", &tls)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    ca: Option<PathBuf>,
    identity: Option<Identity>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    cert: PathBuf,
    key: PathBuf,
}

/// A file, and what it is for.
struct PemFile<'a> {
    option: &'static str,
    path: &'a Path,
}

const UNREADABLE: &str = "name a file that this user can read";
const NOT_PEM: &str = "name a file in PEM format";

impl Tls {
    /// The system's authorities are trusted, and no certificate is shown.
    #[must_use]
    pub fn new() -> Tls {
        Tls::default()
    }

    /// Trusts the authorities in this file, and no others.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Tls {
        self.ca = Some(path.into());
        self
    }

    /// Shows this certificate, with those between it and its authority; the other file has its private key.
    #[must_use]
    pub fn identity_files(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls {
        self.identity = Some(Identity { cert: cert.into(), key: key.into() });
        self
    }

    /// Reads the files, and says whether they can be used.
    pub fn check(&self) -> Result<()> {
        self.read().map(drop)
    }

    /// The files as redis-rs takes them. It parses them again, but its errors don't say which one is wrong.
    pub(crate) fn read(&self) -> Result<TlsCertificates> {
        let root_cert = self.ca.as_deref().map(|path| PemFile { option: "ca-file", path }.authorities());
        let client_tls = self.identity.as_ref().map(Identity::read);
        Ok(TlsCertificates { client_tls: client_tls.transpose()?, root_cert: root_cert.transpose()? })
    }
}

impl Identity {
    fn read(&self) -> Result<ClientTlsConfig> {
        let cert = PemFile { option: "cert-file", path: &self.cert };
        let key = PemFile { option: "key-file", path: &self.key };
        let (client_cert, client_key) = (cert.read()?, key.read()?);
        let chain = cert.certificates(&client_cert)?;
        let secret = PrivateKeyDer::from_pem_slice(&client_key).map_err(|error| key.not_pem(error))?;
        match CertifiedKey::from_der(chain, secret, &ring::default_provider()) {
            Ok(_) => Ok(ClientTlsConfig { client_cert, client_key }),
            Err(rustls::Error::InconsistentKeys(_)) => {
                let problem = "it is not the key of the certificate in cert-file";
                Err(key.wrong(problem, "name the one that is"))
            }
            Err(error @ rustls::Error::InvalidCertificate(_)) => Err(cert.wrong(error, NOT_PEM)),
            Err(error) => Err(key.wrong(error, "name the key of the certificate in cert-file")),
        }
    }
}

impl PemFile<'_> {
    fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(self.path)
            .map_err(|error| self.wrong(format_args!("it can't be read: {error}"), UNREADABLE))
    }

    fn certificates(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let found = found.map_err(|error| self.not_pem(error))?;
        if found.is_empty() { Err(self.not_pem(pem::Error::NoItemsFound)) } else { Ok(found) }
    }

    /// The file, once each certificate in it is known to be one.
    fn authorities(&self) -> Result<Vec<u8>> {
        let text = self.read()?;
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(&text)? {
            roots.add(certificate).map_err(|error| self.wrong(error, "name certificates of authorities"))?;
        }
        Ok(text)
    }

    fn not_pem(&self, error: pem::Error) -> Error {
        match error {
            pem::Error::NoItemsFound => self.wrong("nothing of the kind is in it", NOT_PEM),
            other => self.wrong(format_args!("it is not PEM: {other}"), NOT_PEM),
        }
    }

    fn wrong(&self, problem: impl std::fmt::Display, instead: &'static str) -> Error {
        let what = format!("{}: {problem}", self.path.display());
        Error::TlsFile { option: self.option, what, instead }
    }
}

/// Chooses the cryptography of this process if nobody has: redis-rs takes what is chosen, and rustls panics when
/// nothing is and the program around this client was built with two of them.
pub(crate) fn choose_cryptography() {
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default(); // another thread was faster, and chose as well
    }
}

/// Why there is no TLS with a server, if that is what this error is about.
pub(crate) fn refusal(error: &redis::RedisError) -> Option<Error> {
    // redis-rs keeps its causes in an Arc, and the socket its own in an io::Error.
    let cause = error.source()?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    let cause = match cause.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref()?.downcast_ref(),
        None => cause.downcast_ref(),
    };
    let (what, instead) = in_words(cause?);
    Some(Error::Tls { what, instead })
}

fn in_words(error: &rustls::Error) -> (String, &'static str) {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "its certificate is of an authority that is not trusted here (UnknownIssuer)".to_owned(),
            "name the authority's certificate as ca-file",
        ),
        Tls::InvalidCertificate(
            why @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        ) => (
            format!("its certificate is for another host: {why}"),
            "write a host into the url that it is for",
        ),
        Tls::InvalidCertificate(why) => {
            (format!("its certificate is no good: {why}"), "give the server another one")
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => (
            "it lets nobody in without a client certificate (CertificateRequired)".to_owned(),
            "name one as cert-file, and its key as key-file",
        ),
        Tls::AlertReceived(alert) => (
            format!("it refuses what this client shows: {alert:?}"),
            "name a certificate that it takes as cert-file, and its key as key-file",
        ),
        Tls::InvalidMessage(_) => (
            format!("it answers something else than TLS: {error}"),
            "write the server's tls-port, or redis:// for the one without",
        ),
        other => (other.to_string(), "see whether the server speaks TLS 1.2 or 1.3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_not_be_used_is_named() {
        let directory = std::env::temp_dir();
        let missing = directory.join("no-such-file");
        let this = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let cases = [
            (Tls::new().ca_file(&missing), "ca-file", "can't be read"),
            (Tls::new().ca_file(&this), "ca-file", "nothing of the kind is in it"),
            (Tls::new().identity_files(&missing, &this), "cert-file", "can't be read"),
            (Tls::new().identity_files(&this, &missing), "key-file", "can't be read"),
            (Tls::new().identity_files(&this, &this), "cert-file", "nothing of the kind is in it"),
        ];
        for (tls, option, words) in cases {
            let error = tls.check().unwrap_err().to_string();
            assert!(error.starts_with(option) && error.contains(words), "{error}");
        }
        assert!(Tls::new().check().is_ok(), "without files the system's authorities are trusted");
    }

    #[test]
    fn an_error_of_tls_is_found_behind_those_of_others() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = redis::RedisError::from(io::Error::new(io::ErrorKind::InvalidData, tls));
        let Some(Error::Tls { what, instead }) = refusal(&error) else { panic!("{error}") };
        assert!(what.contains("UnknownIssuer") && instead.contains("ca-file"), "{what}; {instead}");
        assert!(refusal(&io::Error::from(io::ErrorKind::ConnectionRefused).into()).is_none());
    }
}
