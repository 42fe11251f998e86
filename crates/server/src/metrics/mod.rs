//! What the server tells Prometheus: tables of metrics by subject, each read from what is looked at once.
//!
//! Looking costs a walk over all queues in steps, when somebody asks. Names of queues and versions come from clients,
//! so only so many are told apart ([`survey`], [`storage`] and the others have rows, which are documented by
//! themselves: docs/metrics.md).

mod commands;
mod labels;
mod process;
mod queues;
mod seen;
mod storage;
mod survey;
mod workers;

use std::fmt::Write;
use std::sync::Arc;

use stanchion_status::{Metric, Samples, metrics_table};

use crate::limits::{METRICS_QUEUES_MAX, METRICS_VERSIONS_MAX};
use crate::server::Server;
use labels::OTHERS;
use seen::Seen;

/// Metrics of one subject.
struct Subject {
    title: &'static str,
    metrics: &'static [Metric<Seen>],
}

/// All of them, in the order in which they are shown.
const SUBJECTS: &[Subject] = &[
    Subject { title: "The process and its connections", metrics: process::METRICS },
    Subject { title: "Commands", metrics: commands::METRICS },
    Subject { title: "Queues", metrics: queues::METRICS },
    Subject { title: "Workers", metrics: workers::METRICS },
    Subject { title: "Memory, log and disk", metrics: storage::METRICS },
];

/// All metrics, as Prometheus reads them.
pub(crate) async fn page(server: &Arc<Server>) -> String {
    let seen = Seen::look(Arc::clone(server)).await;
    let mut samples = Samples::default();
    for subject in SUBJECTS {
        samples.table(subject.metrics, &seen);
    }
    samples.text()
}

/// The document about them.
pub fn metrics_md() -> String {
    let mut text = format!(
        "\
# Metrics of the server

Written by `cargo xtask docs` from the server's tables of metrics.

They stand at `/metrics` of the address that the option `http` names, in Prometheus's text format; [operating.md](operating.md) tells
about the pages, [runner.md](runner.md) has the runner's.

- While the log is read there are only those of the process and of commands.
- Counters and histograms count from the start of the process, and from `CONFIG RESETSTAT` where INFO's do.
- The {METRICS_QUEUES_MAX} queues with the most jobs have samples of their own (those with as many: the busiest). Gauges of all others are
  summed up under the queue `{OTHERS}`, which can't be a queue's name, because a backslash in one is shown doubled; bytes that are no
  UTF-8 are shown as `\\xNN`. Counters of the others are left out: a sum that loses a queue would look as if it had begun anew.
  The same holds for the {METRICS_VERSIONS_MAX} versions with the most workers.
"
    );
    for Subject { title, metrics } in SUBJECTS {
        _ = write!(text, "\n## {title}\n\n{}", metrics_table(metrics));
    }
    text
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[cfg(test)]
mod tests {
    use stanchion_status::wrong_metrics;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for subject in SUBJECTS {
            assert_eq!(wrong_metrics(subject.metrics), Vec::<String>::new(), "{}", subject.title);
        }
        let mut names: Vec<_> =
            SUBJECTS.iter().flat_map(|subject| subject.metrics).map(|metric| metric.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands twice");
    }
}
