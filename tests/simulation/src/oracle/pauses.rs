//! Which pauses of a queue hold for certain.
//!
//! Commands that are under way at the same time may take effect in either order, whichever was sent or answered
//! first. So a pause holds for certain only if nothing that ends pauses was under way while it was itself.

use super::effects::{Moment, Seq};
use crate::ask::PauseWhat;

/// The pauses of one queue in one life, and what ends them.
#[derive(Default)]
pub(super) struct Pauses {
    /// Pauses add up, so each of them holds by itself.
    certain: Vec<Pause>,
    /// Requests that end all pauses, QRESUME and DEL, and are under way or will never be answered.
    endings: u32,
    /// When the newest of them was answered.
    ended: Seq,
}

/// A pause that was answered.
struct Pause {
    what: PauseWhat,
    /// Whoever asks later finds the queue paused.
    since: Seq,
    /// It does not end by itself before this.
    until_ms: u64,
}

impl Pauses {
    /// A request that ends all pauses goes out.
    pub(super) fn ending(&mut self) {
        self.certain.clear();
        self.endings += 1;
    }

    /// It was answered.
    pub(super) fn ended(&mut self, now: Moment) {
        self.endings -= 1;
        self.ended = now.seq;
    }

    /// A pause of so many milliseconds was answered.
    pub(super) fn paused(&mut self, what: PauseWhat, sent: Moment, now: Moment, ms: u64) {
        if self.endings == 0 && self.ended < sent.seq {
            self.certain.push(Pause { what, since: now.seq, until_ms: sent.ms + ms });
        }
    }

    /// Whether what was asked for at one moment and is there at another was paused for certain.
    pub(super) fn stop(&self, what: PauseWhat, sent: Moment, now: Moment) -> bool {
        let is_stopped = |pause: &Pause| {
            (pause.what == what || pause.what == PauseWhat::All)
                && pause.since < sent.seq
                && now.ms < pause.until_ms
        };
        self.certain.iter().any(is_stopped)
    }
}
