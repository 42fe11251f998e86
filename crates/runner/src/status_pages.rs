//! `[runner] http`: what the runner shows to those who watch over it.

use std::sync::Arc;

use stanchion_status::{Health, Pages};

use crate::runner::Shared;
use crate::{health, metrics};

/// The runner's pages.
pub(crate) struct StatusPages {
    shared: Arc<Shared>,
}

impl StatusPages {
    /// Those of this runner.
    pub(crate) fn new(shared: Arc<Shared>) -> StatusPages {
        StatusPages { shared }
    }
}

impl Pages for StatusPages {
    async fn health(&self) -> Health {
        health::check(&self.shared).await
    }

    async fn metrics(&self) -> String {
        metrics::render(&self.shared)
    }
}
