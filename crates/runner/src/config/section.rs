//! One table of the file: its keys by name, with positions, and the checks that every section needs.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::values;

/// A key that a section may have.
#[derive(Clone, Copy)]
pub(super) struct KeySpec {
    name: &'static str,
}

impl KeySpec {
    pub(super) const fn here(name: &'static str) -> KeySpec {
        KeySpec { name }
    }
}

/// A table of the file.
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// `groups.basic`; none for the file itself.
    path: Option<String>,
    /// Where its name stands; for the file, its end.
    at: usize,
}

impl<'t> Section<'t> {
    /// The file itself; what it lacks is missing at its end.
    pub(super) fn top(table: &'t DeTable<'t>, end: usize) -> Section<'t> {
        Section { table, path: None, at: end }
    }

    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where the key's value stands; the section when there is none.
    pub(super) fn value_at(&self, key: &str) -> usize {
        self.entry(key).map_or(self.at, |(_, value)| value.span().start)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// All keys, with their positions and values; for a section whose keys are the user's own names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, usize, &'t Spanned<DeValue<'t>>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
    }

    /// Refuses keys that are not in the list.
    pub(super) fn refuse_unknown(&self, known: &[KeySpec], problems: &mut Problems) {
        let names: Vec<&str> = known.iter().map(|spec| spec.name).collect();
        let place =
            self.path.as_ref().map_or("at the top of the file".to_owned(), |path| format!("in [{path}]"));
        for key in self.table.keys() {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            if !names.contains(&name) {
                problems.add(at, format!("unknown key \"{name}\" {place}"), nearest_or_list(name, &names));
            }
        }
    }

    /// A table in this one.
    pub(super) fn section(&self, key: &str, problems: &mut Problems) -> Option<Section<'t>> {
        let (name, value) = self.entry(key)?;
        self.as_section(key, name.span().start, value, problems)
    }

    /// The tables in a table in this one, by name.
    pub(super) fn sections(&self, key: &str, problems: &mut Problems) -> Vec<(String, Section<'t>)> {
        let Some(parent) = self.section(key, problems) else { return Vec::new() };
        let mut sections = Vec::new();
        for (name, value) in parent.table {
            if let Some(section) = parent.as_section(name.get_ref(), name.span().start, value, problems) {
                sections.push((name.get_ref().to_string(), section));
            }
        }
        sections
    }

    fn as_section(
        &self,
        key: &str,
        at: usize,
        value: &'t Spanned<DeValue<'t>>,
        problems: &mut Problems,
    ) -> Option<Section<'t>> {
        let path = self.path.as_ref().map_or(key.to_owned(), |path| format!("{path}.{key}"));
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { table, path: Some(path), at }),
            other => {
                let what = format!("\"{path}\" is {}, not a section", kind_of(other));
                problems.add(at, what, format!("write [{path}] on a line of its own"));
                None
            }
        }
    }

    /// A string, if the key is there.
    pub(super) fn text(&self, key: &str, problems: &mut Problems) -> Option<&'t str> {
        let value = self.value(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some(text);
        }
        let what = format!("\"{key}\" is {}, not a string", kind_of(value.get_ref()));
        problems.add(value.span().start, what, format!("write {key} = \"…\""));
        None
    }

    /// A string that must be there.
    pub(super) fn required_text(&self, key: &str, instead: &str, problems: &mut Problems) -> Option<&'t str> {
        if !self.has(key) {
            problems.add_missing(self, &format!("the key \"{key}\""), &format!("write {instead}"));
        }
        self.text(key, problems)
    }

    /// A duration such as `"30s"`.
    pub(super) fn duration(
        &self,
        key: &str,
        range: RangeInclusive<Duration>,
        default: Duration,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let Some(value) = self.value(key) else { return Some(default) };
        let at = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            let what = format!("\"{key}\" is {}, not a duration", kind_of(value.get_ref()));
            problems.add(at, what, format!("write {key} = \"{}\"", values::show(default)));
            return None;
        };
        let Some(duration) = values::duration(text) else {
            let what = format!("\"{text}\" is not a duration");
            problems.add(at, what, "write a whole number and one of ms, s, m, h, d, as in \"30s\"");
            return None;
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let (low, high) = (values::show(*range.start()), values::show(*range.end()));
        problems.add(
            at,
            format!("\"{key}\" of {text} is out of range"),
            format!("write \"{low}\" to \"{high}\""),
        );
        None
    }

    /// A whole number, if the key is there. The outer `None` is a problem.
    pub(super) fn integer(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<Option<u64>> {
        let Some(value) = self.value(key) else { return Some(None) };
        let number =
            value.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let what = format!("\"{key}\" is not a number that can be used");
            let instead = format!("write {key} = {} to {}", range.start(), range.end());
            problems.add(value.span().start, what, instead);
        }
        number.map(Some)
    }

    fn entry(&self, key: &str) -> Option<(&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>)> {
        self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key)
    }
}

/// What to write for a name that is not known: the one it resembles, else all there are.
pub(super) fn nearest_or_list(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (strsim::osa_distance(name, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + name.len() / 4 => format!("did you mean \"{known}\"?"),
        Some(_) => format!("there are: {}", known.join(", ")),
        None => "there are none".to_owned(),
    }
}

/// What a value is, with its article.
pub(super) fn kind_of(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}
