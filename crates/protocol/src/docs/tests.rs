//! What COMMAND answers, and the document.

use super::*;
use crate::table;
use crate::{OwnedArgs, Proto};

fn asked(line: &str, proto: Proto) -> Result<Vec<u8>, String> {
    let args: OwnedArgs = line.split(' ').collect();
    let args = args.as_args();
    let mut out = Vec::new();
    let result = table::resolve(args).and_then(|spec| answer(spec, args, &mut Reply::new(&mut out, proto)));
    assert!(result.is_ok() || out.is_empty(), "an error has written nothing");
    result.map(|ours| assert!(ours, "{line}")).map_err(|error| error.to_string())?;
    Ok(out)
}

fn asked_text(line: &str) -> String {
    asked(line, Proto::Resp2).map_or_else(|error| error, |out| out.escape_ascii().to_string())
}

/// The first reply in `bytes`, as a tree of text, and what follows it. (redis-protocol cannot decode a set of maps, which
/// Redis 7 answers here.)
fn first_reply(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a reply has a line");
    let (line, rest) = (std::str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 2..]);
    let (kind, value) = line.split_at(1);
    let count = |times: usize| times * value.parse::<usize>().unwrap();
    let elements = match kind {
        "+" | ":" | "_" => return (line.to_owned(), rest),
        "$" if value == "-1" => return (line.to_owned(), rest),
        "$" => {
            let (text, rest) = rest.split_at(count(1));
            return (text.escape_ascii().to_string(), rest.strip_prefix(b"\r\n").unwrap());
        }
        "*" | "~" => count(1),
        "%" => count(2),
        other => panic!("unexpected type {other}"),
    };
    let mut rest = rest;
    let mut inner = Vec::new();
    for _ in 0..elements {
        let (text, after) = first_reply(rest);
        inner.push(text);
        rest = after;
    }
    (format!("{kind}({})", inner.join(" ")), rest)
}

/// Every answer is one whole reply in either protocol: no header counts wrong.
#[test]
fn answers_are_well_formed() {
    for line in [
        "COMMAND",
        "COMMAND COUNT",
        "COMMAND INFO",
        "COMMAND INFO qpush nosuch qconfig|set qmclaim",
        "COMMAND DOCS",
        "COMMAND DOCS qpush nosuch qconfig qconfig|get",
        "COMMAND LIST",
        "COMMAND LIST FILTERBY ACLCAT claim",
        "COMMAND GETKEYS QPUSH q p",
        "COMMAND GETKEYSANDFLAGS DEL a b",
        "COMMAND HELP",
        "CLIENT HELP",
        "CONFIG HELP",
        "QCONFIG HELP",
    ] {
        for proto in [Proto::Resp2, Proto::Resp3] {
            let out = asked(line, proto).unwrap();
            assert_eq!(first_reply(&out).1, b"", "{line}");
        }
    }
}

#[test]
fn command_info_has_the_shape_of_redis_7() {
    let want = "*1\\r\\n*10\\r\\n$3\\r\\ndel\\r\\n:-2\\r\\n*1\\r\\n+write\\r\\n:1\\r\\n:-1\\r\\n:1\\r\\n\
        *4\\r\\n+@keyspace\\r\\n+@write\\r\\n+@slow\\r\\n+@dangerous\\r\\n*0\\r\\n\
        *1\\r\\n*6\\r\\n$5\\r\\nflags\\r\\n*2\\r\\n+RM\\r\\n+delete\\r\\n\
        $12\\r\\nbegin_search\\r\\n*4\\r\\n$4\\r\\ntype\\r\\n$5\\r\\nindex\\r\\n$4\\r\\nspec\\r\\n*2\\r\\n$5\\r\\nindex\\r\\n:1\\r\\n\
        $9\\r\\nfind_keys\\r\\n*4\\r\\n$4\\r\\ntype\\r\\n$5\\r\\nrange\\r\\n$4\\r\\nspec\\r\\n\
        *6\\r\\n$7\\r\\nlastkey\\r\\n:-1\\r\\n$7\\r\\nkeystep\\r\\n:1\\r\\n$5\\r\\nlimit\\r\\n:0\\r\\n*0\\r\\n";
    assert_eq!(asked_text("COMMAND INFO del"), want);
    let movable = asked_text("COMMAND INFO qmclaim");
    assert!(movable.contains("+movablekeys\\r\\n:0\\r\\n:0\\r\\n:0\\r\\n"), "{movable}");
    assert!(
        movable.contains("$7\\r\\nkeyword\\r\\n$6\\r\\nQUEUES\\r\\n$9\\r\\nstartfrom\\r\\n:1\\r\\n"),
        "{movable}"
    );
    assert_eq!(asked_text("COMMAND INFO eval"), "*1\\r\\n$-1\\r\\n");
}

