//! Every bench at a tiny size, for the gate: it asserts that the work is right and says nothing of time.

use anyhow::{Result, ensure};
use stanchion_bench::contender::Contender;
use stanchion_bench::fleet::Until;
use stanchion_bench::load::Shape;

use crate::report::say;
use crate::setting::Setting;
use crate::{connections, cost, durable, engine, idle, runner, scale, storage};

/// Enough for some cycles of each shape.
const JOBS: u64 = 600;
const IDLE: idle::Crowd = idle::Crowd { blocked_claims: 20, delayed_jobs: 250 };
const CONNECTIONS: connections::Crowd = connections::Crowd { comers: 20, idlers: 50 };

/// Runs all, or says what is wrong.
pub(crate) fn run(setting: &Setting) -> Result<()> {
    engine::exercise()?;
    let mut done = 0;
    let mut targets = cost::targets(setting, cost::Sharing::default())?;
    for way in &cost::WAYS {
        for target in &mut targets {
            done += exercise(target, way.shape)?;
        }
    }
    targets.into_iter().try_for_each(Contender::finish)?;
    for mut target in durable::targets(setting)? {
        done += exercise(&mut target, durable::SHAPE)?;
        target.finish()?;
    }
    idle::Idle::start(setting, IDLE)?.finish()?;
    connections::exercise(setting, CONNECTIONS)?;
    scale::exercise(setting)?;
    storage::exercise(setting)?;
    runner::exercise(setting)?;
    say(format!("smoke: {done} jobs, each claimed once and acked once on both servers"))
}

fn exercise(target: &mut Contender, shape: Shape) -> Result<u64> {
    let jobs = target.measure(shape, Until::Jobs(JOBS))?.run.jobs;
    ensure!(jobs >= JOBS, "{} did {jobs} jobs of {JOBS}", target.name());
    Ok(jobs)
}
