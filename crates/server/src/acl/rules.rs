//! The words of ACL SETUSER: `on`, `>password`, `~glob`, `+@read`, `(+get ~x)`.
//!
//! All words of a request are applied to a copy of the user, which takes its place only when every one was right.

use std::fmt;

use stanchion_protocol::error::Quoted;

use super::command_rules::CommandRules;
use super::commands::{Entry, category};
use super::password::PasswordHash;
use super::selector::{KeyAccess, Selector};
use super::user::{Login, User};
use crate::limits::{PASSWORD_BYTES_MAX, USER_BYTES_MAX};

/// What is wrong with a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// Nobody knows it.
    #[error("Syntax error")]
    Syntax,
    /// There is no such command or category.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// A key pattern is added to all keys.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    AllKeys,
    /// A channel pattern is added to all channels.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    AllChannels,
    /// The password was never added.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// The hash is none.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    Hash,
    /// `config|get|x`.
    #[error("Allowing first-arg of a subcommand is not supported")]
    SubcommandArgument,
    /// The password is longer than any that AUTH would look at.
    #[error("A password has at most {PASSWORD_BYTES_MAX} bytes")]
    LongPassword,
    /// `skip-sanitize-payload`
    #[error(
        "There is no RESTORE here, so there are no payloads whose check could be skipped; leave the word out"
    )]
    SkipSanitize,
}

/// A word that can't be applied, as an error shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RuleError {
    /// The word is wrong.
    Word {
        /// The word, its passwords hidden.
        word: Vec<u8>,
        /// What is wrong with it.
        wrong: Wrong,
    },
    /// A parenthesis is never closed.
    Unmatched {
        /// Where it opens.
        word: Vec<u8>,
    },
    /// The user would take too much memory.
    TooLarge,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::Word { word, wrong } => {
                write!(f, "Error in ACL SETUSER modifier {}: {wrong}", Quoted(word))
            }
            RuleError::Unmatched { word } => {
                write!(f, "Unmatched parenthesis in acl selector starting at {}.", Quoted(word))
            }
            RuleError::TooLarge => write!(f, "A user has at most {USER_BYTES_MAX} bytes of rules"),
        }
    }
}

impl std::error::Error for RuleError {}

impl User {
    /// The user after these words.
    pub(super) fn with_rules<'w>(
        &self,
        words: impl IntoIterator<Item = &'w [u8]>,
    ) -> Result<User, RuleError> {
        let mut user = self.clone();
        for word in join_selectors(words)? {
            user.apply(&word).map_err(|wrong| RuleError::Word { word: hide_passwords(&word), wrong })?;
        }
        if user.line().len() > USER_BYTES_MAX { Err(RuleError::TooLarge) } else { Ok(user) }
    }

    fn apply(&mut self, word: &[u8]) -> Result<(), Wrong> {
        match word.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"nopass" => self.login = Login::NoPassword,
            b"resetpass" => self.login = Login::Passwords(Vec::new()),
            b"sanitize-payload" => self.shows_sanitize_payload = true,
            b"skip-sanitize-payload" => return Err(Wrong::SkipSanitize),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => {
                *self = User::new(self.name(), self.birth());
                self.shows_sanitize_payload = true;
            }
            _ => return self.apply_rest(word),
        }
        Ok(())
    }

    fn apply_rest(&mut self, word: &[u8]) -> Result<(), Wrong> {
        match word {
            [b'>', password @ ..] => {
                self.add_password(PasswordHash::of(password).ok_or(Wrong::LongPassword)?)
            }
            [b'#', hash @ ..] => self.add_password(PasswordHash::from_hex(hash).ok_or(Wrong::Hash)?),
            [b'<', password @ ..] => {
                self.remove_password(PasswordHash::of(password).ok_or(Wrong::NoSuchPassword)?)?;
            }
            [b'!', hash @ ..] => self.remove_password(PasswordHash::from_hex(hash).ok_or(Wrong::Hash)?)?,
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::nothing();
                for rule in rules.split(u8::is_ascii_whitespace).filter(|rule| !rule.is_empty()) {
                    selector.apply(rule)?;
                    // In the user's line that would be the end of the parenthesis.
                    if rule.ends_with(b")") {
                        return Err(Wrong::Syntax);
                    }
                }
                self.selectors.push(selector);
            }
            word => self.root.apply(word)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: PasswordHash) {
        match &mut self.login {
            Login::NoPassword => self.login = Login::Passwords(vec![hash]),
            Login::Passwords(own) => {
                if !own.iter().any(|one| one.matches(&hash)) {
                    own.push(hash);
                }
            }
        }
    }

    fn remove_password(&mut self, hash: PasswordHash) -> Result<(), Wrong> {
        let Login::Passwords(own) = &mut self.login else { return Err(Wrong::NoSuchPassword) };
        let at = own.iter().position(|one| one.matches(&hash)).ok_or(Wrong::NoSuchPassword)?;
        own.remove(at);
        Ok(())
    }
}

