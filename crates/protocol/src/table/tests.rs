//! The table against itself, and look-up.

use super::*;
use crate::OwnedArgs;

fn rows() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().flat_map(|spec| std::iter::once(*spec).chain(spec.subcommands))
}

fn resolve_line(line: &str) -> Result<CommandId, String> {
    let args: OwnedArgs = line.split(' ').collect();
    resolve(args.as_args()).map(|spec| spec.id).map_err(|error| error.to_string())
}

#[test]
fn every_command_is_found_in_any_case() {
    for spec in &COMMANDS {
        for name in [spec.name.to_owned(), spec.name.to_uppercase()] {
            assert_eq!(find(name.as_bytes()).map(|spec| spec.id), Some(spec.id), "{name}");
        }
        for sub in spec.subcommands {
            let name = sub.name.to_uppercase();
            assert_eq!(subcommand(spec, name.as_bytes()).map(|sub| sub.id), Some(sub.id), "{name}");
        }
    }
    for name in [
        "",
        "q",
        "qpus",
        "qpushx",
        "eval\x7fro",
        "client|id",
        "PI\0G",
        "commaXX",
        "shutXown",
        "q\x10ush",
        "del\0",
    ] {
        assert!(find(name.as_bytes()).is_none(), "{name:?}");
    }
}

#[test]
fn names_and_ids_are_unique() {
    let mut names: Vec<_> = COMMANDS.iter().map(|spec| spec.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COMMANDS.len());
    let ids: std::collections::HashSet<_> = rows().map(|spec| spec.id).collect();
    let helps = rows().filter(|spec| spec.id == CommandId::Help).count();
    assert_eq!(ids.len(), rows().count() - helps + 1);
}

#[test]
fn rows_are_complete_and_sorted() {
    for spec in rows() {
        let name = spec.name;
        assert_eq!(name, name.to_lowercase());
        assert!(spec.arity != 0 && !spec.summary.is_empty() && !spec.complexity.is_empty(), "{name}");
        assert!(!spec.summary.ends_with('.'), "{name}");
        assert!(spec.is_container() || !spec.reply.is_empty(), "{name}");
        assert!(!spec.categories.is_empty(), "{name}");
        assert!(!(spec.flags.has(Flags::WRITE) && spec.flags.has(Flags::READONLY)), "{name}");
        assert_eq!(spec.flags.has(Flags::WRITE), spec.categories.has(Categories::WRITE), "{name}");
        assert_eq!(spec.flags.has(Flags::BLOCKING), spec.categories.has(Categories::BLOCKING), "{name}");
        assert_eq!(spec.flags.has(Flags::MOVABLEKEYS), matches!(spec.keys, Keys::Counted(_)), "{name}");
        assert!(spec.options.is_sorted_by(|a, b| a.word < b.word), "{name}'s options are sorted and unique");
        assert!(spec.subcommands.is_sorted_by(|a, b| a.name < b.name), "{name}'s subcommands are sorted");
        let has_options = spec.arguments.iter().any(|argument| !matches!(argument, Argument::Word { .. }));
        assert_eq!(has_options, !spec.options.is_empty(), "{name}");
    }
}

#[test]
fn options_refer_to_options_of_the_same_row() {
    for spec in rows() {
        let others = |opt: Opt| spec.options.iter().find(move |option| option.opt == opt);
        for option in spec.options {
            assert_eq!(option.word, option.word.to_uppercase());
            assert!(!option.summary.is_empty(), "{} {}", spec.name, option.word);
            if let Some(needed) = option.needs {
                assert!(others(needed).is_some(), "{} {}", spec.name, option.word);
            }
            for other in spec.options {
                let mutual = other.excludes.has(option.opt) == option.excludes.has(other.opt);
                assert!(mutual, "{} {} {}", spec.name, option.word, other.word);
            }
        }
    }
}