#[test]
fn sets_and_maps_are_such_in_resp3() {
    let out = asked("COMMAND INFO type", Proto::Resp3).unwrap();
    assert_eq!(
        first_reply(&out).0,
        "*(*(type :2 ~(+readonly +fast) :1 :1 :1 ~(+@keyspace +@read +@fast) ~() ~(%(flags ~(+RO) \
         begin_search %(type index spec %(index :1)) \
         find_keys %(type range spec %(lastkey :0 keystep :1 limit :0)))) *()))"
    );
    let out = asked("COMMAND DOCS type", Proto::Resp3).unwrap();
    assert_eq!(
        first_reply(&out).0,
        "%(type %(summary Says what a key holds since 0.1.0 group generic complexity O(1) \
         arguments *(%(name key type key display_text key key_spec_index :0))))"
    );
}

#[test]
fn lists_are_filtered() {
    assert_eq!(
        asked_text("COMMAND LIST FILTERBY PATTERN QPU*"),
        "*2\\r\\n$5\\r\\nqpush\\r\\n$6\\r\\nqpurge\\r\\n"
    );
    assert_eq!(asked_text("COMMAND LIST FILTERBY MODULE json"), "*0\\r\\n");
    assert_eq!(asked_text("COMMAND LIST FILTERBY ACLCAT nosuch"), "*0\\r\\n");
    let claim = asked_text("COMMAND LIST FILTERBY ACLCAT CLAIM");
    assert!(claim.contains("qclaim") && claim.contains("qack") && !claim.contains("qpush"), "{claim}");
    assert_eq!(asked_text("COMMAND LIST FILTERBY FOO x"), "ERR syntax error, 'FOO' is no filter");
    assert_eq!(asked_text("COMMAND LIST FOO"), "ERR syntax error, near 'FOO'");
    assert!(!asked_text("COMMAND LIST").contains("eval"), "what is refused is not listed");
}

#[test]
fn keys_are_found_in_redis_words() {
    for (line, want) in [
        ("COMMAND GETKEYS QPUSH q p", "*1\\r\\n$1\\r\\nq\\r\\n"),
        ("COMMAND GETKEYS QMCLAIM QUEUES 2 a b", "*2\\r\\n$1\\r\\na\\r\\n$1\\r\\nb\\r\\n"),
        ("COMMAND GETKEYS QCONFIG GET q", "*1\\r\\n$1\\r\\nq\\r\\n"),
        ("COMMAND GETKEYS nosuch a b", "ERR Invalid command specified"),
        ("COMMAND GETKEYS eval a 0", "ERR Invalid command specified"),
        ("COMMAND GETKEYS QMCLAIM MATCH 1 a", "ERR The command has no key arguments"),
        ("COMMAND GETKEYS QMCLAIM QUEUES 2 a", "ERR Invalid arguments specified for command"),
        ("COMMAND GETKEYS PING", "ERR The command has no key arguments"),
        ("COMMAND GETKEYS QPUSH q", "ERR Invalid number of arguments specified for command"),
        (
            "COMMAND GETKEYSANDFLAGS QPUSH q p",
            "*1\\r\\n*2\\r\\n$1\\r\\nq\\r\\n*2\\r\\n+RW\\r\\n+insert\\r\\n",
        ),
    ] {
        assert_eq!(asked_text(line), want, "{line}");
    }
}

