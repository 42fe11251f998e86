//! Rows of QWORKER: workers about themselves, and operators about them.

use super::row::{BASE, HELP, one};
use super::words::{MATCH, valued};
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Number, Opt, OptionSpec, ValueKind, WordKind,
};
use crate::ErrorCode;
use crate::limits::WORKER_NUMBER_MAX;

const NUMBER: ValueKind = ValueKind::Number(Number::Between(0, WORKER_NUMBER_MAX));

const GROUPS: OptionSpec =
    valued(Opt::Groups, "GROUPS", ValueKind::Text, "the groups of its slots, in words of its own");
const HOST: OptionSpec = valued(Opt::Host, "HOST", ValueKind::Name, "where it runs");
const JOBS: OptionSpec = valued(Opt::Jobs, "JOBS", NUMBER, "how many jobs it does now");
const PID: OptionSpec = valued(Opt::Pid, "PID", NUMBER, "its process");
const SLOTS: OptionSpec = valued(Opt::Slots, "SLOTS", NUMBER, "how many jobs it does at once");
const VERSION: OptionSpec = valued(
    Opt::Version,
    "VERSION",
    ValueKind::Name,
    "of the code that does its jobs; its claims count for it",
);

const BYE_HOST: OptionSpec =
    valued(Opt::Host, "HOST", ValueKind::Name, "only if the worker of this name runs there");
const BYE_PID: OptionSpec =
    valued(Opt::Pid, "PID", NUMBER, "only if the worker of this name is this process");

const NAME: Argument = one("name", WordKind::String);

/// What a worker says.
const SPOKEN: CommandSpec = CommandSpec {
    flags: Flags::FAST.and(Flags::NO_MULTI),
    categories: Categories::FAST.and(Categories::QUEUE).and(Categories::CLAIM),
    group: Group::Operator,
    ..BASE
};

/// What operators tell it.
const ORDER: CommandSpec = CommandSpec {
    arity: 3,
    flags: Flags::FAST,
    categories: Categories::FAST.and(Categories::QUEUE).and(Categories::OPERATE),
    arguments: &[NAME],
    reply: "OK; an error when no worker of this name is heard",
    ..SPOKEN
};

/// What they see.
const SEEN: CommandSpec = CommandSpec {
    flags: Flags::READONLY,
    categories: Categories::READ.and(Categories::SLOW).and(Categories::QUEUE).and(Categories::OPERATE),
    ..SPOKEN
};

pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    id: CommandId::Qworker,
    name: "qworker",
    arity: -2,
    flags: Flags::NONE,
    categories: Categories::SLOW.and(Categories::QUEUE),
    summary: "Who does the jobs",
    complexity: "Depends on subcommand",
    subcommands: &[
        CommandSpec {
            id: CommandId::QworkerBeat,
            name: "beat",
            arity: -3,
            summary: "Says that a worker is alive; one that is not heard for 60 s is reported and forgotten",
            complexity: "O(1), and O(S) in the shards when the version is new",
            arguments: &[NAME, Argument::Options],
            options: &[GROUPS, HOST, JOBS, PID, SLOTS, VERSION],
            reply: "what it is to do: `ok`, `quiet` (claim nothing more) or `stop` (finish what it has, and end). Another \
                PID takes the name over; the process that had it before is still answered, and changes nothing",
            ..SPOKEN
        },
        CommandSpec {
            id: CommandId::QworkerBye,
            name: "bye",
            arity: -3,
            flags: Flags::WRITE.and(Flags::NO_MULTI),
            categories: Categories::WRITE.and(Categories::SLOW).and(Categories::QUEUE).and(Categories::CLAIM),
            summary: "Says that a worker ends, and gives back at once what it has claimed; no attempt is used",
            complexity: "O(Q + M log N) for Q queues and M jobs, in bounded steps that hold nobody up",
            arguments: &[NAME, Argument::Options],
            options: &[BYE_HOST, BYE_PID],
            reply: "how many jobs were given back",
            errors: &[ErrorCode::MisConf],
            ..SPOKEN
        },
        CommandSpec { group: Group::Operator, ..HELP },
        CommandSpec {
            id: CommandId::QworkerList,
            name: "list",
            arity: 2,
            summary: "Lists the workers that are heard",
            complexity: "O(W + Q) for W workers and Q queues",
            reply: "an array of maps `name order version host pid slots jobs claimed groups since heard-ms`: `order` is what \
                BEAT answers, `jobs` is what it says, `claimed` what the server knows",
            ..SEEN
        },
        CommandSpec {
            id: CommandId::QworkerQuiet,
            name: "quiet",
            summary: "Tells a worker to claim nothing more; it does so at its next beat",
            ..ORDER
        },
        CommandSpec {
            id: CommandId::QworkerResume,
            name: "resume",
            summary: "Takes back what a worker was told by QUIET or STOP",
            ..ORDER
        },
        CommandSpec {
            id: CommandId::QworkerStop,
            name: "stop",
            summary: "Tells a worker to finish what it has, and to end; it does so at its next beat",
            ..ORDER
        },
        CommandSpec {
            id: CommandId::QworkerVersions,
            name: "versions",
            arity: -2,
            summary: "Shows how the claims of each version of workers ended, since the server's start; a queue keeps the \
                last 16 versions",
            complexity: "O(Q) in the queues",
            arguments: &[Argument::Options],
            options: &[MATCH],
            reply: "an array of maps `queue version acked nacked lapsed`",
            ..SEEN
        },
    ],
    ..SEEN
}];
