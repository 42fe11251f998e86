//! What the runner tells Prometheus: one table of metrics, and the text format.

mod process;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::counts::{QueueCounts, TICKS};
use crate::group::Group;
use crate::outcome::Outcome;
use crate::phase::Phase;
use crate::runner::Shared;
use process::Process;
use text::Samples;

/// The content type of [`render`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric.
pub(crate) struct Metric {
    /// Its name; histograms add `_bucket`, `_sum` and `_count`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it means, in a line.
    pub(crate) help: &'static str,
    write: fn(&Seen, &mut Samples),
}

/// How a metric's values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What is looked at, once for all metrics.
struct Seen {
    name: String,
    phase: Phase,
    is_quiet: bool,
    groups: Vec<Arc<Group>>,
    queues: Vec<(String, QueueCounts)>,
    ticks: BTreeMap<String, [u64; 3]>,
    stuck: usize,
    leases_lost: u64,
    reloads: [u64; 2],
    is_current: bool,
    process: Process,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    write: fn(&Seen, &mut Samples),
) -> Metric {
    Metric { name, kind, help, write }
}

/// All metrics, in the order in which they are shown.
pub(crate) const METRICS: &[Metric] = &[
    metric(
        "stanchion_runner_info",
        Kind::Gauge,
        "1; its labels say which runner this is.",
        |seen, samples| {
            samples.add(&[("name", &seen.name), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
        },
    ),
    metric(
        "stanchion_runner_up",
        Kind::Gauge,
        "1 while the runner claims jobs, 0 from the moment it stops.",
        |seen, samples| samples.add(&[], flag(seen.phase == Phase::Running)),
    ),
    metric(
        "stanchion_runner_quiet",
        Kind::Gauge,
        "1 while the server wants nothing claimed.",
        |seen, samples| samples.add(&[], flag(seen.is_quiet)),
    ),
    metric(
        "stanchion_runner_server_up",
        Kind::Gauge,
        "1 while the group's claims reach the server, 0 while they try again.",
        |seen, samples| each_group(seen, samples, |group| flag(!group.is_away.load(Ordering::Relaxed))),
    ),
    metric(
        "stanchion_runner_slots",
        Kind::Gauge,
        "How many jobs the group may run at once.",
        |seen, samples| each_group(seen, samples, |group| f64::from(group.slots.count())),
    ),
    metric(
        "stanchion_runner_slots_busy",
        Kind::Gauge,
        "How many jobs the group runs now.",
        |seen, samples| each_group(seen, samples, |group| f64::from(group.slots.running())),
    ),
    metric(
        "stanchion_runner_stuck",
        Kind::Gauge,
        "Slots and loops of the runner that should have come to an end long ago; more than 0 fails /health.",
        |seen, samples| samples.add(&[], seen.stuck as f64),
    ),
    metric(
        "stanchion_runner_reports_waiting",
        Kind::Gauge,
        "Jobs that have ended and that the server does not know about yet.",
        |seen, samples| each_group(seen, samples, |group| group.outbox.len() as f64),
    ),
    metric(
        "stanchion_runner_reports_stale_total",
        Kind::Counter,
        "Reports of jobs whose claim no longer held.",
        |seen, samples| each_group(seen, samples, |group| group.outbox.stale() as f64),
    ),
    metric(
        "stanchion_runner_reports_refused_total",
        Kind::Counter,
        "Reports that the server refused for good; their jobs come back when their leases lapse.",
        |seen, samples| each_group(seen, samples, |group| group.outbox.refused() as f64),
    ),
    metric(
        "stanchion_runner_leases_lost_total",
        Kind::Counter,
        "Running jobs that were cancelled because their lease was lost.",
        |seen, samples| samples.add(&[], seen.leases_lost as f64),
    ),
    metric(
        "stanchion_runner_reloads_total",
        Kind::Counter,
        "Reloads of the configuration, by whether they were taken.",
        |seen, samples| {
            for (result, count) in ["taken", "refused"].into_iter().zip(seen.reloads) {
                samples.add(&[("result", result)], count as f64);
            }
        },
    ),
    metric(
        "stanchion_runner_config_current",
        Kind::Gauge,
        "0 when the newest reload was refused: the runner does not do what its file says.",
        |seen, samples| samples.add(&[], flag(seen.is_current)),
    ),
    metric(
        "stanchion_runner_jobs_started_total",
        Kind::Counter,
        "Jobs that began, by queue; queues beyond the 200th count as _other.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                samples.add(&[("queue", queue)], counts.started as f64);
            }
        },
    ),
    metric(
        "stanchion_runner_jobs_ended_total",
        Kind::Counter,
        "Jobs that ended, by queue and status: done, failed, dead, released, cancelled.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                for (status, count) in Outcome::STATUSES.into_iter().zip(counts.ended) {
                    samples.add(&[("queue", queue), ("status", status)], count as f64);
                }
            }
        },
    ),
    metric(
        "stanchion_runner_job_wait_seconds",
        Kind::Histogram,
        "From the moment a job was ready to its start here, by queue.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                samples.histogram(&[("queue", queue)], &counts.waited);
            }
        },
    ),
    metric(
        "stanchion_runner_job_run_seconds",
        Kind::Histogram,
        "From a job's start to its end, by queue.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                samples.histogram(&[("queue", queue)], &counts.ran);
            }
        },
    ),
    metric(
        "stanchion_runner_schedule_ticks_total",
        Kind::Counter,
        "Times at which a schedule was due: pushed by this runner, by another one before (duplicate), or missed.",
        |seen, samples| {
            for (schedule, counts) in &seen.ticks {
                for (result, count) in TICKS.into_iter().zip(counts) {
                    samples.add(&[("schedule", schedule), ("result", result)], *count as f64);
                }
            }
        },
    ),
    metric(
        "process_cpu_seconds_total",
        Kind::Counter,
        "Processor time of the runner itself, without its jobs.",
        |seen, samples| samples.some(seen.process.cpu_seconds),
    ),
    metric("process_resident_memory_bytes", Kind::Gauge, "Memory of the runner itself.", |seen, samples| {
        samples.some(seen.process.resident_bytes);
    }),
    metric("process_open_fds", Kind::Gauge, "Open descriptors of the runner.", |seen, samples| {
        samples.some(seen.process.descriptors);
    }),
    metric(
        "process_start_time_seconds",
        Kind::Gauge,
        "When the runner began, in Unix seconds.",
        |seen, samples| samples.some(seen.process.started),
    ),
];

