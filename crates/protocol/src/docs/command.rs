//! COMMAND, COMMAND INFO, LIST and GETKEYS, in the shapes of Redis 7.

use super::{answered, find_full, full_name};
use crate::args::Args;
use crate::error::{CommandError, Quoted};
use crate::glob;
use crate::keys;
use crate::reply::Reply;
use crate::table::{self, CommandSpec, Keys};

/// COMMAND: a description of each.
pub(super) fn all(reply: &mut Reply<'_>) {
    reply.array(answered().count());
    for spec in answered() {
        describe(spec.name, spec, reply);
    }
}

/// COMMAND INFO: a description of each of these, or of all.
pub(super) fn info(names: Args<'_>, reply: &mut Reply<'_>) {
    if names.is_empty() {
        return all(reply);
    }
    reply.array(names.len());
    for name in names.iter() {
        match find_full(name) {
            Some((name, spec)) => describe(&name, spec, reply),
            None => reply.nil(),
        }
    }
}

/// Name, arity, flags, first key, last key, step, categories, tips, key specs, subcommands.
fn describe(name: &str, spec: &CommandSpec, reply: &mut Reply<'_>) {
    reply.array(10);
    reply.bulk(name.as_bytes());
    reply.integer(spec.arity);
    reply.set(spec.flags.len());
    for flag in spec.flags.words() {
        reply.simple(flag);
    }
    let (first, last, step) = match spec.keys {
        Keys::None | Keys::Counted(_) => (0, 0, 0),
        Keys::One(at) => (at as i64, at as i64, 1),
        Keys::From(at) => (at as i64, -1, 1),
    };
    for position in [first, last, step] {
        reply.integer(position);
    }
    reply.set(spec.categories.len());
    for category in spec.categories.words() {
        reply.simple(category);
    }
    reply.set(0);
    key_specs(spec, reply);
    reply.array(spec.subcommands.len());
    for sub in spec.subcommands {
        describe(&full_name(spec, sub), sub, reply);
    }
}

/// Where the keys begin and how to find them, as a set of none or one.
fn key_specs(spec: &CommandSpec, reply: &mut Reply<'_>) {
    if spec.keys == Keys::None {
        return reply.set(0);
    }
    reply.set(1);
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(spec.key_flags().len());
    for flag in spec.key_flags() {
        reply.simple(flag);
    }
    reply.bulk(b"begin_search");
    match spec.keys {
        Keys::One(at) | Keys::From(at) => search(reply, "index", &[("index", at as i64)], None),
        Keys::Counted(keyword) => search(reply, "keyword", &[("startfrom", 1)], Some(("keyword", keyword))),
        Keys::None => unreachable!("a command without keys has no key specs"),
    }
    reply.bulk(b"find_keys");
    match spec.keys {
        Keys::Counted(_) => {
            search(reply, "keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)], None);
        }
        Keys::From(_) => search(reply, "range", &[("lastkey", -1), ("keystep", 1), ("limit", 0)], None),
        _ => search(reply, "range", &[("lastkey", 0), ("keystep", 1), ("limit", 0)], None),
    }
}

fn search(reply: &mut Reply<'_>, kind: &str, numbers: &[(&str, i64)], word: Option<(&str, &str)>) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(numbers.len() + usize::from(word.is_some()));
    if let Some((name, value)) = word {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    for (name, value) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(*value);
    }
}

/// COMMAND LIST, with FILTERBY MODULE, ACLCAT or PATTERN.
pub(super) fn list(filter: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let names = names();
    let shown: Vec<&str> = match filter.iter().collect::<Vec<_>>()[..] {
        [] => names.iter().filter(|(name, _)| !name.contains('|')).map(|(name, _)| &name[..]).collect(),
        [by, kind, value] if by.eq_ignore_ascii_case(b"FILTERBY") => {
            if kind.eq_ignore_ascii_case(b"MODULE") {
                // There are no modules.
                Vec::new()
            } else if kind.eq_ignore_ascii_case(b"ACLCAT") {
                let has = |spec: &CommandSpec| spec.categories.words().any(|word| is_category(word, value));
                names.iter().filter(|(_, spec)| has(spec)).map(|(name, _)| &name[..]).collect()
            } else if kind.eq_ignore_ascii_case(b"PATTERN") {
                let glob = value.to_ascii_lowercase();
                names
                    .iter()
                    .filter(|(name, _)| glob::matches(&glob, name.as_bytes()))
                    .map(|(name, _)| &name[..])
                    .collect()
            } else {
                return Err(CommandError::syntax(format_args!("{} is no filter", Quoted(kind))));
            }
        }
        [word, ..] => return Err(CommandError::syntax(format_args!("near {}", Quoted(word)))),
    };
    reply.array(shown.len());
    for name in shown {
        reply.bulk(name.as_bytes());
    }
    Ok(())
}

fn is_category(word: &str, name: &[u8]) -> bool {
    word.strip_prefix('@').is_some_and(|word| word.as_bytes().eq_ignore_ascii_case(name))
}

/// Every command and subcommand under its full name.
fn names() -> Vec<(String, &'static CommandSpec)> {
    let mut names = Vec::new();
    for spec in answered() {
        names.push((spec.name.to_owned(), spec));
        names.extend(spec.subcommands.iter().map(|sub| (full_name(spec, sub), sub)));
    }
    names
}

/// What is shown of each key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The key.
    Keys,
    /// Besides, what the command does to it.
    KeysAndFlags,
}

/// COMMAND GETKEYS and GETKEYSANDFLAGS of the request in `args`, in Redis's words when there is nothing to find.
pub(super) fn keys(args: Args<'_>, shown: Shown, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let refusal = |why: &str| Err(CommandError::new(why));
    let Some(mut spec) = table::find(args.at(0)).filter(|spec| spec.refused.is_none()) else {
        return refusal("Invalid command specified");
    };
    if let Some(word) = args.get(1)
        && spec.is_container()
    {
        match table::subcommand(spec, word) {
            Some(sub) => spec = sub,
            None => return refusal("Invalid command specified"),
        }
    }
    if spec.keys == Keys::None {
        return refusal("The command has no key arguments");
    }
    if !spec.arity_fits(args.len()) {
        return refusal("Invalid number of arguments specified for command");
    }
    let positions = keys::positions(spec, args);
    if let Keys::Counted(keyword) = spec.keys
        && positions.is_empty()
    {
        return refusal(if args.at(1).eq_ignore_ascii_case(keyword.as_bytes()) {
            "Invalid arguments specified for command"
        } else {
            "The command has no key arguments"
        });
    }
    reply.array(positions.len());
    for at in positions {
        if shown == Shown::KeysAndFlags {
            reply.array(2);
        }
        reply.bulk(args.at(at));
        if shown == Shown::KeysAndFlags {
            reply.set(spec.key_flags().len());
            for flag in spec.key_flags() {
                reply.simple(flag);
            }
        }
    }
    Ok(())
}
