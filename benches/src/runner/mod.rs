//! The runner beside its server: what a job costs as a process and in a worker that lives on, and what a runner
//! costs that has nothing to do.

mod exec;
mod host;
mod idle;
mod pool;
pub(crate) mod worker;

use anyhow::Result;
use serde_json::json;

use crate::report::Report;
use crate::setting::Setting;

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    let exec = exec::run(setting, report)?;
    let pool = pool::run(setting, report)?;
    let idle = idle::run(setting, report)?;
    report.record("runner", json!({ "exec": exec, "pool": pool, "idle": idle }));
    Ok(())
}

/// The same work at a tiny size, for smoke: each job is done once, and nothing else is asked of the server.
pub(crate) fn exercise(setting: &Setting) -> Result<()> {
    exec::exercise(setting)?;
    pool::exercise(setting)?;
    idle::exercise(setting)
}
