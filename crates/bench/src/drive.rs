//! One load on a server that runs already, and what is said of it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::fleet::{Progress, Until};
use crate::listener;
use crate::load::{Crew, Load};
use crate::pace::{Arrivals, Pace};
use crate::peer::Peer;
use crate::process::allow_files;
use crate::table::table;
use crate::target::{Sample, Target};
use crate::usage::Usage;

/// Files beside one for each connection.
const FILES_SPARE: u64 = 100;

/// From this share of a core on the generator measures itself.
const CLIENT_SHARE_MAX: f64 = 0.9;

/// What to do.
#[derive(Debug)]
pub struct Plan {
    /// How to speak.
    pub peer: &'static Peer,
    /// To whom.
    pub address: SocketAddr,
    /// The server's process, if it is known; it is looked for otherwise.
    pub pid: Option<u32>,
    /// What is asked of it.
    pub load: Load,
    /// When.
    pub pace: Pace,
    /// For how long.
    pub until: Until,
    /// Before it is measured, for so long.
    pub warm_up: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    plan: Plan,
    sample: Sample,
}

impl Plan {
    /// Does it, proves that no job was lost or doubled, and deletes the load's queues. `tell` hears each second how it goes.
    ///
    /// # Errors
    /// The peer has not what the load asks for, or the server does not do its work.
    pub fn run(self, tell: &mut dyn FnMut(fmt::Arguments<'_>)) -> Result<Outcome> {
        self.peer.check(&self.load)?;
        allow_files(self.load.crew.connections() as u64 + FILES_SPARE)?;
        let pid = self.pid.or_else(|| listener::find(self.address));
        match pid {
            Some(pid) => tell(format_args!("the server is process {pid}")),
            None => tell(format_args!(
                "no process of this machine that may be looked at listens on {}: there will be no server CPU; name it with --pid",
                self.address
            )),
        }
        let name = format!("{} at {}", self.peer.name, self.address);
        let usage = pid.map(Usage::of);
        // A number that is no process's is better refused now than after an hour.
        usage.map(Usage::cpu).transpose().context("--pid")?;
        let mut target =
            Target::connect(name, self.peer, self.address, usage, &self.load, &mut |progress| {
                tell(format_args!("backlog: {}", Told(progress)));
            })?;
        if !self.warm_up.is_zero() {
            tell(format_args!("warming up for {:.1} s", self.warm_up.as_secs_f64()));
            let until = Until::Elapsed(self.warm_up);
            target.measure(self.load.shape, self.pace, until, &mut |_| {})?;
        }
        let sample = target.measure(self.load.shape, self.pace, self.until, &mut |progress| {
            tell(format_args!("{}", Told(progress)));
        })?;
        target.finish()?;
        target.forget()?;
        Ok(Outcome { plan: self, sample })
    }
}

/// Progress as a line.
struct Told(Progress);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { elapsed, jobs } = self.0;
        let seconds = elapsed.as_secs_f64();
        write!(f, "{seconds:.0} s: {jobs} jobs, {:.0} jobs/s", jobs as f64 / seconds)
    }
}

impl Outcome {
    /// All figures, for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let Outcome { plan, sample } = self;
        let latencies: serde_json::Map<_, _> = sample
            .run
            .latencies
            .rows()
            .into_iter()
            .map(|(name, percentiles)| (name.to_owned(), percentiles.json()))
            .collect();
        json!({
            "peer": plan.peer.name,
            "address": plan.address.to_string(),
            "load": load_json(&plan.load),
            "pace": pace_json(plan.pace, plan.load.shape.batch),
            "jobs": sample.run.jobs,
            "seconds": sample.run.elapsed.as_secs_f64(),
            "jobs-per-second": sample.jobs_per_second(),
            "unsent-pushes": sample.run.unsent,
            // Not a number, where it is not known, becomes null.
            "server-us-per-job": sample.server_us(),
            "server-kernel-us-per-job": sample.system_us(),
            "generator-us-per-job": sample.client_us(),
            "generator-share-of-a-core": sample.client_share(),
            "latencies": latencies,
        })
    }
}

/// What was asked.
#[must_use]
pub fn load_json(load: &Load) -> Value {
    let (producers, consumers) = match load.crew {
        Crew::Workers(workers) => (workers, workers),
        Crew::Apart { producers, consumers } => (producers, consumers),
    };
    json!({
        "connections": load.crew.connections(), "producers": producers, "consumers": consumers,
        "depth": load.shape.depth, "batch": load.shape.batch, "queues": load.queues, "groups": load.groups,
        "payload-bytes": load.payload.all(), "dedupe": load.dedupe, "delay-ms": load.delay_ms, "backlog": load.backlog,
    })
}

fn pace_json(pace: Pace, batch: usize) -> Value {
    match pace {
        Pace::Closed => json!("closed loop"),
        Pace::Open { pushes_per_second, arrivals } => {
            let jobs_per_second = pushes_per_second * batch as f64;
            match arrivals {
                Arrivals::Fixed => json!({ "jobs-per-second": jobs_per_second, "arrivals": "fixed" }),
                Arrivals::Poisson { seed } => {
                    json!({ "jobs-per-second": jobs_per_second, "arrivals": "poisson", "seed": seed })
                }
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { plan, sample } = self;
        let (seconds, run) = (sample.run.elapsed.as_secs_f64(), &sample.run);
        writeln!(f, "{} at {}: {}", plan.peer.name, plan.address, plan.load)?;
        write!(f, "{} jobs in {seconds:.2} s, {:.0} jobs/s", run.jobs, sample.jobs_per_second())?;
        match plan.pace {
            Pace::Closed => writeln!(f, ", as fast as it went (closed loop)")?,
            Pace::Open { pushes_per_second, arrivals } => {
                let wanted = pushes_per_second * plan.load.shape.batch as f64;
                let how =
                    if arrivals == Arrivals::Fixed { "at equal intervals" } else { "as a Poisson process" };
                writeln!(f, "; {wanted:.0} jobs/s were due, {how}")?;
            }
        }
        if run.unsent > 0 {
            writeln!(
                f,
                "{} pushes were due and found no free connection before the end; they count with the time they waited",
                run.unsent
            )?;
        }
        if sample.server_cpu.is_some() {
            let (all, system) = (sample.server_us(), sample.system_us());
            writeln!(f, "server CPU {all:.2} µs/job, of it kernel {system:.2}")?;
        }
        let share = sample.client_share();
        writeln!(f, "generator {:.2} µs/job, {:.0} % of a core", sample.client_us(), 100.0 * share)?;
        if share > CLIENT_SHARE_MAX {
            writeln!(f, "the generator had no time to spare: what is measured is partly itself")?;
        }
        let mut table = table(&["µs", "count", "p50", "p90", "p99", "p99.9", "max"]);
        for (name, row) in run.latencies.rows() {
            if row.count > 0 {
                let cells = [row.p50, row.p90, row.p99, row.p999, row.max].map(|us| format!("{us:.0}"));
                table.add_row([name.to_owned(), row.count.to_string()].into_iter().chain(cells));
            }
        }
        writeln!(f, "{table}")?;
        write!(f, "each job was claimed once and acked once, and none is left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_told_in_jobs() {
        let open = Pace::Open { pushes_per_second: 100.0, arrivals: Arrivals::Poisson { seed: 3 } };
        assert_eq!(
            pace_json(open, 16),
            json!({ "jobs-per-second": 1600.0, "arrivals": "poisson", "seed": 3 })
        );
        assert_eq!(pace_json(Pace::Closed, 1), json!("closed loop"));
    }
}
