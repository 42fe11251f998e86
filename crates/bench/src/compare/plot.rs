//! Plots as SVG: for each workload a panel, in it a bar or a row of dots for each server.

use std::fmt::Write;

use super::{CycleRow, Entry, Outcome};
use crate::stats::Spread;
use crate::target::Sample;

const WIDTH: f64 = 760.0;
const NAME_WIDTH: f64 = 110.0;
/// For figures behind bars.
const FIGURE_WIDTH: f64 = 150.0;
const LINE_HEIGHT: f64 = 20.0;
const TITLE_HEIGHT: f64 = 34.0;
const HEAD_HEIGHT: f64 = 56.0;
const BAR_HEIGHT: f64 = 12.0;

/// Stanchion's colour, and that of the others.
const OWN: &str = "#c2410c";
const OTHER: &str = "#64748b";
const DARK: &str = "#1e293b";
const LIGHT: &str = "#cbd5e1";

/// One bar: a server, its figure, and how far its rounds reach.
struct Bar {
    name: &'static str,
    spread: Spread,
}

/// One row of dots: percentiles of a server, in their order.
struct Dots {
    name: &'static str,
    /// In microseconds.
    values: Vec<(&'static str, f64)>,
}

/// All plots, each with its name; none where there is nothing to show.
pub(super) fn plots(rows: &[CycleRow]) -> Vec<(&'static str, String)> {
    if rows.is_empty() {
        return Vec::new();
    }
    let throughput = bars(rows, Sample::jobs_per_second);
    let cpu = bars(rows, Sample::server_us);
    vec![
        ("throughput.svg", bar_chart("Jobs a second (longer is better)", &throughput, 0)),
        ("cpu.svg", bar_chart("Server CPU of a job, µs (shorter is better)", &cpu, 2)),
        (
            "latency.svg",
            dot_chart("Latency of a job, push to ack: p50, p90, p99, p99.9, longest", &dots(rows)),
        ),
    ]
}

fn measured(row: &CycleRow) -> impl Iterator<Item = (&'static str, &[Sample])> {
    row.entries.iter().filter_map(|Entry { peer, outcome }| match outcome {
        Outcome::Measured(samples) => Some((peer.name, &samples[..])),
        Outcome::LeftOut(_) | Outcome::Failed(_) => None,
    })
}

fn bars(rows: &[CycleRow], read: fn(&Sample) -> f64) -> Vec<(&'static str, Vec<Bar>)> {
    let of = |row: &CycleRow| {
        let bars = measured(row).map(|(name, samples)| {
            let spread = Spread::of(samples.iter().map(read));
            Bar { name, spread }
        });
        (row.workload.name, bars.filter(|bar| bar.spread.high.is_finite()).collect())
    };
    rows.iter().map(of).collect()
}

fn dots(rows: &[CycleRow]) -> Vec<(&'static str, Vec<Dots>)> {
    let of = |row: &CycleRow| {
        let dots = measured(row).map(|(name, samples)| {
            let median = |read: fn(&Sample) -> f64| Spread::of(samples.iter().map(read)).median;
            let values = vec![
                ("p50", median(|sample| sample.run.latencies.job.p50)),
                ("p90", median(|sample| sample.run.latencies.job.p90)),
                ("p99", median(|sample| sample.run.latencies.job.p99)),
                ("p99.9", median(|sample| sample.run.latencies.job.p999)),
                ("max", median(|sample| sample.run.latencies.job.max)),
            ];
            Dots { name, values }
        });
        (row.workload.name, dots.filter(|dots| dots.values.iter().all(|(_, value)| *value > 0.0)).collect())
    };
    rows.iter().map(of).collect()
}

/// A page of panels.
struct Page {
    body: String,
    y: f64,
}

impl Page {
    fn new(title: &str) -> Page {
        let mut page = Page { body: String::new(), y: HEAD_HEIGHT };
        page.text(12.0, 28.0, "start", 17, DARK, title);
        page
    }

    fn panel(&mut self, title: &str) {
        self.y += TITLE_HEIGHT;
        self.text(12.0, self.y - 10.0, "start", 13, DARK, title);
        self.line((12.0, self.y - 4.0), (WIDTH - 12.0, self.y - 4.0), LIGHT);
    }

    /// The name of a server, at the left of its line.
    fn name(&mut self, name: &str) {
        let y = self.y + 13.0;
        self.text(NAME_WIDTH - 8.0, y, "end", 12, colour(name), name);
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, fill: &str, text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{fill}\">{text}</text>"
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
        self.put(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\"/>"
        ));
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.body, "{element}");
    }

    fn end(self) -> String {
        let Page { body, y } = self;
        let height = y + 16.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}

