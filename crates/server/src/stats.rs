//! Calls and latencies per command, for INFO.
//!
//! Reading the clock for each command would cost as much as some commands do, so a run of pipelined commands is
//! timed as a whole and its time is shared out evenly. The counts are exact.

use std::sync::LazyLock;
use std::time::Duration;

use crossbeam::utils::CachePadded;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use stanchion_protocol::CommandSpec;
use stanchion_protocol::table::{self, CommandId};

/// Connections share their counters with a fraction of the others, so that they rarely meet.
const STRIPES: usize = 8;

/// Each command and subcommand with its name as INFO shows it.
static NAMES: LazyLock<Vec<(CommandId, String)>> = LazyLock::new(|| {
    let mut names = Vec::new();
    for spec in table::COMMANDS {
        names.push((spec.id, spec.name.to_owned()));
        names.extend(
            spec.subcommands
                .iter()
                .filter(|sub| sub.id != CommandId::Help)
                .map(|sub| (sub.id, format!("{}|{}", spec.name, sub.name))),
        );
    }
    names.push((CommandId::Help, "help".into()));
    names
});

/// The name of the command with this index.
pub(crate) fn command_name(index: usize) -> Option<&'static str> {
    NAMES.iter().find(|(id, _)| *id as usize == index).map(|(_, name)| name.as_str())
}

/// How many indexes there are: ids are numbered without gaps, and HELP is the last.
const COMMANDS: usize = CommandId::Help as usize + 1;

/// The statistics of all commands.
pub(crate) struct CommandStats {
    stripes: [CachePadded<Mutex<Stripe>>; STRIPES],
}

/// Some connections' share.
#[derive(Default)]
struct Stripe {
    commands: Vec<Option<Box<Entry>>>,
}

/// One command's numbers.
struct Entry {
    counts: Counts,
    time: Duration,
    /// Nanoseconds; made on first use, for most commands are never used.
    latency: Histogram<u32>,
}

/// How often something happened.
#[derive(Clone, Copy, Default)]
struct Counts {
    calls: u64,
    rejected: u64,
    failed: u64,
}

/// What one command did, summed over all connections.
pub(crate) struct CommandTotal {
    /// Its name.
    pub(crate) name: &'static str,
    /// How often it ran.
    pub(crate) calls: u64,
    /// How often it was refused before it ran.
    pub(crate) rejected: u64,
    /// How often it ran and answered an error.
    pub(crate) failed: u64,
    /// How long it took altogether.
    pub(crate) time: Duration,
    /// Percentiles of its time in nanoseconds: 50, 99, 99.9.
    pub(crate) percentiles_ns: [u64; 3],
}

/// What a run of commands did; counted without a lock and added up at its end.
#[derive(Default)]
pub(crate) struct RunStats {
    commands: Vec<(usize, Counts)>,
    calls: u32,
}

impl RunStats {
    /// Counts a command that runs.
    #[inline]
    pub(crate) fn call(&mut self, spec: &CommandSpec) {
        self.calls += 1;
        self.counts(spec).calls += 1;
    }

    /// Counts a command that was refused before it ran.
    #[cold]
    pub(crate) fn rejected(&mut self, spec: &CommandSpec) {
        self.counts(spec).rejected += 1;
    }

    /// A command that was counted has answered an error.
    #[cold]
    pub(crate) fn failed(&mut self, spec: &CommandSpec) {
        self.counts(spec).failed += 1;
    }

    #[inline]
    fn counts(&mut self, spec: &CommandSpec) -> &mut Counts {
        let index = spec.id as usize;
        // Pipelines repeat few commands; the newest is the likeliest.
        let place = match self.commands.iter().rposition(|(seen, _)| *seen == index) {
            Some(place) => place,
            None => {
                self.commands.push((index, Counts::default()));
                self.commands.len() - 1
            }
        };
        &mut self.commands[place].1
    }

    /// The index of the command that was counted last, or nearly: of the newest kind of command.
    pub(crate) fn newest(&self) -> Option<usize> {
        self.commands.last().map(|(index, ..)| *index)
    }

    /// How many commands were counted.
    #[inline]
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }
}

impl CommandStats {
    /// No commands yet.
    pub(crate) fn new() -> CommandStats {
        CommandStats { stripes: std::array::from_fn(|_| CachePadded::new(Mutex::default())) }
    }

    /// Adds a run of client `id` that took `time`, and empties it.
    pub(crate) fn add(&self, id: u64, run: &mut RunStats, time: Duration) {
        if run.commands.is_empty() {
            return;
        }
        let each = time / run.calls.max(1);
        let mut stripe = self.stripes[id as usize % STRIPES].lock();
        stripe.commands.resize_with(COMMANDS, || None);
        for (index, counts) in run.commands.drain(..) {
            let entry = stripe.commands[index].get_or_insert_with(Entry::new);
            entry.counts.add(counts);
            let calls = counts.calls as u32;
            entry.time += each * calls;
            entry.latency.saturating_record_n(each.as_nanos() as u64, calls);
        }
        run.calls = 0;
    }

    /// Every command that was used.
    pub(crate) fn totals(&self) -> Vec<CommandTotal> {
        let mut totals = Vec::new();
        for (id, name) in NAMES.iter() {
            let mut sum: Option<Entry> = None;
            for stripe in &self.stripes {
                let stripe = stripe.lock();
                let Some(entry) = stripe.commands.get(*id as usize).and_then(Option::as_ref) else {
                    continue;
                };
                sum.get_or_insert_with(|| *Entry::new()).add(entry);
            }
            totals.extend(sum.map(|sum| CommandTotal {
                name: name.as_str(),
                calls: sum.counts.calls,
                rejected: sum.counts.rejected,
                failed: sum.counts.failed,
                time: sum.time,
                percentiles_ns: [0.5, 0.99, 0.999].map(|quantile| sum.latency.value_at_quantile(quantile)),
            }));
        }
        totals
    }
}

impl Entry {
    fn new() -> Box<Entry> {
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("these bounds are legal");
        Box::new(Entry { counts: Counts::default(), time: Duration::ZERO, latency })
    }

    fn add(&mut self, other: &Entry) {
        self.counts.add(other.counts);
        self.time += other.time;
        self.latency.add(&other.latency).expect("both have the same bounds");
    }
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.calls += other.calls;
        self.rejected += other.rejected;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_shared_out_among_its_commands() {
        let stats = CommandStats::new();
        let (push, claim) = (table::find(b"qpush").unwrap(), table::find(b"qclaim").unwrap());
        let mut run = RunStats::default();
        for spec in [push, push, claim, push] {
            run.call(spec);
        }
        run.failed(claim);
        run.rejected(push);
        stats.add(7, &mut run, Duration::from_micros(40));
        assert_eq!(run.calls(), 0);
        let totals = stats.totals();
        let of = |name| totals.iter().find(|total| total.name == name).unwrap();
        let push = of("qpush");
        assert_eq!((push.calls, push.rejected, push.failed, push.time), (3, 1, 0, Duration::from_micros(30)));
        assert_eq!((of("qclaim").calls, of("qclaim").failed), (1, 1));
        assert_eq!(totals.len(), 2);
    }

    #[test]
    fn every_command_has_a_name() {
        for spec in table::COMMANDS {
            assert_eq!(command_name(spec.id as usize), Some(spec.name));
        }
        assert_eq!(command_name(usize::MAX), None);
    }
}
