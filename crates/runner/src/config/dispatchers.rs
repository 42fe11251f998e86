//! `[dispatchers.NAME]`: how a job is done, by kind. Each kind has its keys and its reader in a file of its own.

mod command;
mod drain;
mod exec;
mod http;
mod pool;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use drain::Drain;
pub use exec::{Exec, Stdin};
pub use http::Http;
pub use pool::Pool;

use super::problem::Problems;
use super::section::{KeySpec, Section, nearest_or_list};
use super::values;
use crate::limits;

/// `[dispatchers.NAME]`: how a job is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatcher {
    /// `kind = "exec"`: a process per job.
    Exec(Exec),
    /// `kind = "http"`: a request per job.
    Http(Http),
    /// `kind = "pool"`: workers that live on.
    Pool(Pool),
    /// `kind = "drain"`: a command that takes jobs by itself.
    Drain(Drain),
}

/// One kind of dispatcher, as the file knows it.
struct Kind {
    name: &'static str,
    keys: &'static [KeySpec],
    read: fn(&mut Section<'_>, &mut Problems) -> Option<Dispatcher>,
}

const KINDS: &[Kind] = &[
    Kind { name: "exec", keys: exec::KEYS, read: exec::read },
    Kind { name: "http", keys: http::KEYS, read: http::read },
    Kind { name: "pool", keys: pool::KEYS, read: pool::read },
    Kind { name: "drain", keys: drain::KEYS, read: drain::read },
];

/// Name, position and, when it has no problem, the dispatcher itself.
pub(super) type NamedDispatcher = (String, usize, Option<Dispatcher>);

pub(super) fn all(top: &mut Section<'_>, problems: &mut Problems) -> Vec<NamedDispatcher> {
    let sections = top.sections("dispatchers", problems);
    if sections.is_empty() {
        problems.add_missing(
            top,
            "a section [dispatchers.NAME]",
            "write [dispatchers.work] with kind and command",
        );
    }
    sections
        .into_iter()
        .map(|(name, section)| {
            let at = section.at();
            (name, at, dispatcher(section, problems))
        })
        .collect()
}

fn dispatcher(mut section: Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let wanted = section.required_text("kind", "kind = \"exec\"", problems)?;
    let Some(kind) = KINDS.iter().find(|kind| kind.name == wanted) else {
        let at = section.value_at("kind");
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        problems.add(at, format!("unknown kind \"{wanted}\""), nearest_or_list(wanted, &names));
        return None;
    };
    section.refuse_unknown(kind.keys, problems);
    (kind.read)(&mut section, problems)
}

/// `timeout`, which every kind has.
fn timeout(section: &Section<'_>, problems: &mut Problems) -> Option<Duration> {
    let span = limits::TIMEOUT_MIN..=limits::DURATION_MAX;
    section.duration("timeout", span, limits::TIMEOUT_DEFAULT, problems)
}

/// `kill-after`, of the kinds that start processes.
fn kill_after(section: &Section<'_>, problems: &mut Problems) -> Option<Duration> {
    let span = Duration::ZERO..=limits::DURATION_MAX;
    section.duration("kill-after", span, limits::KILL_AFTER_DEFAULT, problems)
}

/// `memory-max`, of the kinds that start processes. The outer `None` is a problem.
fn memory_max(section: &Section<'_>, problems: &mut Problems) -> Option<Option<u64>> {
    let Some(text) = section.text("memory-max", problems) else {
        return if section.has("memory-max") { None } else { Some(None) };
    };
    let bytes = values::size(text).filter(|bytes| *bytes >= limits::MEMORY_BYTES_MIN);
    if bytes.is_none() {
        let what = format!("\"{text}\" is no amount of memory that a job can have");
        problems.add(
            section.value_at("memory-max"),
            what,
            "write 1MiB or more, as in \"512MiB\" or \"2GiB\"",
        );
    }
    bytes.map(Some)
}

impl Dispatcher {
    /// The program that it starts, if it starts one.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        match self {
            Dispatcher::Exec(exec) => Some(&exec.program),
            Dispatcher::Pool(pool) => Some(&pool.program),
            Dispatcher::Drain(drain) => Some(&drain.program),
            Dispatcher::Http(_) => None,
        }
    }

    /// The memory limit of its processes.
    #[must_use]
    pub fn memory_max(&self) -> Option<u64> {
        match self {
            Dispatcher::Exec(exec) => exec.memory_max,
            Dispatcher::Pool(pool) => pool.memory_max,
            Dispatcher::Drain(drain) => drain.memory_max,
            Dispatcher::Http(_) => None,
        }
    }
}
