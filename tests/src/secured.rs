//! A server with TLS, and the certificates that its clients need.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::connection::Connection;
use crate::server::{Options, Server};
use crate::tls::{self, Authority, Certificate};

/// A server with a certificate of an authority that its clients have theirs from, too.
pub struct Secured {
    server: Server,
    address: SocketAddr,
    authority: Authority,
    certificate: Certificate,
}

impl Secured {
    /// Starts one; `auth_clients` says whether clients must show a certificate.
    #[track_caller]
    pub fn start(auth_clients: &str) -> Secured {
        let authority = Authority::new();
        let certificate = authority.sign("server");
        let server = Secured::options(&authority, &certificate, auth_clients).start();
        let address = server.wait_line("where it listens with TLS", tls_address);
        Secured { server, address, authority, certificate }
    }

    /// What such a server is started with.
    pub fn options(authority: &Authority, certificate: &Certificate, auth_clients: &str) -> Options {
        Options::new()
            .environment("STANCHION_TLS_PORT", "0")
            .environment("STANCHION_TLS_CERT_FILE", text(&certificate.cert))
            .environment("STANCHION_TLS_KEY_FILE", text(&certificate.key))
            .environment("STANCHION_TLS_CA_CERT_FILE", text(authority.certificate()))
            .environment("STANCHION_TLS_AUTH_CLIENTS", auth_clients)
    }

    /// The server, which also listens without TLS.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server alone.
    pub fn into_server(self) -> Server {
        self.server
    }

    /// Where it listens with TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whose certificates it takes, and has its own from.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// A connection of a client that shows this certificate.
    ///
    /// # Errors
    /// When there is no agreement.
    pub fn connect(&self, shows: Option<&Certificate>) -> io::Result<Connection> {
        Connection::tls(self.address, tls::client(&self.authority, shows))
    }

    /// That a client with this certificate has no conversation here; what it was told instead.
    #[track_caller]
    pub fn assert_refused(&self, shows: Option<&Certificate>) -> String {
        match self.connect(shows).and_then(|mut connection| connection.try_call(&["PING"])) {
            Ok(reply) => panic!("the server answered {reply}"),
            Err(error) => error.to_string(),
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// `… listening on 127.0.0.1:7380 with TLS`
fn tls_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.strip_suffix(" with TLS")?.parse().ok()
}
