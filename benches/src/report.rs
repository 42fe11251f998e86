//! What a run says: tables for people, one JSON object for machines, and the bars with their verdicts.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use stanchion_bench::bar::Bar;
pub(crate) use stanchion_bench::bar::Limit;

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
        let bars = self.bars.iter().map(Bar::json).collect();
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

    #[test]
    fn a_missed_bar_is_counted_and_told() {
        let mut report = Report::default();
        report.bar("speed", 1.0, Limit::AtLeast(2.0));
        report.bar("cost", 1.0, Limit::Below(2.0));
        assert_eq!(report.verdict().unwrap(), 1);
        assert_eq!(report.bars[0].to_string(), "MISSED  speed: 1.00, the bar is at least 2");
    }
}
