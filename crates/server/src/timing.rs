//! Which command took how long: it is counted, timed in laps, and looked at when a lap was long.

use std::time::{Duration, Instant};

use stanchion_protocol::{Args, CommandSpec};

use crate::latency::Kind;
use crate::session::Pending;
use crate::slow_log;
use crate::stats::{Alone, is_cheap};
use crate::turn::Turn;

impl Turn<'_, '_> {
    /// Runs a command that may run, and counts it. [`Turn::end_lap`] follows once its lap is over.
    #[inline]
    pub(crate) fn start(&mut self, spec: &'static CommandSpec, args: Args<'_>) {
        let wanted = self.server.attention.wanted();
        self.alone = !is_cheap(spec, args) || wanted.is_timed();
        if self.alone && self.session.run.open() > 0 {
            self.session.run.close(Instant::now());
        }
        self.session.run.call(spec);
        self.command(spec, args);
        if self.alone
            && let Some(Pending::Task(task)) = &mut self.session.pending
        {
            task.remember(|| slow_log::words(spec, args));
        }
        if wanted.is_monitored() {
            self.server.monitors.tell(&self.session.client, spec, args);
        }
    }

    /// Whether the lap ends with the command that was started last.
    #[inline]
    pub(crate) fn lap_is_over(&self) -> bool {
        self.alone
            || self.session.run.is_full()
            || self.holds.as_ref().is_some_and(|holds| holds.has_waited())
    }

    /// Ends the lap of the command that was started last.
    #[inline]
    pub(crate) fn end_lap(&mut self, spec: &CommandSpec, args: Args<'_>) {
        if let Some(since) = self.holds.as_mut().and_then(|holds| holds.take_waited()) {
            self.session.run.close_all_but_newest(since);
        }
        let calls = self.session.run.open();
        if calls == 0 {
            return;
        }
        let length = self.session.run.close(Instant::now());
        if self.server.attention.is_long(length) {
            self.look_at(spec, args, length, calls);
        }
    }

    /// A lap was long: whoever asked for that is told. Of several commands that shared one it is not known which it
    /// was, so the slow log, which names commands, has none of them.
    #[cold]
    fn look_at(&self, spec: &CommandSpec, args: Args<'_>, length: Duration, calls: u32) {
        let kind = if is_cheap(spec, args) { Kind::FastCommand } else { Kind::Command };
        self.server.latency.took(kind, length);
        if calls == 1 && self.server.attention.is_slow(length) {
            self.server.slow_log.add(&self.session.client, slow_log::words(spec, args), length);
        }
    }

    /// A command that was timed by itself, while others ran within it, is finished.
    pub(crate) fn finish_alone(&mut self, alone: Alone) {
        let now = Instant::now();
        self.session.run.close(now);
        self.session.run.finish(alone, now);
    }

    /// A command that was carried out in steps is finished: they took so long together.
    pub(crate) fn finish_steps(&mut self, index: usize, words: Vec<Vec<u8>>, length: Duration) {
        self.session.run.record(index, length);
        if self.server.attention.is_slow(length) {
            self.server.slow_log.add(&self.session.client, words, length);
        }
    }
}
