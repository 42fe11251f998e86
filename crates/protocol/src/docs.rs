//! What COMMAND and HELP answer, and docs/PROTOCOL.md: the table for people and for client libraries.

mod command;
mod documentation;
mod help;
mod markdown;
mod usage;

pub use markdown::protocol_md;
pub use usage::usage;

use command::Shown;

use crate::args::Args;
use crate::error::CommandError;
use crate::reply::Reply;
use crate::table::{COMMANDS, CommandId, CommandSpec};

/// Answers COMMAND, its subcommands and every HELP, and says whether the request was one of these.
///
/// `spec` is the request's row. An error has written nothing.
pub fn answer(spec: &CommandSpec, args: Args<'_>, reply: &mut Reply<'_>) -> Result<bool, CommandError> {
    match spec.id {
        CommandId::Command => command::all(reply),
        CommandId::CommandCount => reply.integer(answered().count()),
        CommandId::CommandInfo => command::info(args.skip(2), reply),
        CommandId::CommandList => command::list(args.skip(2), reply)?,
        CommandId::CommandGetkeys => command::keys(args.skip(2), Shown::Keys, reply)?,
        CommandId::CommandGetkeysandflags => command::keys(args.skip(2), Shown::KeysAndFlags, reply)?,
        CommandId::CommandDocs => documentation::docs(args.skip(2), reply),
        CommandId::Help => help::help(args.at(0), reply),
        _ => return Ok(false),
    }
    Ok(true)
}

/// The commands that do something: a client must not conclude from COMMAND that it may send EVAL.
fn answered() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.into_iter().filter(|spec| spec.refused.is_none())
}

/// The row of `name`, or of a subcommand as `parent|name`, with its full name.
fn find_full(name: &[u8]) -> Option<(String, &'static CommandSpec)> {
    let (parent, sub) = match name.iter().position(|byte| *byte == b'|') {
        Some(bar) => (&name[..bar], Some(&name[bar + 1..])),
        None => (name, None),
    };
    let spec = crate::table::find(parent).filter(|spec| spec.refused.is_none())?;
    match sub {
        None => Some((spec.name.to_owned(), spec)),
        Some(sub) => {
            let sub = crate::table::subcommand(spec, sub)?;
            Some((full_name(spec, sub), sub))
        }
    }
}

/// A subcommand's name as COMMAND shows it.
fn full_name(parent: &CommandSpec, sub: &CommandSpec) -> String {
    format!("{}|{}", parent.name, sub.name)
}

#[cfg(test)]
mod tests;
