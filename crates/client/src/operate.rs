//! Operators: the counts, statistics and settings that the runner and the demo read.

use redis::Value;

use crate::connection::Client;
use crate::error::{Error, Result};
use crate::reply;

/// `QSTATS`: counts now, totals since the queue was created, and times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Claimable jobs.
    pub ready: u64,
    /// Jobs that wait for their due time.
    pub delayed: u64,
    /// Jobs that a worker has.
    pub claimed: u64,
    /// Jobs kept with their reason.
    pub dead: u64,
    /// Pushes that added a job.
    pub pushed: u64,
    /// Pushes dropped for their dedupe key.
    pub duplicates: u64,
    /// Pushes that gave their content to the holder of their key.
    pub replaced: u64,
    /// Pushes and jobs dropped for a newer root.
    pub superseded: u64,
    /// Jobs dropped when their time was over.
    pub expired: u64,
    /// Claims.
    pub claims: u64,
    /// Jobs done.
    pub acked: u64,
    /// Failures reported.
    pub nacked: u64,
    /// Jobs given back.
    pub released: u64,
    /// Leases that ran out.
    pub lapsed: u64,
    /// Jobs that became dead.
    pub died: u64,
    /// Acks whose claim no longer held.
    pub stale_acks: u64,
    /// Median time from ready to claim, once there was a claim.
    pub wait_p50_ms: Option<u64>,
    /// The same for all but one in a hundred.
    pub wait_p99_ms: Option<u64>,
    /// Median time from claim to report, once there was one.
    pub run_p50_ms: Option<u64>,
    /// The same for all but one in a hundred.
    pub run_p99_ms: Option<u64>,
}

/// One queue of `QLIST`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueSummary {
    /// Its name.
    pub queue: Vec<u8>,
    /// Claimable jobs.
    pub ready: u64,
    /// Jobs that wait for their due time.
    pub delayed: u64,
    /// Jobs that a worker has.
    pub claimed: u64,
    /// Jobs kept with their reason.
    pub dead: u64,
    /// How long the oldest claimable job has been that, if there is one.
    pub oldest_ready_ms: Option<u64>,
    /// Its claims are paused.
    pub is_paused: bool,
}

/// One line of `QREADY`: a queue's group with ready jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// The queue's name.
    pub queue: Vec<u8>,
    /// The group; empty for the jobs without one.
    pub group: Vec<u8>,
    /// Claimable jobs.
    pub ready: u64,
    /// How long the oldest of them has waited.
    pub oldest_ms: u64,
}

/// One setting of `QCONFIG GET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// `queue`, `file` or `default`.
    pub source: String,
}

impl Client {
    /// `QLEN`: claimable jobs.
    pub async fn len(&self, queue: impl AsRef<[u8]>) -> Result<u64> {
        reply::number("QLEN", &self.run("QLEN", redis::cmd("QLEN").arg(queue.as_ref())).await?)
    }

    /// `QSTATS`; none when there is no such queue.
    pub async fn stats(&self, queue: impl AsRef<[u8]>) -> Result<Option<Stats>> {
        match self.run("QSTATS", redis::cmd("QSTATS").arg(queue.as_ref())).await? {
            Value::Nil => Ok(None),
            value => stats(value).map(Some),
        }
    }

    /// `QLIST`, or `QLIST MATCH glob`.
    pub async fn list(&self, glob: Option<&str>) -> Result<Vec<QueueSummary>> {
        let mut command = redis::cmd("QLIST");
        if let Some(glob) = glob {
            command.arg("MATCH").arg(glob);
        }
        let value = self.run("QLIST", &command).await?;
        reply::array("QLIST", value)?.into_iter().map(summary).collect()
    }

    /// `QREADY`, from its first cursor to its last: where jobs are ready, in queues that match the glob.
    pub async fn ready(&self, glob: Option<&str>) -> Result<Vec<Ready>> {
        const COUNT: u32 = 1_000;
        let mut lines = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut command = redis::cmd("QREADY");
            command.arg(&cursor).arg("COUNT").arg(COUNT);
            if let Some(glob) = glob {
                command.arg("MATCH").arg(glob);
            }
            let answer = reply::array("QREADY", self.run("QREADY", &command).await?)?;
            let Ok([next, some]) = <[Value; 2]>::try_from(answer) else {
                return Err(Error::Reply {
                    command: "QREADY",
                    found: "something that is not [cursor, lines]".into(),
                });
            };
            for line in reply::array("QREADY", some)? {
                lines.push(ready_line(line)?);
            }
            cursor = reply::text("QREADY", next)?;
            if cursor == "0" {
                return Ok(lines);
            }
        }
    }

    /// `QCONFIG SET`.
    pub async fn config_set(&self, queue: impl AsRef<[u8]>, settings: &[(&str, &str)]) -> Result<()> {
        let mut command = redis::cmd("QCONFIG");
        command.arg("SET").arg(queue.as_ref());
        for (key, value) in settings {
            command.arg(key).arg(value);
        }
        self.run("QCONFIG SET", &command).await.map(drop)
    }

    /// `QCONFIG GET`.
    pub async fn config_get(&self, queue: impl AsRef<[u8]>) -> Result<Vec<Setting>> {
        let value = self.run("QCONFIG GET", redis::cmd("QCONFIG").arg("GET").arg(queue.as_ref())).await?;
        reply::map("QCONFIG GET", value)?.into_iter().map(setting).collect()
    }
}

