//! Rows of Redis's commands on keys and transactions, and of its scripts, which are refused.

use super::row::{ALWAYS, BASE, HELP, many, one};
use super::words::valued;
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Number, Opt, ValueKind, WordKind,
};
use crate::ErrorCode;

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

const OBJECT: CommandSpec = CommandSpec {
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE.and(Categories::READ).and(Categories::SLOW),
    keys: Keys::One(2),
    group: Group::Generic,
    arguments: &[one("key", WordKind::Key)],
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
        id: CommandId::Keys,
        name: "keys",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::KEYSPACE
            .and(Categories::READ)
            .and(Categories::SLOW)
            .and(Categories::DANGEROUS),
        summary: "Lists the queues whose name matches the glob",
        complexity: "O(Q) in the queues; SCAN does it in steps",
        arguments: &[one("pattern", WordKind::Pattern)],
        reply: "an array of names",
        ..KEY_READ
    },
    CommandSpec {
        id: CommandId::Randomkey,
        name: "randomkey",
        arity: 1,
        flags: Flags::READONLY,
        categories: Categories::KEYSPACE.and(Categories::READ).and(Categories::SLOW),
        summary: "Shows the name of some queue",
        reply: "a name, or nil when there are no queues",
        ..KEY_READ
    },
    CommandSpec {
        id: CommandId::Object,
        name: "object",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "How a queue is kept",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::ObjectEncoding,
                name: "encoding",
                summary: "Shows how a queue is kept in memory",
                reply: "`slab`, or nil for a missing queue",
                ..OBJECT
            },
            CommandSpec {
                id: CommandId::ObjectFreq,
                name: "freq",
                summary: "Refused: nothing is evicted, so nothing counts accesses",
                reply: "an error, or nil for a missing queue",
                ..OBJECT
            },
            CommandSpec {
                categories: HELP.categories.and(Categories::KEYSPACE),
                group: Group::Generic,
                ..HELP
            },
            CommandSpec {
                id: CommandId::ObjectIdletime,
                name: "idletime",
                summary: "Shows for how long nothing happened to a queue",
                reply: "seconds, or nil for a missing queue",
                ..OBJECT
            },
            CommandSpec {
                id: CommandId::ObjectRefcount,
                name: "refcount",
                summary: "Shows 1: queues are not shared",
                reply: "1, or nil for a missing queue",
                ..OBJECT
            },
        ],
        group: Group::Generic,
        ..BASE
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
        id: CommandId::Watch,
        name: "watch",
        arity: -2,
        flags: TRANSACTION.flags.and(Flags::NO_MULTI),
        keys: Keys::From(1),
        summary: "Lets the next EXEC do nothing if one of these queues changes before it, by a timer too",
        complexity: "O(Q) for Q queues",
        arguments: &[many("queue", WordKind::Key)],
        reply: "OK",
        ..TRANSACTION
    },
    CommandSpec {
        id: CommandId::Unwatch,
        name: "unwatch",
        arity: 1,
        summary: "Forgets what WATCH was told",
        reply: "OK",
        ..TRANSACTION
    },
    CommandSpec {
        id: CommandId::Wait,
        name: "wait",
        arity: 3,
        flags: Flags::NOSCRIPT,
        categories: Categories::SLOW.and(Categories::CONNECTION),
        group: Group::Generic,
        summary: "Counts the replicas that have all that this connection wrote: there are none",
        arguments: &[one("numreplicas", WordKind::Integer), one("timeout", WordKind::Integer)],
        reply: "0, after the timeout when more are asked for",
        ..BASE
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
