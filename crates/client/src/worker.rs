//! Workers: what they say of themselves, what operators see of them and tell them, and what became of jobs by
//! the version of the workers that did them.

use redis::{Cmd, Value};

use crate::connection::Client;
use crate::error::{Error, Result};
use crate::reply;

/// What a worker says of itself with each beat; what it leaves out stays as it said last.
///
/// ```
/// # use stanchion_client::Beat;
/// let beat = Beat::new().version("1.34.0").host("job1001").pid(77).slots(19).jobs(3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    version: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    pid: Option<u32>,
    slots: Option<u32>,
    jobs: Option<u32>,
    groups: Option<Vec<u8>>,
}

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Its work.
    Ok,
    /// Claim nothing more.
    Quiet,
    /// Finish what it has, and end.
    Stop,
}

/// One worker of `QWORKER LIST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSummary {
    /// Its name.
    pub name: Vec<u8>,
    /// What it is to do.
    pub order: Order,
    /// Of the code that does its jobs.
    pub version: Option<Vec<u8>>,
    /// Where it runs.
    pub host: Option<Vec<u8>>,
    /// Its process.
    pub pid: Option<u64>,
    /// How many jobs it does at once.
    pub slots: Option<u64>,
    /// How many it says it does now.
    pub jobs: Option<u64>,
    /// How many the server knows it has.
    pub claimed: u64,
    /// The groups of its slots, in words of its own.
    pub groups: Option<Vec<u8>>,
    /// When it was heard for the first time, in Unix milliseconds.
    pub since: u64,
    /// So many milliseconds ago it was heard for the last time.
    pub heard_ms: u64,
}

/// One line of `QWORKER VERSIONS`: how the claims of a version's workers from one queue ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionFigures {
    /// The queue.
    pub queue: Vec<u8>,
    /// The version.
    pub version: Vec<u8>,
    /// Jobs done.
    pub acked: u64,
    /// Failures reported.
    pub nacked: u64,
    /// Leases that ran out.
    pub lapsed: u64,
}

impl Beat {
    /// Says that the worker is alive, and nothing else.
    #[must_use]
    pub fn new() -> Beat {
        Beat::default()
    }

    /// Of the code that does its jobs; its claims count for it from now on.
    #[must_use]
    pub fn version(mut self, version: impl AsRef<[u8]>) -> Beat {
        self.version = Some(version.as_ref().to_vec());
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn host(mut self, host: impl AsRef<[u8]>) -> Beat {
        self.host = Some(host.as_ref().to_vec());
        self
    }

    /// Its process.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Beat {
        self.pid = Some(pid);
        self
    }

    /// How many jobs it does at once.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Beat {
        self.slots = Some(slots);
        self
    }

    /// How many it does now.
    #[must_use]
    pub fn jobs(mut self, jobs: u32) -> Beat {
        self.jobs = Some(jobs);
        self
    }

    /// The groups of its slots, in words of its own.
    #[must_use]
    pub fn groups(mut self, groups: impl AsRef<[u8]>) -> Beat {
        self.groups = Some(groups.as_ref().to_vec());
        self
    }

    fn command(&self, name: &[u8]) -> Cmd {
        let mut command = redis::cmd("QWORKER");
        command.arg("BEAT").arg(name);
        for (key, value) in [("VERSION", &self.version), ("HOST", &self.host), ("GROUPS", &self.groups)] {
            if let Some(value) = value {
                command.arg(key).arg(value.as_slice());
            }
        }
        for (key, value) in [("PID", self.pid), ("SLOTS", self.slots), ("JOBS", self.jobs)] {
            if let Some(value) = value {
                command.arg(key).arg(value);
            }
        }
        command
    }
}

impl VersionFigures {
    /// Attempts that have ended: done, failed or lapsed.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.acked + self.failed()
    }

    /// Those of them that failed or lapsed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.nacked + self.lapsed
    }
}

impl Client {
    /// `QWORKER BEAT`: says that a worker is alive; the answer is what it is to do.
    pub async fn beat(&self, name: impl AsRef<[u8]>, beat: &Beat) -> Result<Order> {
        order("QWORKER BEAT", self.run("QWORKER BEAT", &beat.command(name.as_ref())).await?)
    }

    /// `QWORKER BYE`: the worker ends, if it is still this process that has the name; how many jobs came back.
    pub async fn bye(&self, name: impl AsRef<[u8]>, process: Option<(&str, u32)>) -> Result<u64> {
        let mut command = redis::cmd("QWORKER");
        command.arg("BYE").arg(name.as_ref());
        if let Some((host, pid)) = process {
            command.arg("HOST").arg(host).arg("PID").arg(pid);
        }
        reply::number("QWORKER BYE", &self.run("QWORKER BYE", &command).await?)
    }

