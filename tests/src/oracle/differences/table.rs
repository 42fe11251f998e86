//! The table.

use super::super::frame::Frame;
use super::{Case, Difference, same};

/// Every way in which a reply may differ, the unavoidable first.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        about: "Numbers of connections",
        redis: "`CLIENT ID` and `HELLO` count connections from the start of the server",
        stanchion: "the same, but another count",
        why: "two servers have not had the same connections",
        allows: |case| {
            let numbers = |frame: &Frame| frame.text().replace(|c: char| c.is_ascii_digit(), "");
            case.is("CLIENT ID") && case.both(b':')
                || case.theirs.is_error("ERR unknown")
                    && case.both_errors()
                    && numbers(case.theirs) == numbers(case.ours)
        },
    },
    Difference {
        about: "`HELLO`: the version",
        redis: "`version` is that of Redis, here 7.0.15",
        stanchion: "`version` is 7.2.4",
        why: "clients decide by it what they may send, and what they find is Redis 7.2's commands",
        allows: |case| case.is("HELLO") && same::but_for(case.theirs, case.ours, &[3, 7]),
    },
    Difference {
        about: "Clocks",
        redis: "`TIME` and `LASTSAVE` say what time it is, or was",
        stanchion: "the same, a moment later",
        why: "the two are asked one after the other",
        allows: |case| {
            case.is("LASTSAVE") && case.both(b':')
                || case.is("TIME") && same::but_for(case.theirs, case.ours, &[0, 1])
        },
    },
    Difference {
        about: "Order of sets",
        redis: "`SCAN`, `KEYS`, `PUBSUB CHANNELS`, `UNSUBSCRIBE` from all, and a message for which a client has two patterns, give the order of a hash table; `RANDOMKEY` any key",
        stanchion: "the same elements in another order",
        why: "no order is promised",
        allows: |case| {
            case.is("RANDOMKEY") && case.both(b'$')
                || case.is_one_of(&["KEYS", "PUBSUB CHANNELS"]) && same::in_any_order(case.theirs, case.ours)
                || case.is("SCAN 0")
                    && same::but_for(case.theirs, case.ours, &[1])
                    && same::in_any_order(&case.theirs.elements[1], &case.ours.elements[1])
                || (case.is_one_of(&["UNSUBSCRIBE", "PUNSUBSCRIBE"]) && case.words.len() == 1
                    || case.is("EXEC")
                        && (is_message(case, "unsubscribe") || is_message(case, "punsubscribe"))
                    || is_message(case, "pmessage"))
                    && same::but_for(case.theirs, case.ours, &[1])
        },
    },
    Difference {
        about: "`CLIENT LIST` and `CLIENT INFO`: fields",
        redis: "memory of buffers and the file descriptor are fields",
        stanchion: "only the fields that it has something to say in; `lib-name` and `lib-ver` of Redis 7.2; a client that is asked for twice is shown once",
        why: "a number that means nothing would mislead, and a short command must not make a reply without end; name, database, subscriptions, user and protocol are compared",
        allows: |case| {
            case.is_one_of(&["CLIENT LIST", "CLIENT INFO"])
                && case.theirs.kind == case.ours.kind
                && same::client_lines(case.theirs, case.ours, &["name", "db", "sub", "psub", "user", "resp"])
        },
    },
    Difference {
        about: "`INFO`",
        redis: "fields of its own",
        stanchion: "the fields that clients and dashboards read, and its own",
        why: "two servers have little in common besides the names",
        allows: |case| case.is("INFO") && case.theirs.kind == case.ours.kind && case.theirs.kind != b'-',
    },
    Difference {
        about: "Measurements",
        redis: "`MEMORY USAGE` and `STATS`, `LATENCY HISTOGRAM` say what Redis measures; `MEMORY DOCTOR`, `MALLOC-STATS` and `LATENCY DOCTOR` are texts",
        stanchion: "the same questions, its own measurements and texts",
        why: "they are about another program",
        allows: |case| {
            case.is_one_of(&["MEMORY USAGE", "OBJECT IDLETIME"]) && case.both(b':')
                || case.is("MEMORY MALLOC-STATS") && case.theirs.kind == b'=' && case.ours.kind == b'$'
                || case.is_one_of(&[
                    "MEMORY STATS",
                    "MEMORY DOCTOR",
                    "MEMORY MALLOC-STATS",
                    "LATENCY DOCTOR",
                    "LATENCY HISTOGRAM",
                ]) && case.theirs.kind == case.ours.kind
                    && !case.both_errors()
        },
    },
    Difference {
        about: "`HELP`",
        redis: "describes its subcommands",
        stanchion: "describes its own, from its table of commands",
        why: "the lists are not the same",
        allows: |case| {
            case.words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"HELP"))
                && case.both(b'*')
                && case.theirs.elements[0] == case.ours.elements[0]
        },
    },
    Difference {
        about: "Errors that say more",
        redis: "`ERR syntax error`",
        stanchion: "`ERR syntax error, ` and which word, or what could stand there; the same after other errors",
        why: "an error names the word at fault; it begins with Redis's words, so that who compares their start finds them",
        allows: |case| case.both_errors() && case.ours.line.starts_with(&case.theirs.line),
    },
    Difference {
        about: "Bytes in errors",
        redis: "an error quotes bytes of the command as they are, but for line ends",
        stanchion: "bytes that are not UTF-8 are quoted as U+FFFD",
        why: "an error is a text for people and log files",
        allows: |case| case.both_errors() && case.ours.text() == case.theirs.text(),
    },
    Difference {
        about: "Data types, scripts, replicas and clusters",
        redis: "commands on strings, lists, hashes, sets, streams; scripts; `TTL` and its likes; `REPLICAOF`; `CLUSTER`",
        stanchion: "`ERR unknown command`; scripts and functions name the native command to use",
        why: "keys are queues here, and one server is all there is",
        allows: |case| {
            case.is("ACL DRYRUN")
                && case.ours.is_error("ERR Command '")
                && case.ours.text().ends_with(" not found")
                || is_foreign(case)
                    && (case.ours.is_error("ERR unknown")
                        || case.ours.is_error("NOAUTH")
                        || case.ours.is_error("ERR") && case.ours.text().contains("is not supported: "))
        },
    },
    Difference {
        about: "Words in errors",
        redis: "an error quotes words of the command as they are, but for line ends, and ends a word at its first NUL",
        stanchion: "what is not printable is shown as an escape or as U+FFFD, and a long word is cut",
        why: "an error is one line of text for people and log files",
        allows: |case| {
            let odd =
                |word: &Vec<u8>| word.len() >= 128 || !word.iter().all(|byte| (b' '..=b'~').contains(byte));
            let start = |frame: &Frame| frame.text().split('\'').next().map(str::to_owned);
            (case.both_errors() || case.is("ACL DRYRUN") && case.both(b'$'))
                && case.words.iter().any(odd)
                && start(case.theirs) == start(case.ours)
        },
    },
    Difference {
        about: "Commands of Redis 7.2",
        redis: "7.0 does not know `CLIENT SETINFO`, `CLIENT NO-TOUCH` and `WAITAOF`, its `HELLO` acts on one option before it reads the next, and a message that a client sends to itself in RESP3 comes before the reply to `PUBLISH`",
        stanchion: "answers as 7.2",
        why: "it says that it is 7.2, and 7.0.15 is what Debian has to compare with",
        allows: |case| {
            case.is_one_of(&["CLIENT SETINFO", "CLIENT NO-TOUCH", "WAITAOF"])
                && case.theirs.is_error("ERR unknown")
                || case.is("HELLO")
                    && case.both_errors()
                    && (case.theirs.is_error("NOAUTH HELLO must") && case.ours.is_error("NOAUTH HELLO must")
                        || case.theirs.is_error("WRONGPASS") && case.ours.is_error("ERR"))
        },
    },
    Difference {
        about: "`COMMAND` and its subcommands",
        redis: "describes its commands",
        stanchion: "describes its own. Those that both have are the same in name, arity, flags and keys; there are no tips, and DEL is `@dangerous`",
        why: "the lists are not the same; DEL of a queue loses its jobs",
        allows: |case| {
            (case.is("COMMAND") && case.words.len() == 1 || case.is("COMMAND INFO") && case.words.len() == 2)
                && case.both(b'*')
                || case.is_one_of(&["COMMAND COUNT", "COMMAND DOCS", "COMMAND LIST"])
                    && case.theirs.kind == case.ours.kind
                || case.is("COMMAND INFO")
                    && case.both(b'*')
                    && case.theirs.elements.len() == case.ours.elements.len()
                    && case
                        .theirs
                        .elements
                        .iter()
                        .zip(&case.ours.elements)
                        .all(|(theirs, ours)| theirs == ours || ours.is_nil() || same::command(theirs, ours))
                || case.is_one_of(&["COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS"])
                    && (case.ours.is_error("ERR Invalid command specified")
                        || case.theirs.is_error("ERR wrong number of arguments for 'command|getkeys"))
        },
    },
    Difference {
        about: "Keys",
        redis: "a key that was made here with `RPUSH` is a list",
        stanchion: "one that was made with `QPUSH` is a queue, and `TYPE` and `OBJECT ENCODING` say so",
        why: "it is what this server is for",
        allows: |case| {
            case.is("RPUSH") && case.theirs.kind == b':' && case.ours.kind == b'$'
                || case.is("RPUSH")
                    && case.both_errors()
                    && case.theirs.text().replace("rpush", "qpush") == case.ours.text()
                || case.is("OBJECT ENCODING") && case.both(b'$')
                || case.is("TYPE")
                    && case.theirs.line == b"list"
                    && case.ours.line == b"queue"
                    && case.both(b'+')
        },
    },
    Difference {
        about: "`SCAN`: cursors",
        redis: "a cursor is a place in a hash table; any number, and an empty word, is taken for one",
        stanchion: "a cursor names a shard and a place in it; `ERR invalid cursor` for one that it can't have given, whatever follows",
        why: "a cursor is only for the server that gave it; another one is a mistake",
        allows: |case| {
            case.is("SCAN")
                && (case.ours.is_error("ERR invalid cursor")
                    || case.both(b'*')
                        && !(ends_scan(case.theirs) && ends_scan(case.ours) && case.is("SCAN 0")))
        },
    },
    Difference {
        about: "ACL categories",
        redis: "`ACL CAT` has the categories of its data types",
        stanchion: "`@queue`, `@push`, `@claim` and `@operate` besides; each category lists its own commands, and DEL is `@dangerous`",
        why: "users are allowed what workers do, not what data types do",
        allows: |case| {
            case.is("ACL DRYRUN")
                && case.words.get(3).is_some_and(|word| word.eq_ignore_ascii_case(b"del"))
                && case.ours.text().starts_with("This user has no permissions to run the 'del'")
                || case.is("ACL CAT")
                    && case.both(b'*')
                    && (case.words.len() > 2
                        || case.theirs.elements.iter().all(|name| case.ours.elements.contains(name)))
        },
    },
    Difference {
        about: "ACL rules as they are shown",
        redis: "`ACL GETUSER`, `LIST` and `LOG` show rules without those that later ones have made superfluous",
        stanchion: "shows the rules of commands in the order in which they were given; `ACL LOG` has the fields of 7.2",
        why: "what an administrator wrote is what he finds",
        allows: |case| {
            case.is("ACL GETUSER") && same::but_for(case.theirs, case.ours, &[5, 11])
                || case.is("ACL LIST") && case.both(b'*') && case.theirs.line == case.ours.line
                || case.is("ACL LOG") && case.both(b'*') && case.theirs.line == case.ours.line
        },
    },
    Difference {
        about: "Secrets in errors",
        redis: "an error about a password quotes it",
        stanchion: "`(hidden)` stands in its place",
        why: "errors end in log files",
        allows: |case| case.is("ACL SETUSER") && case.both_errors() && case.ours.text().contains("(hidden)"),
    },
    Difference {
        about: "Passwords that are made up",
        redis: "`ACL GENPASS` is random",
        stanchion: "`ACL GENPASS` is random, too",
        why: "it is of the same length",
        allows: |case| case.is("ACL GENPASS") && case.both(b'$') && case.theirs.line == case.ours.line,
    },
    Difference {
        about: "ACL file",
        redis: "without one, `ACL LOAD` and `SAVE` point to `CONFIG REWRITE`",
        stanchion: "points to the options of its configuration",
        why: "`CONFIG REWRITE` does not write users",
        allows: |case| {
            case.is_one_of(&["ACL LOAD", "ACL SAVE"])
                && case.theirs.is_error("ERR This Redis instance is not configured to use an ACL file. ")
                && case.ours.is_error("ERR This Redis instance is not configured to use an ACL file. ")
        },
    },
    Difference {
        about: "`CONFIG SET`: bounds",
        redis: "`slowlog-max-len` may be any length",
        stanchion: "`ERR CONFIG SET failed … - argument must be between 0 and 100000 inclusive`",
        why: "everything has a limit here, the slow log's memory too",
        allows: |case| {
            case.is("CONFIG SET")
                && case.ours.is_error("ERR CONFIG SET failed")
                && case.ours.text().contains("'slowlog-max-len') - argument must be between 0 and ")
                && (case.theirs.line == b"OK"
                    || case.theirs.text().contains(" - argument must be between 0 and "))
        },
    },
    Difference {
        about: "`CONFIG GET`",
        redis: "many parameters, in the order of a hash table, named as they were asked for",
        stanchion: "those that clients look for and its own, in the order of their names, in lower case",
        why: "a parameter that does nothing would be a lie. What both have is the same, but for `databases`, `maxmemory`, places and what says how the log is written",
        allows: |case| case.is("CONFIG GET") && same::parameters(case.theirs, case.ours),
    },
];

