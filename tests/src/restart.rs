//! A server that is started anew under its clients.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Options, Server};

/// A server that keeps its data and its port over restarts.
pub struct RestartingServer {
    options: Options,
    server: Server,
}

impl RestartingServer {
    /// A server with the defaults on a fresh directory.
    #[track_caller]
    pub fn start() -> RestartingServer {
        let options = Options::new().arguments(&["--bind", &own_address().to_string()]);
        let server = options.start();
        let options = options.arguments(&["--port", &server.address().port().to_string()]);
        RestartingServer { options, server }
    }

    /// Stops it as an operator does, and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.server.terminate();
        assert!(self.server.wait().success(), "the server ended badly: {}", self.server.output());
        self.server = self.options.start();
    }
}

impl Deref for RestartingServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// An address of this host that no other test uses. A port that is let go for a restart could otherwise be taken by
/// anybody who asks for a free one meanwhile.
fn own_address() -> Ipv4Addr {
    static USED: AtomicU8 = AtomicU8::new(0);
    let nth = USED.fetch_add(1, Ordering::Relaxed) % 64;
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + nth, high, low)
}
