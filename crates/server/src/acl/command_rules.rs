//! Which commands are allowed, and the rules that say so.

use stanchion_protocol::Args;
use stanchion_protocol::table::Categories;

use super::commands::{CommandSet, Entry, Place, category};

/// Rules on commands, and what they come to.
#[derive(Clone)]
pub(super) struct CommandRules {
    allowed: Allowed,
    /// The rules since the last on all commands, as ACL LIST shows them. Each makes a difference.
    rules: Vec<Rule>,
}

/// Commands that are allowed.
#[derive(Clone, PartialEq, Eq)]
struct Allowed {
    commands: CommandSet,
    /// Others that are allowed with this first argument only.
    first_arguments: Vec<(Place, Box<[u8]>)>,
}

/// A rule that allows or forbids some.
#[derive(Clone)]
struct Rule {
    allows: bool,
    /// In lower case: `ping`, `config|get`, `@read`, `select|0`.
    name: Box<[u8]>,
}

impl CommandRules {
    /// No command, or all of them and those to come.
    pub(super) fn all(allowed: bool) -> CommandRules {
        CommandRules { allowed: Allowed::all(allowed), rules: Vec::new() }
    }

    /// Whether they allow everything.
    pub(super) fn allow_all(&self) -> bool {
        self.allowed.commands == CommandSet::ALL
    }

    /// Whether they allow a request.
    #[inline]
    pub(super) fn allow(&self, entry: Entry, args: Args<'_>) -> bool {
        let place = entry.place();
        self.allowed.commands.has(place)
            || self.allowed.first_arguments.iter().any(|(with, argument)| {
                *with == place && args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(argument))
            })
    }

    /// `+command` or `-command`: its subcommands go with it.
    pub(super) fn set_command(&mut self, entry: Entry, allows: bool) {
        self.add(Rule { allows, name: entry.name().into_bytes().into() });
    }

    /// `+@category` or `-@category`.
    pub(super) fn set_category(&mut self, name: &str, allows: bool) {
        self.add(Rule { allows, name: format!("@{name}").into_bytes().into() });
    }

    /// `+command|argument` of a command without subcommands.
    pub(super) fn allow_first_argument(&mut self, entry: Entry, argument: &[u8]) {
        let argument = argument.to_ascii_lowercase();
        self.add(Rule { allows: true, name: [entry.name().as_bytes(), b"|", &argument].concat().into() });
    }

    /// Adds a rule in place of those that it makes void: the same, and those on parts of it.
    fn add(&mut self, rule: Rule) {
        let before = self.allowed.clone();
        self.allowed.follow(&rule);
        if self.allowed == before {
            return;
        }
        let is_part = |rest: &[u8]| rest.is_empty() || rest[0] == b'|';
        self.rules.retain(|old| !old.name.strip_prefix(&*rule.name).is_some_and(is_part));
        self.rules.push(rule);
        self.forget_void();
    }

    /// Forgets the rules that make no difference any more, so that the same permissions don't grow longer, and a
    /// user's line makes the same line again.
    fn forget_void(&mut self) {
        let base = Allowed::all(self.is_all_but());
        let mut state = base.clone();
        let mut kept = Vec::with_capacity(self.rules.len());
        for rule in self.rules.drain(..) {
            let before = state.clone();
            state.follow(&rule);
            if state == base {
                kept.clear();
            } else if state != before {
                kept.push(rule);
            }
        }
        assert!(state == self.allowed, "the rules that are shown are those that hold");
        self.rules = kept;
    }

    /// Whether commands that no rule names are allowed, those of later versions included.
    fn is_all_but(&self) -> bool {
        self.allowed.commands.has(Place::FUTURE)
    }

    /// The rules in the words of ACL GETUSER.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut words = if self.is_all_but() { b"+@all".to_vec() } else { b"-@all".to_vec() };
        for rule in &self.rules {
            words.extend_from_slice(if rule.allows { b" +" } else { b" -" });
            words.extend_from_slice(&rule.name);
        }
        words
    }
}

impl Allowed {
    fn all(allowed: bool) -> Allowed {
        let commands = if allowed { CommandSet::ALL } else { CommandSet::NONE };
        Allowed { commands, first_arguments: Vec::new() }
    }

    /// Does what a rule says.
    fn follow(&mut self, rule: &Rule) {
        if let Some((_, category)) = rule.name.strip_prefix(b"@").and_then(category) {
            return self.set_category(category, rule.allows);
        }
        if let Some(entry) = Entry::find(&rule.name) {
            return self.set(entry, rule.allows);
        }
        let bar = rule.name.iter().rposition(|byte| *byte == b'|').expect("other rules have an argument");
        let entry = Entry::find(&rule.name[..bar]).expect("rules name commands");
        let with = (entry.place(), Box::from(&rule.name[bar + 1..]));
        if !self.first_arguments.contains(&with) {
            self.first_arguments.push(with);
        }
    }

    fn set_category(&mut self, category: Categories, allowed: bool) {
        for entry in Entry::all().filter(|entry| entry.is_in(category)) {
            self.set(entry, allowed);
        }
    }

    fn set(&mut self, entry: Entry, allowed: bool) {
        self.commands.set(entry.place(), allowed);
        entry.subcommands().for_each(|place| self.commands.set(place, allowed));
        self.first_arguments.retain(|(place, _)| *place != entry.place());
    }
}
