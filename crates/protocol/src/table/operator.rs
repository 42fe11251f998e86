//! Rows of the commands that watch and steer queues.

use super::row::{BASE, HELP, QUEUE, many, one, optional};
use super::words::{GROUP, KEY, KEY_GROUP, MATCH, SCAN_COUNT, SOME_MS, STATE, choice, valued};
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Number, Opt, OptSet, OptionSpec, Times,
    ValueKind, WordKind,
};
use crate::ErrorCode;
use crate::limits;

const STATE_WORDS: OptSet = OptSet::of(&[Opt::All, Opt::Claimed, Opt::Dead, Opt::Delayed, Opt::Ready]);
const ALL: OptionSpec = choice(Opt::All, "ALL", STATE_WORDS, "all jobs");
const CLAIMED: OptionSpec = choice(Opt::Claimed, "CLAIMED", STATE_WORDS, "claimed jobs");
const DEAD: OptionSpec = choice(Opt::Dead, "DEAD", STATE_WORDS, "dead jobs");
const DELAYED: OptionSpec = choice(Opt::Delayed, "DELAYED", STATE_WORDS, "delayed jobs");
const READY: OptionSpec = choice(Opt::Ready, "READY", STATE_WORDS, "ready jobs, which is the default");

const PAUSE_WORDS: OptSet = OptSet::of(&[Opt::All, Opt::Claim, Opt::Push]);

const ONE_ID_OR_OPTIONS: Argument =
    Argument::WordOrOptions { name: "id", kind: WordKind::String, times: Times::One };
const IDS_OR_OPTIONS: Argument =
    Argument::WordOrOptions { name: "id", kind: WordKind::String, times: Times::Many };

const READ: CommandSpec = CommandSpec {
    flags: Flags::READONLY,
    categories: Categories::READ.and(Categories::SLOW).and(Categories::QUEUE).and(Categories::OPERATE),
    keys: Keys::One(1),
    group: Group::Operator,
    ..BASE
};

const FAST_READ: CommandSpec = CommandSpec {
    flags: Flags::READONLY.and(Flags::FAST),
    categories: Categories::READ.and(Categories::FAST).and(Categories::QUEUE).and(Categories::OPERATE),
    ..READ
};

