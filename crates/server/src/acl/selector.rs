//! One set of permissions: commands, key patterns and channel patterns that are allowed together.
//!
//! A user has one of its own and may have more, in parentheses; what any of them allows is allowed.

use stanchion_protocol::table::{CommandId, Flags};
use stanchion_protocol::{Args, CommandSpec, glob, keys};

use super::command_rules::CommandRules;
use super::commands::Entry;
use super::denied::Denied;

/// Permissions.
#[derive(Clone)]
pub(crate) struct Selector {
    pub(super) commands: CommandRules,
    keys: Patterns<KeyPattern>,
    channels: Patterns<Box<[u8]>>,
}

/// What names may match.
#[derive(Clone)]
enum Patterns<P> {
    /// Anything.
    All,
    /// One of these.
    Some(Vec<P>),
}

/// A glob for keys.
#[derive(Clone)]
struct KeyPattern {
    glob: Box<[u8]>,
    access: KeyAccess,
}

/// What is done to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeyAccess {
    /// Something of it is seen.
    pub(crate) read: bool,
    /// Something of it is changed.
    pub(crate) write: bool,
}

impl KeyAccess {
    /// Reads and writes.
    pub(crate) const BOTH: KeyAccess = KeyAccess { read: true, write: true };

    /// Reads.
    pub(crate) const READ: KeyAccess = KeyAccess { read: true, write: false };

    /// What a command does to its keys.
    fn of(spec: &CommandSpec) -> KeyAccess {
        let mut needs = KeyAccess { read: false, write: false };
        for flag in spec.key_flags() {
            match *flag {
                "access" => needs.read = true,
                "insert" | "update" | "delete" => needs.write = true,
                _ => {}
            }
        }
        needs
    }

    /// Whether this allows that.
    fn allows(self, needs: KeyAccess) -> bool {
        (self.read || !needs.read) && (self.write || !needs.write)
    }
}

impl Selector {
    /// Nothing is allowed.
    pub(super) fn nothing() -> Selector {
        Selector {
            commands: CommandRules::all(false),
            keys: Patterns::Some(Vec::new()),
            channels: Patterns::Some(Vec::new()),
        }
    }

    /// Whether everything is allowed.
    pub(super) fn allows_everything(&self) -> bool {
        self.commands.allow_all() && self.allows_all_keys() && self.allows_all_channels()
    }

    /// Whether all keys are allowed.
    pub(super) fn allows_all_keys(&self) -> bool {
        matches!(self.keys, Patterns::All)
    }

    /// Whether all channels are allowed.
    pub(super) fn allows_all_channels(&self) -> bool {
        matches!(self.channels, Patterns::All)
    }

    /// `allkeys` or `~*`.
    pub(super) fn allow_all_keys(&mut self) {
        self.keys = Patterns::All;
    }

    /// `resetkeys`.
    pub(super) fn reset_keys(&mut self) {
        self.keys = Patterns::Some(Vec::new());
    }

    /// `~glob` or `%R~glob`; makes no difference where all keys are allowed.
    pub(super) fn allow_keys(&mut self, glob: &[u8], access: KeyAccess) {
        let Patterns::Some(patterns) = &mut self.keys else { return };
        match patterns.iter_mut().find(|pattern| *pattern.glob == *glob) {
            None => patterns.push(KeyPattern { glob: glob.into(), access }),
            Some(pattern) => {
                pattern.access.read |= access.read;
                pattern.access.write |= access.write;
            }
        }
    }

    /// `allchannels` or `&*`.
    pub(super) fn allow_all_channels(&mut self) {
        self.channels = Patterns::All;
    }

    /// `resetchannels`.
    pub(super) fn reset_channels(&mut self) {
        self.channels = Patterns::Some(Vec::new());
    }

    /// `&glob`; makes no difference where all channels are allowed.
    pub(super) fn allow_channels(&mut self, glob: &[u8]) {
        let Patterns::Some(patterns) = &mut self.channels else { return };
        if !patterns.iter().any(|pattern| **pattern == *glob) {
            patterns.push(glob.into());
        }
    }

    /// Whether a request is allowed.
    pub(super) fn check(&self, spec: &'static CommandSpec, args: Args<'_>) -> Result<(), Denied> {
        if !spec.flags.has(Flags::NO_AUTH) && !self.commands.allow(Entry::of(spec, args), args) {
            return Err(Denied::Command);
        }
        if let Patterns::Some(patterns) = &self.keys {
            check_keys(patterns, spec, args)?;
        }
        match &self.channels {
            Patterns::All => Ok(()),
            Patterns::Some(patterns) => check_channels(patterns, spec, args),
        }
    }

