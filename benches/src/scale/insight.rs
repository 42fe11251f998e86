//! What a running server says about itself, and the kernel about its threads.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Sub;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stanchion_bench::client::Client;

/// A connection that asks, and where the kernel tells.
pub(crate) struct Insight {
    client: Client,
    tasks: PathBuf,
    /// Where it tells its metrics.
    http: SocketAddr,
}

/// CPU by what threads are for, and what the server counted.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Reading {
    /// The first thread of connections, which accepts them.
    pub(crate) first: Duration,
    /// The others that connections live on.
    pub(crate) further: Duration,
    /// The log's writer.
    pub(crate) writer: Duration,
    /// All others.
    pub(crate) others: Duration,
    /// What its commands on queues took by the server's own clock, from the begin of a turn to the end of its hold.
    pub(crate) laps: Duration,
    /// Bytes staged for the log.
    pub(crate) log_bytes: u64,
    /// How often the log was synced.
    pub(crate) syncs: f64,
    /// How long all syncs took.
    pub(crate) syncing: Duration,
}

impl Insight {
    /// Asks the server at this address who it is.
    pub(crate) fn of(address: SocketAddr) -> Result<Insight> {
        let mut client = Client::connect(address)?;
        let process: u32 = figure(&info(&mut client)?, "process_id:")?;
        let http = client.call(&[b"CONFIG", b"GET", b"http"], |reply| {
            let address = reply.text(*reply.nodes().last().context("CONFIG GET says nothing")?)?;
            std::str::from_utf8(address)?
                .parse()
                .with_context(|| format!("http is {}", address.escape_ascii()))
        })?;
        Ok(Insight { client, tasks: PathBuf::from(format!("/proc/{process}/task")), http })
    }

    /// Everything up to now. The kernel's figures are nanoseconds, those of a thread that runs a tick old at most.
    pub(crate) fn read(&mut self) -> Result<Reading> {
        let mut reading = Reading::default();
        let text = info(&mut self.client)?;
        let laps = text.lines().filter_map(lap_of_queue_command).sum();
        reading.laps = Duration::from_micros(laps);
        reading.log_bytes = figure(&text, "log_appended_bytes:")?;
        let metrics = self.metrics()?;
        reading.syncs = figure(&metrics, "stanchion_log_sync_seconds_count ")?;
        reading.syncing = Duration::from_secs_f64(figure(&metrics, "stanchion_log_sync_seconds_sum ")?);
        let mut serving = Vec::new();
        for task in fs::read_dir(&self.tasks).with_context(|| format!("reading {}", self.tasks.display()))? {
            let task = task?.path();
            let name = fs::read_to_string(task.join("comm"))?;
            let spent = fs::read_to_string(task.join("schedstat"))
                .context("the kernel tells no CPU of threads (CONFIG_SCHED_INFO)")?;
            let ns = spent.split_ascii_whitespace().next().context("schedstat is empty")?.parse()?;
            match number_of_connections_thread(name.trim_end()) {
                Some(number) => serving.push((number, Duration::from_nanos(ns))),
                None if name.trim_end() == "log-writer" => reading.writer += Duration::from_nanos(ns),
                None => reading.others += Duration::from_nanos(ns),
            }
        }
        serving.sort_unstable();
        let Some(((_, first), further)) = serving.split_first() else {
            bail!("the server has no thread that is called connections-1 or so")
        };
        (reading.first, reading.further) = (*first, further.iter().map(|(_, spent)| *spent).sum());
        Ok(reading)
    }

    fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.http).context("asking for metrics")?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }
}

impl Sub for Reading {
    type Output = Reading;

    fn sub(self, before: Reading) -> Reading {
        Reading {
            first: self.first.saturating_sub(before.first),
            further: self.further.saturating_sub(before.further),
            writer: self.writer.saturating_sub(before.writer),
            others: self.others.saturating_sub(before.others),
            laps: self.laps.saturating_sub(before.laps),
            log_bytes: self.log_bytes.saturating_sub(before.log_bytes),
            syncs: self.syncs - before.syncs,
            syncing: self.syncing.saturating_sub(before.syncing),
        }
    }
}

fn info(client: &mut Client) -> Result<String> {
    client.call(&[b"INFO", b"everything"], |reply| {
        let text = reply.text(*reply.nodes().first().context("INFO says nothing")?)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    })
}

fn figure<T: std::str::FromStr>(text: &str, name: &str) -> Result<T> {
    match text.lines().find_map(|line| line.strip_prefix(name)).map(str::parse) {
        Some(Ok(figure)) => Ok(figure),
        _ => bail!("the server does not tell {name}"),
    }
}

/// Which of the threads it is that connections live on, if it is one.
fn number_of_connections_thread(name: &str) -> Option<u32> {
    name.strip_prefix("connections-")?.parse().ok()
}

/// Microseconds of one queue command so far, if the line is of one.
fn lap_of_queue_command(line: &str) -> Option<u64> {
    let fields = line.strip_prefix("cmdstat_q")?;
    fields.split(',').find_map(|field| field.strip_prefix("usec="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_on_queues_count() {
        let line = "cmdstat_qpush:calls=7,usec=123,usec_per_call=17.57,rejected_calls=0,failed_calls=0";
        assert_eq!(lap_of_queue_command(line), Some(123));
        assert_eq!(lap_of_queue_command(&line.replace("qpush", "info")), None);
        assert_eq!(lap_of_queue_command("used_memory:1"), None);
    }

    #[test]
    fn threads_are_known_by_their_names() {
        assert_eq!(number_of_connections_thread("connections-12"), Some(12));
        assert_eq!(number_of_connections_thread("log-writer"), None);
    }

    #[test]
    fn what_came_after_is_the_difference() {
        let before = Reading { first: Duration::from_secs(1), syncs: 2.0, ..Reading::default() };
        let after = Reading { first: Duration::from_secs(3), syncs: 7.0, ..Reading::default() };
        assert_eq!(
            after - before,
            Reading { first: Duration::from_secs(2), syncs: 5.0, ..Reading::default() }
        );
    }
}
