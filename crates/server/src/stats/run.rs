//! What a run of pipelined commands did, and how long it took: counted without a lock and added up at its end.
//!
//! Reading the clock for each command would cost as much as some commands do. So consecutive cheap commands share a
//! lap, whose time is shared out evenly among them; what may take longer has a lap of its own.

use std::time::{Duration, Instant};

use stanchion_protocol::table::Flags;
use stanchion_protocol::{Args, CommandSpec};

use super::Counts;
use crate::limits::{LAP_CALLS, LAP_CLAIM_WORDS, LAP_WORDS, LAPS_KEPT};

/// What a connection did since it was last added up.
pub(crate) struct RunStats {
    commands: Vec<Command>,
    laps: Vec<Lap>,
    /// Commands since it was added up.
    calls: u32,
    /// Commands of the open lap.
    open: u32,
    /// When the open lap began.
    begun: Instant,
    /// The place of the newest command in `commands`.
    newest: usize,
}

/// One kind of command.
struct Command {
    index: usize,
    counts: Counts,
    /// How many of them are in the open lap.
    open: u32,
}

/// A closed lap's share of one kind of command.
pub(super) struct Lap {
    /// The command.
    pub(super) index: usize,
    /// How often it ran in the lap.
    pub(super) calls: u32,
    /// How long each of them took.
    pub(super) each: Duration,
}

/// A command that is timed by itself, whatever runs within it.
pub(crate) struct Alone {
    /// The command.
    pub(crate) index: usize,
    /// When it began.
    pub(crate) begun: Instant,
}

/// Whether a command may share a lap with others: one that never takes long, with few words.
#[inline]
pub(crate) fn is_cheap(spec: &CommandSpec, args: Args<'_>) -> bool {
    // A claim with options may ask for many jobs.
    let words_max = if spec.flags.has(Flags::BLOCKING) { LAP_CLAIM_WORDS } else { LAP_WORDS };
    spec.flags.has(Flags::FAST) && args.len() <= words_max
}

impl RunStats {
    /// Nothing yet.
    pub(crate) fn new() -> RunStats {
        RunStats {
            commands: Vec::new(),
            laps: Vec::new(),
            calls: 0,
            open: 0,
            begun: Instant::now(),
            newest: 0,
        }
    }

    /// A turn begins, and with it a lap.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    /// Counts a command that runs.
    #[inline]
    pub(crate) fn call(&mut self, spec: &CommandSpec) {
        self.calls += 1;
        self.open += 1;
        self.newest = self.place(spec);
        let command = &mut self.commands[self.newest];
        command.counts.calls += 1;
        command.open += 1;
    }

    /// Counts a command that was refused before it ran.
    #[cold]
    pub(crate) fn rejected(&mut self, spec: &CommandSpec) {
        let place = self.place(spec);
        self.commands[place].counts.rejected += 1;
    }

    /// A command that was counted has answered an error.
    #[cold]
    pub(crate) fn failed(&mut self, spec: &CommandSpec) {
        let place = self.place(spec);
        self.commands[place].counts.failed += 1;
    }

    #[inline]
    fn place(&mut self, spec: &CommandSpec) -> usize {
        let index = spec.id as usize;
        // Pipelines repeat few commands; the newest is the likeliest.
        match self.commands.iter().rposition(|command| command.index == index) {
            Some(place) => place,
            None => {
                self.commands.push(Command { index, counts: Counts::default(), open: 0 });
                self.commands.len() - 1
            }
        }
    }

    /// How many commands share the open lap.
    #[inline]
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// Whether the open lap has as many commands as may share one.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.open >= LAP_CALLS
    }

    /// Closes the open lap and begins the next; gives its length.
    pub(crate) fn close(&mut self, now: Instant) -> Duration {
        let length = now.saturating_duration_since(self.begun);
        self.begun = now;
        if self.open > 0 {
            let each = length / self.open;
            for command in self.commands.iter_mut().filter(|command| command.open > 0) {
                self.laps.push(Lap { index: command.index, calls: command.open, each });
                command.open = 0;
            }
            self.open = 0;
        }
        length
    }

    /// The time since the clock was read last, in which no command was counted.
    pub(crate) fn lap(&mut self) -> Duration {
        self.close(Instant::now())
    }

    /// Closes the open lap at `now` for all of its commands but the newest, which goes on.
    pub(crate) fn close_all_but_newest(&mut self, now: Instant) {
        let newest = self.newest;
        if self.open < 2 {
            return;
        }
        self.commands[newest].open -= 1;
        self.open -= 1;
        self.close(now);
        self.commands[newest].open = 1;
        self.open = 1;
    }

    /// Takes the newest command out of its lap: it is timed from here on by itself, whatever runs within it.
    pub(crate) fn take_newest(&mut self) -> Alone {
        let command = &mut self.commands[self.newest];
        command.open -= 1;
        self.open -= 1;
        Alone { index: command.index, begun: self.begun }
    }

    /// A command that was timed by itself is finished; gives its length.
    pub(crate) fn finish(&mut self, alone: Alone, now: Instant) -> Duration {
        let length = now.saturating_duration_since(alone.begun);
        self.record(alone.index, length);
        self.begun = now;
        length
    }

    /// The time of a command that was timed elsewhere.
    pub(crate) fn record(&mut self, index: usize, length: Duration) {
        self.laps.push(Lap { index, calls: 1, each: length });
    }

    /// When the open lap began, which is when the clock was read last.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// The index of the newest command.
    pub(crate) fn newest(&self) -> Option<usize> {
        self.commands.get(self.newest).map(|command| command.index)
    }

    /// How many commands were counted.
    #[inline]
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether there is something to add up.
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.laps.is_empty()
    }

    /// Takes what the commands did.
    pub(super) fn take(&mut self) -> (impl Iterator<Item = (usize, Counts)>, impl Iterator<Item = Lap>) {
        self.calls = 0;
        self.newest = 0;
        (self.commands.drain(..).map(|command| (command.index, command.counts)), self.laps.drain(..))
    }

    /// Gives memory back that only a long pipeline needs.
    pub(super) fn shrink(&mut self) {
        if self.laps.capacity() > LAPS_KEPT {
            self.laps = Vec::new();
        }
    }
}