#[test]
fn the_arity_is_what_the_arguments_say() {
    for spec in rows().filter(|spec| !spec.is_container() && spec.refused.is_none()) {
        let is_sub =
            COMMANDS.iter().any(|parent| parent.subcommands.iter().any(|sub| std::ptr::eq(sub, spec)));
        let mut least = if is_sub { 2 } else { 1 };
        let mut open = false;
        for argument in spec.arguments {
            match argument {
                Argument::Options => open = true,
                Argument::WordOrOptions { .. } => (least, open) = (least + 1, true),
                Argument::Word { name, times, .. } => {
                    // `ON | OFF` is one word, `parameter value` are two.
                    let words = if name.contains('|') { 1 } else { name.split(' ').count() as i32 };
                    match times {
                        Times::One => least += words,
                        Times::Many => (least, open) = (least + words, true),
                        Times::Optional | Times::Any => open = true,
                    }
                }
            }
        }
        // A source of QMCLAIM has three words. QUIT takes and ignores words, as in Redis, whose subcommands of COMMAND
        // count their optional words in, too.
        let known = match spec.id {
            CommandId::Qmclaim => -4,
            CommandId::Quit => -1,
            CommandId::CommandInfo | CommandId::CommandDocs | CommandId::CommandList => -2,
            _ => {
                if open {
                    -least
                } else {
                    least
                }
            }
        };
        assert_eq!(spec.arity, known, "{}", spec.name);
    }
}

#[test]
fn requests_resolve_to_their_rows() {
    for (line, want) in [
        ("qpush q p", CommandId::Qpush),
        ("QCLAIM q", CommandId::Qclaim),
        ("command", CommandId::Command),
        ("Command Docs", CommandId::CommandDocs),
        ("CONFIG GET x", CommandId::ConfigGet),
        ("QCONFIG get q", CommandId::QconfigGet),
        ("CLIENT HELP", CommandId::Help),
    ] {
        assert_eq!(resolve_line(line), Ok(want), "{line}");
    }
}

/// The first six are what redis-server 7.0.15 answers.
#[test]
fn requests_that_resolve_to_nothing_are_refused_in_redis_words() {
    let a200 = "a".repeat(200);
    for (line, want) in [
        ("foo a b", "ERR unknown command 'foo', with args beginning with: 'a' 'b' ".to_owned()),
        ("foo", "ERR unknown command 'foo', with args beginning with: ".to_owned()),
        (
            &format!("foo {a200} b"),
            format!("ERR unknown command 'foo', with args beginning with: '{}' ", &a200[..128]),
        ),
        (&a200, format!("ERR unknown command '{}', with args beginning with: ", &a200[..128])),
        ("CLIENT", "ERR wrong number of arguments for 'client' command".to_owned()),
        ("CLIENT SETNAME", "ERR wrong number of arguments for 'client|setname' command".to_owned()),
        ("client foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP.".to_owned()),
        ("QPUSH q", "ERR wrong number of arguments for 'qpush' command".to_owned()),
        ("QSTATS q q", "ERR wrong number of arguments for 'qstats' command".to_owned()),
        ("QCONFIG SET q lease", "ERR wrong number of arguments for 'qconfig|set' command".to_owned()),
        (
            "eval x 0",
            "ERR EVAL is not supported: queues need no scripts, use QPUSH, QCLAIM, QACK and QNACK".to_owned(),
        ),
    ] {
        assert_eq!(resolve_line(line), Err(want), "{line}");
    }
    for name in ["eval_ro x 0", "evalsha x 0", "evalsha_ro x 0", "script load x", "fcall x 0", "fcall_ro x 0"]
    {
        let error = resolve_line(name).unwrap_err();
        assert!(error.contains("QPUSH") && error.starts_with("ERR "), "{error}");
    }
}

#[test]
fn a_browser_is_recognised() {
    assert!(is_http(b"POST") && is_http(b"Host:"));
    assert!(!is_http(b"QPUSH"));
}
