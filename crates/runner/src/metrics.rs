//! What the runner tells Prometheus: one table of metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use stanchion_status::{Kind, Metric, Process, Samples};

use crate::counts::{BUCKETS, Histogram, QueueCounts, TICKS};
use crate::group::Group;
use crate::outcome::Outcome;
use crate::phase::Phase;
use crate::runner::Shared;

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

/// All metrics, in the order in which they are shown.
const METRICS: &[Metric<Seen>] = &[
    Metric::new(
        "stanchion_runner_info",
        Kind::Gauge,
        &["name", "version"],
        "1; its labels say which runner this is.",
        |seen, samples| {
            samples.add(&[("name", &seen.name), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
        },
    ),
    Metric::new(
        "stanchion_runner_up",
        Kind::Gauge,
        &[],
        "1 while the runner claims jobs, 0 from the moment it stops.",
        |seen, samples| samples.add(&[], flag(seen.phase == Phase::Running)),
    ),
    Metric::new(
        "stanchion_runner_quiet",
        Kind::Gauge,
        &[],
        "1 while the server wants nothing claimed.",
        |seen, samples| samples.add(&[], flag(seen.is_quiet)),
    ),
    Metric::new(
        "stanchion_runner_server_up",
        Kind::Gauge,
        &["group"],
        "1 while the group's claims reach the server, 0 while they try again.",
        |seen, samples| each_group(seen, samples, |group| flag(!group.is_away.load(Ordering::Relaxed))),
    ),
    Metric::new(
        "stanchion_runner_slots",
        Kind::Gauge,
        &["group"],
        "How many jobs the group may run at once.",
        |seen, samples| each_group(seen, samples, |group| f64::from(group.slots.count())),
    ),
    Metric::new(
        "stanchion_runner_slots_busy",
        Kind::Gauge,
        &["group"],
        "How many jobs the group runs now.",
        |seen, samples| each_group(seen, samples, |group| f64::from(group.slots.running())),
    ),
    Metric::new(
        "stanchion_runner_stuck",
        Kind::Gauge,
        &[],
        "Slots and loops of the runner that should have come to an end long ago; more than 0 fails /health.",
        |seen, samples| samples.add(&[], seen.stuck as f64),
    ),
    Metric::new(
        "stanchion_runner_reports_waiting",
        Kind::Gauge,
        &["group"],
        "Jobs that have ended and that the server does not know about yet.",
        |seen, samples| each_group(seen, samples, |group| group.outbox.len() as f64),
    ),
    Metric::new(
        "stanchion_runner_reports_stale_total",
        Kind::Counter,
        &["group"],
        "Reports of jobs whose claim no longer held.",
        |seen, samples| each_group(seen, samples, |group| group.outbox.stale() as f64),
    ),
    Metric::new(
        "stanchion_runner_reports_refused_total",
        Kind::Counter,
        &["group"],
        "Reports that the server refused for good; their jobs come back when their leases lapse.",
        |seen, samples| each_group(seen, samples, |group| group.outbox.refused() as f64),
    ),
    Metric::new(
        "stanchion_runner_leases_lost_total",
        Kind::Counter,
        &[],
        "Running jobs that were cancelled because their lease was lost.",
        |seen, samples| samples.add(&[], seen.leases_lost as f64),
    ),
    Metric::new(
        "stanchion_runner_reloads_total",
        Kind::Counter,
        &["result"],
        "Reloads of the configuration, by whether they were taken.",
        |seen, samples| {
            for (result, count) in ["taken", "refused"].into_iter().zip(seen.reloads) {
                samples.add(&[("result", result)], count as f64);
            }
        },
    ),
    Metric::new(
        "stanchion_runner_config_current",
        Kind::Gauge,
        &[],
        "0 when the newest reload was refused: the runner does not do what its file says.",
        |seen, samples| samples.add(&[], flag(seen.is_current)),
    ),
    Metric::new(
        "stanchion_runner_jobs_started_total",
        Kind::Counter,
        &["queue"],
        "Jobs that began, by queue; queues beyond the 200th count as _other.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                samples.add(&[("queue", queue)], counts.started as f64);
            }
        },
    ),
    Metric::new(
        "stanchion_runner_jobs_ended_total",
        Kind::Counter,
        &["queue", "status"],
        "Jobs that ended, by queue and status: done, failed, dead, released, cancelled.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                for (status, count) in Outcome::STATUSES.into_iter().zip(counts.ended) {
                    samples.add(&[("queue", queue), ("status", status)], count as f64);
                }
            }
        },
    ),
    Metric::new(
        "stanchion_runner_job_wait_seconds",
        Kind::Histogram,
        &["queue"],
        "From the moment a job was ready to its start here, by queue.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                histogram(samples, queue, &counts.waited);
            }
        },
    ),
    Metric::new(
        "stanchion_runner_job_run_seconds",
        Kind::Histogram,
        &["queue"],
        "From a job's start to its end, by queue.",
        |seen, samples| {
            for (queue, counts) in &seen.queues {
                histogram(samples, queue, &counts.ran);
            }
        },
    ),
    Metric::new(
        "stanchion_runner_schedule_ticks_total",
        Kind::Counter,
        &["schedule", "result"],
        "Times at which a schedule was due: pushed by this runner, by another one before (duplicate), or missed.",
        |seen, samples| {
            for (schedule, counts) in &seen.ticks {
                for (result, count) in TICKS.into_iter().zip(counts) {
                    samples.add(&[("schedule", schedule), ("result", result)], *count as f64);
                }
            }
        },
    ),
    Metric::new(
        "process_cpu_seconds_total",
        Kind::Counter,
        &[],
        "Processor time of the runner itself, without its jobs.",
        |seen, samples| samples.some(seen.process.cpu_seconds),
    ),
    Metric::new(
        "process_resident_memory_bytes",
        Kind::Gauge,
        &[],
        "Memory of the runner itself.",
        |seen, samples| {
            samples.some(seen.process.resident_bytes);
        },
    ),
    Metric::new("process_open_fds", Kind::Gauge, &[], "Open descriptors of the runner.", |seen, samples| {
        samples.some(seen.process.descriptors);
    }),
    Metric::new(
        "process_start_time_seconds",
        Kind::Gauge,
        &[],
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
    samples.table(METRICS, &seen);
    samples.text()
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn histogram(samples: &mut Samples, queue: &str, histogram: &Histogram) {
    samples.histogram(&[("queue", queue)], &BUCKETS, &histogram.counts, histogram.sum.as_secs_f64());
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
    use stanchion_status::{metrics_table, wrong_metrics};

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_documented() {
        assert_eq!(wrong_metrics(METRICS), Vec::<String>::new());
        let page = include_str!("../../../docs/runner.md");
        for line in metrics_table(METRICS).lines() {
            assert!(page.lines().any(|found| found == line), "docs/runner.md lacks {line}");
        }
    }
}
