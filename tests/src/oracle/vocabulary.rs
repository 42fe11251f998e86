//! What is said: one line per way to say a command, in themes, and the words that fill them.
//!
//! | written | stands for |
//! |---|---|
//! | `<name>` | a word of that kind |
//! | `a\|b` | one of these |
//! | `[ … ]` | these words or none |
//! | `<name>...` | one to four of that kind |
//! | `!` in front | a command that is never changed at random, because it could end or block the servers |

use super::utterance::Word;
use crate::Random;

/// Commands that say more together than apart.
pub(super) struct Theme {
    /// Its name in a report.
    pub(super) name: &'static str,
    /// Themes that it is not mixed with, because what Redis then answers is not worth the same answer.
    pub(super) apart_from: &'static [&'static str],
    /// Its commands.
    pub(super) templates: &'static [&'static str],
    /// What the servers are told after a conversation with this theme, so that the next one finds them as new.
    pub(super) afterwards: &'static [&'static [&'static [u8]]],
}

/// All themes.
pub(super) const THEMES: &[Theme] = &[
    Theme {
        name: "connection",
        apart_from: &[],
        templates: &[
            "PING",
            "PING <text>",
            "PING <text> <text>",
            "ECHO <text>",
            "SELECT <number>",
            "SELECT 0",
            "AUTH <password>",
            "AUTH <user> <password>",
            "AUTH default <password>",
            "HELLO",
            "HELLO 2|3",
            "HELLO <number>",
            "!HELLO 2|3 AUTH default|<user> <password> [ SETNAME worker-1 ]",
            "HELLO 2|3 <word> <word>",
            "CLIENT ID",
            "CLIENT GETNAME",
            "CLIENT SETNAME <name>",
            "CLIENT SETNAME <text>",
            "CLIENT INFO",
            "CLIENT HELP",
            "CLIENT <word> <word>...",
            "QUIT",
            "QUIT <word>",
            "RESET",
            "<word> <text>...",
            "<word>",
        ],
        afterwards: &[],
    },
    Theme {
        name: "clients",
        apart_from: &[],
        templates: &[
            "CLIENT ID",
            "CLIENT SETNAME <name>",
            "CLIENT LIST",
            "CLIENT LIST ID <client>...",
            "CLIENT LIST ID <word>",
            "CLIENT LIST TYPE normal|pubsub|master|replica|slave|<word>",
            "CLIENT LIST <word> <word>",
            "CLIENT INFO",
            "!CLIENT KILL <word>",
            "!CLIENT KILL ID <client>",
            "!CLIENT KILL ID <client> SKIPME yes|no|<word>",
            "!CLIENT KILL TYPE pubsub|master|replica|<word> SKIPME yes|no",
            "!CLIENT KILL USER nobody",
            "!CLIENT KILL ADDR <word> [ LADDR <word> ]",
            "!CLIENT KILL ID <word>",
            "!CLIENT KILL <word> <word>",
            "!CLIENT KILL ID <client> TYPE pubsub USER default",
            "CLIENT NO-EVICT on|off|<word>",
            "!CLIENT PAUSE 0 [ WRITE|ALL|<word> ]",
            "!CLIENT PAUSE -1|x|1.5|9223372036854775808 [ WRITE|ALL ]",
            "CLIENT UNPAUSE",
            "CLIENT UNBLOCK <client> [ TIMEOUT|ERROR|<word> ]",
            "CLIENT UNBLOCK <number>",
            "PING",
        ],
        afterwards: &[&[b"CLIENT", b"UNPAUSE"]],
    },
    Theme {
        name: "keys",
        apart_from: &[],
        templates: &[
            NEW,
            NEW,
            "EXISTS <key>...",
            "TYPE <key>",
            "DEL <key>...",
            "UNLINK <key>...",
            "SCAN <number> [ MATCH <glob> ] [ COUNT <number> ] [ TYPE <type> ]",
            "SCAN 0 [ MATCH <glob> ] [ COUNT 100 ] [ TYPE <type> ]",
            "SCAN 0 <word> <word>",
            "KEYS <glob>",
            "DBSIZE",
            "RANDOMKEY",
            "OBJECT ENCODING|FREQ|IDLETIME|REFCOUNT <key>",
            "OBJECT HELP",
            "OBJECT <word> <key>",
            "MEMORY USAGE <key> [ SAMPLES <number> ]",
            "!WAIT 0 0|1|10|-1|x",
        ],
        afterwards: &[DELETE_KEYS],
    },
    Theme {
        name: "transactions",
        // A subscription or silence within a transaction breaks the framing of its reply. The others have commands that only one
        // of the two queues.
        apart_from: &["publish and subscribe", "data types", "Redis 7.2", "everything at once", "silence"],
        templates: &[
            "MULTI",
            "MULTI",
            "EXEC",
            "EXEC",
            "DISCARD",
            "WATCH <key>...",
            "UNWATCH",
            NEW,
            "DEL <key>",
            "EXISTS <key>...",
            "PING <text>",
            "ECHO <text>",
            "ECHO",
            "PUBLISH <channel> <text>",
            "CLIENT INFO",
            "CLIENT ID",
            "HELLO 2|3",
            "<word> <word>",
            "RESET",
            "SELECT 0",
        ],
        afterwards: &[DELETE_KEYS],
    },
    Theme {
        name: "publish and subscribe",
        apart_from: &[],
        templates: &[
            "SUBSCRIBE <channel>...",
            "PSUBSCRIBE <pattern>...",
            "UNSUBSCRIBE",
            "UNSUBSCRIBE <channel>...",
            "PUNSUBSCRIBE",
            "PUNSUBSCRIBE <pattern>...",
            "PUBLISH <channel> <text>",
            "PUBLISH <channel> <text>",
            "PUBLISH <channel> <text>",
            "PUBSUB CHANNELS [ <pattern> ]",
            "PUBSUB NUMSUB <channel>...",
            "PUBSUB NUMSUB",
            "PUBSUB NUMPAT",
            "PUBSUB HELP",
            "PUBSUB <word>",
            "PING",
            "PING <text>",
            "HELLO 2|3",
            "CLIENT INFO",
            "RESET",
            "QUIT",
        ],
        afterwards: &[],
    },
    Theme {
        name: "server",
        apart_from: &[],
        templates: &[
            "INFO",
            "INFO <section>...",
            "TIME",
            "TIME <word>",
            "CONFIG GET <parameter>...",
            "CONFIG GET <glob>",
            "!CONFIG SET slowlog-max-len|timeout|maxclients x|-1|1.5",
            "!CONFIG SET timeout 0 slowlog-max-len 200|x",
            "!CONFIG SET timeout 0 timeout 0",
            "CONFIG SET slowlog-max-len 200|300",
            "CONFIG SET <word> <word>",
            "CONFIG RESETSTAT",
            "CONFIG HELP",
            "CONFIG <word> <word>",
            "SLOWLOG LEN",
            "SLOWLOG GET [ <number> ]",
            "SLOWLOG RESET",
            "SLOWLOG HELP",
            "SLOWLOG <word>",
            "LATENCY LATEST",
            "LATENCY HISTORY <word>",
            "LATENCY RESET [ <word> ]",
            "!LATENCY HISTOGRAM <command>...",
            "LATENCY DOCTOR",
            "LATENCY GRAPH <word>",
            "LATENCY HELP",
            "MEMORY DOCTOR",
            "MEMORY STATS",
            "MEMORY PURGE",
            "MEMORY MALLOC-STATS",
            "MEMORY HELP",
            "MEMORY <word>",
            "!SHUTDOWN <word>",
            "!SHUTDOWN NOSAVE SAVE",
            "!SHUTDOWN ABORT",
        ],
        afterwards: &[&[b"CONFIG", b"SET", b"slowlog-max-len", b"128"], &[b"SLOWLOG", b"RESET"]],
    },
    Theme {
        name: "access",
        apart_from: &[],
        templates: &[
            "ACL WHOAMI",
            "ACL CAT [ <category> ]",
            "ACL USERS",
            "ACL LIST",
            "ACL GETUSER <user>",
            "!ACL SETUSER alice|bob",
            "!ACL SETUSER alice|bob <rule>...",
            "ACL DELUSER alice|bob|carol",
            "ACL GENPASS [ <number> ]",
            "ACL DRYRUN alice|bob <command> <text>...",
            "ACL LOG [ RESET|<number> ]",
            "ACL HELP",
            "ACL <word> <word>",
            "AUTH alice|bob <password>",
            "PING",
            "EXISTS <key>",
            "PUBLISH <channel> <text>",
        ],
        afterwards: &[&[b"ACL", b"DELUSER", b"alice", b"bob"], &[b"ACL", b"LOG", b"RESET"]],
    },
    Theme {
        name: "documentation",
        apart_from: &[],
        templates: &[
            "COMMAND COUNT",
            "COMMAND INFO <command>...",
            "COMMAND DOCS <command>...",
            "COMMAND LIST FILTERBY MODULE <word>",
            "COMMAND LIST FILTERBY ACLCAT <category>",
            "COMMAND LIST FILTERBY PATTERN <command>",
            "COMMAND LIST <word> <word> <word>",
            "COMMAND GETKEYS <command> <text>...",
            "COMMAND GETKEYSANDFLAGS <command> <text>...",
            "COMMAND HELP",
            "COMMAND <word> <word>",
        ],
        afterwards: &[],
    },
    Theme {
        name: "Redis 7.2",
        apart_from: &[],
        templates: &[
            "CLIENT SETINFO lib-name|LIB-VER|<word> <name>",
            "CLIENT NO-TOUCH on|off|<word>",
            "!WAITAOF 0 0 <number>",
            "CLIENT INFO",
            "PING",
        ],
        afterwards: &[],
    },
    Theme {
        name: "everything at once",
        apart_from: &[],
        templates: &[
            "ACL LOAD",
            "ACL SAVE",
            "CONFIG REWRITE",
            "!SAVE",
            "LASTSAVE",
            "FLUSHDB [ ASYNC|SYNC|<word> ]",
            "FLUSHALL [ ASYNC|SYNC|<word> ]",
            "DBSIZE",
            NEW,
        ],
        afterwards: &[DELETE_KEYS],
    },
    Theme {
        name: "silence",
        // A user who may not speak can't be asked to do it again.
        apart_from: &["access"],
        templates: &["!CLIENT REPLY ON|OFF|SKIP|<word>", "CLIENT ID", "PING <text>", "ECHO", NEW, "DBSIZE"],
        afterwards: &[DELETE_KEYS],
    },
    Theme {
        name: "data types",
        apart_from: &[],
        templates: &[
            "GET <key>",
            "LLEN <key>",
            "HGETALL <key>",
            "EVAL \"return\" 0",
            "SCRIPT EXISTS <word>",
            "FUNCTION LIST",
            "CLUSTER INFO",
            "TTL <key>",
            "CLIENT TRACKINGINFO",
            "LOLWUT VERSION 5",
            "XLEN <key>",
        ],
        afterwards: &[],
    },
];

