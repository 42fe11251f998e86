//! From the words of a request to a typed command.
//!
//! Parsing touches nothing: it sees the words, the table's row and the limits, so a command that answers a syntax
//! error has changed nothing.

mod claim;
mod operate;
mod push;
mod scan;
mod value;
mod worker;

pub use scan::{Found, Options, Value};
pub use value::cursor;
pub use worker::{is_worker_command, worker};

use crate::args::Args;
use crate::command::QueueCommand;
use crate::error::CommandError;
use crate::limits::Limits;
use crate::table::{CommandId, CommandSpec};

/// Reads a queue command; `spec` is its row, from [`crate::table::resolve`], which has checked the arity.
///
/// Panics when `spec` is not a queue command's ([`is_queue_command`]).
pub fn parse<'a>(
    spec: &'static CommandSpec,
    args: Args<'a>,
    limits: &Limits,
) -> Result<QueueCommand<'a>, CommandError> {
    let words = Words { spec, args, limits };
    match spec.id {
        CommandId::Qpush | CommandId::Qmpush => push::push(words),
        CommandId::Qroot => push::root(words),
        CommandId::Qclaim => claim::claim(words),
        CommandId::Qmclaim => claim::claim_many(words),
        CommandId::Qack => claim::ack(words),
        CommandId::Qnack => claim::nack(words),
        CommandId::Qrelease => claim::release(words),
        CommandId::Qextend => claim::extend(words),
        CommandId::Qlen => operate::len(words),
        CommandId::Qstats => Ok(QueueCommand::Stats { queue: words.queue()? }),
        CommandId::Qlist => operate::list(words),
        CommandId::Qready => operate::ready(words),
        CommandId::Qpeek => operate::peek(words),
        CommandId::Qjob => operate::job(words),
        CommandId::Qscan => operate::scan(words),
        CommandId::Qrequeue => operate::requeue(words),
        CommandId::Qdel => operate::del(words),
        CommandId::Qpurge => operate::purge(words),
        CommandId::Qpause => operate::pause(words),
        CommandId::Qresume => Ok(QueueCommand::Resume { queue: words.queue()? }),
        CommandId::QconfigSet => operate::config_set(words),
        CommandId::QconfigGet => operate::config_get(words),
        CommandId::QconfigUnset => operate::config_unset(words),
        other => panic!("{other:?} is not a queue command"),
    }
}

/// Whether [`parse`] reads this command.
pub fn is_queue_command(spec: &CommandSpec) -> bool {
    use crate::table::Group;
    matches!(spec.group, Group::Producer | Group::Consumer | Group::Operator)
        && !spec.is_container()
        && spec.id != CommandId::Help
        && !is_worker_command(spec)
}

/// A request on its way to a command.
#[derive(Clone, Copy)]
struct Words<'a, 'l> {
    spec: &'static CommandSpec,
    args: Args<'a>,
    limits: &'l Limits,
}

impl<'a, 'l> Words<'a, 'l> {
    /// The queue, which is the first word of most commands.
    #[inline]
    fn queue(&self) -> Result<&'a [u8], CommandError> {
        value::queue(self.args.at(1), self.limits)
    }

    /// The options, which start at word `from`.
    #[inline]
    fn options(&self, from: usize) -> Options<'a, 'l> {
        Options::new(self.spec, self.args, from, self.limits)
    }
}

#[cfg(test)]
mod tests;
