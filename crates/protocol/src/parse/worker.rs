//! QWORKER.

use super::scan::Found;
use super::{Words, value};
use crate::args::Args;
use crate::command::{Told, WorkerCommand};
use crate::error::CommandError;
use crate::limits::{Limits, WORKER_GROUPS_BYTES_MAX};
use crate::table::{CommandId, CommandSpec, Opt};

/// Whether [`worker`] reads this command.
pub fn is_worker_command(spec: &CommandSpec) -> bool {
    matches!(
        spec.id,
        CommandId::QworkerBeat
            | CommandId::QworkerBye
            | CommandId::QworkerList
            | CommandId::QworkerQuiet
            | CommandId::QworkerResume
            | CommandId::QworkerStop
            | CommandId::QworkerVersions
    )
}

/// Reads a subcommand of QWORKER, whose arity was checked.
///
/// Panics when `spec` is of another command ([`is_worker_command`]).
pub fn worker<'a>(
    spec: &'static CommandSpec,
    args: Args<'a>,
    limits: &Limits,
) -> Result<WorkerCommand<'a>, CommandError> {
    let words = Words { spec, args, limits };
    let name = || value::name("worker name", args.at(2), limits);
    Ok(match spec.id {
        CommandId::QworkerBeat => WorkerCommand::Beat { name: name()?, told: told(words)? },
        CommandId::QworkerBye => {
            let Told { host, pid, .. } = told(words)?;
            WorkerCommand::Bye { name: name()?, host, pid }
        }
        CommandId::QworkerList => WorkerCommand::List,
        CommandId::QworkerQuiet => WorkerCommand::Quiet { name: name()? },
        CommandId::QworkerResume => WorkerCommand::Resume { name: name()? },
        CommandId::QworkerStop => WorkerCommand::Stop { name: name()? },
        CommandId::QworkerVersions => {
            let (mut glob, mut options) = (None, words.options(2));
            while let Some(Found { value, .. }) = options.read()? {
                glob = Some(value.bytes());
            }
            WorkerCommand::Versions { glob }
        }
        other => panic!("{other:?} is no subcommand of QWORKER"),
    })
}

/// `[HOST name] [PID n] ...`, as far as the row has them.
fn told<'a>(words: Words<'a, '_>) -> Result<Told<'a>, CommandError> {
    let mut told = Told::default();
    let mut options = words.options(3);
    while let Some(Found { opt, value }) = options.read()? {
        // The table bounds the numbers by a u32's range.
        let number = || u32::try_from(value.number()).unwrap_or(u32::MAX);
        match opt {
            Opt::Version => told.version = Some(value.bytes()),
            Opt::Host => told.host = Some(value.bytes()),
            Opt::Pid => told.pid = Some(number()),
            Opt::Slots => told.slots = Some(number()),
            Opt::Jobs => told.jobs = Some(number()),
            Opt::Groups => told.groups = Some(groups(value.bytes())?),
            other => unreachable!("the table gives QWORKER no {other:?}"),
        }
    }
    Ok(told)
}

fn groups(word: &[u8]) -> Result<&[u8], CommandError> {
    let (len, max) = (word.len(), WORKER_GROUPS_BYTES_MAX);
    if len <= max {
        return Ok(word);
    }
    Err(CommandError::new(format!("the worker's groups of {len} bytes are above the limit of {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OwnedArgs;
    use crate::table::resolve;

    fn read(line: &str) -> Result<String, String> {
        let args: OwnedArgs = line.split(' ').collect();
        let spec = resolve(args.as_args()).map_err(|error| error.to_string())?;
        assert!(is_worker_command(spec), "{line}");
        let limits = Limits { name_bytes_max: 10, ..Limits::default() };
        let command = worker(spec, args.as_args(), &limits).map_err(|error| error.to_string())?;
        Ok(format!("{command:?}"))
    }

    #[test]
    fn a_beat_says_what_it_likes_in_any_order() {
        let args: OwnedArgs =
            "qworker beat w pid 7 version 1.2 HOST h slots 19 Jobs 3 groups a,b".split(' ').collect();
        let spec = resolve(args.as_args()).unwrap();
        let told = Told {
            version: Some(b"1.2"),
            host: Some(b"h"),
            pid: Some(7),
            slots: Some(19),
            jobs: Some(3),
            groups: Some(b"a,b"),
        };
        let command = worker(spec, args.as_args(), &Limits::default());
        assert_eq!(command, Ok(WorkerCommand::Beat { name: b"w", told }));
    }

    #[test]
    fn words_that_mean_nothing_are_named() {
        for (line, want) in [
            ("QWORKER BEAT w SLOT 1", "ERR syntax error, 'SLOT' is not an option of BEAT"),
            ("QWORKER BEAT w PID 1 PID 2", "ERR syntax error, 'PID' stands twice"),
            ("QWORKER BEAT w PID", "ERR syntax error, 'PID' needs a value"),
            ("QWORKER BYE w SLOTS 1", "ERR syntax error, 'SLOTS' is not an option of BYE"),
            (
                "QWORKER BEAT w PID -1",
                "ERR value is not an integer or out of range: PID '-1', it takes 0 to 4294967295",
            ),
            ("QWORKER STOP ", "ERR the worker name is empty, it has at least one byte"),
            (
                "QWORKER BEAT w VERSION 12345678901",
                "ERR the version of 11 bytes is above the limit of 10 (name-bytes-max)",
            ),
            ("QWORKER VERSIONS MATCH a MATCH b", "ERR syntax error, 'MATCH' stands twice"),
            ("QWORKER VERSIONS a", "ERR syntax error, 'a' is not an option of VERSIONS"),
            ("QWORKER LIST x", "ERR wrong number of arguments for 'qworker|list' command"),
        ] {
            assert_eq!(read(line), Err(want.to_owned()), "{line}");
        }
        let long = format!("QWORKER BEAT w GROUPS {}", "g".repeat(WORKER_GROUPS_BYTES_MAX + 1));
        let error = read(&long).unwrap_err();
        assert_eq!(error, "ERR the worker's groups of 1025 bytes are above the limit of 1024");
    }
}
