//! One set of permissions: commands, key patterns and channel patterns that are allowed together.
//!
//! A user has one of its own and may have more, in parentheses; what any of them allows is allowed.

use stanchion_protocol::table::{Categories, CommandId, Flags};
use stanchion_protocol::{Args, CommandSpec, glob, keys};

use super::commands::{CommandSet, Entry, Place};
use super::denied::Denied;

/// Permissions.
#[derive(Clone)]
pub(crate) struct Selector {
    commands: CommandSet,
    /// The rules on commands since the last that named all of them, as ACL LIST shows them.
    command_rules: Vec<CommandRule>,
    /// Commands that are allowed with this first argument only.
    first_arguments: Vec<(Place, Box<[u8]>)>,
    keys: Patterns<KeyPattern>,
    channels: Patterns<Box<[u8]>>,
}

/// A rule that allowed or forbade commands.
#[derive(Clone)]
struct CommandRule {
    allows: bool,
    /// In lower case: `get`, `config|get`, `@read`, `select|0`.
    name: Box<[u8]>,
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
            commands: CommandSet::NONE,
            command_rules: Vec::new(),
            first_arguments: Vec::new(),
            keys: Patterns::Some(Vec::new()),
            channels: Patterns::Some(Vec::new()),
        }
    }

    /// Whether everything is allowed.
    pub(super) fn allows_everything(&self) -> bool {
        self.commands == CommandSet::ALL && self.allows_all_keys() && self.allows_all_channels()
    }

    /// Whether all keys are allowed.
    pub(super) fn allows_all_keys(&self) -> bool {
        matches!(self.keys, Patterns::All)
    }

    /// Whether all channels are allowed.
    pub(super) fn allows_all_channels(&self) -> bool {
        matches!(self.channels, Patterns::All)
    }

    /// `+@all` or `-@all`.
    pub(super) fn set_all_commands(&mut self, allowed: bool) {
        self.commands = if allowed { CommandSet::ALL } else { CommandSet::NONE };
        self.command_rules.clear();
        self.first_arguments.clear();
    }

    /// `+command` or `-command`: its subcommands go with it.
    pub(super) fn set_command(&mut self, entry: Entry, allowed: bool) {
        self.change(entry, allowed);
        self.remember(allowed, entry.name().as_bytes());
    }

    /// `+@category` or `-@category`.
    pub(super) fn set_category(&mut self, (name, category): (&str, Categories), allowed: bool) {
        for entry in Entry::all().filter(|entry| entry.is_in(category)) {
            self.change(entry, allowed);
        }
        self.remember(allowed, format!("@{name}").as_bytes());
    }

    /// `+command|argument` of a command without subcommands.
    pub(super) fn allow_first_argument(&mut self, entry: Entry, argument: &[u8]) {
        let argument: Box<[u8]> = argument.to_ascii_lowercase().into();
        let rule = [entry.name().as_bytes(), b"|", &argument].concat();
        if !self.first_arguments.contains(&(entry.place(), argument.clone())) {
            self.first_arguments.push((entry.place(), argument));
        }
        self.remember(true, &rule);
    }

    fn change(&mut self, entry: Entry, allowed: bool) {
        self.commands.set(entry.place(), allowed);
        entry.subcommands().for_each(|place| self.commands.set(place, allowed));
        self.first_arguments.retain(|(place, _)| *place != entry.place());
    }

    /// Adds a rule in place of those that it makes void: the same, and those on parts of it. Rules that have come to
    /// nothing are forgotten.
    fn remember(&mut self, allows: bool, name: &[u8]) {
        let is_part = |rest: &[u8]| rest.is_empty() || rest[0] == b'|';
        self.command_rules.retain(|rule| !rule.name.strip_prefix(name).is_some_and(is_part));
        self.command_rules.push(CommandRule { allows, name: name.into() });
        let is_all_or_nothing = self.commands == CommandSet::ALL || self.commands == CommandSet::NONE;
        if is_all_or_nothing && self.first_arguments.is_empty() {
            self.command_rules.clear();
        }
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
        if !self.allows_command(spec, args) {
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

    fn allows_command(&self, spec: &'static CommandSpec, args: Args<'_>) -> bool {
        if spec.flags.has(Flags::NO_AUTH) {
            return true;
        }
        let place = Entry::of(spec, args).place();
        self.commands.has(place)
            || self.first_arguments.iter().any(|(with, argument)| {
                *with == place && args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(argument))
            })
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

    /// The rules on commands, in the words of ACL GETUSER.
    pub(super) fn describe_commands(&self) -> Vec<u8> {
        // What is not listed follows the last rule on all commands, those of later versions included.
        let mut rules = if self.commands.has(Place::FUTURE) { b"+@all".to_vec() } else { b"-@all".to_vec() };
        for rule in &self.command_rules {
            rules.extend_from_slice(if rule.allows { b" +" } else { b" -" });
            rules.extend_from_slice(&rule.name);
        }
        rules
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
        words.extend_from_slice(&self.describe_commands());
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
