//! BullMQ, driven by its own client in Node: `bullmq/load.mjs` pushes, works and keeps the books, and says what it measured.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::fleet::{Run, Until};
use crate::latency::{Latencies, Percentiles};
use crate::load::{Crew, Load, Shape};

/// The program, beside which `npm ci` has installed BullMQ.
const PROGRAM: &str = "load.mjs";
/// What `npm ci` leaves behind.
const INSTALLED: &str = "node_modules/bullmq/package.json";
/// Each connection of the load is three to the server, and much memory in the client.
const CONNECTIONS_MAX: usize = 64;

/// A client under way; gone when dropped.
pub(crate) struct Bullmq {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// That the client can do what the load asks for.
pub(crate) fn check(load: &Load) -> Result<()> {
    let Crew::Workers(workers) = load.crew else {
        bail!("its client pushes and works side by side");
    };
    ensure!(workers <= CONNECTIONS_MAX, "its client takes at most {CONNECTIONS_MAX} connections here");
    ensure!(load.queues <= workers, "its client works on no more queues than it has connections");
    ensure!(load.backlog == 0, "its client lets no jobs stand here");
    Ok(())
}

/// Whether it is installed in this directory, and Node beside it.
pub(crate) fn is_installed(directory: &Path) -> bool {
    let mut node = Command::new("node");
    node.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    directory.join(INSTALLED).is_file() && node.status().is_ok_and(|status| status.success())
}

/// The version that is installed.
pub(crate) fn version(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join(INSTALLED)).ok()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    Some(format!("BullMQ {}", package["version"].as_str()?))
}

impl Bullmq {
    /// Starts a client of this server.
    pub(crate) fn start(directory: &Path, address: SocketAddr, load: &Load) -> Result<Bullmq> {
        let Shape { depth, batch } = load.shape;
        let load = json!({
            "host": address.ip().to_string(), "port": address.port(), "connections": load.crew.connections(),
            "depth": depth, "batch": batch, "queues": load.queues, "payload": load.payload.max(), "dedupe": load.dedupe,
        });
        let mut command = Command::new("node");
        command.arg(directory.join(PROGRAM)).arg(load.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("node does not start (Debian: apt install nodejs npm)")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the client has no output")?);
        let mut client = Bullmq { child, input, output };
        client.expect("ready")?;
        Ok(client)
    }

    /// Measures once, as fast as it goes.
    pub(crate) fn measure(&mut self, until: Until) -> Result<Run> {
        let order = match until {
            Until::Elapsed(time) => json!({ "ms": time.as_secs_f64() * 1e3 }),
            Until::Jobs(jobs) => json!({ "jobs": jobs }),
        };
        let input = self.input.as_mut().context("the client has ended")?;
        writeln!(input, "{order}").context("the client takes no orders")?;
        let line = self.line()?;
        run(&line).with_context(|| format!("the client says {line}"))
    }

    /// Has the books checked, and ends it.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.input = None;
        self.expect("closed")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the client ended with {status}");
        Ok(())
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        let line = self.line()?;
        ensure!(line == word, "the client says {line}, not {word}");
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let length = self.output.read_line(&mut line)?;
        ensure!(length > 0, "the client ended; what went wrong stands above");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Bullmq {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The client's figures.
fn run(line: &str) -> Result<Run> {
    let figures: Value = serde_json::from_str(line)?;
    let seconds = |name: &str| {
        let seconds = figures[name].as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.with_context(|| format!("no {name}"))
    };
    Ok(Run {
        jobs: figures["jobs"].as_u64().context("no jobs")?,
        elapsed: seconds("seconds")?,
        client_cpu: seconds("cpuSeconds")?,
        unsent: 0,
        latencies: Latencies {
            push: percentiles(&figures["push"])?,
            job: percentiles(&figures["job"])?,
            ..Latencies::default()
        },
    })
}

fn percentiles(figures: &Value) -> Result<Percentiles> {
    let of = |name: &str| figures[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Percentiles {
        count: figures["count"].as_u64().context("no count")?,
        p50: of("p50")?,
        p90: of("p90")?,
        p99: of("p99")?,
        p999: of("p999")?,
        max: of("max")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_figures_are_read() {
        let times = r#"{"count":2,"p50":1.5,"p90":2,"p99":2,"p999":2,"max":2.25}"#;
        let line = format!(r#"{{"jobs":50,"seconds":0.5,"cpuSeconds":0.25,"push":{times},"job":{times}}}"#);
        let read = run(&line).unwrap();
        assert_eq!(
            (read.jobs, read.elapsed, read.client_cpu),
            (50, Duration::from_millis(500), Duration::from_millis(250))
        );
        assert_eq!((read.latencies.job.p50, read.latencies.push.max), (1.5, 2.25));
        assert!(run("{}").is_err());
        assert!(run("fatal").is_err());
    }

    #[test]
    fn what_its_client_can_not_do_is_refused() {
        check(&Load::default()).unwrap();
        for load in [
            Load { crew: Crew::Workers(65), ..Load::default() },
            Load { queues: 9, ..Load::default() },
            Load { backlog: 1, ..Load::default() },
            Load { crew: Crew::Apart { producers: 1, consumers: 1 }, ..Load::default() },
        ] {
            assert!(check(&load).is_err(), "{load}");
        }
    }
}
