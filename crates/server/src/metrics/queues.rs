//! Queues: the jobs in them, and what happened to those.

use stanchion_engine::{Counts, SPREAD_ENDS_MS, Spread, Totals};
use stanchion_status::{Kind, Metric, Samples};

use super::flag;
use super::labels::OTHERS;
use super::seen::Seen;
use super::survey::{Others, QueueSeen};

/// Takes one of several counts.
type Count<T> = fn(&T) -> u64;

/// What can happen to jobs, as QSTATS calls it.
const EVENTS: [(&str, Count<Totals>); 12] = [
    ("pushed", |totals| totals.pushed),
    ("duplicate", |totals| totals.duplicates),
    ("replaced", |totals| totals.replaced),
    ("superseded", |totals| totals.superseded),
    ("expired", |totals| totals.expired),
    ("claimed", |totals| totals.claims),
    ("acked", |totals| totals.acked),
    ("nacked", |totals| totals.nacked),
    ("released", |totals| totals.released),
    ("lapsed", |totals| totals.lapsed),
    ("died", |totals| totals.died),
    ("stale", |totals| totals.stale_acks),
];

/// States of jobs.
const STATES: [(&str, Count<Counts>); 4] = [
    ("ready", |counts| counts.ready),
    ("delayed", |counts| counts.delayed),
    ("claimed", |counts| counts.claimed),
    ("dead", |counts| counts.dead),
];

pub(super) const METRICS: &[Metric<Seen>] = &[
    Metric::new("stanchion_queues", Kind::Gauge, &[], "How many queues there are.", |seen, samples| {
        if let Some(survey) = &seen.survey {
            samples.add(&[], (survey.queues.len() as u64 + survey.others.queues) as f64);
        }
    }),
    Metric::new(
        "stanchion_queues_left_out",
        Kind::Gauge,
        &[],
        "How many of them have no samples of their own.",
        |seen, samples| samples.some(seen.survey.as_ref().map(|survey| survey.others.queues as f64)),
    ),
    Metric::new(
        "stanchion_queue_jobs",
        Kind::Gauge,
        &["queue", "state"],
        "Jobs by state: ready, delayed, claimed, dead.",
        |seen, samples| {
            for (state, count) in STATES {
                let labels = [("state", state)];
                gauge(seen, samples, &labels, |queue| count(&queue.counts), |others| count(&others.counts));
            }
        },
    ),
    Metric::new(
        "stanchion_queue_oldest_ready_seconds",
        Kind::Gauge,
        &["queue"],
        "For how long the oldest ready job has been ready; 0 without one.",
        |seen, samples| {
            let Some(survey) = &seen.survey else { return };
            let seconds = |ms: Option<u64>| ms.unwrap_or(0) as f64 / 1e3;
            for queue in &survey.queues {
                samples.add(&[("queue", &queue.name)], seconds(queue.oldest_ready_ms));
            }
            if survey.others.queues > 0 {
                samples.add(&[("queue", OTHERS)], seconds(survey.others.oldest_ready_ms));
            }
        },
    ),
    Metric::new(
        "stanchion_queue_paused",
        Kind::Gauge,
        &["queue", "what"],
        "1 while pushes (push) or claims (claim) are paused; of the other queues, how many are.",
        |seen, samples| {
            let paused = |is| flag(is) as u64;
            gauge(
                seen,
                samples,
                &[("what", "push")],
                |queue| paused(queue.paused.push),
                |others| others.push_paused,
            );
            gauge(
                seen,
                samples,
                &[("what", "claim")],
                |queue| paused(queue.paused.claim),
                |others| others.claim_paused,
            );
        },
    ),
    Metric::new(
        "stanchion_queue_payload_bytes",
        Kind::Gauge,
        &["queue"],
        "Payloads of all jobs, in memory or in the log.",
        |seen, samples| gauge(seen, samples, &[], |queue| queue.payload_bytes, |others| others.payload_bytes),
    ),
    Metric::new(
        "stanchion_queue_memory_bytes",
        Kind::Gauge,
        &["queue"],
        "What the queue takes in memory.",
        |seen, samples| gauge(seen, samples, &[], |queue| queue.memory_bytes, |others| others.memory_bytes),
    ),
    Metric::new(
        "stanchion_queue_workers",
        Kind::Gauge,
        &["queue"],
        "Workers that have claimed jobs of the queue, as far as claims name them.",
        |seen, samples| gauge(seen, samples, &[], |queue| queue.workers, |others| others.workers),
    ),
    Metric::new(
        "stanchion_queue_events_total",
        Kind::Counter,
        &["queue", "event"],
        "What happened to jobs: pushed, duplicate, replaced, superseded, expired, claimed, acked, nacked, released, lapsed, died, and reports that were stale. Nacked and lapsed without died is what was retried.",
        |seen, samples| {
            for queue in seen.survey.iter().flat_map(|survey| &survey.queues) {
                for (event, count) in EVENTS {
                    samples.add(&[("queue", &queue.name), ("event", event)], count(&queue.totals) as f64);
                }
            }
        },
    ),
    Metric::new(
        "stanchion_queue_wait_seconds",
        Kind::Histogram,
        &["queue"],
        "From the moment a job was ready to its claim.",
        |seen, samples| histogram(seen, samples, |queue| &queue.wait),
    ),
    Metric::new(
        "stanchion_queue_run_seconds",
        Kind::Histogram,
        &["queue"],
        "From a job's claim to its ack, nack or lapse.",
        |seen, samples| histogram(seen, samples, |queue| &queue.run),
    ),
];

/// A sample for each queue that is told apart, and one for the others if there are any.
fn gauge(
    seen: &Seen,
    samples: &mut Samples,
    labels: &[(&str, &str)],
    of_queue: impl Fn(&QueueSeen) -> u64,
    of_others: impl Fn(&Others) -> u64,
) {
    let Some(survey) = &seen.survey else { return };
    let mut add = |queue: &str, value: u64| {
        samples.add(&[&[("queue", queue)], labels].concat(), value as f64);
    };
    for queue in &survey.queues {
        add(&queue.name, of_queue(queue));
    }
    if survey.others.queues > 0 {
        add(OTHERS, of_others(&survey.others));
    }
}

/// Of queues in which there was one.
fn histogram(seen: &Seen, samples: &mut Samples, spread: impl Fn(&QueueSeen) -> &Spread) {
    let ends = SPREAD_ENDS_MS.map(|ms| ms as f64 / 1e3);
    for queue in seen.survey.iter().flat_map(|survey| &survey.queues) {
        let Spread { counts, sum_ms } = spread(queue);
        if counts.iter().any(|count| *count > 0) {
            samples.histogram(&[("queue", &queue.name)], &ends, counts, *sum_ms as f64 / 1e3);
        }
    }
}
