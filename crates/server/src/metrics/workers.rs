//! Workers that are heard, by what they run.

use std::sync::Arc;

use stanchion_status::{Kind, Metric, Samples};

use super::labels::{OTHERS, label};
use super::seen::Seen;
use crate::limits::METRICS_VERSIONS_MAX;
use crate::workers::Crew;

pub(super) const METRICS: &[Metric<Seen>] = &[
    Metric::new(
        "stanchion_workers",
        Kind::Gauge,
        &["version"],
        "Workers that are heard (QWORKER BEAT), by the version that they told; empty if they told none.",
        |seen, samples| by_version(seen, samples, |crew| crew.workers),
    ),
    Metric::new(
        "stanchion_worker_slots",
        Kind::Gauge,
        &["version"],
        "How many jobs they may do at once, as far as they told.",
        |seen, samples| by_version(seen, samples, |crew| crew.slots),
    ),
    Metric::new(
        "stanchion_worker_jobs",
        Kind::Gauge,
        &["version"],
        "How many jobs they do, as far as they told.",
        |seen, samples| by_version(seen, samples, |crew| crew.jobs),
    ),
    Metric::new(
        "stanchion_workers_quiet",
        Kind::Gauge,
        &[],
        "Workers that were told to claim nothing more, or to stop.",
        |seen, samples| samples.add(&[], seen.server.workers.counts().1 as f64),
    ),
    Metric::new(
        "stanchion_workers_gone",
        Kind::Gauge,
        &[],
        "1 when workers were heard since the start and none is any more.",
        |seen, samples| samples.add(&[], super::flag(seen.server.workers.are_gone())),
    ),
    Metric::new(
        "stanchion_workers_lost_total",
        Kind::Counter,
        &[],
        "Workers that went without a word.",
        |seen, samples| samples.add(&[], seen.server.workers.lost() as f64),
    ),
];

/// A sample for each version that is told apart, and one for the others if there are any.
fn by_version(seen: &Seen, samples: &mut Samples, value: impl Fn(&Crew) -> u64) {
    for (version, crew) in told_apart(seen.server.workers.crews().into_iter().collect()) {
        samples.add(&[("version", &version)], value(&crew) as f64);
    }
}

/// The versions with the most workers, and the others together.
fn told_apart(mut crews: Vec<(Arc<[u8]>, Crew)>) -> Vec<(String, Crew)> {
    crews.sort_by_key(|(_, crew)| std::cmp::Reverse(crew.workers));
    let mut rest = Crew::default();
    for (_, crew) in crews.drain(crews.len().min(METRICS_VERSIONS_MAX)..) {
        rest.workers += crew.workers;
        rest.slots += crew.slots;
        rest.jobs += crew.jobs;
    }
    let mut shown: Vec<_> = crews.iter().map(|(version, crew)| (label(version), *crew)).collect();
    if rest.workers > 0 {
        shown.push((OTHERS.to_owned(), rest));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_beyond_the_limit_are_one() {
        let crew = |workers| Crew { workers, slots: 10 * workers, jobs: 0 };
        let version = |n: usize| -> Arc<[u8]> { format!("1.{n}").into_bytes().into() };
        let mut crews: Vec<_> = (0..METRICS_VERSIONS_MAX + 2).map(|n| (version(n), crew(1))).collect();
        assert_eq!(told_apart(crews[..METRICS_VERSIONS_MAX].to_vec()).len(), METRICS_VERSIONS_MAX);
        crews.push((b"9"[..].into(), crew(7)));
        let shown = told_apart(crews);
        assert_eq!(shown.len(), METRICS_VERSIONS_MAX + 1);
        assert_eq!(shown[0], ("9".to_owned(), crew(7)));
        assert_eq!(shown[METRICS_VERSIONS_MAX], (OTHERS.to_owned(), crew(3)));
    }
}
