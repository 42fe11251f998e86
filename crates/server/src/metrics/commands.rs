//! Commands by name: how many, how many failed, and how long they took.

use hdrhistogram::Histogram;
use stanchion_status::{Kind, Metric};

use super::seen::Seen;

/// Upper ends of the durations that are told apart, in seconds.
const ENDS: [f64; 12] = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

pub(super) const METRICS: &[Metric<Seen>] = &[
    Metric::new(
        "stanchion_commands_total",
        Kind::Counter,
        &["command"],
        "Commands that ran; those that were never used are left out.",
        |seen, samples| {
            for total in &seen.commands {
                samples.add(&[("command", total.name)], total.calls as f64);
            }
        },
    ),
    Metric::new(
        "stanchion_command_failures_total",
        Kind::Counter,
        &["command", "why"],
        "Commands that were answered with an error: rejected before they ran, or failed.",
        |seen, samples| {
            for total in &seen.commands {
                for (why, count) in [("rejected", total.rejected), ("failed", total.failed)] {
                    samples.add(&[("command", total.name), ("why", why)], count as f64);
                }
            }
        },
    ),
    Metric::new(
        "stanchion_command_seconds",
        Kind::Histogram,
        &["command"],
        "How long commands took, without waiting for a job or for the disk; cheap ones that follow each other share their time.",
        |seen, samples| {
            for total in &seen.commands {
                let (name, sum) = (total.name, total.time.as_secs_f64());
                samples.histogram(&[("command", name)], &ENDS, &counts(&total.latency), sum);
            }
        },
    ),
    Metric::new(
        "stanchion_errors_total",
        Kind::Counter,
        &["code"],
        "Error replies by their first word.",
        |seen, samples| {
            for (code, count) in seen.server.errors.totals() {
                samples.add(&[("code", code.word())], count as f64);
            }
        },
    ),
];

/// How many calls there were of each length; the histogram has nanoseconds.
fn counts(latency: &Histogram<u32>) -> [u64; ENDS.len() + 1] {
    let mut counts = [0; ENDS.len() + 1];
    for step in latency.iter_recorded() {
        let seconds = step.value_iterated_to() as f64 / 1e9;
        counts[ENDS.partition_point(|end| *end < seconds)] += step.count_since_last_iteration();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_in_one_bucket() {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 2).unwrap();
        for ns in [1, 9_000, 20_000, 2_000_000, 59_000_000_000] {
            latency.record_n(ns, 3).unwrap();
        }
        let counts = counts(&latency);
        assert_eq!(counts, [6, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 3]);
    }
}
