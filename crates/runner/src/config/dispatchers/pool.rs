//! `kind = "pool"`: workers that live on.

use std::time::Duration;

use super::{Dispatcher, command};
use crate::config::problem::Problems;
use crate::config::section::{KeySpec, Section};
use crate::limits;

/// Workers that do one job after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The program; looked up in PATH unless it has a slash.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// A worker ends when it has had this many jobs; never, when there is none.
    pub jobs_max: Option<u64>,
    /// Jobs that are written to a worker ahead, with the one that it does.
    pub batch: u32,
    /// SIGTERM when a job takes this long.
    pub timeout: Duration,
    /// SIGKILL this long after SIGTERM, or after the end of the worker's input.
    pub kill_after: Duration,
    /// Bytes of memory, of all its processes together.
    pub memory_max: Option<u64>,
}

pub(super) const KEYS: &[KeySpec] = &[
    KeySpec::here("kind"),
    KeySpec::here("command"),
    KeySpec::here("jobs-max"),
    KeySpec::here("batch"),
    KeySpec::here("timeout"),
    KeySpec::here("kill-after"),
    KeySpec::here("memory-max"),
];

pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let instead = "write it without; the worker learns about each job from the job's frame";
    let command = command::without(|_| true, instead, section, problems);
    let jobs_max = section.integer("jobs-max", 1..=limits::WORKER_JOBS_MAX, problems);
    let batch = section.integer("batch", 1..=u64::from(limits::BATCH_MAX), problems);
    let timeout = super::timeout(section, problems);
    let kill_after = super::kill_after(section, problems);
    let memory_max = super::memory_max(section, problems);
    let (program, arguments) = command?;
    Some(Dispatcher::Pool(Pool {
        program,
        arguments: arguments.iter().map(crate::template::Template::literal).collect(),
        jobs_max: jobs_max?,
        batch: batch?.map_or(1, |batch| u32::try_from(batch).unwrap_or(limits::BATCH_MAX)),
        timeout: timeout?,
        kill_after: kill_after?,
        memory_max: memory_max?,
    }))
}
