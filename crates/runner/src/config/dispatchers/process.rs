//! What holds for every process that a dispatcher starts: how long it may run, and how much memory it may have.

use std::time::Duration;

use crate::config::problem::Problems;
use crate::config::section::{KeySpec, Section};
use crate::config::values;
use crate::limits;

/// Limits of a process, with all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// SIGTERM when a job takes this long.
    pub timeout: Duration,
    /// SIGKILL this long after SIGTERM.
    pub kill_after: Duration,
    /// Bytes of memory, of all its processes together.
    pub memory_max: Option<u64>,
}

pub(super) const KEYS: &[KeySpec] =
    &[KeySpec::here("timeout"), KeySpec::here("kill-after"), KeySpec::here("memory-max")];

pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Option<ProcessLimits> {
    let timeout = super::timeout(section, problems);
    let span = Duration::ZERO..=limits::DURATION_MAX;
    let kill_after = section.duration("kill-after", span, limits::KILL_AFTER_DEFAULT, problems);
    let memory_max = memory_max(section, problems);
    Some(ProcessLimits { timeout: timeout?, kill_after: kill_after?, memory_max: memory_max? })
}

/// `memory-max`, if it is there. The outer `None` is a problem.
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
