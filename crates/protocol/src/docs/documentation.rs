//! COMMAND DOCS, in the shape of Redis 7: what redis-cli's hints are made of.

use super::usage::{Kind, Node, nodes};
use super::{answered, find_full, full_name};
use crate::args::Args;
use crate::reply::Reply;
use crate::table::{CommandSpec, WordKind};

/// Documents these commands, or all; names that we don't know are left out.
pub(super) fn docs(names: Args<'_>, reply: &mut Reply<'_>) {
    let found: Vec<(String, &CommandSpec)> = if names.is_empty() {
        answered().map(|spec| (spec.name.to_owned(), spec)).collect()
    } else {
        names.iter().filter_map(find_full).collect()
    };
    reply.map(found.len());
    for (name, spec) in found {
        reply.bulk(name.as_bytes());
        document(spec, reply);
    }
}

fn document(spec: &CommandSpec, reply: &mut Reply<'_>) {
    let arguments = nodes(spec);
    reply.map(4 + usize::from(!arguments.is_empty()) + usize::from(spec.is_container()));
    text(reply, "summary", spec.summary);
    text(reply, "since", spec.since);
    text(reply, "group", spec.group.name());
    text(reply, "complexity", spec.complexity);
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        list(&arguments, reply);
    }
    if spec.is_container() {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        for sub in spec.subcommands {
            reply.bulk(full_name(spec, sub).as_bytes());
            document(sub, reply);
        }
    }
}

fn list(nodes: &[Node], reply: &mut Reply<'_>) {
    reply.array(nodes.len());
    for node in nodes {
        argument(node, reply);
    }
}

fn argument(node: &Node, reply: &mut Reply<'_>) {
    let (kind, inner) = match &node.kind {
        Kind::Word(WordKind::Key) => ("key", None),
        Kind::Word(WordKind::String) => ("string", None),
        Kind::Word(WordKind::Integer) => ("integer", None),
        Kind::Word(WordKind::Pattern) => ("pattern", None),
        Kind::Token => ("pure-token", None),
        Kind::OneOf(inner) => ("oneof", Some(inner)),
        Kind::Block(inner) => ("block", Some(inner)),
    };
    let is_word = matches!(node.kind, Kind::Word(_));
    let is_key = matches!(node.kind, Kind::Word(WordKind::Key));
    let flags: &[&str] = match (node.optional, node.multiple) {
        (false, false) => &[],
        (true, false) => &["optional"],
        (false, true) => &["multiple"],
        (true, true) => &["optional", "multiple"],
    };
    let fields = [is_word, is_key, node.token.is_some(), !flags.is_empty(), inner.is_some()];
    reply.map(2 + fields.into_iter().filter(|field| *field).count());
    text(reply, "name", &node.name.to_lowercase());
    text(reply, "type", kind);
    if is_word {
        text(reply, "display_text", node.name);
    }
    if is_key {
        reply.bulk(b"key_spec_index");
        reply.integer(0);
    }
    if let Some(token) = node.token {
        text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        for flag in flags {
            reply.simple(flag);
        }
    }
    if let Some(inner) = inner {
        reply.bulk(b"arguments");
        list(inner, reply);
    }
}

fn text(reply: &mut Reply<'_>, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}