    /// `QWORKER LIST`: the workers that are heard.
    pub async fn workers(&self) -> Result<Vec<WorkerSummary>> {
        let value = self.run("QWORKER LIST", redis::cmd("QWORKER").arg("LIST")).await?;
        reply::array("QWORKER LIST", value)?.into_iter().map(worker).collect()
    }

    /// `QWORKER QUIET`, `RESUME` or `STOP`: what a worker is to do from its next beat on.
    pub async fn tell_worker(&self, name: impl AsRef<[u8]>, order: Order) -> Result<()> {
        let (whole, word) = match order {
            Order::Ok => ("QWORKER RESUME", "RESUME"),
            Order::Quiet => ("QWORKER QUIET", "QUIET"),
            Order::Stop => ("QWORKER STOP", "STOP"),
        };
        self.run(whole, redis::cmd("QWORKER").arg(word).arg(name.as_ref())).await.map(drop)
    }

    /// `QWORKER VERSIONS`: how the claims of each version's workers ended, by queue.
    pub async fn versions(&self) -> Result<Vec<VersionFigures>> {
        let value = self.run("QWORKER VERSIONS", redis::cmd("QWORKER").arg("VERSIONS")).await?;
        reply::array("QWORKER VERSIONS", value)?.into_iter().map(version).collect()
    }
}

fn order(command: &'static str, value: Value) -> Result<Order> {
    match reply::text(command, value)?.as_str() {
        "ok" => Ok(Order::Ok),
        "quiet" => Ok(Order::Quiet),
        "stop" => Ok(Order::Stop),
        other => Err(Error::Reply { command, found: format!("the order {other:?}") }),
    }
}

fn worker(value: Value) -> Result<WorkerSummary> {
    const LIST: &str = "QWORKER LIST";
    let mut found = WorkerSummary {
        name: Vec::new(),
        order: Order::Ok,
        version: None,
        host: None,
        pid: None,
        slots: None,
        jobs: None,
        claimed: 0,
        groups: None,
        since: 0,
        heard_ms: 0,
    };
    for (key, value) in reply::map(LIST, value)? {
        match key.as_str() {
            "name" => found.name = reply::bytes(LIST, value)?,
            "order" => found.order = order(LIST, value)?,
            "version" => found.version = Some(reply::bytes(LIST, value)?),
            "host" => found.host = Some(reply::bytes(LIST, value)?),
            "pid" => found.pid = Some(reply::number(LIST, &value)?),
            "slots" => found.slots = Some(reply::number(LIST, &value)?),
            "jobs" => found.jobs = Some(reply::number(LIST, &value)?),
            "claimed" => found.claimed = reply::number(LIST, &value)?,
            "groups" => found.groups = Some(reply::bytes(LIST, value)?),
            "since" => found.since = reply::number(LIST, &value)?,
            "heard-ms" => found.heard_ms = reply::number(LIST, &value)?,
            _ => {} // a newer server may say more
        }
    }
    Ok(found)
}

fn version(value: Value) -> Result<VersionFigures> {
    const VERSIONS: &str = "QWORKER VERSIONS";
    let mut found = VersionFigures::default();
    for (key, value) in reply::map(VERSIONS, value)? {
        match key.as_str() {
            "queue" => found.queue = reply::bytes(VERSIONS, value)?,
            "version" => found.version = reply::bytes(VERSIONS, value)?,
            "acked" => found.acked = reply::number(VERSIONS, &value)?,
            "nacked" => found.nacked = reply::number(VERSIONS, &value)?,
            "lapsed" => found.lapsed = reply::number(VERSIONS, &value)?,
            _ => {} // a newer server may say more
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_beat_says_what_it_was_given() {
        assert_eq!(words(&Beat::new().command(b"w")), "QWORKER BEAT w");
        let beat = Beat::new().version("1").host("h").pid(7).slots(4).jobs(0).groups("a b");
        assert_eq!(
            words(&beat.command(b"w")),
            "QWORKER BEAT w VERSION 1 HOST h GROUPS a b PID 7 SLOTS 4 JOBS 0"
        );
    }

    #[test]
    fn a_worker_is_read_as_far_as_it_told() {
        let pairs = [("name", bulk("w")), ("order", bulk("quiet")), ("pid", Value::Int(7))];
        let more = [("heard-ms", Value::Int(12)), ("new-field", Value::Nil)];
        let flat = pairs.into_iter().chain(more).flat_map(|(key, value)| [bulk(key), value]).collect();
        let found = worker(Value::Array(flat)).unwrap();
        assert_eq!((found.name.as_slice(), found.order, found.pid), (&b"w"[..], Order::Quiet, Some(7)));
        assert_eq!((found.heard_ms, found.version), (12, None));
        assert!(worker(Value::Array(vec![bulk("order"), bulk("dance")])).is_err());
    }

    #[test]
    fn failures_are_nacks_and_lapses() {
        let figures = VersionFigures { acked: 5, nacked: 2, lapsed: 1, ..VersionFigures::default() };
        assert_eq!((figures.ended(), figures.failed()), (8, 3));
    }
}
