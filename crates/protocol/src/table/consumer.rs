//! Rows of the commands that run jobs.

use super::row::{BASE, QUEUE, many, one};
use super::words::{GROUP, MS, SOME_MS, flag, valued};
use super::{
    Argument, Categories, CommandId, CommandSpec, Flags, Group, Keys, Number, Opt, OptionSpec, ValueKind,
    WordKind,
};
use crate::ErrorCode;

const ACK: OptionSpec = valued(
    Opt::Ack,
    "ACK",
    ValueKind::Receipts,
    "acks these at once, before any waiting; 0 of them is allowed",
);
const BLOCK: OptionSpec = valued(Opt::Block, "BLOCK", MS, "waits so long until there is a job; 0 for ever");
const BOUND: OptionSpec = flag(Opt::Bound, "BOUND", "the leases end when the connection does, too");
const COUNT: OptionSpec =
    valued(Opt::Count, "COUNT", ValueKind::Number(Number::ClaimJobs), "at most so many jobs, 1 by default");
const DEAD: OptionSpec = flag(Opt::Dead, "DEAD", "no retry").excluding(&[Opt::Delay]);
const EXCEPT: OptionSpec =
    valued(Opt::Except, "EXCEPT", ValueKind::Globs, "but no queue that matches one of these globs")
        .needing(Opt::Match);
const LEASE: OptionSpec =
    valued(Opt::Lease, "LEASE", SOME_MS, "how long the claim holds; the queue's setting by default");
const MATCH: OptionSpec =
    valued(Opt::Match, "MATCH", ValueKind::Globs, "queues that match one of these globs, in turns")
        .excluding(&[Opt::Queues]);
const META: OptionSpec = flag(Opt::Meta, "META", "a map of the job's fields follows its attempt");
const QUEUES: OptionSpec =
    valued(Opt::Queues, "QUEUES", ValueKind::Queues, "these queues, earlier ones first")
        .excluding(&[Opt::Match]);
const WORKER: OptionSpec = valued(Opt::Worker, "WORKER", ValueKind::Name, "the worker that claims");

const JOBS: &str = "an array of `[queue, receipt, payload, attempt]`, possibly empty; with META a fifth element, a \
    map of `group priority pushed-at ready-at lease-until failures root-signature root-timestamp dedupe last-error`";

const CLAIM: CommandSpec = CommandSpec {
    flags: Flags::WRITE.and(Flags::FAST),
    categories: Categories::WRITE.and(Categories::FAST).and(Categories::QUEUE).and(Categories::CLAIM),
    keys: Keys::One(1),
    group: Group::Consumer,
    errors: &[ErrorCode::MisConf],
    ..BASE
};

const RECEIPTS: &[Argument] = &[QUEUE, many("receipt", WordKind::String)];

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        id: CommandId::Qclaim,
        name: "qclaim",
        arity: -2,
        flags: CLAIM.flags.and(Flags::BLOCKING),
        categories: CLAIM.categories.and(Categories::BLOCKING),
        summary: "Takes jobs from a queue for the length of a lease",
        complexity: "O(M log N) for M jobs",
        arguments: &[QUEUE, Argument::Options],
        options: &[ACK, BLOCK, BOUND, COUNT, GROUP, LEASE, META, WORKER],
        reply: JOBS,
        errors: &[ErrorCode::MisConf, ErrorCode::Unblocked],
        ..CLAIM
    },
    CommandSpec {
        id: CommandId::Qmclaim,
        name: "qmclaim",
        arity: -4,
        flags: CLAIM.flags.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        categories: CLAIM.categories.and(Categories::BLOCKING),
        keys: Keys::Counted("QUEUES"),
        summary: "Takes jobs from several queues; QUEUES or MATCH comes first",
        complexity: "O(Q + M log N) for Q queues and M jobs",
        arguments: &[Argument::Options],
        options: &[BLOCK, BOUND, COUNT, EXCEPT, GROUP, LEASE, MATCH, META, QUEUES, WORKER],
        reply: JOBS,
        errors: &[ErrorCode::MisConf, ErrorCode::Unblocked],
        ..CLAIM
    },
    CommandSpec {
        id: CommandId::Qack,
        name: "qack",
        arity: -3,
        summary: "Ends claims whose jobs are done",
        complexity: "O(M) for M receipts",
        arguments: RECEIPTS,
        reply: "how many were acked now; a stale or unknown receipt counts 0",
        ..CLAIM
    },
    CommandSpec {
        id: CommandId::Qnack,
        name: "qnack",
        arity: -3,
        summary: "Ends a claim whose job failed",
        complexity: "O(log N)",
        arguments: &[QUEUE, one("receipt", WordKind::String), Argument::Options],
        options: &[
            DEAD,
            valued(
                Opt::Delay,
                "DELAY",
                MS,
                "the next attempt is so far away, instead of the queue's back-off",
            )
            .excluding(&[Opt::Dead]),
            valued(Opt::Error, "ERROR", ValueKind::Text, "why it failed; the first 4 KiB are kept and shown"),
        ],
        reply: "`retry`, `dead`, `superseded` or `stale`",
        ..CLAIM
    },
    CommandSpec {
        id: CommandId::Qrelease,
        name: "qrelease",
        arity: -3,
        summary: "Gives jobs back without having tried them",
        complexity: "O(M log N) for M receipts",
        arguments: &[QUEUE, Argument::Options, many("receipt", WordKind::String)],
        options: &[valued(Opt::Delay, "DELAY", MS, "they become ready so much later")],
        reply: "how many were given back",
        ..CLAIM
    },
    CommandSpec {
        id: CommandId::Qextend,
        name: "qextend",
        arity: -4,
        summary: "Lets leases end later",
        complexity: "O(M log N) for M receipts",
        arguments: &[QUEUE, one("ms", WordKind::Integer), many("receipt", WordKind::String)],
        reply: "how many leases now end `ms` from now (at most the queue's `run-max` after the claim)",
        ..CLAIM
    },
];
