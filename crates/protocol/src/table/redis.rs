//! Rows of Redis's own commands that we answer, so that every client library can connect.

use super::row::{BASE, HELP, any, many, one, optional};
use super::words::valued;
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Number, Opt, ValueKind, WordKind,
};
use crate::ErrorCode;

const ALWAYS: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);

const CONNECTION: CommandSpec = CommandSpec {
    flags: ALWAYS.and(Flags::FAST),
    categories: Categories::FAST.and(Categories::CONNECTION),
    group: Group::Connection,
    ..BASE
};

const BEFORE_AUTH: CommandSpec = CommandSpec { flags: CONNECTION.flags.and(Flags::NO_AUTH), ..CONNECTION };

const SLOW_CONNECTION: CommandSpec = CommandSpec {
    flags: ALWAYS,
    categories: Categories::SLOW.and(Categories::CONNECTION),
    group: Group::Connection,
    ..BASE
};

const CONNECTION_HELP: CommandSpec =
    CommandSpec { categories: HELP.categories.and(Categories::CONNECTION), group: Group::Connection, ..HELP };

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
        id: CommandId::Ping,
        name: "ping",
        arity: -1,
        flags: Flags::FAST,
        summary: "Asks whether the server answers",
        arguments: &[optional("message", WordKind::String)],
        reply: "PONG, or the message",
        ..CONNECTION
    },
    CommandSpec {
        id: CommandId::Echo,
        name: "echo",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        summary: "Answers the message",
        arguments: &[one("message", WordKind::String)],
        reply: "the message",
        ..CONNECTION
    },
    CommandSpec {
        id: CommandId::Hello,
        name: "hello",
        arity: -1,
        summary: "Chooses the protocol, and may authenticate and name the connection",
        arguments: &[optional("protover", WordKind::Integer), Argument::Options],
        options: &[
            valued(Opt::Auth, "AUTH", ValueKind::Login, "authenticates with this user and password"),
            valued(Opt::SetName, "SETNAME", ValueKind::Text, "names the connection"),
        ],
        reply: "a map of `server version proto id mode role modules`",
        errors: &[ErrorCode::NoProto, ErrorCode::WrongPass],
        ..BEFORE_AUTH
    },
    CommandSpec {
        id: CommandId::Auth,
        name: "auth",
        arity: -2,
        summary: "Authenticates the connection",
        arguments: &[optional("username", WordKind::String), one("password", WordKind::String)],
        reply: "OK",
        errors: &[ErrorCode::WrongPass],
        ..BEFORE_AUTH
    },
    CommandSpec {
        id: CommandId::Select,
        name: "select",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        summary: "Selects database 0, the only one",
        arguments: &[one("index", WordKind::Integer)],
        reply: "OK",
        ..CONNECTION
    },
    CommandSpec {
        id: CommandId::Quit,
        name: "quit",
        arity: -1,
        summary: "Closes the connection",
        reply: "OK",
        ..BEFORE_AUTH
    },
    CommandSpec {
        id: CommandId::Reset,
        name: "reset",
        arity: 1,
        summary: "Takes the connection back to how it started",
        reply: "RESET",
        ..BEFORE_AUTH
    },
    CommandSpec {
        id: CommandId::Client,
        name: "client",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "Connections of clients",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::ClientGetname,
                name: "getname",
                arity: 2,
                summary: "Shows the connection's name",
                reply: "the name, or nil",
                ..SLOW_CONNECTION
            },
            CONNECTION_HELP,
            CommandSpec {
                id: CommandId::ClientId,
                name: "id",
                arity: 2,
                summary: "Shows the connection's number",
                reply: "a number",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientInfo,
                name: "info",
                arity: 2,
                summary: "Shows what is known about the connection",
                reply: "a line of `field=value`",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientList,
                name: "list",
                arity: -2,
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SERVER.categories.and(Categories::CONNECTION),
                summary: "Shows what is known about every connection",
                complexity: "O(C) in the connections",
                arguments: &[any("filter", WordKind::String)],
                reply: "a line of `field=value` for each",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientSetinfo,
                name: "setinfo",
                arity: 4,
                summary: "Says which library the client uses: LIB-NAME or LIB-VER",
                arguments: &[one("attribute", WordKind::String), one("value", WordKind::String)],
                reply: "OK",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientSetname,
                name: "setname",
                arity: 3,
                summary: "Names the connection",
                arguments: &[one("name", WordKind::String)],
                reply: "OK",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientUnblock,
                name: "unblock",
                arity: -3,
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SERVER.categories.and(Categories::CONNECTION),
                summary: "Ends the wait of a connection's blocked claim, as if its time were up or with ERROR",
                arguments: &[one("id", WordKind::Integer), optional("TIMEOUT | ERROR", WordKind::String)],
                reply: "1 when it was blocked, else 0",
                ..SLOW_CONNECTION
            },
        ],
        ..SLOW_CONNECTION
    },
    CommandSpec {
        id: CommandId::Command,
        name: "command",
        arity: -1,
        flags: Flags::LOADING.and(Flags::STALE),
        summary: "Describes all commands",
        complexity: "O(C) in the commands",
        reply: "an array with one description per command",
        subcommands: &[
            CommandSpec {
                id: CommandId::CommandCount,
                name: "count",
                arity: 2,
                summary: "Counts the commands",
                reply: "a count",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::CommandDocs,
                name: "docs",
                arity: -2,
                summary: "Documents commands",
                complexity: "O(C) in the commands",
                arguments: &[any("command", WordKind::String)],
                reply: "a map of command to its documentation",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::CommandGetkeys,
                name: "getkeys",
                arity: -3,
                summary: "Shows which words of a command are keys",
                complexity: "O(N) in the words",
                arguments: &[one("command", WordKind::String), any("arg", WordKind::String)],
                reply: "an array of keys",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::CommandGetkeysandflags,
                name: "getkeysandflags",
                arity: -3,
                summary: "Shows which words of a command are keys, and what it does to them",
                complexity: "O(N) in the words",
                arguments: &[one("command", WordKind::String), any("arg", WordKind::String)],
                reply: "an array of `[key, [flag ...]]`",
                ..SLOW_CONNECTION
            },
            CONNECTION_HELP,
            CommandSpec {
                id: CommandId::CommandInfo,
                name: "info",
                arity: -2,
                summary: "Describes commands",
                complexity: "O(C) in the commands",
                arguments: &[any("command", WordKind::String)],
                reply: "an array with one description, or nil, per name",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::CommandList,
                name: "list",
                arity: -2,
                summary: "Lists the names of commands; FILTERBY MODULE, ACLCAT or PATTERN selects",
                complexity: "O(C) in the commands",
                arguments: &[any("filter", WordKind::String)],
                reply: "an array of names",
                ..SLOW_CONNECTION
            },
        ],
        ..SLOW_CONNECTION
    },
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
