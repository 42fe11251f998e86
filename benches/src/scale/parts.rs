//! The parts that only one thread can be in, measured one by one.

use std::time::Duration;

use anyhow::Result;
use stanchion_bench::stats::Spread;
use stanchion_staging::{Hold, mean_time};

use crate::scale::cores::{EngineCost, handover_us, line_ns};
use crate::scale::model::{Machine, Visit};
use crate::scale::visits::{Host, Toll};
use crate::setting::Setting;

/// A hold that stages next to nothing, and one of a pipeline of 32 pushes.
const SMALL: Hold = Hold { records: 1, record_bytes: 64 };
const LARGE: Hold = Hold { records: 32, record_bytes: 320 };

/// What the records are framed with.
const RECORD_HEADER_BYTES: usize = 20;

/// What is in this process is measured for so long a round at most.
const SLICE_MAX: Duration = Duration::from_millis(500);

/// Times that a cache line changes hands in a round.
const LINE_TURNS: u64 = 400_000;

/// So many threads that the first does little but accept for the others. What they take does not depend on the cores.
pub(crate) const DOOR_THREADS: usize = 16;

/// Bursts of visits in a round.
const BURSTS: usize = 4;

/// What was found.
pub(crate) struct Parts {
    /// A hold that stages next to nothing, in nanoseconds.
    pub(crate) staging_small_ns: Spread,
    /// One of a pipeline.
    pub(crate) staging_large_ns: Spread,
    pub(crate) line_ns: Spread,
    pub(crate) handover_us: Spread,
    pub(crate) engine_alone_ns: Spread,
    pub(crate) engine_beside_ns: Spread,
    pub(crate) engine_moved_ns: Spread,
    /// What the thread takes that accepts and serves alone, for each visit.
    pub(crate) visit_alone_us: Spread,
    /// What [`DOOR_THREADS`] threads take for each visit: the first, which accepts, and the further ones together.
    pub(crate) visit_first_us: Spread,
    pub(crate) visit_further_us: Spread,
    pub(crate) visit: Visit,
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Amount {
    rounds: usize,
    slice: Duration,
    line_turns: u64,
    bursts: usize,
}

impl Parts {
    pub(crate) fn measure(setting: &Setting) -> Result<Parts> {
        let slice = setting.slice.min(SLICE_MAX);
        let amount = Amount { rounds: setting.rounds, slice, line_turns: LINE_TURNS, bursts: BURSTS };
        Parts::of(setting, amount)
    }

    /// The least of each.
    pub(crate) fn exercise(setting: &Setting) -> Result<Parts> {
        let slice = Duration::from_millis(1);
        Parts::of(setting, Amount { rounds: 1, slice, line_turns: 100, bursts: 1 })
    }

    fn of(setting: &Setting, amount: Amount) -> Result<Parts> {
        let Amount { rounds, slice, .. } = amount;
        let staged = |hold| -> Result<Spread> {
            let times = (0..rounds).map(|_| Ok(mean_time(hold, slice)?.as_nanos() as f64));
            Ok(Spread::of(times.collect::<Result<Vec<_>>>()?))
        };
        let engine = (0..rounds).map(|_| EngineCost::measure(slice)).collect::<Result<Vec<_>>>()?;
        let [alone, many] = visit(setting, amount)?;
        let of = |tolls: &[Toll], read: fn(&Toll) -> f64| Spread::of(tolls.iter().map(read));
        let visit_alone_us = of(&alone, |toll| toll.first_us);
        let visit_first_us = of(&many, |toll| toll.first_us);
        let visit_further_us = of(&many, |toll| toll.further_us);
        Ok(Parts {
            staging_small_ns: staged(SMALL)?,
            staging_large_ns: staged(LARGE)?,
            line_ns: Spread::of((0..rounds).map(|_| line_ns(amount.line_turns))),
            handover_us: Spread::of((0..rounds).map(|_| handover_us(slice))),
            engine_alone_ns: Spread::of(engine.iter().map(|cost| cost.alone_ns)),
            engine_beside_ns: Spread::of(engine.iter().map(|cost| cost.beside_ns)),
            engine_moved_ns: Spread::of(engine.iter().map(|cost| cost.moved_ns)),
            visit_alone_us,
            visit_first_us,
            visit_further_us,
            visit: Visit::of(
                visit_alone_us.median,
                DOOR_THREADS,
                visit_first_us.median,
                visit_further_us.median,
            ),
        })
    }

    /// For the model.
    pub(crate) fn machine(&self) -> Machine {
        Machine {
            line_ns: self.line_ns.median,
            moved_us: (self.engine_moved_ns.median - self.engine_alone_ns.median).max(0.0) / 1e3,
            handover_us: self.handover_us.median,
            staging_ns: self.staging_small_ns.median,
            staging_kib_ns: self.staging_kib_ns(),
        }
    }

    /// What each KiB takes beyond the hold that stages next to nothing.
    pub(crate) fn staging_kib_ns(&self) -> f64 {
        let kib = |hold: Hold| (hold.records * (hold.record_bytes + RECORD_HEADER_BYTES)) as f64 / 1024.0;
        let more_ns = self.staging_large_ns.median - self.staging_small_ns.median;
        more_ns.max(0.0) / (kib(LARGE) - kib(SMALL))
    }
}

/// A server of one thread and one of many, visited in turns.
fn visit(setting: &Setting, amount: Amount) -> Result<[Vec<Toll>; 2]> {
    let mut hosts = Vec::new();
    for threads in [1, DOOR_THREADS] {
        hosts.push(Host::start(setting, threads)?);
    }
    let mut tolls = [Vec::new(), Vec::new()];
    for _ in 0..amount.rounds {
        for (host, tolls) in hosts.iter_mut().zip(&mut tolls) {
            tolls.push(host.measure(amount.bursts)?);
        }
    }
    hosts.into_iter().try_for_each(Host::finish)?;
    Ok(tolls)
}
