//! The TOML file: walked by hand, so that every key has its line.

use std::path::Path;

use stanchion_engine::SettingsPatch;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::queues::QueueRule;
use super::{Config, ConfigError, OPTIONS, options, unknown};

/// So much of the line is shown where the file is not TOML.
const NEAR_CHARS: usize = 40;

/// Whose values may not be shown.
const SECRETS: [&str; 2] = ["requirepass", "users"];

/// Applies the file at `path`.
pub(super) fn apply(config: &mut Config, path: &Path) -> Result<(), ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(
            shown.clone(),
            format!("the configuration cannot be read: {error}; name a readable file"),
        )
    })?;
    apply_text(config, &shown, &text)
}

/// Applies a file's text; `path` is for the messages.
pub(super) fn apply_text(config: &mut Config, path: &str, text: &str) -> Result<(), ConfigError> {
    let reader = Reader { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let why = error.message().replace('\n', "; ");
        ConfigError::new(reader.place(at), format!("not TOML: {why}{}", near(text, at)))
    })?;
    reader.table(config, "", table.get_ref())
}

/// The text where it is not TOML; nothing of a file that may have a password just there.
fn near(text: &str, at: usize) -> String {
    if SECRETS.iter().any(|secret| text.contains(secret)) {
        return String::new();
    }
    let line = text.get(at..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let near: String = line.chars().take(NEAR_CHARS).collect();
    format!(", near '{}'", near.trim_end().escape_debug())
}

/// Where the messages come from.
struct Reader<'a> {
    path: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    /// Applies a table whose keys stand behind `prefix`.
    fn table(&self, config: &mut Config, prefix: &str, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if name == "queues" {
                self.queues(config, value)?;
                continue;
            }
            if name == "users" {
                self.users(config, value)?;
                continue;
            }
            if is_table(&name) {
                let Some(inner) = value.get_ref().as_table() else {
                    return Err(
                        self.error(value.span().start, format!("'{name}' is a table; write [{name}]"))
                    );
                };
                self.table(config, &format!("{name}."), inner)?;
                continue;
            }
            let Some(option) = options::find(&name) else {
                let names = OPTIONS
                    .iter()
                    .map(|option| option.name.to_owned())
                    .chain(["queues".into(), "users".into()]);
                return Err(self.error(key.span().start, unknown("key", &name, names)));
            };
            let at = value.span().start;
            let Some(word) = word(value.get_ref()).or_else(|| words(&name, value.get_ref())) else {
                return Err(self.error(at, format!("{name} is one value; {}", option.expected)));
            };
            option.set(config, &word).map_err(|problem| self.error(at, problem))?;
        }
        Ok(())
    }

    /// Applies the `[users]` table.
    fn users(&self, config: &mut Config, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        let not_table = || self.error(value.span().start, "users is a table; write [users]".into());
        for (name, rules) in value.get_ref().as_table().ok_or_else(not_table)? {
            let (name, at) = (name.get_ref().as_ref(), rules.span().start);
            let DeValue::String(rules) = rules.get_ref() else {
                let shown = name.escape_debug();
                return Err(self.error(
                    at,
                    format!("a user's rules are one text; write {shown} = \"on >password ~glob +@category\""),
                ));
            };
            config.users.add(name, rules).map_err(|problem| self.error(at, problem))?;
        }
        Ok(())
    }

    /// Applies the `[[queues]]` tables.
    fn queues(&self, config: &mut Config, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        let not_tables =
            || self.error(value.span().start, "queues is a list of tables; write [[queues]]".into());
        for table in value.get_ref().as_array().ok_or_else(not_tables)? {
            let inner = table.get_ref().as_table().ok_or_else(not_tables)?;
            let rule = self.queue_rule(table.span().start, inner)?;
            config.queues.push(rule);
        }
        Ok(())
    }

    fn queue_rule(&self, at: usize, table: &DeTable<'_>) -> Result<QueueRule, ConfigError> {
        let mut rule = QueueRule { glob: String::new(), settings: Vec::new() };
        for (key, value) in table {
            let (name, at) = (key.get_ref().as_ref(), value.span().start);
            let Some(word) = word(value.get_ref()) else {
                return Err(self.error(at, format!("{name} is one value; write a word or a number")));
            };
            if name == "match" {
                if word.is_empty() {
                    return Err(
                        self.error(at, "'' matches no queue; write a glob such as \"refresh*\"".into())
                    );
                }
                rule.glob = word;
                continue;
            }
            if !SettingsPatch::names().any(|known| known == name) {
                let names = SettingsPatch::names().map(str::to_owned).chain(["match".into()]);
                return Err(self.error(key.span().start, unknown("queue setting", name, names)));
            }
            SettingsPatch::default().set(name, &word).map_err(|error| self.error(at, error.to_string()))?;
            rule.settings.push((name.to_owned(), word));
        }
        if rule.glob.is_empty() {
            return Err(self.error(at, "this [[queues]] table names no queues; add match = \"glob\"".into()));
        }
        Ok(rule)
    }

    fn error(&self, offset: usize, problem: String) -> ConfigError {
        ConfigError::new(self.place(offset), problem)
    }

    /// `file:line` of a byte.
    fn place(&self, offset: usize) -> String {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        format!("{}:{}", self.path, 1 + before.iter().filter(|byte| **byte == b'\n').count())
    }
}

/// Whether options stand behind this name and a dot.
fn is_table(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The text of a list, for the options that may be one.
fn words(name: &str, value: &DeValue<'_>) -> Option<String> {
    let values = value.as_array().filter(|_| options::LISTS.contains(&name))?;
    let words: Option<Vec<String>> = values.iter().map(|value| word(value.get_ref())).collect();
    Some(words?.join(" "))
}

/// The text of a single value.
fn word(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}
