//! `--ca-file`, `--cert-file` and `--key-file`: what a `rediss://` URL takes besides itself.

use std::path::PathBuf;

use clap::Args;
use stanchion_client::{Client, Result, Tls};

/// The files, each in PEM format.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// With rediss://: the authorities that are trusted, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// With rediss://: the certificate to show, for a server with `tls-auth-clients`
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
}

impl TlsArgs {
    /// A client of the server at this URL. Reads the files; an error names the one that can't be used.
    pub(crate) fn client(&self, url: &str) -> Result<Client> {
        let mut tls = Tls::new();
        if let Some(ca) = &self.ca_file {
            tls = tls.ca_file(ca);
        }
        if let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) {
            tls = tls.identity_files(cert, key);
        }
        if tls == Tls::new() { Client::new(url) } else { Client::with_tls(url, &tls) }
    }
}