/// What QLIST says of a queue whose claims are paused.
const PAUSES_OF_CLAIMS: [&str; 2] = ["claim", "all"];

fn ready_line(value: Value) -> Result<Ready> {
    let Ok([queue, group, ready, oldest_ms]) = <[Value; 4]>::try_from(reply::array("QREADY", value)?) else {
        return Err(Error::Reply {
            command: "QREADY",
            found: "a line that is not [queue, group, ready, oldest-ms]".into(),
        });
    };
    Ok(Ready {
        queue: reply::bytes("QREADY", queue)?,
        group: reply::bytes("QREADY", group)?,
        ready: reply::number("QREADY", &ready)?,
        oldest_ms: reply::number("QREADY", &oldest_ms)?,
    })
}

fn stats(value: Value) -> Result<Stats> {
    let mut stats = Stats::default();
    for (key, value) in reply::map("QSTATS", value)? {
        let number = || reply::number("QSTATS", &value);
        match key.as_str() {
            "ready" => stats.ready = number()?,
            "delayed" => stats.delayed = number()?,
            "claimed" => stats.claimed = number()?,
            "dead" => stats.dead = number()?,
            "pushed" => stats.pushed = number()?,
            "duplicates" => stats.duplicates = number()?,
            "replaced" => stats.replaced = number()?,
            "superseded" => stats.superseded = number()?,
            "expired" => stats.expired = number()?,
            "claims" => stats.claims = number()?,
            "acked" => stats.acked = number()?,
            "nacked" => stats.nacked = number()?,
            "released" => stats.released = number()?,
            "lapsed" => stats.lapsed = number()?,
            "died" => stats.died = number()?,
            "stale-acks" => stats.stale_acks = number()?,
            "wait-p50-ms" => stats.wait_p50_ms = Some(number()?),
            "wait-p99-ms" => stats.wait_p99_ms = Some(number()?),
            "run-p50-ms" => stats.run_p50_ms = Some(number()?),
            "run-p99-ms" => stats.run_p99_ms = Some(number()?),
            _ => {} // a newer server may say more
        }
    }
    Ok(stats)
}

fn summary(value: Value) -> Result<QueueSummary> {
    let mut summary = QueueSummary::default();
    for (key, value) in reply::map("QLIST", value)? {
        match key.as_str() {
            "queue" => summary.queue = reply::bytes("QLIST", value)?,
            "ready" => summary.ready = reply::number("QLIST", &value)?,
            "delayed" => summary.delayed = reply::number("QLIST", &value)?,
            "claimed" => summary.claimed = reply::number("QLIST", &value)?,
            "dead" => summary.dead = reply::number("QLIST", &value)?,
            "oldest-ready-ms" => summary.oldest_ready_ms = Some(reply::number("QLIST", &value)?),
            "paused" => summary.is_paused = PAUSES_OF_CLAIMS.contains(&reply::text("QLIST", value)?.as_str()),
            _ => {} // a newer server may say more
        }
    }
    Ok(summary)
}

fn setting((key, value): (String, Value)) -> Result<Setting> {
    let pair = reply::array("QCONFIG GET", value)?;
    let Ok([value, source]) = <[Value; 2]>::try_from(pair) else {
        return Err(Error::Reply {
            command: "QCONFIG GET",
            found: format!("{key} without its [value, source]"),
        });
    };
    let value = match value {
        Value::Int(n) => n.to_string(),
        other => reply::text("QCONFIG GET", other)?,
    };
    Ok(Setting { key, value, source: reply::text("QCONFIG GET", source)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn stats_know_their_fields_and_pass_over_others() {
        let reply = Value::Array(vec![
            bulk("ready"),
            Value::Int(2),
            bulk("stale-acks"),
            Value::Int(1),
            bulk("run-p99-ms"),
            Value::Int(40),
            bulk("lane"),
            bulk("default"),
        ]);
        let found = stats(reply).unwrap();
        assert_eq!(
            (found.ready, found.stale_acks, found.run_p99_ms, found.wait_p50_ms),
            (2, 1, Some(40), None)
        );
        assert!(stats(Value::Array(vec![bulk("ready"), bulk("two")])).is_err());
    }

    #[test]
    fn only_paused_claims_pause_a_queue() {
        for (word, is_paused) in [("no", false), ("push", false), ("claim", true), ("all", true)] {
            let line = Value::Array(vec![bulk("paused"), bulk(word), bulk("oldest-ready-ms"), Value::Int(7)]);
            let found = summary(line).unwrap();
            assert_eq!((found.is_paused, found.oldest_ready_ms), (is_paused, Some(7)), "{word}");
        }
    }

    #[test]
    fn settings_carry_their_source() {
        let pair = Value::Array(vec![bulk("1h"), bulk("default")]);
        let found = setting(("lease".into(), pair)).unwrap();
        assert_eq!((found.value.as_str(), found.source.as_str()), ("1h", "default"));
        assert!(setting(("lease".into(), Value::Array(vec![bulk("1h")]))).is_err());
    }
}
