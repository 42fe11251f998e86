//! HELP of a command with subcommands, laid out as Redis does.

use super::usage::usage;
use crate::reply::Reply;
use crate::table;

/// Shows the subcommands of the command `parent`.
pub(super) fn help(parent: &[u8], reply: &mut Reply<'_>) {
    let spec = table::find(parent).expect("HELP is a subcommand of the command that was resolved");
    let mut lines = vec![format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        spec.name.to_uppercase()
    )];
    for sub in spec.subcommands {
        lines.push(usage(sub.name, sub));
        lines.push(format!("    {}.", sub.summary));
    }
    reply.array(lines.len());
    for line in lines {
        reply.simple(&line);
    }
}
