//! What keeping jobs costs, beside Redis with its append-only file and beanstalkd with its binlog: memory and log of
//! standing jobs, starts, what churn writes, and pushes while the log is cleaned.

mod backlog;
mod churn;
mod latency;
mod peer;
mod speech;
mod standing;

use anyhow::Result;

use crate::report::Report;
use crate::setting::Setting;

/// How much.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// Jobs that stand: their memory, their log, the start on them.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    jobs: u64,

    /// Jobs of a second, larger stand; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    many: u64,

    /// Jobs that come and go while the backlog grows and shrinks; 1,000 a second for an hour are 3,600,000.
    #[arg(long, value_name = "N", default_value_t = 3_600_000)]
    churn: u64,

    /// Gigabytes of jobs that stand on a server that may take 1 GiB of memory; 0 leaves it out.
    #[arg(long, value_name = "GB", default_value_t = 20)]
    backlog: u64,
}

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, size: Size, report: &mut Report) -> Result<()> {
    standing::run(setting, size.jobs, report)?;
    if size.many > 0 {
        standing::run(setting, size.many, report)?;
    }
    churn::run(setting, size.churn, report)?;
    latency::run(setting, report)?;
    if size.backlog > 0 {
        backlog::run(setting, size.backlog, report)?;
    }
    Ok(())
}

/// Does what the bench does with a few jobs, and checks the books.
pub(crate) fn exercise(setting: &Setting) -> Result<()> {
    standing::exercise(setting)?;
    churn::exercise(setting)?;
    latency::exercise(setting)?;
    backlog::exercise(setting)
}
