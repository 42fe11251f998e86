//! The `http` option: what the server shows to those who watch over it.

use std::sync::Arc;

use stanchion_status::{Health, Pages};
use tokio::sync::Mutex;

use crate::server::Server;
use crate::{health, metrics};

/// The server's pages.
pub(crate) struct StatusPages {
    server: Arc<Server>,
    /// All queues are looked at for one reader at a time, so that many of them cost the shards no more.
    looking: Mutex<()>,
}

impl StatusPages {
    /// Those of this server.
    pub(crate) fn new(server: Arc<Server>) -> StatusPages {
        StatusPages { server, looking: Mutex::default() }
    }
}

impl Pages for StatusPages {
    async fn health(&self) -> Health {
        let _looking = self.looking.lock().await;
        health::check(&self.server).await
    }

    async fn metrics(&self) -> String {
        let _looking = self.looking.lock().await;
        metrics::page(&self.server).await
    }
}
