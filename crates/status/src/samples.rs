//! Prometheus's text format, version 0.0.4.

use std::fmt::Write;

use crate::Metric;

/// The content type of a page of samples.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of samples.
#[derive(Default)]
pub struct Samples {
    text: String,
    name: &'static str,
    labels: &'static [&'static str],
}

impl Samples {
    /// Adds all metrics of a table.
    pub fn table<S>(&mut self, metrics: &[Metric<S>], seen: &S) {
        for metric in metrics {
            let Metric { name, kind, labels, help, write } = *metric;
            (self.name, self.labels) = (name, labels);
            self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()));
            write(seen, self);
        }
    }

    /// One value.
    pub fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample("", labels, value);
    }

    /// One value without labels, if it is known.
    pub fn some(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }

    /// A histogram: the ends of its buckets in seconds, how many samples are in each of them alone and, last, beyond
    /// them, and the sum of all samples in seconds.
    pub fn histogram(&mut self, labels: &[(&str, &str)], ends: &[f64], counts: &[u64], sum: f64) {
        assert_eq!(counts.len(), ends.len() + 1, "the last bucket has no end");
        let mut below = 0;
        let ends = ends.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (end, count) in ends.zip(counts) {
            below += count;
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", end.as_str())]).collect();
            self.sample("_bucket", &labels, below as f64);
        }
        self.sample("_sum", labels, sum);
        self.sample("_count", labels, below as f64);
    }

    /// The page.
    pub fn text(self) -> String {
        self.text
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let known = |label: &str| label == "le" || self.labels.contains(&label);
        debug_assert!(labels.iter().all(|(label, _)| known(label)), "{} has no such label", self.name);
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
    use super::*;
    use crate::Kind;

    #[test]
    fn samples_have_their_help_labels_and_values() {
        let slots =
            Metric::<f64>::new("slots", Kind::Gauge, &["group", "x"], "How many.", |value, samples| {
                samples.add(&[], *value);
                samples.add(&[("group", "a \"b\"\\\n"), ("x", "y")], 0.25);
                samples.some(None);
            });
        let mut samples = Samples::default();
        samples.table(&[slots], &3.0);
        let expected = "# HELP slots How many.\n# TYPE slots gauge\nslots 3\nslots{group=\"a \\\"b\\\"\\\\\\n\",x=\"y\"} 0.25\n";
        assert_eq!(samples.text(), expected);
    }

    #[test]
    fn buckets_add_up() {
        let waits =
            Metric::<()>::new("t_seconds", Kind::Histogram, &["queue"], "How long.", |(), samples| {
                samples.histogram(&[("queue", "q")], &[0.005, 3_600.0], &[1, 2, 1], 1_000_000.014);
            });
        let mut samples = Samples::default();
        samples.table(&[waits], &());
        let expected = "# HELP t_seconds How long.\n# TYPE t_seconds histogram\n\
                        t_seconds_bucket{queue=\"q\",le=\"0.005\"} 1\nt_seconds_bucket{queue=\"q\",le=\"3600\"} 3\n\
                        t_seconds_bucket{queue=\"q\",le=\"+Inf\"} 4\nt_seconds_sum{queue=\"q\"} 1000000.014\n\
                        t_seconds_count{queue=\"q\"} 4\n";
        assert_eq!(samples.text(), expected);
    }
}
