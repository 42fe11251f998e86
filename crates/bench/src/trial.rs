//! A workload that is no cycle of jobs: it starts its servers itself, and has a table and bars of its own.

use std::path::Path;

use anyhow::Result;

use crate::bar::{Bar, Limit};
use crate::fleet::Until;
use crate::peer::{Peer, Programs};
use crate::stats::Spread;
use crate::workload::Durability;

/// What is done on one server, and how it is told.
#[derive(Debug)]
pub struct Trial {
    /// The figures of each line.
    pub columns: &'static [Column],
    /// What Stanchion's must be below.
    pub goals: &'static [Goal],
    /// What a reader of the figures should know.
    pub notes: &'static [&'static str],
    /// That a peer has what it takes.
    pub check: fn(&Peer) -> Result<()>,
    /// Does it once, on a fresh server.
    pub run: fn(&Setting<'_>, &'static Peer) -> Result<Vec<Line>>,
}

/// A figure that each line has.
#[derive(Debug)]
pub struct Column {
    /// Its heading, with its unit.
    pub name: &'static str,
    /// As it is called in JSON.
    pub key: &'static str,
    /// Digits behind the point.
    pub digits: usize,
    /// What stands for all rounds.
    pub of_rounds: Choice,
}

/// Which figure of several rounds counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// The median.
    Median,
    /// The greatest: one round with a long stop is no better for two without.
    Worst,
}

/// A figure that must be below a limit.
#[derive(Debug)]
pub struct Goal {
    /// The name of its line.
    pub line: &'static str,
    /// The key of its column.
    pub column: &'static str,
    /// The limit.
    pub below: f64,
}

/// Where and how long a trial runs.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Where the peers' programs are.
    pub programs: &'a Programs,
    /// Where the servers keep their data.
    pub base: &'a Path,
    /// What the servers are told to wait for.
    pub durability: Durability,
    /// How long one line is measured, where the trial's work does not say it.
    pub until: Until,
    /// Jobs of the trial's work.
    pub size: u64,
}

/// What one round found out about one situation.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The situation.
    pub name: String,
    /// One figure for each column; those that are not numbers were not measured.
    pub values: Vec<f64>,
    /// What else is to be said, or nothing.
    pub note: String,
}

impl Column {
    /// A column of a table that is written down.
    #[must_use]
    pub const fn new(name: &'static str, key: &'static str, digits: usize, of_rounds: Choice) -> Column {
        Column { name, key, digits, of_rounds }
    }

    /// What stands for all rounds.
    #[must_use]
    pub fn figure(&self, spread: Spread) -> f64 {
        match self.of_rounds {
            Choice::Median => spread.median,
            Choice::Worst => spread.high,
        }
    }

    /// As it is printed.
    #[must_use]
    pub fn show(&self, figure: f64) -> String {
        if figure.is_nan() { "-".to_owned() } else { format!("{figure:.digits$}", digits = self.digits) }
    }
}

impl Trial {
    /// The lines of the rounds put together: each name in the order of the first round, and a spread for each column.
    #[must_use]
    pub fn spreads(&self, rounds: &[Vec<Line>]) -> Vec<(String, Vec<Spread>)> {
        let first = rounds.first().map(Vec::as_slice).unwrap_or_default();
        let all =
            |name: &str| -> Vec<&Line> { rounds.iter().flatten().filter(|line| line.name == name).collect() };
        let spreads = |name: &str| -> Vec<Spread> {
            let lines = all(name);
            (0..self.columns.len()).map(|at| Spread::of(lines.iter().map(|line| line.values[at]))).collect()
        };
        first.iter().map(|line| (line.name.clone(), spreads(&line.name))).collect()
    }

    /// The verdicts on Stanchion's rounds of the workload that is called so. What was not measured is missed.
    #[must_use]
    pub fn bars(&self, workload: &str, rounds: &[Vec<Line>]) -> Vec<Bar> {
        let spreads = self.spreads(rounds);
        let bar = |goal: &Goal| {
            let at = self.columns.iter().position(|column| column.key == goal.column);
            let line = spreads.iter().find(|(name, _)| name == goal.line);
            let (name, measured) = match (at, line) {
                (Some(at), Some((_, spreads))) => {
                    (self.columns[at].name, self.columns[at].figure(spreads[at]))
                }
                _ => (goal.column, f64::NAN),
            };
            let what = format!("{workload}, {}, {name}", goal.line);
            Bar { what, measured, limit: Limit::Below(goal.below) }
        };
        self.goals.iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: Trial = Trial {
        columns: &[
            Column::new("p99, µs", "p99", 1, Choice::Median),
            Column::new("longest, µs", "longest", 0, Choice::Worst),
        ],
        goals: &[
            Goal { line: "attack", column: "p99", below: 3.0 },
            Goal { line: "attack", column: "longest", below: 5.0 },
            Goal { line: "absent", column: "p99", below: 3.0 },
        ],
        notes: &[],
        check: |_| Ok(()),
        run: |_, _| Ok(Vec::new()),
    };

    fn round(p99: f64, longest: f64) -> Vec<Line> {
        let line = |name: &str, values| Line { name: name.to_owned(), values, note: String::new() };
        vec![line("alone", vec![1.0, 1.0]), line("attack", vec![p99, longest])]
    }

    #[test]
    fn rounds_are_put_together_by_name_and_judged_as_the_column_says() {
        let rounds = [round(2.0, 4.0), round(9.0, 3.0), round(1.0, 6.0)];
        let spreads = TRIAL.spreads(&rounds);
        assert_eq!(spreads.iter().map(|(name, _)| &name[..]).collect::<Vec<_>>(), ["alone", "attack"]);
        assert_eq!(spreads[1].1[0], Spread { median: 2.0, low: 1.0, high: 9.0 });
        let bars = TRIAL.bars("storm", &rounds);
        assert_eq!(bars[0].what, "storm, attack, p99, µs");
        assert_eq!((bars[0].measured, bars[0].met()), (2.0, true));
        assert_eq!((bars[1].measured, bars[1].met()), (6.0, false));
        assert!(!bars[2].met(), "a line that nobody measured");
    }

    #[test]
    fn what_was_not_measured_is_shown_as_such() {
        assert_eq!(TRIAL.columns[0].show(f64::NAN), "-");
        assert_eq!(TRIAL.columns[0].show(1.25), "1.2");
    }
}