/// All metrics, as Prometheus reads them.
pub(crate) fn render(shared: &Shared) -> String {
    let seen = Seen {
        name: shared.settings().name.clone(),
        phase: shared.stop.phase(),
        is_quiet: shared.quiet.is_wanted(),
        groups: shared.groups(),
        queues: shared.counts.queues().into_iter().collect(),
        ticks: shared.counts.ticks(),
        stuck: crate::health::stuck(shared).len(),
        leases_lost: shared.counts.leases_lost(),
        reloads: shared.counts.reloads(),
        is_current: shared.counts.is_current(),
        process: Process::now(),
    };
    let mut samples = Samples::default();
    for metric in METRICS {
        samples.begin(metric);
        (metric.write)(&seen, &mut samples);
    }
    samples.text()
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// A sample for each group. Of two of the same name, one of which leaves, the newer one is shown.
fn each_group(seen: &Seen, samples: &mut Samples, value: impl Fn(&Group) -> f64) {
    for (at, group) in seen.groups.iter().enumerate() {
        if !seen.groups[at + 1..].iter().any(|newer| newer.name == group.name) {
            samples.add(&[("group", &group.name)], value(group));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_documented() {
        let page = include_str!("../../../docs/runner.md");
        for metric in METRICS {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(METRICS.iter().filter(|other| other.name == metric.name).count() == 1, "{}", metric.name);
            let line = page.lines().find(|line| line.starts_with(&format!("| `{}` |", metric.name)));
            let line = line.unwrap_or_else(|| panic!("docs/runner.md lacks {}", metric.name));
            assert!(
                line.contains(metric.help),
                "docs/runner.md says otherwise: {line}\nnot: {}",
                metric.help
            );
        }
    }
}
