//! A job host: a runner as a real process beside a real server, both gone when dropped.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use stanchion_bench::client::Client;
use stanchion_bench::process::Process;
use stanchion_bench::resp::Node;
use stanchion_bench::usage::{Cpu, Usage};

use crate::pushes::push_many;
use crate::setting::Setting;

/// The queue of all jobs.
pub(crate) const QUEUE: &[u8] = b"refreshLinks";

/// Jobs in one QMPUSH.
const PUSH_JOBS: usize = 1_000;
/// Between two looks at how far the runner is.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// No measurement takes so long, unless the runner hangs.
const DONE_WAIT_MAX: Duration = Duration::from_secs(120);

/// A server, and a runner for it once there is one.
pub(crate) struct Host {
    /// Before its server, so that it is also gone before it.
    runner: Option<Runner>,
    server: Process,
    client: Client,
    pushed: usize,
}

/// A runner's process.
struct Runner(Child);

impl Host {
    /// A server without a runner.
    pub(crate) fn start(setting: &Setting, durability: &str) -> Result<Host> {
        let server = Process::stanchion(setting.binary(), setting.base(), durability)?;
        let client = Client::connect(server.address())?;
        Ok(Host { runner: None, server, client, pushed: 0 })
    }

    /// Starts a runner with these groups and dispatchers. Its log goes to a file, as that of a service does.
    pub(crate) fn run(&mut self, setting: &Setting, groups: &str) -> Result<()> {
        let file = self.server.data().with_file_name("runner.toml");
        let text = format!(
            "[server]\nurl = \"redis://{}\"\n[runner]\nname = \"bench\"\n{groups}",
            self.server.address()
        );
        fs::write(&file, text)?;
        let log = File::create(file.with_file_name("runner.log"))?;
        let mut command = Command::new(setting.runner()?);
        command.arg("run").arg(file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.runner = Some(Runner(command.spawn().context("the runner does not start")?));
        Ok(())
    }

    /// Pushes so many jobs.
    pub(crate) fn push(&mut self, jobs: usize) -> Result<()> {
        for first in (0..jobs).step_by(PUSH_JOBS) {
            let numbers = self.pushed..self.pushed + PUSH_JOBS.min(jobs - first);
            self.pushed = numbers.end;
            push_many(&mut self.client, QUEUE, numbers, 0, |_, _, _| {})?;
        }
        Ok(())
    }

    /// Waits until so many jobs were done, or more; how many, and when that was seen.
    pub(crate) fn wait_done(&mut self, jobs: usize) -> Result<(usize, Instant)> {
        let deadline = Instant::now() + DONE_WAIT_MAX;
        loop {
            let (done, now) = (self.figure("acked")?, Instant::now());
            if done >= jobs {
                return Ok((done, now));
            }
            ensure!(now < deadline, "{done} jobs of {jobs} were done; the runner wrote:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until all that was pushed is done; when that was.
    pub(crate) fn wait_all_done(&mut self) -> Result<Instant> {
        Ok(self.wait_done(self.pushed)?.1)
    }

    /// The runner's CPU, without that of its processes.
    pub(crate) fn runner_cpu(&self) -> Result<Cpu> {
        Usage::of(self.runner.as_ref().context("no runner was started")?.0.id()).cpu()
    }

    /// How often each command was called, by its name in INFO.
    pub(crate) fn commands(&mut self) -> Result<Vec<(String, u64)>> {
        self.client.call(&[b"INFO", b"commandstats"], |reply| {
            let text = reply.text(*reply.nodes().first().context("no INFO")?)?;
            let text = std::str::from_utf8(text)?;
            let calls = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
            calls
                .map(|(name, rest)| Ok((name.to_owned(), rest.split(',').next().unwrap_or(rest).parse()?)))
                .collect()
        })
    }

    /// Each job was claimed once and done once; then both end as an operator would end them.
    pub(crate) fn finish(mut self) -> Result<()> {
        let (claims, done) = (self.figure("claims")?, self.figure("acked")?);
        ensure!(
            claims == self.pushed && done == self.pushed,
            "of {} jobs {done} were done in {claims} claims",
            self.pushed
        );
        let mut runner = self.runner.take().context("no runner was started")?;
        kill_process(Pid::from_child(&runner.0), Signal::TERM)?;
        let status = runner.0.wait()?;
        ensure!(status.success(), "the runner ended with {status}; it wrote:\n{}", self.log());
        self.server.stop()
    }

    /// A figure of QSTATS; 0 for a queue that is not there yet.
    fn figure(&mut self, name: &str) -> Result<usize> {
        self.client.call(&[b"QSTATS", QUEUE], |reply| {
            for pair in reply.nodes().windows(2) {
                match *pair {
                    [key @ Node::Text(..), Node::Integer(value)] if reply.text(key)? == name.as_bytes() => {
                        return Ok(usize::try_from(value)?);
                    }
                    _ => {}
                }
            }
            match reply.nodes() {
                [Node::Nil] => Ok(0),
                _ => bail!("QSTATS has no {name}: {}", reply.show()),
            }
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.server.data().with_file_name("runner.log")).unwrap_or_default()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
