//! Rows of the commands that add jobs.

use super::row::{BASE, QUEUE, one};
use super::words::{MS, SOME_MS, flag, valued};
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Number, Opt, OptionSpec, ValueKind,
    WordKind,
};
use crate::ErrorCode;
use crate::limits;

const AT: OptionSpec = valued(
    Opt::At,
    "AT",
    ValueKind::Number(Number::Instant),
    "not ready before this instant; one in the past is now",
)
.excluding(&[Opt::Delay]);
const ATTEMPTS: OptionSpec = valued(
    Opt::Attempts,
    "ATTEMPTS",
    ValueKind::Number(Number::Between(0, u32::MAX as u64)),
    "overrides the queue's limit; 1 means no retry, 0 no limit",
);
const DEDUPE: OptionSpec = valued(
    Opt::Dedupe,
    "DEDUPE",
    ValueKind::Name,
    "while (queue, group, key) is held the push is dropped as a duplicate",
);
const DELAY: OptionSpec =
    valued(Opt::Delay, "DELAY", MS, "not ready before so many milliseconds").excluding(&[Opt::At]);
const GROUP: OptionSpec = valued(Opt::Group, "GROUP", ValueKind::Group, "the tenant that the job belongs to");
const NEXT: OptionSpec = valued(Opt::Next, "NEXT", ValueKind::Payload, "starts the next job");
const NOSYNC: OptionSpec =
    flag(Opt::NoSync, "NOSYNC", "the reply does not wait for the disk, whatever the policy")
        .excluding(&[Opt::Sync])
        .first_job();
const PRIORITY: OptionSpec = valued(
    Opt::Priority,
    "PRIORITY",
    ValueKind::Number(Number::Between(0, limits::PRIORITY_MAX as u64)),
    "higher is claimed first within its group; 0 by default",
);
const REPLACE: OptionSpec = flag(
    Opt::Replace,
    "REPLACE",
    "a holder that is delayed or ready takes this push's payload, due time, priority and terms",
)
.needing(Opt::Dedupe);
const ROOT: OptionSpec = valued(
    Opt::Root,
    "ROOT",
    ValueKind::Root,
    "the event behind the job; a job of an older event than the newest known is superseded",
);
const STATUS: OptionSpec = flag(
    Opt::Status,
    "STATUS",
    "the reply is `[status, id]`, status `ready delayed replaced duplicate superseded`",
)
.first_job();
const SYNC: OptionSpec = flag(Opt::Sync, "SYNC", "the reply waits for the disk, whatever the policy")
    .excluding(&[Opt::NoSync])
    .first_job();
const TTL: OptionSpec = valued(
    Opt::Ttl,
    "TTL",
    SOME_MS,
    "the job is dropped when it was not claimed so long after the push or its first due time",
);
const UNTIL: OptionSpec = valued(
    Opt::Until,
    "UNTIL",
    ValueKind::Choice(&["CLAIM", "DONE"]),
    "how long the job holds its dedupe key; CLAIM by default",
)
.needing(Opt::Dedupe);
const WINDOW: OptionSpec =
    valued(Opt::Window, "WINDOW", MS, "besides, the dedupe key is held for so long after the push")
        .needing(Opt::Dedupe);

const PUSH: CommandSpec = CommandSpec {
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    categories: Categories::WRITE.and(Categories::FAST).and(Categories::QUEUE).and(Categories::PUSH),
    keys: Keys::One(1),
    group: Group::Producer,
    errors: &[ErrorCode::Paused, ErrorCode::Full, ErrorCode::MisConf],
    ..BASE
};

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        id: CommandId::Qpush,
        name: "qpush",
        arity: -3,
        summary: "Adds a job to a queue",
        complexity: "O(log N) in the jobs of the group",
        arguments: &[QUEUE, one("payload", WordKind::String), Argument::Options],
        options: &[
            AT, ATTEMPTS, DEDUPE, DELAY, GROUP, NOSYNC, PRIORITY, REPLACE, ROOT, STATUS, SYNC, TTL, UNTIL,
            WINDOW,
        ],
        reply: "the job's id, or nil when it was not added (duplicate or superseded); with STATUS `[status, id]`",
        ..PUSH
    },
    CommandSpec {
        id: CommandId::Qmpush,
        name: "qmpush",
        arity: -3,
        summary: "Adds several jobs to a queue, all or none",
        complexity: "O(M log N) for M jobs",
        arguments: &[QUEUE, one("payload", WordKind::String), Argument::Options],
        options: &[
            AT, ATTEMPTS, DEDUPE, DELAY, GROUP, NEXT, NOSYNC, PRIORITY, REPLACE, ROOT, STATUS, SYNC, TTL,
            UNTIL, WINDOW,
        ],
        reply: "an array with one QPUSH reply per job",
        ..PUSH
    },
    CommandSpec {
        id: CommandId::Qroot,
        name: "qroot",
        arity: -4,
        summary: "Registers the newest timestamp of a root, which supersedes the jobs of older ones",
        arguments: &[
            QUEUE,
            one("signature", WordKind::String),
            one("timestamp", WordKind::Integer),
            Argument::Options,
        ],
        options: &[valued(Opt::Group, "GROUP", ValueKind::Group, "the root's group")],
        reply: "1 when it is now the newest or equal to it, 0 when a newer one is registered",
        errors: &[ErrorCode::Full, ErrorCode::MisConf],
        ..PUSH
    },
];
