//! Whether a new version of the code does its jobs as well as another one: by the server's own figures, queue by
//! queue, for a deploy script to gate on.
//!
//! Each version has a failure rate per queue: failures and lapses to all attempts that ended. The new version's
//! failures are compared with those that as many jobs of each queue would have had with the other one. Queues in
//! which it did few jobs are judged together, because one failure of three says little.

use std::fmt;

use stanchion_client::VersionFigures;

/// A queue is judged by itself when the new version has ended so many attempts there.
const JOBS_ALONE_MIN: u64 = 10;

/// What one version did in one queue, or in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Attempts that have ended.
    pub ended: u64,
    /// Those that failed or lapsed.
    pub failed: u64,
}

/// A queue, and what both versions did there.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The queue's name; or, in parentheses, what is judged together.
    pub queue: String,
    /// The version that is tried.
    pub tried: Tally,
    /// The one that it is compared with.
    pub against: Tally,
    /// How many failures the other one would have had.
    pub expected: f64,
    /// What is made of it.
    pub verdict: Verdict,
}

/// What is made of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does not fail more than it may.
    Ok,
    /// It fails more than it may.
    Fails,
    /// It did so few jobs that they are judged with others of their kind.
    Few,
}

/// Both versions, queue by queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// By queue; last the queues with few jobs, together, if there are some.
    pub rows: Vec<Row>,
}

/// How many attempts of a version have ended in all queues.
#[must_use]
pub fn ended(figures: &[VersionFigures], version: &str) -> u64 {
    total(figures, version).ended
}

/// Compares two versions; one may fail up to `ratio_max` times as often as the other. None when the other one has
/// done nothing to compare with.
#[must_use]
pub fn compare(figures: &[VersionFigures], tried: &str, against: &str, ratio_max: f64) -> Option<Comparison> {
    let overall = total(figures, against);
    if overall.ended == 0 {
        return None;
    }
    let mut queues: Vec<&VersionFigures> =
        figures.iter().filter(|line| line.version == tried.as_bytes()).collect();
    queues.sort_by(|one, other| one.queue.cmp(&other.queue));
    let mut rows = Vec::new();
    let mut few = Row {
        queue: "(queues with few jobs)".to_owned(),
        tried: Tally::default(),
        against: Tally::default(),
        expected: 0.0,
        verdict: Verdict::Few,
    };
    for line in queues {
        let other = figures
            .iter()
            .find(|other| other.queue == line.queue && other.version == against.as_bytes())
            .map(Tally::of)
            .unwrap_or_default();
        let mut row = Row::new(line, other, overall);
        if row.tried.ended < JOBS_ALONE_MIN {
            few.add(&row);
        } else {
            row.judge(ratio_max);
        }
        rows.push(row);
    }
    if few.tried.ended > 0 {
        few.judge(ratio_max);
        rows.push(few);
    }
    Some(Comparison { rows })
}

fn total(figures: &[VersionFigures], version: &str) -> Tally {
    let own = figures.iter().filter(|line| line.version == version.as_bytes());
    own.map(Tally::of).fold(Tally::default(), Tally::and)
}

impl Tally {
    fn of(line: &VersionFigures) -> Tally {
        Tally { ended: line.ended(), failed: line.failed() }
    }

    fn and(self, other: Tally) -> Tally {
        Tally { ended: self.ended + other.ended, failed: self.failed + other.failed }
    }

    /// How likely an attempt is to fail. One that was never seen to fail may still do so at the next attempt, so
    /// that a single failure after few successes of the other version says nothing.
    fn rate(self) -> f64 {
        let (ended, failed) = (self.ended as f64, self.failed as f64);
        if self.failed == 0 { 1.0 / (ended + 1.0) } else { failed / ended }
    }
}

impl Row {
    fn new(line: &VersionFigures, against: Tally, overall: Tally) -> Row {
        let tried = Tally::of(line);
        // A queue of which the other version has done nothing is compared with all that it did.
        let rate = if against.ended == 0 { overall.rate() } else { against.rate() };
        Row {
            queue: String::from_utf8_lossy(&line.queue).into_owned(),
            tried,
            against,
            expected: rate * tried.ended as f64,
            verdict: Verdict::Few,
        }
    }

    fn add(&mut self, row: &Row) {
        self.tried = self.tried.and(row.tried);
        self.against = self.against.and(row.against);
        self.expected += row.expected;
    }

    fn judge(&mut self, ratio_max: f64) {
        let fails = self.tried.failed as f64 > ratio_max * self.expected;
        self.verdict = if fails { Verdict::Fails } else { Verdict::Ok };
    }

    /// How many times as often it fails.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.tried.failed as f64 / self.expected
    }
}

impl Comparison {
    /// Whether it fails nowhere more than it may.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != Verdict::Fails)
    }
}

