//! Rows of Redis's commands on the server itself: INFO, CONFIG and what operators debug with.

use super::row::{ALWAYS, BASE, HELP, any, many, one, optional};
use super::{Categories, CommandId, CommandSpec, Flags, Group, Keys, WordKind};
use crate::ErrorCode;

const SERVER: CommandSpec = CommandSpec {
    flags: ALWAYS.and(Flags::ADMIN),
    categories: Categories::ADMIN.and(Categories::SLOW).and(Categories::DANGEROUS),
    group: Group::Server,
    ..BASE
};

const SLOWLOG: CommandSpec =
    CommandSpec { flags: Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE), ..SERVER };

const MEMORY: CommandSpec = CommandSpec { flags: Flags::NONE, categories: Categories::SLOW, ..SERVER };

/// FLUSHDB and FLUSHALL: there is one database.
const FLUSH: CommandSpec = CommandSpec {
    arity: -1,
    complexity: "O(N) in the queues and their jobs",
    arguments: &[optional("ASYNC | SYNC", WordKind::String)],
    reply: "OK",
    flags: Flags::WRITE.and(Flags::NO_MULTI),
    categories: Categories::KEYSPACE.and(Categories::WRITE).and(Categories::SLOW).and(Categories::DANGEROUS),
    errors: &[ErrorCode::MisConf],
    ..SERVER
};

