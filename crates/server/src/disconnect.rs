//! Why the server ends connections: each reason is counted, and logged unless it comes too often.
//!
//! Peers decide how often that is. So the lines are rationed: who can make the server write can't fill its disk.

use std::fmt::Display;
use std::time::Instant;

use parking_lot::Mutex;

use crate::endpoint::Endpoint;
use crate::limits::{DISCONNECT_LINES_MAX, DISCONNECT_LINES_TIME};

/// Why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// There are too many clients.
    ClientsMax,
    /// Protected mode is on and there is no password.
    ProtectedMode,
    /// It does not shake hands as it should.
    Handshake,
    /// It does not speak the protocol.
    Protocol,
    /// It does not log in.
    LoginTime,
    /// It does not finish what it began to say.
    RequestTime,
    /// It says nothing.
    IdleTime,
    /// It does not read its replies.
    Output,
    /// It does not read its messages.
    Messages,
    /// Another client said so.
    Killed,
    /// What it was to get can't be read.
    Payload,
    /// Its user is gone, or may no longer listen to what it listens to.
    User,
}

/// Every reason with its words, in the order of their numbers.
const REASONS: [(Reason, &str); 12] = [
    (Reason::ClientsMax, "refused: clients-max is reached"),
    (Reason::ProtectedMode, "refused: protected mode is on and the default user has no password"),
    (Reason::Handshake, "disconnected: the TLS handshake failed"),
    (Reason::Protocol, "disconnected: it does not speak the protocol"),
    (Reason::LoginTime, "disconnected: it did not log in within login-timeout"),
    (Reason::RequestTime, "disconnected: a command did not arrive within request-timeout"),
    (Reason::IdleTime, "disconnected: it said nothing for idle-timeout"),
    (Reason::Output, "disconnected: it leaves more replies unread than client-output-buffer-limit allows"),
    (Reason::Messages, "disconnected: it leaves more messages unread than client-output-buffer-limit allows"),
    (Reason::Killed, "disconnected: another client had it killed"),
    (Reason::Payload, "disconnected: a payload of its replies can't be read from the log"),
    (Reason::User, "disconnected: its user, or its right to what it listens to, is gone"),
];

/// What was ended so far.
#[derive(Default)]
pub(crate) struct Disconnects {
    tallies: [Mutex<Tally>; REASONS.len()],
}

#[derive(Default)]
struct Tally {
    count: u64,
    /// Since when lines are counted.
    since: Option<Instant>,
    /// Lines since then.
    lines: u32,
    /// Those that were left out.
    left_out: u64,
}

impl Disconnects {
    /// Counts the end of a connection from `peer` and logs it.
    pub(crate) fn tell(&self, reason: Reason, peer: &Endpoint, detail: &dyn Display) {
        let Some(left_out) = self.tallies[reason as usize].lock().count(Instant::now()) else { return };
        let words = REASONS[reason as usize].1;
        if left_out > 0 {
            tracing::info!(%peer, %detail, left_out, "{words}; {left_out} such lines were left out");
        } else {
            tracing::info!(%peer, %detail, "{words}");
        }
    }

    /// How many connections were ended because they did not read.
    pub(crate) fn too_slow(&self) -> u64 {
        let count = |reason: Reason| self.tallies[reason as usize].lock().count;
        count(Reason::Output) + count(Reason::Messages)
    }
}

impl Tally {
    /// One more; how many were left out before it if it may have a line.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.since.is_none_or(|since| now - since >= DISCONNECT_LINES_TIME) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines == DISCONNECT_LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place() {
        for (place, (reason, _)) in REASONS.iter().enumerate() {
            assert_eq!(*reason as usize, place);
        }
    }

    #[test]
    fn lines_are_rationed_and_what_was_left_out_is_told() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        for _ in 0..DISCONNECT_LINES_MAX {
            assert_eq!(tally.count(start), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(tally.count(start), None);
        }
        assert_eq!(tally.count(start + DISCONNECT_LINES_TIME), Some(3));
        assert_eq!(tally.count(start + DISCONNECT_LINES_TIME), Some(0));
        assert_eq!(tally.count, u64::from(DISCONNECT_LINES_MAX) + 5);
    }
}