/// Makes a key: a list of one element there, a queue of one job here. See [`super::utterance::Utterance::new_key`].
pub(super) const NEW: &str = "NEW <key>";

/// Deletes all that [`NEW`] may have made.
const DELETE_KEYS: &[&[u8]] = &[b"DEL", b"a", b"b", b"{a}b", b"with space", b"\r\n", b"\xff"];

/// The password of the servers that have one.
pub(super) const PASSWORD: &str = "correct horse";

/// Words that belong nowhere.
const ODD: &[&[u8]] = &[
    b"",
    b"bogus",
    b"B\xc3\xb6gus",
    b"\r\n",
    b"a\r\n+OK",
    b"\xff\xfe",
    b"\0",
    b"'",
    b"\"",
    b"%s%n",
    b"-1",
    b"0",
    b"01",
    b"+1",
    b" 1",
    b"1.5",
    b"2147483648",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"99999999999999999999999",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

const COMMANDS: &[&str] = &[
    "ping",
    "get",
    "set",
    "client",
    "client|id",
    "config|get",
    "exists",
    "del",
    "multi",
    "subscribe",
    "scan",
    "watch",
    "bogus",
    "client|bogus",
    "acl|setuser",
    "memory|usage",
    "mget",
    "type",
    "object|encoding",
    "exec",
];

/// Every template, and the one that is said differently to the two.
#[cfg(test)]
pub(super) fn templates() -> impl Iterator<Item = &'static str> {
    THEMES.iter().flat_map(|theme| theme.templates).copied().chain(["RPUSH a x"])
}

