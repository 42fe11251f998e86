//! CLIENT PAUSE: for a while commands wait, all of them or those that change something.
//!
//! Timers go on meanwhile: delayed jobs become ready and leases lapse, as they would without any client.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use stanchion_protocol::table::{CommandId, Flags};
use stanchion_protocol::{Args, CommandSpec};
use tokio::time::Instant;

use crate::session::Pending;
use crate::turn::Turn;

/// The pause of a server.
#[derive(Default)]
pub(crate) struct Pause {
    /// Looked at before each command, without the lock.
    on: AtomicBool,
    now: Mutex<Option<(Paused, Instant)>>,
}

/// Which commands wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Paused {
    /// Those that change something, or publish.
    Writes,
    /// All.
    All,
}

impl Pause {
    /// Whether there may be one.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// Begins a pause, or widens the one that there is.
    pub(crate) fn begin(&self, what: Paused, until: Instant) {
        let mut now = self.now.lock();
        *now = Some(match *now {
            Some((was, was_until)) if was_until > Instant::now() => (was.max(what), was_until.max(until)),
            _ => (what, until),
        });
        self.on.store(true, Ordering::SeqCst);
    }

    /// Ends it. Whoever waits is still to be woken.
    pub(crate) fn end(&self) {
        let mut now = self.now.lock();
        *now = None;
        self.on.store(false, Ordering::SeqCst);
    }

    /// Which commands wait, and until when.
    pub(crate) fn paused(&self) -> Option<(Paused, Instant)> {
        let mut now = self.now.lock();
        if now.is_some_and(|(_, until)| until <= Instant::now()) {
            *now = None;
            self.on.store(false, Ordering::SeqCst);
        }
        *now
    }
}

impl Turn<'_, '_> {
    /// Lets a command wait if there is a pause for it; whether it waits.
    #[cold]
    pub(crate) fn postpone(&mut self, spec: &'static CommandSpec, args: Args<'_>) -> bool {
        let Some(until) = self.paused_until(spec) else { return false };
        self.server.clients.set_postponed(&self.session.client, true);
        self.session.pending = Some(Pending::Postponed { spec, args: args.to_owned(), until });
        true
    }

    /// Until when this command has to wait.
    pub(crate) fn paused_until(&self, spec: &CommandSpec) -> Option<Instant> {
        self.server.pause.paused().filter(|(paused, _)| self.is_paused(*paused, spec)).map(|(_, until)| until)
    }

    fn is_paused(&self, paused: Paused, spec: &CommandSpec) -> bool {
        match (paused, spec.id) {
            // Redis lets it wait, too, so that nothing ends such a pause before its time.
            (_, CommandId::ClientUnpause) => false,
            (Paused::All, _) | (_, CommandId::Publish) => true,
            (Paused::Writes, CommandId::Exec) => self
                .session
                .queued
                .as_ref()
                .is_some_and(|queued| queued.specs().any(|spec| self.is_paused(Paused::Writes, spec))),
            (Paused::Writes, _) => spec.flags.has(Flags::WRITE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_pause_widens_the_first() {
        let pause = Pause::default();
        assert!(!pause.is_on());
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(60), now + Duration::from_secs(90));
        pause.begin(Paused::All, soon);
        pause.begin(Paused::Writes, late);
        assert_eq!(pause.paused(), Some((Paused::All, late)));
        pause.begin(Paused::Writes, soon);
        assert_eq!(pause.paused(), Some((Paused::All, late)));
        pause.end();
        assert_eq!((pause.is_on(), pause.paused()), (false, None));
    }

    #[test]
    fn a_pause_ends_by_itself() {
        let pause = Pause::default();
        pause.begin(Paused::All, Instant::now());
        assert!(pause.is_on());
        assert_eq!(pause.paused(), None);
        assert!(!pause.is_on());
        let later = Instant::now() + Duration::from_secs(60);
        pause.begin(Paused::Writes, later);
        assert_eq!(pause.paused(), Some((Paused::Writes, later)), "what is over widens nothing");
    }
}
