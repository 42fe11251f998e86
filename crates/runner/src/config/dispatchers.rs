//! `[dispatchers.NAME]`: how a job is done, by kind. Each kind has its keys and its reader in a file of its own.

mod command;
mod drain;
mod exec;
mod http;
mod pool;
mod process;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use drain::Drain;
pub use exec::{Exec, Stdin};
pub use http::Http;
pub use pool::Pool;
pub use process::ProcessLimits;

use super::problem::Problems;
use super::section::{KeySpec, Section, nearest_or_list};
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
    /// Its own, and those that it shares with others.
    keys: &'static [&'static [KeySpec]],
    read: fn(&mut Section<'_>, &mut Problems) -> Option<Dispatcher>,
}

const KINDS: &[Kind] = &[
    Kind { name: "exec", keys: &[exec::KEYS, process::KEYS], read: exec::read },
    Kind { name: "http", keys: &[http::KEYS], read: http::read },
    Kind { name: "pool", keys: &[pool::KEYS, process::KEYS], read: pool::read },
    Kind { name: "drain", keys: &[drain::KEYS, process::KEYS], read: drain::read },
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
    section.refuse_unknown(&kind.keys.concat(), problems);
    (kind.read)(&mut section, problems)
}

/// `timeout`, which every kind has.
fn timeout(section: &Section<'_>, problems: &mut Problems) -> Option<Duration> {
    let span = limits::TIMEOUT_MIN..=limits::DURATION_MAX;
    section.duration("timeout", span, limits::TIMEOUT_DEFAULT, problems)
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

    /// The limits of its processes, if it starts some.
    #[must_use]
    pub fn limits(&self) -> Option<&ProcessLimits> {
        match self {
            Dispatcher::Exec(exec) => Some(&exec.limits),
            Dispatcher::Pool(pool) => Some(&pool.limits),
            Dispatcher::Drain(drain) => Some(&drain.limits),
            Dispatcher::Http(_) => None,
        }
    }
}
