//! The parts that rows share, so that a row shows only what is its own.

use super::{Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Times, WordKind};

/// What most rows leave as it is.
pub(super) const BASE: CommandSpec = CommandSpec {
    id: CommandId::Help,
    name: "",
    arity: 1,
    flags: Flags::NONE,
    categories: Categories::NONE,
    keys: Keys::None,
    group: Group::Server,
    since: "0.1.0",
    summary: "",
    complexity: "O(1)",
    arguments: &[],
    options: &[],
    reply: "",
    errors: &[],
    subcommands: &[],
    refused: None,
};

/// Flags of what is answered at any time, but not from scripts.
pub(super) const ALWAYS: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);

/// HELP of a command with subcommands.
pub(super) const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.and(Flags::STALE),
    categories: Categories::SLOW,
    summary: "Shows the subcommands",
    reply: "an array of lines",
    ..BASE
};

/// The queue that a command works on.
pub(super) const QUEUE: Argument = one("queue", WordKind::Key);

/// A word that stands once.
pub(super) const fn one(name: &'static str, kind: WordKind) -> Argument {
    Argument::Word { name, kind, times: Times::One }
}

/// A word that may be left out.
pub(super) const fn optional(name: &'static str, kind: WordKind) -> Argument {
    Argument::Word { name, kind, times: Times::Optional }
}

/// A word that stands at least once.
pub(super) const fn many(name: &'static str, kind: WordKind) -> Argument {
    Argument::Word { name, kind, times: Times::Many }
}

/// A word that stands any number of times.
pub(super) const fn any(name: &'static str, kind: WordKind) -> Argument {
    Argument::Word { name, kind, times: Times::Any }
}
