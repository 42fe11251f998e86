//! `kind = "exec"`: a process per job.

use std::time::Duration;

use super::Dispatcher;
use super::command;
use crate::config::problem::Problems;
use crate::config::section::{KeySpec, Section};
use crate::template::Template;

/// A process per job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The program; looked up in PATH unless it has a slash.
    pub program: String,
    /// Its arguments, each with its placeholders.
    pub arguments: Vec<Template>,
    /// What it reads.
    pub stdin: Stdin,
    /// SIGTERM after this long.
    pub timeout: Duration,
    /// SIGKILL this long after SIGTERM.
    pub kill_after: Duration,
    /// Bytes of memory, of all its processes together.
    pub memory_max: Option<u64>,
}

/// What a job's process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// The job's payload, then end of file.
    Payload,
    /// Nothing.
    None,
}

pub(super) const KEYS: &[KeySpec] = &[
    KeySpec::here("kind"),
    KeySpec::here("command"),
    KeySpec::here("stdin"),
    KeySpec::here("timeout"),
    KeySpec::here("kill-after"),
    KeySpec::here("memory-max"),
];

pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let command = command::with_fields(section, problems);
    let stdin = match section.text("stdin", problems) {
        None | Some("payload") => Some(Stdin::Payload),
        Some("none") => Some(Stdin::None),
        Some(other) => {
            let what = format!("\"{other}\" is nothing that a job can read");
            problems.add(section.value_at("stdin"), what, "write \"payload\" or \"none\"");
            None
        }
    };
    let timeout = super::timeout(section, problems);
    let kill_after = super::kill_after(section, problems);
    let memory_max = super::memory_max(section, problems);
    let (program, arguments) = command?;
    Some(Dispatcher::Exec(Exec {
        program,
        arguments,
        stdin: stdin?,
        timeout: timeout?,
        kill_after: kill_after?,
        memory_max: memory_max?,
    }))
}
