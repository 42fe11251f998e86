//! `kind = "drain"`: a command that takes jobs by itself.

use std::time::Duration;

use super::{Dispatcher, ProcessLimits, command, process};
use crate::config::problem::Problems;
use crate::config::section::{KeySpec, Section};
use crate::limits;
use crate::template::{Field, Template};

/// A command that is started while a queue has jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// The program; looked up in PATH unless it has a slash.
    pub program: String,
    /// Its arguments, each with its placeholders.
    pub arguments: Vec<Template>,
    /// How often the server is asked while nothing can be started.
    pub poll: Duration,
    /// Of the command.
    pub limits: ProcessLimits,
}

pub(super) const KEYS: &[KeySpec] = &[KeySpec::here("kind"), KeySpec::here("command"), KeySpec::here("poll")];

pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let instead = "there are {queue} and {group}: the command takes its jobs by itself";
    let is_of_a_job = |field| !matches!(field, Field::Queue | Field::Group);
    let command = command::without(is_of_a_job, instead, section, problems);
    let span = limits::POLL_MIN..=limits::POLL_MAX;
    let poll = section.duration("poll", span, limits::POLL_DEFAULT, problems);
    let limits = process::read(section, problems);
    let (program, arguments) = command?;
    Some(Dispatcher::Drain(Drain { program, arguments, poll: poll?, limits: limits? }))
}

impl Drain {
    /// Whether a process is for one group of a queue and not for all of it.
    #[must_use]
    pub fn is_by_group(&self) -> bool {
        self.arguments.iter().any(|argument| argument.has(Field::Group))
    }
}
