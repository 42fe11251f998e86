//! TLS: certificates and keys from their files, and their renewal while the server runs.
//!
//! What was loaded serves until something better is: a renewal that fails changes nothing, so that a slip of a
//! certificate bot does not lock anybody out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};

use crate::tls_stream::TlsStream;

/// The files, and who must show a certificate.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TlsFiles {
    /// The server's certificate, with those between it and its authority, as PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, as PEM.
    pub key: Option<PathBuf>,
    /// The authorities of clients' certificates, as PEM.
    pub ca_cert: Option<PathBuf>,
    /// Who must show one.
    pub auth_clients: AuthClients,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum AuthClients {
    /// Those without one are refused.
    #[default]
    Yes,
    /// Nobody is asked.
    No,
    /// One that is shown must be good.
    Optional,
}

/// The TLS of a server.
pub(crate) struct Tls {
    files: Mutex<TlsFiles>,
    /// `None` while TLS is off.
    config: RwLock<Option<Arc<ServerConfig>>>,
}

/// Why TLS can't be had from these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// An option is missing.
    #[error("{option} is not set; name a file in PEM format")]
    Missing {
        /// Which.
        option: &'static str,
    },
    /// A file can't be read, or has nothing in it that is needed.
    #[error("{option} {}: {problem}", path.display())]
    File {
        /// Its option.
        option: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// A client that has not shaken hands after so long is disconnected.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

impl AuthClients {
    /// Reads Redis's words.
    pub(crate) fn parse(text: &str) -> Option<AuthClients> {
        Some(match text {
            "yes" | "true" => AuthClients::Yes,
            "no" | "false" => AuthClients::No,
            "optional" => AuthClients::Optional,
            _ => return None,
        })
    }
}

impl fmt::Display for AuthClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthClients::Yes => "yes",
            AuthClients::No => "no",
            AuthClients::Optional => "optional",
        })
    }
}

impl Tls {
    /// TLS that is off.
    pub(crate) fn off() -> Tls {
        Tls { files: Mutex::default(), config: RwLock::new(None) }
    }

    /// TLS from these files.
    ///
    /// # Errors
    /// When a file is missing or wrong.
    pub(crate) fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let config = files.load()?;
        Ok(Tls { files: Mutex::new(files), config: RwLock::new(Some(Arc::new(config))) })
    }

    /// Whether it is on.
    pub(crate) fn is_on(&self) -> bool {
        self.config.read().is_some()
    }

    /// The files as they are named now.
    pub(crate) fn files(&self) -> TlsFiles {
        self.files.lock().clone()
    }

    /// Names other files; [`Tls::reload`] reads them.
    pub(crate) fn rename(&self, change: impl FnOnce(&mut TlsFiles)) {
        change(&mut self.files.lock());
    }

    /// Reads the files again. Connections that are there keep what they have.
    ///
    /// # Errors
    /// When a file is missing or wrong; nothing has changed then.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        if self.is_on() {
            let config = self.files().load()?;
            *self.config.write() = Some(Arc::new(config));
        }
        Ok(())
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// When it does not speak TLS, shows no good certificate, or takes too long.
    pub(crate) async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream> {
        let config = self.config.read().clone();
        let acceptor = TlsAcceptor::from(config.ok_or(io::ErrorKind::Unsupported)?);
        match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
            Ok(accepted) => accepted.map(TlsStream::new),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")),
        }
    }
}

impl TlsFiles {
    fn load(&self) -> Result<ServerConfig, TlsError> {
        let cert = PemFile::named("tls-cert-file", self.cert.as_deref())?;
        let key = PemFile::named("tls-key-file", self.key.as_deref())?;
        let chain = cert.certificates()?;
        let secret =
            PrivateKeyDer::from_pem_slice(&key.read()?).map_err(|error| key.wrong(no_item(error)))?;
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(Arc::clone(&provider))?;
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| cert.wrong(error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, secret)
            .map_err(|error| match error {
                Error::InvalidCertificate(_) => cert.wrong(error),
                Error::InconsistentKeys(_) => {
                    key.wrong("it is not the key of the certificate in tls-cert-file")
                }
                other => key.wrong(other),
            })
    }

    /// What judges the certificates of clients.
    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        if self.auth_clients == AuthClients::No {
            return Ok(WebPkiClientVerifier::no_client_auth());
        }
        let ca = PemFile::named("tls-ca-cert-file", self.ca_cert.as_deref())?;
        let mut roots = RootCertStore::empty();
        for certificate in ca.certificates()? {
            roots.add(certificate).map_err(|error| ca.wrong(error))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if self.auth_clients == AuthClients::Optional {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| ca.wrong(error))
    }
}

/// A file that an option names.
struct PemFile<'a> {
    option: &'static str,
    path: &'a Path,
}

impl PemFile<'_> {
    fn named<'a>(option: &'static str, path: Option<&'a Path>) -> Result<PemFile<'a>, TlsError> {
        path.map(|path| PemFile { option, path }).ok_or(TlsError::Missing { option })
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        std::fs::read(self.path).map_err(|error| self.wrong(format_args!("it cannot be read: {error}")))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.read()?).collect();
        match found {
            Ok(found) if found.is_empty() => Err(self.wrong(no_item(pem::Error::NoItemsFound))),
            Ok(found) => Ok(found),
            Err(error) => Err(self.wrong(no_item(error))),
        }
    }

    fn wrong(&self, problem: impl fmt::Display) -> TlsError {
        TlsError::File { option: self.option, path: self.path.to_owned(), problem: problem.to_string() }
    }
}

/// What PEM lacks, in words for whoever named the file.
fn no_item(error: pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of the kind is in it; it must be in PEM format".into(),
        other => format!("it is not PEM: {other}"),
    }
}
