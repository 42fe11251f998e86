//! `kind = "pool"`: workers that live on.

use super::{Dispatcher, ProcessLimits, command, process};
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
    /// Of a worker: its time is that of each job.
    pub limits: ProcessLimits,
}

pub(super) const KEYS: &[KeySpec] =
    &[KeySpec::here("kind"), KeySpec::here("command"), KeySpec::here("jobs-max"), KeySpec::here("batch")];

pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let instead = "write it without; the worker learns about each job from the job's frame";
    let command = command::without(|_| true, instead, section, problems);
    let jobs_max = section.integer("jobs-max", 1..=limits::WORKER_JOBS_MAX, problems);
    let batch = section.integer("batch", 1..=u64::from(limits::BATCH_MAX), problems);
    let limits = process::read(section, problems);
    let (program, arguments) = command?;
    Some(Dispatcher::Pool(Pool {
        program,
        arguments: arguments.iter().map(crate::template::Template::literal).collect(),
        jobs_max: jobs_max?,
        batch: batch?.map_or(1, |batch| u32::try_from(batch).unwrap_or(limits::BATCH_MAX)),
        limits: limits?,
    }))
}
