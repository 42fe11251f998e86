//! Calls, latencies and rates, for INFO and LATENCY HISTOGRAM.
//!
//! The counts are exact. Times are those of laps ([`run`]), in which cheap commands of a pipeline share.

mod errors;
mod rates;
mod run;
mod traffic;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crossbeam::utils::CachePadded;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use stanchion_protocol::table::{self, CommandId};

pub(crate) use errors::ErrorStats;
use rates::Rates;
pub(crate) use rates::{Amounts, PerSecond};
pub(crate) use run::{Alone, RunStats, is_cheap};
pub(crate) use traffic::Traffic;

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
    started: Instant,
    stripes: [CachePadded<Mutex<Stripe>>; STRIPES],
}

/// Some connections' share.
#[derive(Default)]
struct Stripe {
    commands: Vec<Option<Box<Entry>>>,
    rates: Rates,
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
    /// How long each call took, in nanoseconds.
    pub(crate) latency: Histogram<u32>,
}

impl CommandStats {
    /// No commands yet.
    pub(crate) fn new() -> CommandStats {
        CommandStats {
            started: Instant::now(),
            stripes: std::array::from_fn(|_| CachePadded::new(Mutex::default())),
        }
    }

    /// Adds what client `id` did, and the bytes that it sent and got meanwhile, and empties the run.
    pub(crate) fn add(&self, id: u64, run: &mut RunStats, bytes: (u64, u64), now: Instant) {
        let amounts = Amounts { commands: run.calls().into(), read: bytes.0, written: bytes.1 };
        let mut stripe = self.stripes[id as usize % STRIPES].lock();
        stripe.rates.add(now.saturating_duration_since(self.started), amounts);
        stripe.commands.resize_with(COMMANDS, || None);
        let (commands, laps) = run.take();
        for (index, counts) in commands {
            stripe.commands[index].get_or_insert_with(Entry::new).counts.add(counts);
        }
        for lap in laps {
            let entry = stripe.commands[lap.index].get_or_insert_with(Entry::new);
            entry.time += lap.each * lap.calls;
            entry.latency.saturating_record_n(lap.each.as_nanos() as u64, lap.calls);
        }
        drop(stripe);
        run.shrink();
    }

    /// How many commands ran.
    pub(crate) fn calls(&self) -> u64 {
        let calls = |stripe: &CachePadded<Mutex<Stripe>>| -> u64 {
            stripe.lock().commands.iter().flatten().map(|entry| entry.counts.calls).sum()
        };
        self.stripes.iter().map(calls).sum()
    }

    /// Every command that was used, in the order of the table.
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
                latency: sum.latency,
            }));
        }
        totals
    }

    /// How much was done a second lately.
    pub(crate) fn per_second(&self, now: Instant) -> PerSecond {
        let now = now.saturating_duration_since(self.started);
        let mut sum = Amounts::default();
        for stripe in &self.stripes {
            sum.add(stripe.lock().rates.recent(now));
        }
        PerSecond::of(sum, now)
    }

    /// Starts all over, as CONFIG RESETSTAT asks.
    pub(crate) fn reset(&self) {
        for stripe in &self.stripes {
            *stripe.lock() = Stripe::default();
        }
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

    fn total(stats: &CommandStats, name: &str) -> CommandTotal {
        stats.totals().into_iter().find(|total| total.name == name).unwrap()
    }

    #[test]
    fn a_lap_is_shared_out_among_its_commands() {
        let stats = CommandStats::new();
        let (push, claim) = (table::find(b"qpush").unwrap(), table::find(b"qclaim").unwrap());
        let mut run = RunStats::new();
        let begun = Instant::now();
        run.begin(begun);
        for spec in [push, push, claim, push] {
            run.call(spec);
        }
        run.failed(claim);
        run.rejected(push);
        run.close(begun + Duration::from_micros(40));
        run.call(claim);
        run.close(begun + Duration::from_micros(1_040));
        stats.add(7, &mut run, (0, 0), begun);
        assert_eq!(run.calls(), 0);
        let (push, claim) = (total(&stats, "qpush"), total(&stats, "qclaim"));
        assert_eq!((push.calls, push.rejected, push.failed, push.time), (3, 1, 0, Duration::from_micros(30)));
        assert_eq!((claim.calls, claim.failed, claim.time), (2, 1, Duration::from_micros(1_010)));
        assert_eq!((claim.latency.len(), push.latency.len()), (2, 3));
        assert_eq!(stats.totals().len(), 2);
        stats.reset();
        assert_eq!(stats.totals().len(), 0);
    }

    #[test]
    fn a_command_that_waited_is_booked_its_own_time() {
        let stats = CommandStats::new();
        let (push, ping) = (table::find(b"qpush").unwrap(), table::find(b"ping").unwrap());
        let mut run = RunStats::new();
        let begun = Instant::now();
        run.begin(begun);
        run.call(ping);
        run.call(ping);
        run.call(push);
        run.close_all_but_newest(begun + Duration::from_micros(2));
        assert_eq!(run.open(), 1);
        assert_eq!(run.close(begun + Duration::from_micros(5_002)), Duration::from_micros(5_000));
        stats.add(1, &mut run, (0, 0), begun);
        assert_eq!(total(&stats, "ping").time, Duration::from_micros(2));
        assert_eq!(total(&stats, "qpush").time, Duration::from_micros(5_000));
    }

    #[test]
    fn a_command_may_be_timed_beside_what_runs_within_it() {
        let stats = CommandStats::new();
        let (exec, push) = (table::find(b"exec").unwrap(), table::find(b"qpush").unwrap());
        let mut run = RunStats::new();
        let begun = Instant::now();
        run.begin(begun);
        run.call(exec);
        let alone = run.take_newest();
        run.call(push);
        run.call(push);
        run.close(begun + Duration::from_micros(4));
        run.finish(alone, begun + Duration::from_micros(10));
        stats.add(1, &mut run, (0, 0), begun);
        assert_eq!(total(&stats, "exec").time, Duration::from_micros(10));
        assert_eq!(total(&stats, "qpush").time, Duration::from_micros(4));
        assert_eq!(total(&stats, "exec").latency.len(), 1);
    }

    #[test]
    fn every_command_has_a_name() {
        for spec in table::COMMANDS {
            assert_eq!(command_name(spec.id as usize), Some(spec.name));
        }
        assert_eq!(command_name(usize::MAX), None);
    }
}
