//! All that metrics are read from, looked at once.

use std::sync::Arc;

use stanchion_status::Process;

use super::survey::Survey;
use crate::lane::Lane;
use crate::lifecycle::Phase;
use crate::process::{self, Memory};
use crate::server::Server;
use crate::stats::CommandTotal;

/// A server at some moment.
pub(super) struct Seen {
    pub(super) server: Arc<Server>,
    pub(super) phase: Phase,
    pub(super) process: Process,
    pub(super) memory: Memory,
    pub(super) commands: Vec<CommandTotal>,
    /// Its queues; none while the log is read.
    pub(super) survey: Option<Survey>,
}

impl Seen {
    /// Looks.
    pub(super) async fn look(server: Arc<Server>) -> Seen {
        let survey = match server.lane() {
            Some(lane) => Some(Survey::look(lane).await),
            None => None,
        };
        Seen {
            phase: server.lifecycle.phase(),
            process: Process::now(),
            memory: process::memory(),
            commands: server.stats.totals(),
            survey,
            server,
        }
    }

    /// The lane with what was seen of its queues, once the log is read.
    pub(super) fn lane(&self) -> Option<(&Lane, &Survey)> {
        self.server.lane().zip(self.survey.as_ref())
    }
}
