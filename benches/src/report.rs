//! What a run says: tables for people, one JSON object for machines, and the bars with their verdicts.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// A figure that must be reached.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Bar {
    /// What is measured, with its unit.
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) limit: Limit,
}

/// On which side of a figure the measured one must be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Limit {
    AtLeast(f64),
    Below(f64),
}

impl Bar {
    /// A figure that is not a number misses its bar.
    pub(crate) fn met(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.measured >= limit,
            Limit::Below(limit) => self.measured < limit,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met() { "met   " } else { "MISSED" };
        let (word, limit) = match self.limit {
            Limit::AtLeast(limit) => ("at least", limit),
            Limit::Below(limit) => ("below", limit),
        };
        write!(f, "{verdict}  {}: {:.2}, the bar is {word} {limit}", self.what, self.measured)
    }
}

/// All that the benches of one run found.
#[derive(Default)]
pub(crate) struct Report {
    bars: Vec<Bar>,
    json: Map<String, Value>,
}

impl Report {
    /// Adds a bench's figures for machines.
    pub(crate) fn record(&mut self, bench: &str, figures: Value) {
        self.json.insert(bench.to_owned(), figures);
    }

    pub(crate) fn bar(&mut self, what: &str, measured: f64, limit: Limit) {
        self.bars.push(Bar { what: what.to_owned(), measured, limit });
    }

    /// Prints the verdicts and says how many bars were missed.
    pub(crate) fn verdict(&self) -> Result<usize> {
        for bar in &self.bars {
            say(bar)?;
        }
        Ok(self.bars.iter().filter(|bar| !bar.met()).count())
    }

    pub(crate) fn write_json(mut self, path: &Path) -> Result<()> {
        let bars = self.bars.iter().map(|bar| {
            let (side, limit) = match bar.limit {
                Limit::AtLeast(limit) => ("at-least", limit),
                Limit::Below(limit) => ("below", limit),
            };
            json!({ "what": bar.what, "measured": bar.measured, side: limit, "met": bar.met() })
        });
        let bars = bars.collect();
        self.json.insert("bars".to_owned(), Value::Array(bars));
        let text = serde_json::to_string_pretty(&self.json)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}

/// Prints a line or a table.
pub(crate) fn say(what: impl fmt::Display) -> Result<()> {
    Ok(writeln!(io::stdout().lock(), "{what}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(measured: f64, limit: Limit) -> Bar {
        Bar { what: "speed".to_owned(), measured, limit }
    }

    #[test]
    fn bars_are_met_on_their_side_only() {
        assert!(bar(10.0, Limit::AtLeast(10.0)).met());
        assert!(!bar(9.9, Limit::AtLeast(10.0)).met());
        assert!(bar(0.9, Limit::Below(1.0)).met());
        assert!(!bar(1.0, Limit::Below(1.0)).met());
    }

    #[test]
    fn a_figure_that_is_none_misses() {
        assert!(!bar(f64::NAN, Limit::AtLeast(0.0)).met());
        assert!(!bar(f64::NAN, Limit::Below(1.0)).met());
    }

    #[test]
    fn a_missed_bar_is_counted_and_told() {
        let mut report = Report::default();
        report.bar("speed", 1.0, Limit::AtLeast(2.0));
        report.bar("cost", 1.0, Limit::Below(2.0));
        assert_eq!(report.verdict().unwrap(), 1);
        assert_eq!(report.bars[0].to_string(), "MISSED  speed: 1.00, the bar is at least 2");
    }
}
