//! The two ends of a connection, as CLIENT LIST and the log show them.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// One end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Endpoint {
    /// An address in the network.
    Network(SocketAddr),
    /// A Unix socket. Its clients have no address of their own, so both ends are called by its path.
    Local(Arc<Path>),
}

impl Endpoint {
    /// Whether nobody outside this machine can be there.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Endpoint::Network(address) => address.ip().to_canonical().is_loopback(),
            Endpoint::Local(_) => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Network(address) => address.fmt(f),
            Endpoint::Local(path) => write!(f, "{}:0", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_unix_sockets_are_local() {
        for (address, local) in [
            ("127.0.0.1:1", true),
            ("127.8.9.10:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("[::ffff:10.0.0.1]:1", false),
            ("10.0.0.1:1", false),
            ("0.0.0.0:1", false),
            ("[fe80::1]:1", false),
        ] {
            assert_eq!(Endpoint::Network(address.parse().unwrap()).is_local(), local, "{address}");
        }
        let socket = Endpoint::Local(Path::new("/run/stanchion.sock").into());
        assert!(socket.is_local());
        assert_eq!(socket.to_string(), "/run/stanchion.sock:0");
    }
}
