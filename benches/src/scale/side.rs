//! A server with some threads under load, and what each kind of thread took for a job.

use anyhow::{Result, bail};
use stanchion_bench::contender::Contender;
use stanchion_bench::fleet::Until;
use stanchion_bench::load::Shape;
use stanchion_bench::peer::Peer;
use stanchion_bench::process::Process;

use crate::contenders;
use crate::scale::insight::{Insight, Reading};
use crate::scale::model::Job;
use crate::setting::Setting;

/// How many threads the servers have that are compared.
pub(crate) const THREADS: [usize; 2] = [1, 2];

/// Commands that a job takes: its push, its claim, its ack.
const COMMANDS: f64 = 3.0;

/// Where the server tells its metrics: at a port that is free.
const HTTP: (&str, &str) = ("STANCHION_HTTP", "127.0.0.1:0");

/// A server, its load, and a connection that asks it.
pub(crate) struct Side {
    contender: Contender,
    insight: Insight,
    /// Which of [`THREADS`].
    pub(crate) threads: usize,
    pub(crate) queues: usize,
}

/// What the connections of a side are, and where its queues are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) threads: usize,
    pub(crate) queues: usize,
    pub(crate) connections: usize,
    pub(crate) durability: &'static str,
}

/// What one measurement found, for each job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) jobs_per_second: f64,
    /// CPU of all threads of the server.
    pub(crate) server_us: f64,
    pub(crate) client_us: f64,
    threads_us: f64,
    writer_us: f64,
    others_us: f64,
    laps_us: f64,
    log_kib: f64,
    commands_a_turn: f64,
    /// Syncs of the log.
    pub(crate) syncs: f64,
    /// How long one of them takes.
    pub(crate) sync_us: f64,
}

/// A server with so many threads for connections.
pub(crate) fn server(setting: &Setting, threads: usize, durability: &str) -> Result<Process> {
    let variables: &'static [(&str, &str)] = match threads {
        1 => &[HTTP, ("STANCHION_THREADS", "1")],
        2 => &[HTTP, ("STANCHION_THREADS", "2")],
        16 => &[HTTP, ("STANCHION_THREADS", "16")],
        _ => bail!("no bench has a server of {threads} threads"),
    };
    Process::stanchion_with(setting.binary(), setting.base(), durability, variables)
}

impl Side {
    pub(crate) fn start(setting: &Setting, plan: Plan) -> Result<Side> {
        let Plan { threads, queues, connections, durability } = plan;
        let process = server(setting, threads, durability)?;
        let insight = Insight::of(process.address())?;
        let load = contenders::load(connections, queues, 0);
        let name = format!("stanchion, {durability}, {threads} thread(s), {queues} queue(s)");
        let contender = Contender::new(name, Peer::stanchion(), process, &load)?;
        Ok(Side { contender, insight, threads, queues })
    }

    pub(crate) fn measure(&mut self, shape: Shape, until: Until) -> Result<Taken> {
        let before = self.insight.read()?;
        let sample = self.contender.measure(shape, until)?;
        let reading = self.insight.read()? - before;
        let Reading { first, further, writer, others, laps, log_bytes, syncs, syncing } = reading;
        let jobs = sample.run.jobs as f64;
        let us = |time: std::time::Duration| time.as_secs_f64() * 1e6 / jobs;
        Ok(Taken {
            jobs_per_second: sample.jobs_per_second(),
            // Not from the sample, which counts in ticks of 10 ms.
            server_us: us(first + further + writer + others),
            client_us: sample.client_us(),
            threads_us: us(first + further),
            writer_us: us(writer),
            others_us: us(others),
            laps_us: us(laps),
            log_kib: log_bytes as f64 / 1024.0 / jobs,
            commands_a_turn: (shape.depth * shape.batch) as f64,
            syncs: syncs / jobs,
            sync_us: syncing.as_secs_f64() * 1e6 / syncs.max(1.0),
        })
    }

    pub(crate) fn finish(self) -> Result<()> {
        drop(self.insight);
        self.contender.finish()
    }
}

impl Taken {
    /// For the model. The laps begin before the first command of a turn is decoded and end when the lock is given back,
    /// so they are the lock and a little more.
    pub(crate) fn job(&self) -> Job {
        let locked_us = self.laps_us.min(self.threads_us);
        Job {
            locked_us,
            outside_us: self.threads_us - locked_us,
            writer_us: self.writer_us,
            others_us: self.others_us,
            holds: COMMANDS / self.commands_a_turn,
            log_kib: self.log_kib,
        }
    }

    pub(crate) fn threads_us(&self) -> f64 {
        self.threads_us
    }

    pub(crate) fn laps_us(&self) -> f64 {
        self.laps_us
    }

    pub(crate) fn writer_us(&self) -> f64 {
        self.writer_us
    }
}
