//! Rows of Redis's commands on keys, transactions and the server, and of its scripts, which are refused.

use super::row::{ALWAYS, BASE, HELP, any, many, one};
use super::words::valued;
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Number, Opt, ValueKind, WordKind,
};
use crate::ErrorCode;

const SERVER: CommandSpec = CommandSpec {
    flags: ALWAYS.and(Flags::ADMIN),
    categories: Categories::ADMIN.and(Categories::SLOW).and(Categories::DANGEROUS),
    group: Group::Server,
    ..BASE
};

const KEY_READ: CommandSpec = CommandSpec {
    flags: Flags::READONLY.and(Flags::FAST),
    categories: Categories::KEYSPACE.and(Categories::READ).and(Categories::FAST),
    group: Group::Generic,
    ..BASE
};

const KEY_DELETE: CommandSpec = CommandSpec {
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE.and(Categories::WRITE).and(Categories::DANGEROUS),
    keys: Keys::From(1),
    group: Group::Generic,
    complexity: "O(Q) for Q queues; memory is freed afterwards",
    arguments: &[many("queue", WordKind::Key)],
    reply: "how many there were",
    errors: &[ErrorCode::MisConf],
    ..BASE
};

const TRANSACTION: CommandSpec = CommandSpec {
    flags: ALWAYS.and(Flags::FAST),
    categories: Categories::FAST.and(Categories::TRANSACTION),
    group: Group::Transactions,
    ..BASE
};

const USE_NATIVE: &str = "queues need no scripts, use QPUSH, QCLAIM, QACK and QNACK";

