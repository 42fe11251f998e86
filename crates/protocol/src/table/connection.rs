//! Rows of Redis's commands on connections, and of COMMAND, so that every client library can connect.

use super::row::{ALWAYS, BASE, HELP, any, many, one, optional};
use super::words::valued;
use super::{Argument, Categories, CommandId, CommandSpec, Flags, Group, Opt, ValueKind, WordKind};
use crate::ErrorCode;

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
                id: CommandId::ClientKill,
                name: "kill",
                arity: -3,
                summary: "Closes the connections that match: ID, ADDR, LADDR, TYPE, USER, SKIPME; or one by its address",
                complexity: "O(C) in the connections",
                arguments: &[many("filter", WordKind::String)],
                reply: "how many were closed, or OK for an address",
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SLOW_CONNECTION.categories.and(Categories::ADMIN).and(Categories::DANGEROUS),
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientList,
                name: "list",
                arity: -2,
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SLOW_CONNECTION.categories.and(Categories::ADMIN).and(Categories::DANGEROUS),
                summary: "Shows what is known about every connection",
                complexity: "O(C) in the connections",
                arguments: &[any("filter", WordKind::String)],
                reply: "a line of `field=value` for each",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientNoEvict,
                name: "no-evict",
                arity: 3,
                summary: "Accepted: no client is evicted for its memory",
                arguments: &[one("ON | OFF", WordKind::String)],
                reply: "OK",
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SLOW_CONNECTION.categories.and(Categories::ADMIN).and(Categories::DANGEROUS),
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientNoTouch,
                name: "no-touch",
                arity: 3,
                summary: "Accepted: no command counts accesses",
                arguments: &[one("ON | OFF", WordKind::String)],
                reply: "OK",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientPause,
                name: "pause",
                arity: -3,
                summary: "Lets all clients wait for so many milliseconds, or those that write",
                arguments: &[one("timeout", WordKind::Integer), optional("WRITE | ALL", WordKind::String)],
                reply: "OK",
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SLOW_CONNECTION.categories.and(Categories::ADMIN).and(Categories::DANGEROUS),
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientReply,
                name: "reply",
                arity: 3,
                summary: "Stops and resumes replies; SKIP leaves out the next one",
                arguments: &[one("ON | OFF | SKIP", WordKind::String)],
                reply: "OK, after ON only",
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
                categories: SLOW_CONNECTION.categories.and(Categories::ADMIN).and(Categories::DANGEROUS),
                summary: "Ends the wait of a connection's blocked claim, as if its time were up or with ERROR",
                arguments: &[one("id", WordKind::Integer), optional("TIMEOUT | ERROR", WordKind::String)],
                reply: "1 when it was blocked, else 0",
                ..SLOW_CONNECTION
            },
            CommandSpec {
                id: CommandId::ClientUnpause,
                name: "unpause",
                arity: 2,
                summary: "Ends CLIENT PAUSE",
                complexity: "O(C) in the waiting connections",
                reply: "OK",
                flags: SLOW_CONNECTION.flags.and(Flags::ADMIN),
                categories: SLOW_CONNECTION.categories.and(Categories::ADMIN).and(Categories::DANGEROUS),
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
];
