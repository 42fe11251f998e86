//! What is wrong with a configuration file: where, what, and what to write instead.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// All the mistakes of one file; shown one a line as `file:line: what; what to write instead`.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ConfigError {
    /// The file's name.
    pub file: String,
    /// At least one, by line.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.instead)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {problem}", self.file, problem.line)?;
        }
        Ok(())
    }
}

/// Collects problems while a text is read.
pub(super) struct Problems {
    /// Where each line starts.
    line_starts: Vec<usize>,
    found: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(text: &str) -> Problems {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Problems {
            line_starts: std::iter::once(0).chain(starts).collect(),
            found: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A mistake at this byte.
    pub(super) fn add(&mut self, at: usize, what: impl Into<String>, instead: impl Into<String>) {
        let problem = Problem { line: self.line(at), what: what.into(), instead: instead.into() };
        self.found.push(problem);
    }

    /// Something that is not there; the line is its section's.
    pub(super) fn add_missing(&mut self, section: &super::Section<'_>, what: &str, instead: &str) {
        let place = section.path().map_or(String::new(), |path| format!(" in [{path}]"));
        self.add(section.at(), format!("{what} is missing{place}"), instead);
    }

    /// Something that is allowed but looks like a mistake.
    pub(super) fn warn(&mut self, at: usize, what: impl Into<String>, instead: impl Into<String>) {
        let problem = Problem { line: self.line(at), what: what.into(), instead: instead.into() };
        self.warnings.push(problem);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn take_warnings(&mut self) -> Vec<Problem> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|problem| problem.line);
        warnings
    }

    /// The value, if nothing is wrong.
    pub(super) fn finish<T>(self, file: &str, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.is_clean() => Ok(value),
            _ => Err(self.into_error(file)),
        }
    }

    pub(super) fn into_error(mut self, file: &str) -> ConfigError {
        debug_assert!(!self.found.is_empty(), "a value is missing and nothing says why");
        self.found.sort_by_key(|problem| problem.line);
        ConfigError { file: file.to_owned(), problems: self.found }
    }

    /// The line of this byte.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }
}
