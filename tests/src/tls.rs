//! Certificates for tests, as openssl makes them, and the client's side of TLS.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

/// An authority that signs certificates, in a directory of its own.
pub struct Authority {
    directory: Arc<TempDir>,
    cert: PathBuf,
    key: PathBuf,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, as PEM.
    pub cert: PathBuf,
    /// The key, as PEM.
    pub key: PathBuf,
    _directory: Arc<TempDir>,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Authority {
        let directory = Arc::new(TempDir::with_prefix("stanchion-ca-").expect("a temporary directory"));
        // Its own name, so that nobody takes one authority for another.
        let name = format!("/CN={}", directory.path().display().to_string().replace('/', " "));
        let (cert, key) = (directory.path().join("ca.crt"), directory.path().join("ca.key"));
        openssl(
            &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            &["-subj", &name, "-days", "30"],
            &[("-out", &cert), ("-keyout", &key)],
        );
        Authority { directory, cert, key }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Path {
        &self.cert
    }

    /// A certificate for this machine, good for a month.
    pub fn sign(&self, name: &str) -> Certificate {
        self.sign_for(name, "30")
    }

    /// One that has expired.
    pub fn sign_expired(&self, name: &str) -> Certificate {
        self.sign_for(name, "-1")
    }

    fn sign_for(&self, name: &str, days: &str) -> Certificate {
        let file = |extension: &str| self.directory.path().join(format!("{name}.{extension}"));
        let (cert, key, request, names) = (file("crt"), file("key"), file("csr"), file("names"));
        std::fs::write(&names, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
        openssl(
            &["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            &["-subj", &format!("/CN={name}")],
            &[("-out", &request), ("-keyout", &key)],
        );
        openssl(
            &["x509", "-req", "-CAcreateserial", "-days", days],
            &[],
            &[
                ("-in", &request),
                ("-CA", &self.cert),
                ("-CAkey", &self.key),
                ("-extfile", &names),
                ("-out", &cert),
            ],
        );
        Certificate { cert, key, _directory: Arc::clone(&self.directory) }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// A client that trusts an authority and shows a certificate, if it has one.
pub fn client(trusts: &Authority, shows: Option<&Certificate>) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&trusts.cert).expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS has versions")
        .with_root_certificates(roots);
    let config = match shows {
        Some(Certificate { cert, key, .. }) => {
            let chain = vec![CertificateDer::from_pem_file(cert).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("they belong together")
        }
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

fn openssl(words: &[&str], more: &[&str], files: &[(&str, &Path)]) {
    let mut command = Command::new("openssl");
    command.args(words).args(more);
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    let output = command.output().expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} says:\n{said}");
}
