//! Rows of ACL: users, and what they may do.

use super::row::{ALWAYS, BASE, HELP, any, many, one, optional};
use super::{Categories, CommandId, CommandSpec, Flags, Group, WordKind};
use crate::ErrorCode;

/// For operators.
const USERS: CommandSpec = CommandSpec {
    flags: ALWAYS.and(Flags::ADMIN),
    categories: Categories::ADMIN.and(Categories::SLOW).and(Categories::DANGEROUS),
    group: Group::Server,
    ..BASE
};

/// For everybody.
const HARMLESS: CommandSpec =
    CommandSpec { flags: ALWAYS, categories: Categories::SLOW, group: Group::Server, ..BASE };

pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    id: CommandId::Acl,
    name: "acl",
    arity: -2,
    flags: Flags::NONE,
    categories: Categories::SLOW,
    group: Group::Server,
    summary: "Users and what they may do",
    complexity: "Depends on subcommand",
    subcommands: &[
        CommandSpec {
            id: CommandId::AclCat,
            name: "cat",
            arity: -2,
            summary: "Lists the categories of commands, or the commands of one",
            complexity: "O(C) in the commands",
            arguments: &[optional("category", WordKind::String)],
            reply: "an array of names",
            ..HARMLESS
        },
        CommandSpec {
            id: CommandId::AclDeluser,
            name: "deluser",
            arity: -3,
            summary: "Deletes users and closes their connections; `default` stays",
            complexity: "O(N) in the connections",
            arguments: &[many("username", WordKind::String)],
            reply: "how many there were",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclDryrun,
            name: "dryrun",
            arity: -4,
            summary: "Says whether a user might run a command, without running it",
            arguments: &[
                one("username", WordKind::String),
                one("command", WordKind::String),
                any("arg", WordKind::String),
            ],
            reply: "OK, or why not",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclGenpass,
            name: "genpass",
            arity: -2,
            summary: "Makes a password of random bits, 256 by default",
            arguments: &[optional("bits", WordKind::Integer)],
            reply: "hex digits",
            ..HARMLESS
        },
        CommandSpec {
            id: CommandId::AclGetuser,
            name: "getuser",
            arity: 3,
            summary: "Shows a user's rules",
            complexity: "O(N) in its rules",
            arguments: &[one("username", WordKind::String)],
            reply: "a map of `flags passwords commands keys channels selectors`, or nil",
            ..USERS
        },
        CommandSpec { group: Group::Server, ..HELP },
        CommandSpec {
            id: CommandId::AclList,
            name: "list",
            arity: 2,
            summary: "Shows all users as lines of the ACL file; passwords are hashes",
            complexity: "O(U) in the users",
            reply: "an array of lines",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclLoad,
            name: "load",
            arity: 2,
            flags: USERS.flags.and(Flags::NO_MULTI),
            summary: "Reads the ACL file again; a bad line changes nothing",
            complexity: "O(U) in the users",
            reply: "OK",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclLog,
            name: "log",
            arity: -2,
            summary: "Shows what was refused to whom lately, or forgets it",
            complexity: "O(N) in the entries",
            arguments: &[optional("count | RESET", WordKind::String)],
            reply: "an array of maps, newest first",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclSave,
            name: "save",
            arity: 2,
            flags: USERS.flags.and(Flags::NO_MULTI),
            summary: "Writes the users to the ACL file",
            complexity: "O(U) in the users",
            reply: "OK",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclSetuser,
            name: "setuser",
            arity: -3,
            summary: "Makes or changes a user; a wrong rule changes nothing",
            complexity: "O(N) in the rules",
            arguments: &[one("username", WordKind::String), any("rule", WordKind::String)],
            reply: "OK",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclUsers,
            name: "users",
            arity: 2,
            summary: "Lists the names of all users",
            complexity: "O(U) in the users",
            reply: "an array of names",
            ..USERS
        },
        CommandSpec {
            id: CommandId::AclWhoami,
            name: "whoami",
            arity: 2,
            summary: "Shows the connection's user",
            reply: "a name",
            errors: &[ErrorCode::NoAuth],
            ..HARMLESS
        },
    ],
    ..BASE
}];
