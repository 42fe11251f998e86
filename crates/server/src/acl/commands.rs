//! Sets of commands, and how rules name them: `config`, `config|get`, `@admin`.

use stanchion_protocol::table::{self, COMMANDS, Categories, CommandId};
use stanchion_protocol::{Args, CommandSpec};

/// How many commands and subcommands have a number of their own: HELP is the last.
const NUMBERED: usize = CommandId::Help as usize + 1;

/// Every HELP has the same number, so each has its place behind the others, as far on as its command's number.
const HELP_PLACES: usize = NUMBERED;

/// The last place is for the commands of later versions, which follow the rules on all commands.
const PLACES: usize = HELP_PLACES + NUMBERED + 1;

/// A command or subcommand of the table.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    parent: Option<&'static CommandSpec>,
    spec: &'static CommandSpec,
}

/// Where a command stands in a [`CommandSet`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(usize);

/// Some of all commands and subcommands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommandSet([u64; PLACES.div_ceil(64)]);

impl Entry {
    /// Every command, each followed by its subcommands.
    pub(crate) fn all() -> impl Iterator<Item = Entry> {
        COMMANDS.iter().flat_map(|spec| {
            std::iter::once(Entry { parent: None, spec })
                .chain(spec.subcommands.iter().map(move |sub| Entry { parent: Some(spec), spec: sub }))
        })
    }

    /// The command of this name, or the subcommand of a name like `config|get`.
    pub(crate) fn find(name: &[u8]) -> Option<Entry> {
        let mut words = name.split(|byte| *byte == b'|');
        let parent = table::find(words.next()?)?;
        let entry = match words.next() {
            None => Entry { parent: None, spec: parent },
            Some(sub) => Entry { parent: Some(parent), spec: table::subcommand(parent, sub)? },
        };
        words.next().is_none().then_some(entry)
    }

    /// The entry of a request whose row is `spec`.
    pub(crate) fn of(spec: &'static CommandSpec, args: Args<'_>) -> Entry {
        // Only HELP needs to know whose it is, and every other row is found without its parent.
        let parent = if spec.id == CommandId::Help { table::find(args.at(0)) } else { None };
        Entry { parent, spec }
    }

    /// Its name as rules and errors have it.
    pub(crate) fn name(self) -> String {
        match self.parent {
            Some(parent) => format!("{}|{}", parent.name, self.spec.name),
            None => crate::stats::command_name(self.spec.id as usize).unwrap_or(self.spec.name).to_owned(),
        }
    }

    /// Its place in a set.
    pub(crate) fn place(self) -> Place {
        let of_help = match self.parent {
            Some(parent) if self.spec.id == CommandId::Help => HELP_PLACES + parent.id as usize,
            _ => self.spec.id as usize,
        };
        Place(of_help)
    }

    /// The places of its subcommands.
    pub(crate) fn subcommands(self) -> impl Iterator<Item = Place> {
        self.spec.subcommands.iter().map(move |sub| Entry { parent: Some(self.spec), spec: sub }.place())
    }

    /// Whether it has some.
    pub(crate) fn is_container(self) -> bool {
        self.spec.is_container()
    }

    /// Whether it is one.
    pub(crate) fn is_subcommand(self) -> bool {
        self.parent.is_some()
    }

    /// Whether it does something: scripts are refused, whoever calls them.
    pub(crate) fn is_answered(self) -> bool {
        self.spec.refused.is_none()
    }

    /// Whether it is in a category.
    pub(crate) fn is_in(self, category: Categories) -> bool {
        // Every set has all of the empty one, but no command is in a category of commands that are not here.
        !category.is_empty() && self.spec.categories.has(category)
    }
}

impl Place {
    /// The commands of later versions.
    pub(crate) const FUTURE: Place = Place(PLACES - 1);
}

impl CommandSet {
    /// No command.
    pub(crate) const NONE: CommandSet = CommandSet([0; PLACES.div_ceil(64)]);

    /// All of them, and those to come.
    pub(crate) const ALL: CommandSet = CommandSet([u64::MAX; PLACES.div_ceil(64)]);

    /// Whether a command is in it.
    #[inline]
    pub(crate) fn has(&self, Place(place): Place) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
    }

    /// Puts a command in, or takes it out.
    pub(crate) fn set(&mut self, Place(place): Place, member: bool) {
        let bit = 1 << (place % 64);
        match member {
            true => self.0[place / 64] |= bit,
            false => self.0[place / 64] &= !bit,
        }
    }
}

/// The categories in the order of ACL CAT: Redis's, then those of queues. Redis has some whose commands are not here;
/// rules that were written for Redis may name them, and they name no command.
pub(crate) const CATEGORIES: &[(&str, Categories)] = &[
    ("keyspace", Categories::KEYSPACE),
    ("read", Categories::READ),
    ("write", Categories::WRITE),
    ("set", Categories::NONE),
    ("sortedset", Categories::NONE),
    ("list", Categories::NONE),
    ("hash", Categories::NONE),
    ("string", Categories::NONE),
    ("bitmap", Categories::NONE),
    ("hyperloglog", Categories::NONE),
    ("geo", Categories::NONE),
    ("stream", Categories::NONE),
    ("pubsub", Categories::PUBSUB),
    ("admin", Categories::ADMIN),
    ("fast", Categories::FAST),
    ("slow", Categories::SLOW),
    ("blocking", Categories::BLOCKING),
    ("dangerous", Categories::DANGEROUS),
    ("connection", Categories::CONNECTION),
    ("transaction", Categories::TRANSACTION),
    ("scripting", Categories::SCRIPTING),
    ("queue", Categories::QUEUE),
    ("push", Categories::PUSH),
    ("claim", Categories::CLAIM),
    ("operate", Categories::OPERATE),
];

/// The category of this name, in any case and without its `@`.
pub(crate) fn category(name: &[u8]) -> Option<(&'static str, Categories)> {
    CATEGORIES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_place_and_a_name_of_its_own() {
        let entries: Vec<_> = Entry::all().collect();
        for (i, entry) in entries.iter().enumerate() {
            let found = Entry::find(entry.name().as_bytes()).expect("its name finds it");
            assert_eq!(found.place(), entry.place(), "{}", entry.name());
            assert!(entries[..i].iter().all(|other| other.place() != entry.place()), "{}", entry.name());
        }
        assert!(entries.len() > COMMANDS.len());
    }

    #[test]
    fn every_category_of_the_table_can_be_named() {
        for (bit, word) in Categories::ALL {
            let name = word.strip_prefix('@').expect("a category's word");
            assert_eq!(category(name.to_uppercase().as_bytes()), Some((name, *bit)));
        }
        assert_eq!(category(b"all"), None);
        assert!(Entry::all().all(|entry| !entry.is_in(Categories::NONE)));
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let (get, config) = (Entry::find(b"config|get").unwrap(), Entry::find(b"CONFIG").unwrap());
        let mut set = CommandSet::NONE;
        set.set(get.place(), true);
        assert!(set.has(get.place()) && !set.has(config.place()));
        set.set(get.place(), false);
        assert!(set == CommandSet::NONE);
        let help: Vec<_> =
            [b"config|help", b"client|help"].map(|name| Entry::find(name).unwrap().place()).into();
        assert_ne!(help[0], help[1]);
        assert!(config.subcommands().any(|place| place == help[0]));
        for unknown in [&b""[..], b"|", b"config|", b"config|foo", b"config|get|x", b"ping|x", b"foo"] {
            assert!(Entry::find(unknown).is_none(), "{}", unknown.escape_ascii());
        }
    }
}