/// One word of a kind that stands between `<` and `>` in a template.
pub(super) fn word(kind: &str, random: &mut Random) -> Word {
    let bytes = match kind {
        "text" => {
            pick(random, &[b"", b"hello", b"a b", b"a\r\nb", b"\0\xff", b"0", b"-1", b"QUEUED", b"+OK"])
        }
        "key" => pick(random, &[b"a", b"a", b"b", b"b", b"{a}b", b"with space", b"\r\n", b"\xff"]),
        "glob" => pick(
            random,
            &[b"*", b"a", b"[ab]", b"*b", b"?", b"nothing", b"\\a", b"[^a]", b"", b"[", b"***a***"],
        ),
        "number" => pick(
            random,
            &[
                b"0",
                b"1",
                b"2",
                b"3",
                b"4",
                b"10",
                b"100",
                b"-1",
                b"-2",
                b"x",
                b"",
                b"1.5",
                b"9223372036854775807",
            ],
        ),
        "name" => pick(random, &[b"worker-1", b"other", b"", b"with space", b"a\nb", b"~!@", b"\xc3\xb6"]),
        "channel" => pick(random, &[b"news", b"news", b"sport", b"n", b"a\r\nb", b"\xff"]),
        "pattern" => pick(random, &[b"*", b"n*", b"news", b"[ns]*", b"", b"?port", b"\xff"]),
        "password" => pick(random, &[PASSWORD.as_bytes(), b"wrong", b"", b"\xff"]),
        "user" => pick(random, &[b"default", b"alice", b"bob", b"nobody", b"", b"with space"]),
        "section" => pick(
            random,
            &[b"server", b"clients", b"everything", b"all", b"default", b"bogus", b"CLIENTS", b""],
        ),
        "parameter" => pick(
            random,
            &[
                b"maxmemory",
                b"MAXMEMORY-policy",
                b"timeout",
                b"databases",
                b"bogus",
                b"save",
                b"appendonly",
                b"time*t",
                b"slowlog-max-len",
                b"maxclients",
                b"proto-max-bulk-len",
                b"",
            ],
        ),
        "type" => pick(random, &[b"string", b"bogus", b"hash", b""]),
        "category" => {
            pick(random, &[b"read", b"keyspace", b"bogus", b"@read", b"", b"PUBSUB", b"transaction"])
        }
        "rule" => pick(
            random,
            &[
                b"on",
                b"off",
                b"nopass",
                b"resetpass",
                b">secret",
                b"<secret",
                b"~*",
                b"~a*",
                b"allkeys",
                b"resetkeys",
                b"&*",
                b"&n*",
                b"allchannels",
                b"resetchannels",
                b"+@all",
                b"-@all",
                b"+ping",
                b"-ping",
                b"+client|id",
                b"-client|id",
                b"+@read",
                b"-@dangerous",
                b"reset",
                b"bogus",
                b"+bogus",
                b"+@bogus",
                b"%R~a",
                b"%RW~b",
                b"(+ping ~a)",
                b"clearselectors",
                b"nocommands",
                b"allcommands",
                b"#abc",
                b"",
                b">",
                b"+client|bogus",
                b"sanitize-payload",
            ],
        ),
        "client" => {
            return match random.below(8) {
                0 => Word::Bytes(b"0".to_vec()),
                1 => Word::Bytes(b"999999999".to_vec()),
                2 => Word::Bytes(b"x".to_vec()),
                _ => Word::ClientId(random.below(3)),
            };
        }
        "command" => COMMANDS[random.below(COMMANDS.len())].as_bytes(),
        "word" => pick(random, ODD),
        _ => panic!("no words of the kind <{kind}>"),
    };
    Word::Bytes(bytes.to_vec())
}

fn pick<'a>(random: &mut Random, words: &[&'a [u8]]) -> &'a [u8] {
    words[random.below(words.len())]
}