    /// Whether a queue may be seen.
    pub(super) fn allows_key(&self, key: &[u8], needs: KeyAccess) -> bool {
        match &self.keys {
            Patterns::All => true,
            Patterns::Some(patterns) => any_allows(patterns, key, needs),
        }
    }

    /// Whether messages of a channel may be had; of a glob for channels, only if it is one of the patterns.
    pub(super) fn allows_channel(&self, channel: &[u8], is_glob: bool) -> bool {
        match &self.channels {
            Patterns::All => true,
            Patterns::Some(patterns) => any_matches(patterns, channel, is_glob),
        }
    }

    /// The patterns of keys.
    pub(super) fn describe_keys(&self) -> Vec<u8> {
        let Patterns::Some(patterns) = &self.keys else { return b"~*".to_vec() };
        let word = |pattern: &KeyPattern| [pattern.access.prefix(), &pattern.glob].concat();
        patterns.iter().map(word).collect::<Vec<_>>().join(&b' ')
    }

    /// The patterns of channels.
    pub(super) fn describe_channels(&self) -> Vec<u8> {
        let Patterns::Some(patterns) = &self.channels else { return b"&*".to_vec() };
        patterns.iter().map(|pattern| [b"&", &**pattern].concat()).collect::<Vec<_>>().join(&b' ')
    }

    /// All of it in the words that make it again.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut words = self.describe_keys();
        if !words.is_empty() {
            words.push(b' ');
        }
        if !self.allows_all_channels() {
            words.extend_from_slice(b"resetchannels ");
        }
        let channels = self.describe_channels();
        words.extend_from_slice(&channels);
        if !channels.is_empty() {
            words.push(b' ');
        }
        words.extend_from_slice(&self.commands.describe());
        words
    }
}

impl KeyAccess {
    /// What stands before a pattern of this access.
    fn prefix(self) -> &'static [u8] {
        match (self.read, self.write) {
            (true, false) => b"%R~",
            (false, true) => b"%W~",
            _ => b"~",
        }
    }
}

fn check_keys(patterns: &[KeyPattern], spec: &CommandSpec, args: Args<'_>) -> Result<(), Denied> {
    let needs = KeyAccess::of(spec);
    match keys::positions(spec, args).find(|at| !any_allows(patterns, args.at(*at), needs)) {
        Some(at) => Err(Denied::Key(at)),
        None if spec.id == CommandId::Qmclaim => check_globs(patterns, args),
        None => Ok(()),
    }
}

/// Nobody knows which queues will match the globs of a QMCLAIM when it is served, so each has to be a pattern of the
/// user's own: then it matches nothing that is not allowed.
fn check_globs(patterns: &[KeyPattern], args: Args<'_>) -> Result<(), Denied> {
    let is_own = |glob: &[u8]| {
        patterns.iter().any(|pattern| *pattern.glob == *glob && pattern.access.allows(KeyAccess::BOTH))
    };
    match keys::glob_positions(args).find(|at| !is_own(args.at(*at))) {
        Some(at) => Err(Denied::Glob(at)),
        None => Ok(()),
    }
}

fn any_allows(patterns: &[KeyPattern], key: &[u8], needs: KeyAccess) -> bool {
    patterns.iter().any(|pattern| pattern.access.allows(needs) && glob::matches(&pattern.glob, key))
}

fn check_channels(patterns: &[Box<[u8]>], spec: &CommandSpec, args: Args<'_>) -> Result<(), Denied> {
    let (channels, is_glob) = match spec.id {
        CommandId::Publish => (1..2, false),
        CommandId::Subscribe => (1..args.len(), false),
        CommandId::Psubscribe => (1..args.len(), true),
        _ => return Ok(()),
    };
    match channels.into_iter().find(|at| !any_matches(patterns, args.at(*at), is_glob)) {
        Some(at) => Err(Denied::Channel(at)),
        None => Ok(()),
    }
}

fn any_matches(patterns: &[Box<[u8]>], channel: &[u8], is_glob: bool) -> bool {
    patterns.iter().any(|pattern| match is_glob {
        true => **pattern == *channel,
        false => glob::matches(pattern, channel),
    })
}
