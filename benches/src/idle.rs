//! A server where nothing happens: many workers wait, many jobs are not due. It should cost nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use stanchion_bench::client::Client;
use stanchion_bench::job::{Job, Sizes};
use stanchion_bench::process::{Process, allow_files};
use stanchion_bench::resp::{self, Node};

use crate::pushes::push_many;
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// How much waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) blocked_claims: usize,
    pub(crate) delayed_jobs: usize,
}

const CROWD: Crowd = Crowd { blocked_claims: 1_000, delayed_jobs: 100_000 };

/// Ticks of 10 ms need some seconds to tell 1 % from less.
const WATCH: Duration = Duration::from_secs(10);
/// What was staged while loading is written, and threads fall asleep.
const SETTLE: Duration = Duration::from_secs(2);
const CPU_PERCENT_MAX: f64 = 1.0;

/// Jobs in one QMPUSH.
const PUSH_JOBS: usize = 100;
/// The delayed jobs are spread over so many queues, as over wikis.
const DELAYED_QUEUES: usize = 40;
/// The first is due long after the bench; the others at instants of their own behind it.
const DELAY_MS_MIN: usize = 3_600_000;
const BLOCKED_QUEUE: &[u8] = b"refreshLinks";

/// Files beside one for each connection.
const FILES_SPARE: u64 = 200;

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    let idle = Idle::start(setting, CROWD)?;
    std::thread::sleep(SETTLE);
    let before = idle.process.usage().cpu()?;
    std::thread::sleep(WATCH);
    let spent = idle.process.usage().cpu()?.since(before).total();
    let percent = 100.0 * spent.as_secs_f64() / WATCH.as_secs_f64();
    say(format!(
        "\nidle: {} blocked claims and {} delayed jobs take {percent:.2} % of a core ({} ms in {} s)",
        CROWD.blocked_claims,
        CROWD.delayed_jobs,
        spent.as_millis(),
        WATCH.as_secs()
    ))?;
    report.bar("idle, % of a core", percent, Limit::Below(CPU_PERCENT_MAX));
    report.record("idle", json!({ "percent-of-a-core": percent }));
    idle.finish()
}

/// A server with its waiting workers.
pub(crate) struct Idle {
    process: Process,
    workers: Vec<Client>,
    crowd: Crowd,
}

impl Idle {
    pub(crate) fn start(setting: &Setting, crowd: Crowd) -> Result<Idle> {
        allow_files(crowd.blocked_claims as u64 + FILES_SPARE)?;
        let process = Process::stanchion(setting.binary(), setting.base(), "always")?;
        let mut client = Client::connect(process.address())?;
        for first in (0..crowd.delayed_jobs).step_by(PUSH_JOBS) {
            let jobs = first..(first + PUSH_JOBS).min(crowd.delayed_jobs);
            push_delayed(&mut client, jobs)?;
        }
        let mut workers = Vec::with_capacity(crowd.blocked_claims);
        for number in 0..crowd.blocked_claims {
            let mut worker = Client::connect(process.address())?;
            // Half of them with an end to their patience, so that there are timers too.
            let block: &[u8] = if number % 2 == 0 { b"0" } else { b"3600000" };
            worker.send(&[b"QCLAIM", BLOCKED_QUEUE, b"BLOCK", block])?;
            workers.push(worker);
        }
        let idle = Idle { process, workers, crowd };
        idle.check()?;
        Ok(idle)
    }

    /// They really wait: the server says so.
    fn check(&self) -> Result<()> {
        let mut client = Client::connect(self.process.address())?;
        let mut delayed = 0;
        for queue in 0..DELAYED_QUEUES {
            delayed += client.integer(&[b"QLEN", delayed_queue(queue).as_bytes(), b"DELAYED"])?;
        }
        ensure!(
            delayed == self.crowd.delayed_jobs as i64,
            "{delayed} jobs are delayed, not all that were pushed"
        );
        let blocked = format!("blocked_clients:{}\r\n", self.crowd.blocked_claims);
        // The claims were sent, but the server may not have read the last ones yet.
        for _ in 0..1_000 {
            let all = client.call(&[b"INFO", b"clients"], |reply| {
                let text = reply.text(*reply.nodes().first().context("no INFO")?)?;
                Ok(text.windows(blocked.len()).any(|part| part == blocked.as_bytes()))
            })?;
            if all {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        anyhow::bail!("INFO never showed {}", blocked.trim_end())
    }

    /// Wakes every worker with a job of its own, then ends the server.
    pub(crate) fn finish(mut self) -> Result<()> {
        let mut client = Client::connect(self.process.address())?;
        let mut job = Job::new(&Sizes::default());
        for number in 0..self.workers.len() {
            job.set(number as u64);
            client.call(&[b"QPUSH", BLOCKED_QUEUE, job.payload()], |_| Ok(()))?;
        }
        let mut seen = vec![false; self.workers.len()];
        for worker in &mut self.workers {
            let number = worker.receive(|reply| match reply.nodes() {
                [Node::Array(1), Node::Array(4), _, _, payload, _] => {
                    Sizes::default().number(reply.text(*payload)?)
                }
                _ => anyhow::bail!("expected one job, got {}", reply.show()),
            })?;
            let slot = seen.get_mut(number as usize).context("a worker got a job that was never pushed")?;
            ensure!(!*slot, "two workers got job {number}");
            *slot = true;
        }
        drop(self.workers);
        self.process.stop()
    }
}

fn push_delayed(client: &mut Client, jobs: std::ops::Range<usize>) -> Result<()> {
    let queue = delayed_queue(jobs.start / PUSH_JOBS % DELAYED_QUEUES);
    push_many(client, queue.as_bytes(), jobs, 4, |out, job, number| {
        resp::word(out, b"DELAY");
        resp::word(out, itoa::Buffer::new().format(DELAY_MS_MIN + number).as_bytes());
        resp::word(out, b"DEDUPE");
        resp::word(out, job.key());
    })
}

fn delayed_queue(number: usize) -> String {
    format!("delayed{number}")
}
