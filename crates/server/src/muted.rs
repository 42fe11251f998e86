//! CLIENT REPLY: commands whose replies nobody wants.
//!
//! A command writes its reply as ever, and then the reply is taken back. So no command has to know of it, and
//! the jobs of a claim that nobody will see are given back like those of a reply that could not be delivered.

use crate::claims;
use crate::turn::Turn;

/// What becomes of a connection's replies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Replies {
    /// They are sent.
    #[default]
    On,
    /// They are dropped.
    Off,
    /// That of the next command is dropped.
    SkipNext,
    /// That of the current command is dropped.
    Skip,
}

impl Turn<'_, '_> {
    /// Runs what writes at most one reply, and drops that, unless it has turned replies on again.
    pub(crate) fn muted<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        self.session.muted_from = self.outbox.position();
        if self.session.replies == Replies::SkipNext {
            self.session.replies = Replies::Skip;
        }
        let result = run(self);
        if matches!(self.session.replies, Replies::Off | Replies::Skip) {
            self.drop_reply();
        }
        // What waits has its reply to come.
        if self.session.replies == Replies::Skip && self.session.pending.is_none() {
            self.session.replies = Replies::On;
        }
        result
    }

    /// What stands in the outbox is no reply: it goes out whether replies do or not.
    pub(crate) fn keep_written(&mut self) {
        let in_transaction = self.holds.as_ref().is_some_and(crate::holds::Holds::in_transaction);
        if !in_transaction {
            self.session.muted_from = self.outbox.position();
        }
    }

    fn drop_reply(&mut self) {
        let unseen = self.outbox.drop_from(self.session.muted_from);
        if unseen.is_empty() {
            return;
        }
        self.end_hold();
        let receipts: Vec<_> = unseen.iter().map(|job| job.receipt).collect();
        self.session.bound.forget(&receipts);
        claims::give_back(self.lane(), &unseen);
    }
}