impl fmt::Display for Comparison {
    /// A table; its last line has no end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.queue.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "{:width$}  {:>24}  {:>24}  {:>6}  verdict", "queue", "tried", "against", "ratio")?;
        for row in &self.rows {
            let verdict = match row.verdict {
                Verdict::Ok => "ok",
                Verdict::Fails => "FAILS",
                Verdict::Few => "few jobs",
            };
            let (tried, against) = (row.tried.to_string(), row.against.to_string());
            write!(f, "\n{:width$}  {tried:>24}  {against:>24}  {:>6.2}  {verdict}", row.queue, row.ratio())?;
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    /// Failures of attempts, and in percent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ended == 0 {
            return f.write_str("-");
        }
        let percent = 100.0 * self.failed as f64 / self.ended as f64;
        write!(f, "{} of {} ({percent:.1} %)", self.failed, self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(version: &str, queue: &str, acked: u64, failed: u64) -> VersionFigures {
        let (version, queue) = (version.as_bytes().to_vec(), queue.as_bytes().to_vec());
        VersionFigures { queue, version, acked, nacked: failed, lapsed: 0 }
    }

    fn verdicts(figures: &[VersionFigures], ratio_max: f64) -> Vec<(String, Verdict)> {
        let comparison = compare(figures, "new", "old", ratio_max).expect("there is something");
        comparison.rows.into_iter().map(|row| (row.queue, row.verdict)).collect()
    }

    #[test]
    fn each_queue_is_compared_with_itself() {
        let figures = [
            line("old", "a", 90, 10),
            line("old", "b", 999, 1),
            line("new", "b", 45, 5),
            line("new", "a", 85, 15),
            line("other", "a", 0, 99),
        ];
        let found = verdicts(&figures, 2.0);
        assert_eq!(found, [("a".into(), Verdict::Ok), ("b".into(), Verdict::Fails)]);
        assert!(!compare(&figures, "new", "old", 2.0).unwrap().is_ok());
        assert!(compare(&figures, "new", "old", 100.0).unwrap().is_ok());
        let found = verdicts(&figures, 1.4);
        assert_eq!(found[0], ("a".into(), Verdict::Fails));
        assert_eq!(ended(&figures, "new"), 150);
    }

    #[test]
    fn lapses_are_failures() {
        let mut lapsed = line("new", "a", 10, 0);
        lapsed.lapsed = 10;
        assert_eq!(verdicts(&[line("old", "a", 95, 5), lapsed], 2.0), [("a".into(), Verdict::Fails)]);
    }

    #[test]
    fn one_failure_against_few_successes_says_nothing() {
        assert_eq!(
            verdicts(&[line("old", "a", 10, 0), line("new", "a", 9, 1)], 2.0),
            [("a".into(), Verdict::Ok)]
        );
        assert_eq!(
            verdicts(&[line("old", "a", 10_000, 0), line("new", "a", 9, 1)], 2.0),
            [("a".into(), Verdict::Fails)]
        );
    }

    #[test]
    fn queues_with_few_jobs_are_judged_together() {
        let few = "(queues with few jobs)".to_owned();
        let mut figures = vec![line("old", "a", 95, 5), line("old", "b", 95, 5)];
        figures.extend([line("new", "a", 2, 1), line("new", "b", 9, 0)]);
        let found = verdicts(&figures, 2.0);
        assert_eq!(
            found,
            [("a".into(), Verdict::Few), ("b".into(), Verdict::Few), (few.clone(), Verdict::Ok)]
        );
        // All that it did failed: that is seen, however little it was.
        let figures = [line("old", "a", 95, 5), line("new", "a", 0, 3)];
        assert_eq!(verdicts(&figures, 2.0), [("a".into(), Verdict::Few), (few, Verdict::Fails)]);
    }

    #[test]
    fn a_queue_that_is_new_is_compared_with_all_that_the_other_one_did() {
        let figures = [line("old", "a", 98, 2), line("new", "b", 0, 20)];
        assert_eq!(verdicts(&figures, 3.0), [("b".into(), Verdict::Fails)]);
        let figures = [line("old", "a", 98, 2), line("new", "b", 20, 0)];
        assert_eq!(verdicts(&figures, 3.0), [("b".into(), Verdict::Ok)]);
    }

    #[test]
    fn without_the_other_version_there_is_nothing_to_compare_with() {
        assert_eq!(compare(&[line("new", "a", 20, 0)], "new", "old", 2.0), None);
    }

    #[test]
    fn the_table_has_a_line_for_each_queue() {
        let figures = [line("old", "refreshLinks", 950, 50), line("new", "refreshLinks", 30, 10)];
        let table = compare(&figures, "new", "old", 2.0).unwrap().to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 2);
        let cells: Vec<&str> = lines[1].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["refreshLinks", "10 of 40 (25.0 %)", "50 of 1000 (5.0 %)", "5.00", "FAILS"]);
    }
}
