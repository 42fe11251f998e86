//! A socket that connections arrive at: over the network, or within the machine.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::Config;
use crate::endpoint::Endpoint;
use crate::limits::{BACKLOG, KEEPALIVE_PROBES};
use crate::running::ServerError;
use crate::transport::{Security, Transport};
use crate::unix_socket::{self, SocketFile};

/// A socket that listens.
pub(crate) enum Listener {
    /// For the network.
    Tcp(TcpListener, Security),
    /// For this machine.
    Unix {
        /// The socket.
        socket: UnixListener,
        /// Its file, which goes with it.
        file: SocketFile,
        /// Its path, which is the address of both ends.
        endpoint: Endpoint,
    },
}

/// A connection that has just arrived.
pub(crate) struct Arrival {
    /// Its socket.
    pub(crate) transport: Transport,
    /// Where it comes from.
    pub(crate) peer: Endpoint,
    /// Where it arrived.
    pub(crate) local: Endpoint,
    /// What it has to do first.
    pub(crate) security: Security,
}

/// Listens wherever the configuration says.
///
/// # Errors
/// When an address is taken, or not ours.
pub(crate) fn listen(config: &Config) -> Result<Vec<Listener>, ServerError> {
    let mut listeners = Vec::new();
    if let Some(port) = config.port {
        listeners.extend(listen_network(config, port, Security::Plain)?);
    }
    if let Some(port) = config.tls_port {
        listeners.extend(listen_network(config, port, Security::Tls)?);
    }
    if let Some(path) = &config.unix_socket {
        listeners.push(Listener::unix(path, config.unix_socket_mode)?);
    }
    Ok(listeners)
}

/// Listens at one port of several addresses. The system chooses port 0 for the first; the others get the same.
fn listen_network(config: &Config, mut port: u16, security: Security) -> Result<Vec<Listener>, ServerError> {
    let mut listeners = Vec::with_capacity(config.bind.len());
    for ip in &config.bind {
        let address = SocketAddr::new(*ip, port);
        let bound = bind(address, config.tcp_keepalive)
            .and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let (chosen, listener) = bound.map_err(|source| ServerError::Bind { address, source })?;
        port = chosen;
        listeners.push(Listener::Tcp(listener, security));
    }
    Ok(listeners)
}

fn bind(address: SocketAddr, keepalive: Duration) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            // As in Redis: `::` leaves 0.0.0.0 alone, so that both can be listed.
            sockopt::set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    set_options(&socket, keepalive)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Sets what connections inherit from the socket that they arrive at, so that none of them costs a system call.
fn set_options(socket: &TcpSocket, keepalive: Duration) -> io::Result<()> {
    // Replies are small and written whole, so waiting to fill a packet would only delay them.
    sockopt::set_tcp_nodelay(socket, true)?;
    if keepalive > Duration::ZERO {
        // A peer that says nothing is asked whether it is there; as often as Redis does.
        sockopt::set_socket_keepalive(socket, true)?;
        sockopt::set_tcp_keepidle(socket, keepalive)?;
        sockopt::set_tcp_keepintvl(socket, (keepalive / KEEPALIVE_PROBES).max(Duration::from_secs(1)))?;
        sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
        // While replies wait in the socket there are no such questions: this is for a peer that vanished before
        // it had them, or does not read them.
        let ms = u32::try_from(keepalive.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(socket, ms)?;
    }
    Ok(())
}

impl Listener {
    fn unix(path: &Path, mode: u32) -> Result<Listener, ServerError> {
        let (socket, file) = unix_socket::listen(path, mode)
            .map_err(|source| ServerError::Socket { path: path.to_owned(), source })?;
        Ok(Listener::Unix { socket, file, endpoint: Endpoint::Local(Arc::from(path)) })
    }

    /// The address in the network, for clients of this kind.
    pub(crate) fn address(&self, security: Security) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(socket, own) if *own == security => socket.local_addr().ok(),
            _ => None,
        }
    }

    /// Hands it to this thread's runtime, which from here on is told what arrives.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(crate) fn adopt(self) -> io::Result<Listener> {
        Ok(match self {
            Listener::Tcp(socket, security) => {
                Listener::Tcp(TcpListener::from_std(socket.into_std()?)?, security)
            }
            Listener::Unix { socket, file, endpoint } => {
                Listener::Unix { socket: UnixListener::from_std(socket.into_std()?)?, file, endpoint }
            }
        })
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// When the system has no more descriptors, or the peer is gone already.
    pub(crate) async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Listener::Tcp(socket, security) => {
                let (stream, peer) = socket.accept().await?;
                let local = stream.local_addr()?;
                Ok(Arrival {
                    transport: Transport::Tcp(stream),
                    peer: Endpoint::Network(peer),
                    local: Endpoint::Network(local),
                    security: *security,
                })
            }
            Listener::Unix { socket, endpoint, .. } => {
                let (stream, _) = socket.accept().await?;
                let (peer, local) = (endpoint.clone(), endpoint.clone());
                let transport = Transport::Unix(stream);
                Ok(Arrival { transport, peer, local, security: Security::Plain })
            }
        }
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listener::Tcp(socket, security) => match socket.local_addr() {
                Ok(address) if *security == Security::Tls => write!(f, "{address} with TLS"),
                Ok(address) => write!(f, "{address}"),
                Err(error) => write!(f, "an address that the system does not tell: {error}"),
            },
            Listener::Unix { file, .. } => write!(f, "{}", file.path().display()),
        }
    }
}