/// What no conversation asks.
pub const NOT_COMPARED: &[(&str, &str)] = &[
    (
        "`MONITOR`",
        "its lines carry times, addresses and what the comparison itself says; it has tests of its own",
    ),
    ("`SHUTDOWN` that is obeyed", "the conversation would be over; wrong words are compared"),
    ("`DEBUG`", "for tests; here only `DEBUG SLEEP` is there, where the configuration allows it"),
    ("`BGSAVE`", "Redis forks, and answers the next one by whether that is over"),
    ("`CLIENT PAUSE` of some time, `WAIT` for replicas", "both wait; nobody can tell how long"),
    (
        "`SUBSCRIBE` and `CLIENT REPLY` within `MULTI`",
        "the reply of Redis's `EXEC` then does not have as many elements as it announces",
    ),
    ("a broken request after `CLIENT REPLY OFF`", "Redis closes without a word; here the error is said"),
    (
        "`HELLO SETNAME` before the password",
        "7.0 names the connection although it answers `NOAUTH`; 7.2 does not",
    ),
    ("`FLUSHALL` within `MULTI`", "here it runs in steps that hold nobody up, so a transaction refuses it"),
    (
        "a NUL in an inline command",
        "Redis waits for ever for the end of such a line; here it is a byte like another",
    ),
    (
        "the empty channel",
        "in Redis `*` matches it in some commands and not in others; here it matches in all",
    ),
    ("a user without a name", "Redis takes one; here a name has 1 to 255 bytes"),
    ("a request above the limits of Stanchion", "Redis's limits are others; `docs/PROTOCOL.md` has ours"),
];

/// Whether Redis's reply is a message of this kind.
fn is_message(case: &Case<'_>, kind: &str) -> bool {
    case.theirs.elements.first().is_some_and(|first| first.body == kind.as_bytes())
}

/// Whether SCAN has seen all.
fn ends_scan(reply: &Frame) -> bool {
    reply.elements.first().is_some_and(|cursor| cursor.body == b"0")
}

/// Whether Redis has the command and we don't mean to.
fn is_foreign(case: &Case<'_>) -> bool {
    case.is_one_of(&[
        "GET",
        "LLEN",
        "HGETALL",
        "XLEN",
        "TTL",
        "EVAL",
        "SCRIPT",
        "FUNCTION",
        "CLUSTER",
        "REPLICAOF",
        "LOLWUT",
        "CLIENT TRACKINGINFO",
    ])
}
