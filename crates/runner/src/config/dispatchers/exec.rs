//! `kind = "exec"`: a process per job.

use super::{Dispatcher, ProcessLimits, command, process};
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
    /// Of a job's process.
    pub limits: ProcessLimits,
}

/// What a job's process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// The job's payload, then end of file.
    Payload,
    /// Nothing.
    None,
}

pub(super) const KEYS: &[KeySpec] =
    &[KeySpec::here("kind"), KeySpec::here("command"), KeySpec::here("stdin")];

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
    let limits = process::read(section, problems);
    let (program, arguments) = command?;
    Some(Dispatcher::Exec(Exec { program, arguments, stdin: stdin?, limits: limits? }))
}