const SCRIPT: CommandSpec = CommandSpec {
    arity: -2,
    flags: Flags::NOSCRIPT,
    categories: Categories::SLOW.and(Categories::SCRIPTING),
    group: Group::Scripting,
    summary: "Refused: queues need no scripts",
    arguments: &[many("word", WordKind::String)],
    reply: "an error that names the native commands",
    refused: Some(USE_NATIVE),
    ..BASE
};

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        id: CommandId::Info,
        name: "info",
        arity: -1,
        flags: Flags::LOADING.and(Flags::STALE),
        categories: Categories::SLOW.and(Categories::DANGEROUS),
        summary: "Shows the state of the server",
        arguments: &[any("section", WordKind::String)],
        reply: "lines of `field:value` in sections",
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Config,
        name: "config",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "Settings of the server",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::ConfigGet,
                name: "get",
                arity: -3,
                summary: "Shows settings",
                complexity: "O(N) in the settings and globs",
                arguments: &[many("parameter", WordKind::Pattern)],
                reply: "a map of setting to value",
                ..SERVER
            },
            HELP,
            CommandSpec {
                id: CommandId::ConfigSet,
                name: "set",
                arity: -4,
                summary: "Changes settings while the server runs",
                complexity: "O(N) in the settings",
                arguments: &[many("parameter value", WordKind::String)],
                reply: "OK",
                ..SERVER
            },
        ],
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Type,
        name: "type",
        arity: 2,
        keys: Keys::One(1),
        summary: "Says what a key holds",
        arguments: &[one("key", WordKind::Key)],
        reply: "`queue` or `none`",
        ..KEY_READ
    },
    CommandSpec {
        id: CommandId::Exists,
        name: "exists",
        arity: -2,
        keys: Keys::From(1),
        summary: "Counts which of the queues exist",
        complexity: "O(Q) for Q queues",
        arguments: &[many("queue", WordKind::Key)],
        reply: "how many; one that is named twice counts twice",
        ..KEY_READ
    },
    CommandSpec {
        id: CommandId::Del,
        name: "del",
        arity: -2,
        categories: KEY_DELETE.categories.and(Categories::SLOW),
        summary: "Deletes queues with their jobs, in one step; receipts turn stale",
        ..KEY_DELETE
    },
    CommandSpec {
        id: CommandId::Unlink,
        name: "unlink",
        arity: -2,
        flags: KEY_DELETE.flags.and(Flags::FAST),
        categories: KEY_DELETE.categories.and(Categories::FAST),
        summary: "The same as DEL",
        ..KEY_DELETE
    },
    CommandSpec {
        id: CommandId::Scan,
        name: "scan",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::KEYSPACE.and(Categories::READ).and(Categories::SLOW),
        summary: "Iterates over the queues",
        complexity: "O(COUNT) a call",
        arguments: &[one("cursor", WordKind::Integer), Argument::Options],
        options: &[
            valued(
                Opt::Count,
                "COUNT",
                ValueKind::Number(Number::Between(1, i64::MAX as u64)),
                "about how much one call looks at, 10 by default",
            ),
            valued(Opt::Match, "MATCH", ValueKind::Glob, "only queues whose name matches the glob"),
            valued(Opt::Type, "TYPE", ValueKind::Text, "only keys of this type; `queue` is the only one"),
        ],
        reply: "`[cursor, [queue ...]]`",
        ..KEY_READ
    },
    CommandSpec {
        id: CommandId::Dbsize,
        name: "dbsize",
        arity: 1,
        summary: "Counts the queues",
        reply: "a count",
        ..KEY_READ
    },
    CommandSpec {
        id: CommandId::Multi,
        name: "multi",
        arity: 1,
        flags: TRANSACTION.flags.and(Flags::NO_MULTI),
        summary: "Starts a transaction: what follows is queued until EXEC",
        reply: "OK",
        ..TRANSACTION
    },
    CommandSpec {
        id: CommandId::Exec,
        name: "exec",
        arity: 1,
        flags: ALWAYS,
        categories: Categories::SLOW.and(Categories::TRANSACTION),
        summary: "Runs what was queued, as one step and one record of the log",
        complexity: "Depends on the commands",
        reply: "an array with one reply per command",
        errors: &[ErrorCode::ExecAbort, ErrorCode::MisConf],
        ..TRANSACTION
    },
    CommandSpec {
        id: CommandId::Discard,
        name: "discard",
        arity: 1,
        summary: "Forgets what was queued",
        reply: "OK",
        ..TRANSACTION
    },
    CommandSpec {
        id: CommandId::Time,
        name: "time",
        arity: 1,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        categories: Categories::FAST,
        summary: "Shows the server's clock",
        reply: "seconds and microseconds since 1970",
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Shutdown,
        name: "shutdown",
        arity: -1,
        flags: SERVER.flags.and(Flags::NO_MULTI),
        summary: "Answers what it has, syncs the log and ends the server",
        arguments: &[any("modifier", WordKind::String)],
        reply: "none: the connection closes",
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Waitaof,
        name: "waitaof",
        arity: 4,
        flags: Flags::BLOCKING,
        categories: Categories::SLOW.and(Categories::BLOCKING).and(Categories::CONNECTION),
        group: Group::Generic,
        summary: "Waits until all that this connection staged is on disk",
        arguments: &[
            one("numlocal", WordKind::Integer),
            one("numreplicas", WordKind::Integer),
            one("timeout", WordKind::Integer),
        ],
        reply: "`[1, 0]`, or `[0, 0]` when the time was up first",
        errors: &[ErrorCode::MisConf],
        ..BASE
    },
    CommandSpec { id: CommandId::Eval, name: "eval", arity: -3, ..SCRIPT },
    CommandSpec { id: CommandId::EvalRo, name: "eval_ro", arity: -3, ..SCRIPT },
    CommandSpec { id: CommandId::Evalsha, name: "evalsha", arity: -3, ..SCRIPT },
    CommandSpec { id: CommandId::EvalshaRo, name: "evalsha_ro", arity: -3, ..SCRIPT },
    CommandSpec { id: CommandId::Fcall, name: "fcall", arity: -3, ..SCRIPT },
    CommandSpec { id: CommandId::FcallRo, name: "fcall_ro", arity: -3, ..SCRIPT },
    CommandSpec { id: CommandId::Script, name: "script", ..SCRIPT },
];