#[test]
fn usage_shows_options_and_choices() {
    for (name, want) in [
        ("qlen", "QLEN queue [ALL | CLAIMED | DEAD | DELAYED | READY] [GROUP group]"),
        (
            "qmpush",
            "QMPUSH queue payload [AT unix-ms | DELAY ms] [ATTEMPTS n] \
             [DEDUPE key [REPLACE] [UNTIL CLAIM|DONE] [WINDOW ms]] [GROUP group] [NOSYNC | SYNC] \
             [PRIORITY priority] [ROOT signature timestamp] [STATUS] [TTL ms] [NEXT payload [option ...]]...",
        ),
        ("qjob", "QJOB queue <id | KEY key [GROUP group]>"),
        ("qrequeue", "QREQUEUE queue <id [id ...] | DEAD [COUNT n] [GROUP group]>"),
        ("qack", "QACK queue receipt [receipt ...]"),
        ("qrelease", "QRELEASE queue [DELAY ms] receipt [receipt ...]"),
        ("qnack", "QNACK queue receipt [DEAD | DELAY ms] [ERROR message]"),
        ("qroot", "QROOT queue signature timestamp [GROUP group]"),
        (
            "qclaim",
            "QCLAIM queue [ACK numreceipts [receipt ...]] [BLOCK ms] [BOUND] [COUNT n] [GROUP group] [LEASE ms] \
             [META] [WORKER name]",
        ),
        (
            "qmclaim",
            "QMCLAIM <MATCH numglobs glob [glob ...] [EXCEPT numglobs glob [glob ...]] | \
             QUEUES numqueues queue [queue ...]> [BLOCK ms] [BOUND] [COUNT n] [GROUP group] [LEASE ms] [META] \
             [WORKER name]",
        ),
    ] {
        assert_eq!(usage(name, table::find(name.as_bytes()).unwrap()), want);
    }
}

#[test]
fn help_ends_with_help_itself() {
    let help = asked_text("QCONFIG HELP");
    assert!(
        help.starts_with("*9\\r\\n+QCONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"),
        "{help}"
    );
    assert!(help.contains("+SET queue setting value [setting value ...]\\r\\n"), "{help}");
    assert!(help.contains("+HELP\\r\\n+    Shows the subcommands.\\r\\n"), "{help}");
}

#[test]
fn the_document_names_every_command_option_code_and_limit() {
    let page = protocol_md();
    for spec in answered() {
        for name in std::iter::once(spec.name.to_owned())
            .chain(spec.subcommands.iter().map(|sub| format!("{} {}", spec.name, sub.name)))
        {
            let heading = format!("\n### {}\n", name.to_uppercase());
            let is_bare_container = spec.is_container() && name == spec.name && spec.arity != -1;
            assert!(page.contains(&heading) || is_bare_container, "{name}");
        }
        assert!(spec.options.iter().all(|option| page.contains(option.summary)), "{}", spec.name);
    }
    for code in crate::ErrorCode::ALL {
        assert!(page.contains(&format!("`-{}`", code.word())), "{code:?}");
    }
    assert!(crate::limits::TABLE.iter().all(|row| page.contains(row.what)));
    assert!(!page.contains("\r") && page.ends_with('\n') && !page.contains("\n\n\n"));
}

/// The reply to COMMAND COUNT is the length of that to COMMAND.
#[test]
fn the_count_is_that_of_the_commands() {
    let count = answered().count();
    assert_eq!(asked_text("COMMAND COUNT"), format!(":{count}\\r\\n"));
    let out = asked("COMMAND", Proto::Resp2).unwrap();
    assert!(out.starts_with(format!("*{count}\r\n").as_bytes()));
}