/// Each panel has a scale of its own: workloads differ by thousands.
fn bar_chart(title: &str, panels: &[(&str, Vec<Bar>)], digits: usize) -> String {
    let mut page = Page::new(title);
    for (workload, bars) in panels.iter().filter(|(_, bars)| !bars.is_empty()) {
        page.panel(workload);
        let longest = bars.iter().map(|bar| bar.spread.high).fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - NAME_WIDTH - FIGURE_WIDTH) / longest;
        for Bar { name, spread } in bars {
            let (top, width) = (page.y + 3.0, spread.median * scale);
            page.name(name);
            let fill = colour(name);
            page.put(format_args!(
                "<rect x=\"{NAME_WIDTH}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{fill}\"/>"
            ));
            let (middle, low, high) = (top + BAR_HEIGHT / 2.0, spread.low * scale, spread.high * scale);
            page.line((NAME_WIDTH + low, middle), (NAME_WIDTH + high, middle), DARK);
            let figure = format!("{:.digits$}", spread.median);
            page.text(NAME_WIDTH + width.max(high) + 6.0, top + 10.0, "start", 11, DARK, &figure);
            page.y += LINE_HEIGHT;
        }
    }
    page.end()
}

/// A logarithmic scale for each panel, from a power of ten to one.
fn dot_chart(title: &str, panels: &[(&str, Vec<Dots>)]) -> String {
    let mut page = Page::new(title);
    for (workload, rows) in panels.iter().filter(|(_, rows)| !rows.is_empty()) {
        page.panel(workload);
        let values = || rows.iter().flat_map(|row| row.values.iter().map(|(_, value)| value.log10()));
        let first = values().fold(f64::INFINITY, f64::min).floor();
        let last = values().fold(f64::NEG_INFINITY, f64::max).ceil().max(first + 1.0);
        let scale = (WIDTH - NAME_WIDTH - 30.0) / (last - first);
        let x = |value: f64| NAME_WIDTH + (value.log10() - first) * scale;
        let bottom = page.y + rows.len() as f64 * LINE_HEIGHT;
        for power in first as i32..=last as i32 {
            let at = x(10_f64.powi(power));
            page.line((at, page.y), (at, bottom), LIGHT);
            page.text(at, bottom + 12.0, "middle", 10, OTHER, &time(10_f64.powi(power)));
        }
        for Dots { name, values } in rows {
            page.name(name);
            let (middle, fill) = (page.y + 9.0, colour(name));
            if let (Some((_, from)), Some((_, to))) = (values.first(), values.last()) {
                page.line((x(*from), middle), (x(*to), middle), fill);
            }
            for (at, (percentile, value)) in values.iter().enumerate() {
                let (x, radius) = (x(*value), 5.0 - 0.7 * at as f64);
                let tip = escaped(&format!("{name} {percentile}: {}", time(*value)));
                page.put(format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"{radius:.1}\" fill=\"{fill}\"><title>{tip}</title></circle>"
                ));
            }
            page.y += LINE_HEIGHT;
        }
        page.y += LINE_HEIGHT;
    }
    page.end()
}

/// Microseconds in the unit that reads best.
fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.0} s", us / 1e6),
    }
}

fn colour(name: &str) -> &'static str {
    if name == crate::peer::Peer::stanchion().name { OWN } else { OTHER }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64) -> Spread {
        Spread { median, low: median * 0.9, high: median * 1.1 }
    }

    /// The names of elements that are open at the end, after each closing tag has closed the last one.
    fn open_at_end(svg: &str) -> Vec<String> {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("a tag ends");
            assert!(!text.contains('>'), "an unescaped > behind {tag}");
            assert!(tag.matches('"').count().is_multiple_of(2), "an open quote in {tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_ascii_whitespace().next().expect("a name").to_owned());
            }
        }
        open
    }

    #[test]
    fn charts_are_well_formed() {
        let bars = vec![
            ("depth <1> & \"more\"", vec![Bar { name: "stanchion", spread: spread(10.0) }]),
            ("nothing measured", Vec::new()),
        ];
        let svg = bar_chart("a < b", &bars, 1);
        assert_eq!(open_at_end(&svg), Vec::<String>::new());
        assert!(svg.contains("depth &lt;1&gt; &amp; &quot;more&quot;"), "{svg}");
        assert!(!svg.contains("nothing measured"));
        let values = vec![("p50", 90.0), ("p90", 200.0), ("p99", 3e3), ("p99.9", 5e4), ("max", 1.1e6)];
        let svg = dot_chart("latency", &[("depth-1", vec![Dots { name: "lists", values }])]);
        assert_eq!(open_at_end(&svg), Vec::<String>::new());
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(svg.contains("lists p99: 3 ms") && svg.contains(">10 s<"), "{svg}");
    }

    #[test]
    fn the_longest_bar_fits_the_page() {
        let bars = vec![Bar { name: "a", spread: spread(1e9) }, Bar { name: "b", spread: spread(1.0) }];
        let svg = bar_chart("t", &[("w", bars)], 0);
        let widths =
            svg.split("width=\"").skip(3).filter_map(|rest| rest.split('"').next()?.parse::<f64>().ok());
        assert!(widths.into_iter().all(|width| width <= WIDTH - NAME_WIDTH - FIGURE_WIDTH), "{svg}");
    }
}
