//! Rows of Redis's publish and subscribe.

use super::row::{BASE, HELP, any, many, one, optional};
use super::{Categories, CommandId, CommandSpec, Flags, Group, WordKind};

const PUBSUB: CommandSpec = CommandSpec {
    flags: Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE),
    categories: Categories::PUBSUB.and(Categories::SLOW),
    group: Group::Pubsub,
    ..BASE
};

const SUBSCRIPTION: CommandSpec = CommandSpec {
    flags: PUBSUB.flags.and(Flags::NOSCRIPT),
    complexity: "O(N) in the names",
    reply: "one message per name: what was done, the name, and how many subscriptions the connection has",
    ..PUBSUB
};

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        id: CommandId::Subscribe,
        name: "subscribe",
        arity: -2,
        summary: "Listens to channels; `__job__:<queue>` tells what happens to a queue's jobs when its setting `notify` is on",
        arguments: &[many("channel", WordKind::String)],
        ..SUBSCRIPTION
    },
    CommandSpec {
        id: CommandId::Psubscribe,
        name: "psubscribe",
        arity: -2,
        summary: "Listens to all channels that match a glob",
        arguments: &[many("pattern", WordKind::Pattern)],
        ..SUBSCRIPTION
    },
    CommandSpec {
        id: CommandId::Unsubscribe,
        name: "unsubscribe",
        arity: -1,
        summary: "Stops to listen to these channels, or to all",
        arguments: &[any("channel", WordKind::String)],
        ..SUBSCRIPTION
    },
    CommandSpec {
        id: CommandId::Punsubscribe,
        name: "punsubscribe",
        arity: -1,
        summary: "Stops to listen to these globs, or to all",
        arguments: &[any("pattern", WordKind::Pattern)],
        ..SUBSCRIPTION
    },
    CommandSpec {
        id: CommandId::Publish,
        name: "publish",
        arity: 3,
        flags: PUBSUB.flags.and(Flags::FAST),
        categories: Categories::PUBSUB.and(Categories::FAST),
        summary: "Sends a message to whoever listens to the channel",
        complexity: "O(N + M) for N subscribers of the channel and M globs",
        arguments: &[one("channel", WordKind::String), one("message", WordKind::String)],
        reply: "how many got it",
        ..PUBSUB
    },
    CommandSpec {
        id: CommandId::Pubsub,
        name: "pubsub",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "Shows who listens to what",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::PubsubChannels,
                name: "channels",
                arity: -2,
                summary: "Lists the channels that somebody listens to",
                complexity: "O(N) in the channels",
                arguments: &[optional("pattern", WordKind::Pattern)],
                reply: "an array of names",
                ..PUBSUB
            },
            CommandSpec { group: Group::Pubsub, ..HELP },
            CommandSpec {
                id: CommandId::PubsubNumpat,
                name: "numpat",
                arity: 2,
                summary: "Counts the globs that somebody listens to",
                reply: "a count",
                ..PUBSUB
            },
            CommandSpec {
                id: CommandId::PubsubNumsub,
                name: "numsub",
                arity: -2,
                summary: "Counts the listeners of channels",
                complexity: "O(N) in the names",
                arguments: &[any("channel", WordKind::String)],
                reply: "each name and its count, one after the other",
                ..PUBSUB
            },
        ],
        ..PUBSUB
    },
];