/// BACKUP: for `stanchion backup`. It shows everything that is in the log, payloads and all.
const BACKUP: CommandSpec = CommandSpec {
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_MULTI),
    errors: &[ErrorCode::MisConf],
    ..SERVER
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
                id: CommandId::ConfigResetstat,
                name: "resetstat",
                arity: 2,
                summary: "Sets the counters of INFO and the latencies back to zero",
                reply: "OK",
                ..SERVER
            },
            CommandSpec {
                id: CommandId::ConfigRewrite,
                name: "rewrite",
                arity: 2,
                summary: "Writes what CONFIG SET has changed into the configuration file",
                complexity: "O(N) in the settings",
                reply: "OK",
                ..SERVER
            },
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
        id: CommandId::Slowlog,
        name: "slowlog",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "Commands that took long",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::SlowlogGet,
                name: "get",
                arity: -2,
                summary: "Shows the newest entries of the slow log, 10 by default, -1 for all",
                complexity: "O(N) in the entries",
                arguments: &[optional("count", WordKind::Integer)],
                reply: "an array of `[number, unix time, microseconds, [word ...], address, client name]`",
                ..SLOWLOG
            },
            HELP,
            CommandSpec {
                id: CommandId::SlowlogLen,
                name: "len",
                arity: 2,
                summary: "Counts the entries of the slow log",
                reply: "a count",
                ..SLOWLOG
            },
            CommandSpec {
                id: CommandId::SlowlogReset,
                name: "reset",
                arity: 2,
                summary: "Forgets the entries of the slow log",
                complexity: "O(N) in the entries",
                reply: "OK",
                ..SLOWLOG
            },
        ],
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Latency,
        name: "latency",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "How long commands and the server's own work take",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::LatencyDoctor,
                name: "doctor",
                arity: 2,
                summary: "Says in words what took long and what to do about it",
                reply: "text",
                ..SERVER
            },
            CommandSpec {
                id: CommandId::LatencyGraph,
                name: "graph",
                arity: 3,
                summary: "Draws the samples of an event",
                arguments: &[one("event", WordKind::String)],
                reply: "text",
                ..SERVER
            },
            HELP,
            CommandSpec {
                id: CommandId::LatencyHistogram,
                name: "histogram",
                arity: -2,
                summary: "Shows how long commands took, as cumulative counts by powers of two",
                complexity: "O(N) in the commands",
                arguments: &[any("command", WordKind::String)],
                reply: "a map of command to `calls` and `histogram_usec`, a map of microseconds to count",
                ..SERVER
            },
            CommandSpec {
                id: CommandId::LatencyHistory,
                name: "history",
                arity: 3,
                summary: "Shows the samples of an event",
                arguments: &[one("event", WordKind::String)],
                reply: "an array of `[unix time, milliseconds]`",
                ..SERVER
            },
            CommandSpec {
                id: CommandId::LatencyLatest,
                name: "latest",
                arity: 2,
                summary: "Shows the newest and the longest sample of each event",
                reply: "an array of `[event, unix time, milliseconds, longest]`",
                ..SERVER
            },
            CommandSpec {
                id: CommandId::LatencyReset,
                name: "reset",
                arity: -2,
                summary: "Forgets the samples of these events, or of all",
                arguments: &[any("event", WordKind::String)],
                reply: "how many events were forgotten",
                ..SERVER
            },
        ],
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Monitor,
        name: "monitor",
        arity: 1,
        summary: "Shows every command that any client sends, from here on; RESET or closing ends it",
        reply: "OK, then a line per command",
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Memory,
        name: "memory",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "What takes memory",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::MemoryDoctor,
                name: "doctor",
                arity: 2,
                summary: "Says in words whether something is wrong with the memory",
                reply: "text",
                ..MEMORY
            },
            HELP,
            CommandSpec {
                id: CommandId::MemoryMallocStats,
                name: "malloc-stats",
                arity: 2,
                summary: "Shows what the allocator says",
                reply: "text",
                ..MEMORY
            },
            CommandSpec {
                id: CommandId::MemoryPurge,
                name: "purge",
                arity: 2,
                summary: "Has free memory given back to the system within two seconds, as it is anyway once much is free",
                reply: "OK",
                ..MEMORY
            },
            CommandSpec {
                id: CommandId::MemoryStats,
                name: "stats",
                arity: 2,
                summary: "Shows what takes memory",
                reply: "a map",
                ..MEMORY
            },
            CommandSpec {
                id: CommandId::MemoryUsage,
                name: "usage",
                arity: -3,
                summary: "Shows how many bytes a queue takes",
                arguments: &[one("key", WordKind::Key), optional("SAMPLES count", WordKind::Integer)],
                reply: "bytes, or nil for a missing queue",
                flags: Flags::READONLY,
                categories: Categories::READ.and(Categories::SLOW),
                keys: Keys::One(2),
                ..MEMORY
            },
        ],
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Save,
        name: "save",
        arity: 1,
        summary: "Syncs the log and writes a checkpoint, from which the next start is quicker",
        reply: "OK once it is there",
        complexity: "O(N) in the jobs",
        flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_MULTI),
        errors: &[ErrorCode::MisConf],
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Bgsave,
        name: "bgsave",
        arity: -1,
        summary: "Begins the same without waiting for it",
        complexity: "O(1); in the background O(N) in the jobs",
        arguments: &[optional("SCHEDULE", WordKind::String)],
        reply: "Background saving started",
        flags: Flags::ADMIN.and(Flags::NOSCRIPT),
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Lastsave,
        name: "lastsave",
        arity: 1,
        summary: "Shows when the last checkpoint was written, or when the server started before there was one",
        reply: "a Unix time in seconds",
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        categories: Categories::ADMIN.and(Categories::FAST).and(Categories::DANGEROUS),
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Backup,
        name: "backup",
        arity: -2,
        flags: Flags::NONE,
        categories: Categories::SLOW,
        summary: "Copies the log while the server runs; `stanchion backup` makes a directory of it",
        complexity: "Depends on subcommand",
        subcommands: &[
            CommandSpec {
                id: CommandId::BackupBegin,
                name: "begin",
                arity: 2,
                summary: "Waits until all that was answered so far is on disk, and keeps the segments with it from being freed while \
                          this connection reads them",
                complexity: "O(N) in the segments",
                reply: "`[lsn, [[segment, first lsn, last lsn, bytes] ...]]`, oldest first",
                ..BACKUP
            },
            CommandSpec {
                id: CommandId::BackupEnd,
                name: "end",
                arity: 2,
                summary: "Lets the segments go again, as the end of the connection does",
                reply: "1, or 0 when there was no backup",
                ..BACKUP
            },
            HELP,
            CommandSpec {
                id: CommandId::BackupRead,
                name: "read",
                arity: 4,
                summary: "Reads the next 1 MiB of a segment",
                complexity: "O(N) in the bytes",
                arguments: &[one("segment", WordKind::Integer), one("offset", WordKind::Integer)],
                reply: "bytes; none at the end of the segment",
                ..BACKUP
            },
        ],
        ..SERVER
    },
    CommandSpec {
        id: CommandId::Flushdb,
        name: "flushdb",
        summary: "Deletes all queues that are there when it begins, in bounded steps",
        ..FLUSH
    },
    CommandSpec {
        id: CommandId::Flushall,
        name: "flushall",
        summary: "The same as FLUSHDB: there is one database",
        ..FLUSH
    },
    CommandSpec {
        id: CommandId::Debug,
        name: "debug",
        arity: -2,
        flags: SERVER.flags,
        categories: SERVER.categories,
        summary: "For tests; refused unless `enable-debug-command` allows it",
        complexity: "Depends on subcommand",
        subcommands: &[
            HELP,
            CommandSpec {
                id: CommandId::DebugSleep,
                name: "sleep",
                arity: 3,
                summary: "Keeps the connection's thread busy for so long",
                arguments: &[one("seconds", WordKind::String)],
                reply: "OK",
                ..SERVER
            },
        ],
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
];