const WRITE: CommandSpec = CommandSpec {
    flags: Flags::WRITE,
    categories: Categories::WRITE.and(Categories::SLOW).and(Categories::QUEUE).and(Categories::OPERATE),
    errors: &[ErrorCode::MisConf],
    ..READ
};

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        id: CommandId::Qlen,
        name: "qlen",
        arity: -2,
        summary: "Counts the jobs of a queue",
        arguments: &[QUEUE, Argument::Options],
        options: &[ALL, CLAIMED, DEAD, DELAYED, GROUP, READY],
        reply: "a count",
        ..FAST_READ
    },
    CommandSpec {
        id: CommandId::Qstats,
        name: "qstats",
        arity: 2,
        summary: "Shows the counters of a queue",
        arguments: &[QUEUE],
        reply: "a map of `ready delayed claimed dead bytes memory groups oldest-ready-ms paused pushed duplicates replaced \
            superseded expired claims acked nacked released lapsed died stale-acks wait-p50-ms wait-p99-ms \
            wait-max-ms run-p50-ms run-p99-ms run-max-ms lane`; nil when there is no such queue",
        ..FAST_READ
    },
    CommandSpec {
        id: CommandId::Qlist,
        name: "qlist",
        arity: -1,
        keys: Keys::None,
        summary: "Lists the queues",
        complexity: "O(Q) in the queues, in bounded steps that hold nobody up",
        arguments: &[Argument::Options],
        options: &[MATCH],
        reply: "an array of maps `queue ready delayed claimed dead oldest-ready-ms paused`",
        ..READ
    },
    CommandSpec {
        id: CommandId::Qready,
        name: "qready",
        arity: -2,
        keys: Keys::None,
        summary: "Iterates over the pairs of queue and group that have ready jobs",
        complexity: "O(COUNT) a call",
        arguments: &[one("cursor", WordKind::Integer), Argument::Options],
        options: &[SCAN_COUNT, MATCH],
        reply: "`[cursor, [[queue, group, ready, oldest-ms] ...]]`",
        ..READ
    },
    CommandSpec {
        id: CommandId::Qpeek,
        name: "qpeek",
        arity: -2,
        summary: "Shows the jobs that are next, and claims none",
        complexity: "O(COUNT log N)",
        arguments: &[QUEUE, Argument::Options],
        options: &[
            CLAIMED,
            valued(
                Opt::Count,
                "COUNT",
                ValueKind::Number(Number::Between(1, limits::PEEK_JOBS_MAX as u64)),
                "at most so many jobs, 1 by default",
            ),
            DEAD,
            DELAYED,
            GROUP,
            READY,
        ],
        reply: "an array of jobs as QJOB maps",
        ..READ
    },
    CommandSpec {
        id: CommandId::Qjob,
        name: "qjob",
        arity: -3,
        summary: "Shows one job",
        arguments: &[QUEUE, ONE_ID_OR_OPTIONS],
        options: &[KEY_GROUP, KEY],
        reply: "a map of `id queue group state priority payload attempts failures attempts-max pushed-at ready-at \
            expires-at lease-until worker dedupe root-signature root-timestamp last-error`; nil when there is none",
        ..FAST_READ
    },
    CommandSpec {
        id: CommandId::Qscan,
        name: "qscan",
        arity: -3,
        summary: "Iterates over the ids of a queue",
        complexity: "O(COUNT) a call",
        arguments: &[QUEUE, one("cursor", WordKind::Integer), Argument::Options],
        options: &[SCAN_COUNT, GROUP, STATE],
        reply: "`[cursor, [id ...]]`, with SCAN's guarantees",
        ..READ
    },
    CommandSpec {
        id: CommandId::Qrequeue,
        name: "qrequeue",
        arity: -3,
        summary: "Makes dead or delayed jobs ready now",
        complexity: "O(M log N) for M jobs",
        arguments: &[QUEUE, IDS_OR_OPTIONS],
        options: &[
            valued(
                Opt::Count,
                "COUNT",
                ValueKind::Number(Number::Between(1, i64::MAX as u64)),
                "at most so many dead jobs",
            )
            .needing(Opt::Dead),
            choice(Opt::Dead, "DEAD", OptSet::NONE, "all dead jobs, instead of ids"),
            valued(Opt::Group, "GROUP", ValueKind::Group, "only dead jobs of this group").needing(Opt::Dead),
        ],
        reply: "how many",
        errors: &[ErrorCode::Full, ErrorCode::MisConf],
        ..WRITE
    },
    CommandSpec {
        id: CommandId::Qdel,
        name: "qdel",
        arity: -3,
        summary: "Deletes jobs in any state",
        complexity: "O(M log N) for M jobs",
        arguments: &[QUEUE, IDS_OR_OPTIONS],
        options: &[KEY_GROUP, KEY],
        reply: "how many",
        ..WRITE
    },
    CommandSpec {
        id: CommandId::Qpurge,
        name: "qpurge",
        arity: -2,
        flags: WRITE.flags.and(Flags::NO_MULTI),
        categories: WRITE.categories.and(Categories::DANGEROUS),
        summary: "Deletes the jobs that were there when it began",
        complexity: "O(N log N), in bounded steps that hold nobody up",
        arguments: &[QUEUE, Argument::Options],
        options: &[GROUP, STATE],
        reply: "how many",
        ..WRITE
    },
    CommandSpec {
        id: CommandId::Qpause,
        name: "qpause",
        arity: -2,
        summary: "Stops the claims of a queue, or its pushes",
        arguments: &[QUEUE, Argument::Options],
        options: &[
            choice(Opt::All, "ALL", PAUSE_WORDS, "both"),
            choice(Opt::Claim, "CLAIM", PAUSE_WORDS, "claims wait, which is the default"),
            valued(Opt::For, "FOR", SOME_MS, "only so long; also across a restart"),
            choice(Opt::Push, "PUSH", PAUSE_WORDS, "pushes get -PAUSED"),
        ],
        reply: "OK",
        ..WRITE
    },
    CommandSpec {
        id: CommandId::Qresume,
        name: "qresume",
        arity: 2,
        summary: "Ends the pauses of a queue",
        arguments: &[QUEUE],
        reply: "OK",
        ..WRITE
    },
    CommandSpec {
        id: CommandId::Qconfig,
        name: "qconfig",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW.and(Categories::QUEUE).and(Categories::OPERATE),
        keys: Keys::None,
        errors: &[],
        summary: "Live, durable settings of one queue",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::QconfigGet,
                name: "get",
                arity: -3,
                keys: Keys::One(2),
                summary: "Shows the settings of a queue",
                arguments: &[QUEUE, optional("setting", WordKind::String)],
                reply: "a map of setting to `[value, source]`, source `queue`, `file` or `default`",
                ..FAST_READ
            },
            CommandSpec { group: Group::Operator, ..HELP },
            CommandSpec {
                id: CommandId::QconfigSet,
                name: "set",
                arity: -5,
                keys: Keys::One(2),
                categories: WRITE.categories.and(Categories::ADMIN),
                summary: "Changes settings of a queue, all or none",
                complexity: "O(M) for M settings",
                arguments: &[QUEUE, many("setting value", WordKind::String)],
                reply: "OK",
                ..WRITE
            },
            CommandSpec {
                id: CommandId::QconfigUnset,
                name: "unset",
                arity: -4,
                keys: Keys::One(2),
                categories: WRITE.categories.and(Categories::ADMIN),
                summary: "Takes settings of a queue back to the file's value or the default",
                complexity: "O(M) for M settings",
                arguments: &[QUEUE, many("setting", WordKind::String)],
                reply: "OK",
                ..WRITE
            },
        ],
        ..WRITE
    },
];
