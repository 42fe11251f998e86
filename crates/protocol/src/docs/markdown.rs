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

/// What the table can't know: these messages answer no command.
const JOB_EVENTS: &str = "
### Job events

What happens to the jobs of a queue whose setting `notify` is `on` is published on `__job__:<queue>`, as words
separated by spaces: `<event> <id> <attempt>`, and the job's group behind them when it has one. The attempt is
how many there have been, the one that the event is about included. For example `claimed 0000100000000001 1 enwiki`.

| event | what happened to the job |
|---|---|
| `pushed` | a push added it, ready or delayed |
| `replaced` | a push with its dedupe key gave it a new content |
| `claimed` | it was handed to a worker |
| `acked` | it is done and gone |
| `retried` | it failed and will be tried again, at once or after a delay |
| `released` | it was given back without using an attempt |
| `lapsed` | its lease ended; it is ready again, unless `died` or `superseded` follows |
| `died` | it is kept as a dead job |
| `requeued` | an operator made it ready, dead or delayed as it was |
| `superseded` | it was dropped, since a newer root is registered |
| `expired` | it was dropped at the end of its TTL |
| `deleted` | an operator deleted it with QDEL or QPURGE |
| `forgotten` | it was dead and was dropped: kept long enough, or one too many |

The events of one queue come in the order in which they happened, and under `durability always` not before they are on
disk. They are not kept: whoever does not listen misses them, and whoever reads too slowly loses some while it
stays connected (`job_events_lost` in `INFO stanchion` counts them), so nothing should depend on seeing every one. DEL and
FLUSHALL are one step for all jobs of a queue and send none.
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
        if *group == Group::Pubsub {
            page.push_str(JOB_EVENTS);
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
