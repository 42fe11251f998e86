//! The `[users]` table of the configuration file: a name and the rules of ACL SETUSER for each.

use super::Secret;
use crate::acl;

/// The users of the file, in its order.
#[derive(Clone, Default, Debug)]
pub struct UserFile(Vec<UserRules>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct UserRules {
    /// Its name.
    pub(crate) name: String,
    /// Its rules, with passwords in them.
    pub(crate) rules: Secret,
}

impl UserFile {
    /// Adds a user, if its rules are right.
    pub(super) fn add(&mut self, name: &str, rules: &str) -> Result<(), String> {
        acl::check_rules(name, rules).map_err(|error| error.to_string())?;
        self.0.push(UserRules { name: name.to_owned(), rules: Secret::new(rules.to_owned()) });
        Ok(())
    }

    /// Whether there is a user of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|user| user.name == name)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &UserRules> {
        self.0.iter()
    }
}
