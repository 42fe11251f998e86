//! Prometheus's text format, version 0.0.4.

use std::fmt::Write;

use super::{Kind, Metric};
use crate::counts::{BUCKETS, Histogram};

/// A page of samples.
#[derive(Default)]
pub(super) struct Samples {
    text: String,
    name: &'static str,
}

impl Samples {
    /// What follows are samples of this metric.
    pub(super) fn begin(&mut self, metric: &Metric) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.name = metric.name;
        self.line(format_args!("# HELP {} {}\n# TYPE {} {kind}\n", metric.name, metric.help, metric.name));
    }

    /// One value.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample("", labels, value);
    }

    /// One value, if it is known.
    pub(super) fn some(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }

    /// A histogram's buckets, each with all that is below its end, its sum and its count.
    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let mut below = 0;
        let ends = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (end, count) in ends.zip(histogram.counts) {
            below += count;
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", end.as_str())]).collect();
            self.sample("_bucket", &labels, below as f64);
        }
        self.sample("_sum", labels, histogram.sum.as_secs_f64());
        self.sample("_count", labels, below as f64);
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let name = self.name;
        self.line(format_args!("{name}{suffix}{labels} {value}\n"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = self.text.write_fmt(line);
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn samples_have_their_help_labels_and_values() {
        let mut samples = Samples::default();
        samples.begin(&Metric { name: "slots", kind: Kind::Gauge, help: "How many.", write: |_, _| {} });
        samples.add(&[], 3.0);
        samples.add(&[("group", "a \"b\"\\\n"), ("x", "y")], 0.25);
        let expected = "# HELP slots How many.\n# TYPE slots gauge\nslots 3\nslots{group=\"a \\\"b\\\"\\\\\\n\",x=\"y\"} 0.25\n";
        assert_eq!(samples.text(), expected);
    }

    #[test]
    fn buckets_add_up() {
        let mut histogram = Histogram::default();
        for ms in [1, 7, 7, 999_999_999] {
            histogram.add(Duration::from_millis(ms));
        }
        let mut samples = Samples::default();
        samples.begin(&Metric { name: "t", kind: Kind::Histogram, help: "T.", write: |_, _| {} });
        samples.histogram(&[("queue", "q")], &histogram);
        let text = samples.text();
        for line in [
            "t_bucket{queue=\"q\",le=\"0.005\"} 1",
            "t_bucket{queue=\"q\",le=\"0.01\"} 3",
            "t_bucket{queue=\"q\",le=\"3600\"} 3",
            "t_bucket{queue=\"q\",le=\"+Inf\"} 4",
            "t_count{queue=\"q\"} 4",
            "t_sum{queue=\"q\"} 1000000.014",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        }
    }
}