impl Selector {
    fn apply(&mut self, word: &[u8]) -> Result<(), Wrong> {
        match word.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.allow_all_keys(),
            b"resetkeys" => self.reset_keys(),
            b"allchannels" | b"&*" => self.allow_all_channels(),
            b"resetchannels" => self.reset_channels(),
            b"allcommands" | b"+@all" => self.commands = CommandRules::all(true),
            b"nocommands" | b"-@all" => self.commands = CommandRules::all(false),
            _ => return self.apply_rest(word),
        }
        Ok(())
    }

    fn apply_rest(&mut self, word: &[u8]) -> Result<(), Wrong> {
        match word {
            [b'~' | b'%', ..] if self.allows_all_keys() => return Err(Wrong::AllKeys),
            [b'~', glob @ ..] => self.allow_keys(check_glob(glob)?, KeyAccess::BOTH),
            [b'%', rest @ ..] => {
                let (access, glob) = key_access(rest)?;
                self.allow_keys(check_glob(glob)?, access);
            }
            [b'&', ..] if self.allows_all_channels() => return Err(Wrong::AllChannels),
            [b'&', glob @ ..] => self.allow_channels(check_glob(glob)?),
            [sign @ (b'+' | b'-'), b'@', name @ ..] => {
                let (category, _) = category(name).ok_or(Wrong::Unknown)?;
                self.commands.set_category(category, *sign == b'+');
            }
            [b'-', name @ ..] => self.commands.set_command(Entry::find(name).ok_or(Wrong::Unknown)?, false),
            [b'+', name @ ..] => self.allow_named(name)?,
            _ => return Err(Wrong::Syntax),
        }
        Ok(())
    }

    /// `+name`, where the name may be a command, a subcommand, or a command with its first argument.
    fn allow_named(&mut self, name: &[u8]) -> Result<(), Wrong> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            self.commands.set_command(Entry::find(name).ok_or(Wrong::Unknown)?, true);
            return Ok(());
        };
        let (command, argument) = (&name[..bar], &name[bar + 1..]);
        let entry = Entry::find(command).ok_or(Wrong::Unknown)?;
        if entry.is_subcommand() {
            return Err(Wrong::SubcommandArgument);
        }
        if argument.is_empty() || has_spaces(argument) {
            return Err(Wrong::Syntax);
        }
        if entry.is_container() {
            self.commands.set_command(Entry::find(name).ok_or(Wrong::Unknown)?, true);
        } else {
            self.commands.allow_first_argument(entry, argument);
        }
        Ok(())
    }
}

/// `R~`, `W~` or `RW~`, and what follows.
fn key_access(rest: &[u8]) -> Result<(KeyAccess, &[u8]), Wrong> {
    let mut access = KeyAccess { read: false, write: false };
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'R' | b'r' if !access.read => access.read = true,
            b'W' | b'w' if !access.write => access.write = true,
            b'~' if at > 0 => return Ok((access, &rest[at + 1..])),
            _ => return Err(Wrong::Syntax),
        }
    }
    Err(Wrong::Syntax)
}

/// A glob that can stand in a line of the ACL file.
fn check_glob(glob: &[u8]) -> Result<&[u8], Wrong> {
    if has_spaces(glob) { Err(Wrong::Syntax) } else { Ok(glob) }
}

/// Whether a name can't be written into a line of words.
pub(super) fn has_spaces(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | 0))
}

/// Puts selectors together that were sent as several words.
fn join_selectors<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Result<Vec<Vec<u8>>, RuleError> {
    let mut joined: Vec<Vec<u8>> = Vec::new();
    // The word that opened a selector, and the selector so far.
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        let closes = word.last() == Some(&b')');
        match open.take() {
            Some((first, mut selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(word);
                if closes { joined.push(selector) } else { open = Some((first, selector)) }
            }
            None if word.first() == Some(&b'(') && !closes => open = Some((word, word.to_vec())),
            None => joined.push(word.to_vec()),
        }
    }
    match open {
        None => Ok(joined),
        Some((first, _)) => Err(RuleError::Unmatched { word: hide_passwords(first) }),
    }
}

/// A word as an error may show it: a password or its hash is not repeated, not even a wrong one, and neither is what
/// stands behind it.
fn hide_passwords(word: &[u8]) -> Vec<u8> {
    let starts_word = |at: usize| at == 0 || matches!(word[at - 1], b'(' | b' ' | b'\t'..=b'\r');
    let marker = |(at, byte): (usize, &u8)| matches!(byte, b'>' | b'<' | b'#' | b'!') && starts_word(at);
    match word.iter().enumerate().position(marker) {
        Some(at) => [&word[..=at], b"(hidden)"].concat(),
        None => word.to_vec(),
    }
}

#[cfg(test)]
mod tests;
