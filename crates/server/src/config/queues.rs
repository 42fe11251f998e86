//! `[[queues]]` tables: settings for the queues whose names match a glob.

use stanchion_engine::{SettingsError, SettingsPatch};
use stanchion_protocol::glob;

/// All `[[queues]]` tables, in the order of the file.
#[derive(Clone, Default, Debug)]
pub struct QueueFile {
    rules: Vec<QueueRule>,
}

/// One `[[queues]]` table.
#[derive(Clone, Debug)]
pub(super) struct QueueRule {
    /// Which queues it is for.
    pub(super) glob: String,
    /// Setting and value, each checked.
    pub(super) settings: Vec<(String, String)>,
}

impl QueueFile {
    /// Adds a table after those that are there.
    pub(super) fn push(&mut self, rule: QueueRule) {
        self.rules.push(rule);
    }

    /// Adds settings for the queues that match a glob, as a table after those that are there.
    ///
    /// # Errors
    /// When there is no such setting, or its value is not legal.
    pub fn add(&mut self, glob: &str, settings: &[(&str, String)]) -> Result<(), SettingsError> {
        for (name, value) in settings {
            SettingsPatch::default().set(name, value)?;
        }
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.push(QueueRule { glob: glob.to_owned(), settings });
        Ok(())
    }

    /// What the file says about a queue of this name: every table that matches, a later one over an earlier.
    pub fn settings(&self, queue: &[u8]) -> SettingsPatch {
        let mut patch = SettingsPatch::default();
        for rule in self.rules.iter().filter(|rule| glob::matches(rule.glob.as_bytes(), queue)) {
            for (name, value) in &rule.settings {
                patch.set(name, value).expect("settings are checked when the file is read");
            }
        }
        patch
    }
}
