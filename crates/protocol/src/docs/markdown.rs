//! docs/PROTOCOL.md, generated so that it cannot lag behind the table.

use std::fmt::Write as _;

use super::usage::{option_usage, usage};
use crate::error::ErrorCode;
use crate::limits;
use crate::table::{COMMANDS, CommandSpec, Group, Keys};

const HEAD: &str = "\
# Protocol

Generated from the command table in `crates/protocol/src/table` by `cargo xtask docs`; edit it there.

Stanchion speaks RESP2, and RESP3 after `HELLO 3`, as Redis 7 does: arrays of bulk strings, inline commands, pipelines
of any depth. Broken framing is answered in Redis's words, and the connection closes. A well-framed command above one
of the limits below is answered by an error that names the limit, and the connection stays open.

Option words are case-insensitive and read left to right; each takes its fixed number of words whatever they say. An
option that is unknown, repeated, contradictory or misplaced is a syntax error that names the word. A command that
answers an error has changed nothing, except after `-MISCONF`.

Maps are flat arrays in RESP2. Nil is `$-1`, or `_` in RESP3. Fields that don't apply are left out of a map.
";

/// The chapters in the order of the document.
const CHAPTERS: &[(Group, &str)] = &[
    (Group::Producer, "Producers"),
    (Group::Consumer, "Consumers"),
    (Group::Operator, "Operators"),
    (Group::Connection, "Connection"),
    (Group::Generic, "Queues as keys"),
    (Group::Transactions, "Transactions"),
    (Group::Pubsub, "Publish and subscribe"),
    (Group::Server, "Server"),
];

/// The whole document.
pub fn protocol_md() -> String {
    let mut page = HEAD.to_owned();
    errors(&mut page);
    limits(&mut page);
    for (group, title) in CHAPTERS {
        line(&mut page, format_args!("\n## {title}"));
        for spec in COMMANDS.iter().filter(|spec| spec.group == *group) {
            command(&mut page, spec);
        }
    }
    refused(&mut page);
    page
}

fn errors(page: &mut String) {
    line(page, format_args!("\n## Errors\n\n| code | meaning |\n|---|---|"));
    for code in ErrorCode::ALL {
        line(page, format_args!("| `-{}` | {} |", code.word(), code.meaning()));
    }
}

fn limits(page: &mut String) {
    line(page, format_args!("\n## Limits\n\n| limit | setting | default |\n|---|---|---|"));
    for row in limits::TABLE {
        let setting = if row.name.is_empty() { "fixed".to_owned() } else { format!("`{}`", row.name) };
        line(page, format_args!("| {} | {setting} | {} |", row.what, row.value));
    }
}

fn command(page: &mut String, spec: &CommandSpec) {
    if !spec.is_container() {
        return entry(page, spec.name, spec);
    }
    if spec.arity == -1 {
        entry(page, spec.name, spec);
    }
    for sub in spec.subcommands {
        entry(page, &format!("{} {}", spec.name, sub.name), sub);
    }
}

fn entry(page: &mut String, name: &str, spec: &CommandSpec) {
    line(page, format_args!("\n### {}\n", name.to_uppercase()));
    line(page, format_args!("`{}`\n", usage(name, spec)));
    line(page, format_args!("{}.\n", spec.summary));
    line(page, format_args!("- Reply: {}", spec.reply));
    if !spec.errors.is_empty() {
        let codes: Vec<String> = spec.errors.iter().map(|code| format!("`-{}`", code.word())).collect();
        line(page, format_args!("- Errors: {}", codes.join(" ")));
    }
    let keys = match spec.keys {
        Keys::None => "none".to_owned(),
        Keys::One(at) => format!("word {at}"),
        Keys::From(at) => format!("all words from {at} on"),
        Keys::Counted(keyword) => format!("after {keyword}: how many, then the keys"),
    };
    line(page, format_args!("- Keys: {keys}"));
    let words: Vec<&str> = spec.flags.words().collect();
    if !words.is_empty() {
        line(page, format_args!("- Flags: {}", words.join(" ")));
    }
    line(page, format_args!("- ACL: {}", spec.categories.words().collect::<Vec<_>>().join(" ")));
    line(page, format_args!("- Complexity: {}; arity {}; since {}", spec.complexity, spec.arity, spec.since));
    if !spec.options.is_empty() {
        line(page, format_args!("\n| option | meaning |\n|---|---|"));
        for option in spec.options {
            line(
                page,
                format_args!("| `{}` | {} |", option_usage(option).replace('|', "\\|"), option.summary),
            );
        }
    }
}

fn refused(page: &mut String) {
    line(page, format_args!("\n## Refused\n"));
    line(
        page,
        format_args!("These answer `-ERR`, never `-NOSCRIPT`, which makes clients send the script again.\n"),
    );
    for spec in COMMANDS {
        if let Some(instead) = spec.refused {
            line(page, format_args!("- `{}`: {instead}", spec.name.to_uppercase()));
        }
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes any text");
}
