//! A metric as a row of a table, which drives what is shown, its help, and the document about it.

use std::fmt::Write;

use crate::Samples;

/// One metric, read from an `S`: all that is looked at, once for all metrics.
pub struct Metric<S: 'static> {
    /// Its name; histograms add `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// How its values go.
    pub kind: Kind,
    /// What tells its samples apart.
    pub labels: &'static [&'static str],
    /// What it means, in a line.
    pub help: &'static str,
    pub(crate) write: fn(&S, &mut Samples),
}

/// How a metric's values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only rise, until the process ends.
    Counter,
    /// They rise and fall.
    Gauge,
    /// Counters of durations by length.
    Histogram,
}

impl<S> Metric<S> {
    /// A row: `write` adds the samples.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
        write: fn(&S, &mut Samples),
    ) -> Metric<S> {
        Metric { name, kind, labels, help, write }
    }
}

impl Kind {
    /// As Prometheus calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// The rows of a document about metrics.
pub fn metrics_table<S>(metrics: &[Metric<S>]) -> String {
    let mut text = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, help, .. } in metrics {
        _ = writeln!(text, "| `{name}` | {} | {} | {help} |", kind.word(), labels.join(", "));
    }
    text
}

/// Rows that break Prometheus's conventions, or that stand twice: for the tests of whoever has a table.
pub fn wrong_metrics<S>(metrics: &[Metric<S>]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, metric) in metrics.iter().enumerate() {
        let Metric { name, kind, labels, help, .. } = metric;
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if (*kind == Kind::Counter) != name.ends_with("_total") {
            wrong.push(format!("{name}: counters, and they alone, end in _total"));
        }
        if *kind == Kind::Histogram && !name.ends_with("_seconds") {
            wrong.push(format!("{name}: durations are in seconds, and say so"));
        }
        if !is_plain(name) || !labels.iter().all(|label| is_plain(label)) {
            wrong.push(format!("{name}: names are lower case"));
        }
        if !help.ends_with('.') || help.contains('\n') || help.contains('|') {
            wrong.push(format!("{name}: its help is no line of a table"));
        }
        if metrics[..at].iter().any(|other| other.name == *name) {
            wrong.push(format!("{name}: it is there already"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_make_a_table_and_wrong_ones_are_found() {
        let good = Metric::<()>::new("a_total", Kind::Counter, &["x", "y"], "How many.", |(), _| {});
        let expected = "| metric | kind | labels | meaning |\n|---|---|---|---|\n| `a_total` | counter | x, y | How many. |\n";
        assert_eq!(metrics_table(&[good]), expected);
        let row = |name, kind, help| Metric::<()>::new(name, kind, &[], help, |(), _| {});
        let table = [
            row("a_total", Kind::Gauge, "Right."),
            row("b", Kind::Counter, "Right."),
            row("c", Kind::Histogram, "Right."),
            row("D", Kind::Gauge, "Right."),
            row("e", Kind::Gauge, "Wrong"),
            row("f", Kind::Gauge, "Right."),
            row("f", Kind::Gauge, "Right."),
        ];
        let wrong = wrong_metrics(&table);
        let names: Vec<_> = wrong.iter().map(|wrong| wrong.split(':').next().unwrap()).collect();
        assert_eq!(names, ["a_total", "b", "c", "D", "e", "f"], "{wrong:?}");
    }
}
