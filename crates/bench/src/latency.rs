//! How long commands took, in histograms of three significant digits.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longer than any run.
const LONGEST_NS: u64 = 24 * 3_600 * 1_000_000_000;
const DIGITS: u8 = 3;

/// The percentiles of one kind of command, in microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Percentiles {
    /// How many were timed.
    pub count: u64,
    /// Half took at most this long.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// For machines, in microseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let Percentiles { count, p50, p90, p99, p999, max } = self;
        json!({ "count": count, "p50-us": p50, "p90-us": p90, "p99-us": p99, "p99.9-us": p999, "max-us": max })
    }
}

/// Latencies of one kind of command.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Times {
        Times(Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("the bounds are in order"))
    }

    /// Nanoseconds from when something was due until it was there.
    pub(crate) fn record(&mut self, due: u64, now: u64) {
        self.0.saturating_record(now.saturating_sub(due).max(1));
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |share| self.0.value_at_quantile(share) as f64 / 1e3;
        Percentiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / 1e3,
        }
    }
}

/// Latencies of one run.
pub(crate) struct Clocks {
    pub(crate) push: Times,
    /// Pushes without what the generator was late.
    pub(crate) unhindered: Times,
    pub(crate) claim: Times,
    pub(crate) ack: Times,
    pub(crate) job: Times,
    /// How late the generator was where a connection was free.
    pub(crate) late: Times,
}

impl Clocks {
    pub(crate) fn new() -> Clocks {
        let [push, unhindered, claim, ack, job, late] = std::array::from_fn(|_| Times::new());
        Clocks { push, unhindered, claim, ack, job, late }
    }

    pub(crate) fn read(&self) -> Latencies {
        Latencies {
            push: self.push.percentiles(),
            unhindered: self.unhindered.percentiles(),
            claim: self.claim.percentiles(),
            ack: self.ack.percentiles(),
            job: self.job.percentiles(),
            late: self.late.percentiles(),
        }
    }
}

/// What one run's commands took, each from when it was due until its answer was read. Claims are due when the push
/// is answered (or the delay over), acks when the claim is answered.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Latencies {
    /// From the instant of the schedule.
    pub push: Percentiles,
    /// The same without what the generator itself was late: what the server made it wait.
    pub unhindered: Percentiles,
    /// From when its jobs could be claimed.
    pub claim: Percentiles,
    /// From when its jobs were there.
    pub ack: Percentiles,
    /// The whole way: from the instant of the schedule until the ack was answered.
    pub job: Percentiles,
    /// By how much the generator itself was late: the time for which a command was due, a connection free, and the
    /// command not sent.
    pub late: Percentiles,
}

impl Latencies {
    /// Each that is shown of a load, with its name.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, Percentiles); 5] {
        [
            ("push", self.push),
            ("claim", self.claim),
            ("ack", self.ack),
            ("job", self.job),
            ("late", self.late),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_samples() {
        let mut times = Times::new();
        (1..=1_000).for_each(|ms| times.record(0, ms * 1_000_000));
        let Percentiles { count, p50, p90, p99, p999, max } = times.percentiles();
        assert_eq!(count, 1_000);
        for (measured, wanted) in [(p50, 500e3), (p90, 900e3), (p99, 990e3), (p999, 999e3), (max, 1_000e3)] {
            assert!((measured / wanted - 1.0).abs() < 0.002, "{measured} is not {wanted}");
        }
    }

    #[test]
    fn a_command_that_was_not_late_counts_as_the_least() {
        let mut times = Times::new();
        times.record(5, 4);
        assert_eq!(times.percentiles().count, 1);
        assert!(times.percentiles().max < 0.01);
    }

    #[test]
    fn nothing_timed_is_nothing() {
        assert_eq!(Times::new().percentiles(), Percentiles::default());
    }
}
