//! How much a connection does before the others on its thread have their turn.
//!
//! A socket that always has more to read never makes its task wait, so a client that pipelines without end would
//! keep its thread for as long as the runtime lets a task go on: tens of milliseconds. What a connection does is
//! told from its commands and bytes. They are a fair measure of its time, cost no look at the clock, and are the same
//! each time that a simulation runs.
//!
//! After a turn of many commands the replies wait for the turns of those that are ready, too. Clients that share
//! a thread or a core are woken once for all their replies then, and to wake a thread that sleeps takes longer
//! than to run several commands. Redis writes its replies so, after all commands that one look at the sockets
//! found. A client that waits for each reply gets it at once.

use crate::limits::{COMPANY_BYTES, SHARE_BYTES, SHARE_BYTES_A_COMMAND};

/// What a connection has done since others had their turn.
#[derive(Default)]
pub(super) struct Share {
    bytes: usize,
    /// Of it, in the newest turn.
    turn_bytes: usize,
}

impl Share {
    /// A turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.turn_bytes = 0;
    }

    /// So many commands were run, or so many jobs moved by them.
    pub(super) fn ran(&mut self, units: u32) {
        self.moved(units as usize * SHARE_BYTES_A_COMMAND);
    }

    /// So many bytes came in or went out.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.turn_bytes += bytes;
    }

    /// Whether replies of so many bytes can wait for the turns of others.
    pub(super) fn may_wait(&self, replies_bytes: usize) -> bool {
        replies_bytes > 0 && self.turn_bytes + replies_bytes >= COMPANY_BYTES
    }

    /// Nothing more is done before others had their turn.
    pub(super) fn use_up(&mut self) {
        self.bytes = SHARE_BYTES;
    }

    /// Whether it is the others' turn.
    pub(super) fn is_used_up(&self) -> bool {
        self.bytes >= SHARE_BYTES
    }

    /// The connection has nothing to do, and others have their turn. What it did since it last had nothing to do is
    /// forgotten if it was little; after more than a share it has to wait for the others first when it comes again.
    pub(super) fn give_way(&mut self) {
        if !self.is_used_up() {
            self.bytes = 0;
        }
    }

    /// The others had their turn.
    pub(super) fn renew(&mut self) {
        self.bytes = 0;
    }
}
