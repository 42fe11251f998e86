//! Where each key of the file stands, for what is found out only later: a program that is not there, a queue that the
//! server does not allow.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::problem::Problems;

/// Lines by path, such as `groups.basic.include`. They are no part of what a configuration says: two files that
/// differ only in them are equal.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    lines: BTreeMap<String, usize>,
}

impl Lines {
    pub(super) fn of(table: &DeTable<'_>, problems: &Problems) -> Lines {
        let mut found = Lines::default();
        found.add("", table, problems);
        found
    }

    /// The line of this key; when the file does not have it, of the section that it would be in.
    #[must_use]
    pub fn of_key(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rsplit_once('.') {
                Some((section, _)) => path = section,
                None => return 1,
            }
        }
    }

    fn add(&mut self, parent: &str, table: &DeTable<'_>, problems: &Problems) {
        for (name, value) in table {
            let dot = if parent.is_empty() { "" } else { "." };
            let path = format!("{parent}{dot}{}", name.get_ref());
            self.lines.insert(path.clone(), problems.line(name.span().start));
            if let DeValue::Table(table) = value.get_ref() {
                self.add(&path, table, problems);
            }
        }
    }
}
