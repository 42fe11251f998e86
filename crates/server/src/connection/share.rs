//! How much a connection does before the others on its thread have their turn.
//!
//! A socket that always has more to read never makes its task wait, so a client that pipelines without end would
//! keep its thread for as long as the runtime lets a task go on: tens of milliseconds. What a connection does is
//! told from its commands and bytes. They are a fair measure of its time, cost no look at the clock, and are the same
//! each time that a simulation runs.

use crate::limits::{SHARE_BYTES, SHARE_BYTES_A_COMMAND};

/// What a connection has done since others had their turn.
#[derive(Default)]
pub(super) struct Share {
    bytes: usize,
}

impl Share {
    /// So many commands were run.
    pub(super) fn ran(&mut self, commands: u32) {
        self.bytes += commands as usize * SHARE_BYTES_A_COMMAND;
    }

    /// So many bytes came in or went out.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether it is the others' turn; if so, the next share begins.
    pub(super) fn is_used_up(&mut self) -> bool {
        let is_used_up = self.bytes >= SHARE_BYTES;
        if is_used_up {
            self.bytes = 0;
        }
        is_used_up
    }
}
