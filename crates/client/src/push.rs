//! Producers: QPUSH, QMPUSH and QROOT.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::claim::JobId;
use crate::connection::Client;
use crate::error::{Error, Result};
use crate::reply;

/// A job to push, with its options.
#[derive(Debug, Clone)]
pub struct Push {
    payload: Vec<u8>,
    when: Option<When>,
    group: Option<Vec<u8>>,
    priority: u8,
    dedupe: Option<Dedupe>,
    root: Option<(Vec<u8>, u64)>,
    ttl: Option<Duration>,
    attempts_max: Option<u32>,
    sync: Option<bool>,
}

/// When a job becomes ready, if not at once.
#[derive(Debug, Clone, Copy)]
enum When {
    Delay(Duration),
    At(u64),
}

/// A dedupe key and its terms.
#[derive(Debug, Clone)]
pub struct Dedupe {
    key: Vec<u8>,
    until: &'static str,
    window: Option<Duration>,
    replace: bool,
}

impl Dedupe {
    /// The key is held until the job's first claim.
    pub fn until_claim(key: impl AsRef<[u8]>) -> Dedupe {
        Dedupe { key: key.as_ref().to_vec(), until: "CLAIM", window: None, replace: false }
    }

    /// The key is held until the job is gone or dead.
    pub fn until_done(key: impl AsRef<[u8]>) -> Dedupe {
        Dedupe { until: "DONE", ..Dedupe::until_claim(key) }
    }

    /// Besides, it is held for this long after the push.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Dedupe {
        self.window = Some(window);
        self
    }

    /// A holder that is delayed or ready takes this push's content.
    #[must_use]
    pub fn replace(mut self) -> Dedupe {
        self.replace = true;
        self
    }
}

impl Push {
    /// A job that is ready at once, of no group, with the queue's settings.
    pub fn new(payload: impl AsRef<[u8]>) -> Push {
        Push {
            payload: payload.as_ref().to_vec(),
            when: None,
            group: None,
            priority: 0,
            dedupe: None,
            root: None,
            ttl: None,
            attempts_max: None,
            sync: None,
        }
    }

    /// Not ready before this long from now.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Push {
        self.when = Some(When::Delay(delay));
        self
    }

    /// Not ready before this Unix time in milliseconds.
    #[must_use]
    pub fn at(mut self, unix_ms: u64) -> Push {
        self.when = Some(When::At(unix_ms));
        self
    }

    /// Its tenant.
    #[must_use]
    pub fn group(mut self, group: impl AsRef<[u8]>) -> Push {
        self.group = Some(group.as_ref().to_vec());
        self
    }

    /// 0 to 9; higher is claimed first within its group.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Push {
        self.priority = priority;
        self
    }

    /// Dropped while another job holds this key.
    #[must_use]
    pub fn dedupe(mut self, dedupe: Dedupe) -> Push {
        self.dedupe = Some(dedupe);
        self
    }

    /// Registers the event that this job belongs to, and tags the job with it.
    #[must_use]
    pub fn root(mut self, signature: impl AsRef<[u8]>, timestamp: u64) -> Push {
        self.root = Some((signature.as_ref().to_vec(), timestamp));
        self
    }

    /// Dropped when it has not been claimed for good within this time.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Push {
        self.ttl = Some(ttl);
        self
    }

    /// Overrides the queue's limit on attempts; 1 means no retry, 0 no limit.
    #[must_use]
    pub fn attempts_max(mut self, attempts_max: u32) -> Push {
        self.attempts_max = Some(attempts_max);
        self
    }

    /// The reply waits for the disk, whatever the queue's durability.
    #[must_use]
    pub fn sync(mut self) -> Push {
        self.sync = Some(true);
        self
    }

    /// The reply does not wait for the disk, whatever the queue's durability.
    #[must_use]
    pub fn no_sync(mut self) -> Push {
        self.sync = Some(false);
        self
    }

    /// Writes the payload and the options of this one job.
    fn write(&self, command: &mut Cmd) {
        command.arg(self.payload.as_slice());
        match self.when {
            None => {}
            Some(When::Delay(delay)) => drop(command.arg("DELAY").arg(millis(delay))),
            Some(When::At(unix_ms)) => drop(command.arg("AT").arg(unix_ms)),
        }
        if let Some(group) = &self.group {
            command.arg("GROUP").arg(group.as_slice());
        }
        if self.priority != 0 {
            command.arg("PRIORITY").arg(self.priority);
        }
        if let Some(dedupe) = &self.dedupe {
            command.arg("DEDUPE").arg(dedupe.key.as_slice()).arg("UNTIL").arg(dedupe.until);
            if let Some(window) = dedupe.window {
                command.arg("WINDOW").arg(millis(window));
            }
            if dedupe.replace {
                command.arg("REPLACE");
            }
        }
        if let Some((signature, timestamp)) = &self.root {
            command.arg("ROOT").arg(signature.as_slice()).arg(*timestamp);
        }
        if let Some(ttl) = self.ttl {
            command.arg("TTL").arg(millis(ttl));
        }
        if let Some(attempts_max) = self.attempts_max {
            command.arg("ATTEMPTS").arg(attempts_max);
        }
    }

    /// Writes the options that hold for a whole command.
    fn write_shared(&self, command: &mut Cmd) {
        match self.sync {
            None => {}
            Some(true) => drop(command.arg("SYNC")),
            Some(false) => drop(command.arg("NOSYNC")),
        }
        command.arg("STATUS");
    }

    fn command(&self, queue: &[u8]) -> Cmd {
        let mut command = redis::cmd("QPUSH");
        command.arg(queue);
        self.write(&mut command);
        self.write_shared(&mut command);
        command
    }
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Added, or why not.
    pub status: PushStatus,
    /// The job's id; for a duplicate the holder's; none when superseded.
    pub id: Option<JobId>,
}

/// QPUSH's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushStatus {
    /// Added, and claimable.
    Ready,
    /// Added, and claimable later.
    Delayed,
    /// The holder of the dedupe key took its content.
    Replaced,
    /// Dropped: another job holds the dedupe key.
    Duplicate,
    /// Dropped: a newer root is registered.
    Superseded,
}

impl Client {
    /// `QPUSH`.
    pub async fn push(&self, queue: impl AsRef<[u8]>, job: &Push) -> Result<Pushed> {
        pushed("QPUSH", self.run("QPUSH", &job.command(queue.as_ref())).await?)
    }

    /// `QMPUSH`: all jobs or none, in memory and on disk. SYNC and NOSYNC of the first job hold for all.
    pub async fn push_many(&self, queue: impl AsRef<[u8]>, jobs: &[Push]) -> Result<Vec<Pushed>> {
        let Some((first, rest)) = jobs.split_first() else { return Ok(Vec::new()) };
        let mut command = redis::cmd("QMPUSH");
        command.arg(queue.as_ref());
        first.write(&mut command);
        first.write_shared(&mut command);
        for job in rest {
            command.arg("NEXT");
            job.write(&mut command);
        }
        let replies = reply::array("QMPUSH", self.run("QMPUSH", &command).await?)?;
        replies.into_iter().map(|one| pushed("QMPUSH", one)).collect()
    }

    /// QPUSHes to any queues, sent in one go; each succeeds or fails by itself.
    pub async fn push_each<'a, Q: AsRef<[u8]> + 'a>(
        &self,
        jobs: impl IntoIterator<Item = &'a (Q, Push)>,
    ) -> Result<Vec<Result<Pushed>>> {
        let mut commands = redis::pipe();
        for (queue, job) in jobs {
            commands.add_command(job.command(queue.as_ref()));
        }
        let replies = self.run_all("QPUSH", &mut commands).await?;
        Ok(replies.into_iter().map(|one| pushed("QPUSH", one?)).collect())
    }

    /// `QROOT`: registers an event; whether it is now the newest, or equal to it.
    pub async fn root(
        &self,
        queue: impl AsRef<[u8]>,
        signature: impl AsRef<[u8]>,
        timestamp: u64,
        group: impl AsRef<[u8]>,
    ) -> Result<bool> {
        let mut command = redis::cmd("QROOT");
        command.arg(queue.as_ref()).arg(signature.as_ref()).arg(timestamp).arg("GROUP").arg(group.as_ref());
        Ok(reply::number("QROOT", &self.run("QROOT", &command).await?)? == 1)
    }
}

/// Reads `[status, id]`.
fn pushed(command: &'static str, value: Value) -> Result<Pushed> {
    let items = reply::array(command, value)?;
    let Ok([status, id]) = <[Value; 2]>::try_from(items) else {
        return Err(Error::Reply { command, found: "an array that is not [status, id]".into() });
    };
    let status = match reply::text(command, status)?.as_str() {
        "ready" => PushStatus::Ready,
        "delayed" => PushStatus::Delayed,
        "replaced" => PushStatus::Replaced,
        "duplicate" => PushStatus::Duplicate,
        "superseded" => PushStatus::Superseded,
        other => return Err(Error::Reply { command, found: format!("the status {other:?}") }),
    };
    let id = match id {
        Value::Nil => None,
        value => Some(JobId::from(reply::text(command, value)?)),
    };
    Ok(Pushed { status, id })
}

/// A duration on the wire.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    #[test]
    fn options_become_words_in_the_contract_order() {
        let plain = Push::new("p");
        assert_eq!(words(&plain.command(b"q")), "QPUSH q p STATUS");
        let full = Push::new("p")
            .delay(Duration::from_secs(2))
            .group("g")
            .priority(3)
            .dedupe(Dedupe::until_done("k").window(Duration::from_millis(5)).replace())
            .root("sig", 20_261_121_214_631)
            .ttl(Duration::from_secs(60))
            .attempts_max(1)
            .no_sync();
        assert_eq!(
            words(&full.command(b"q")),
            "QPUSH q p DELAY 2000 GROUP g PRIORITY 3 DEDUPE k UNTIL DONE WINDOW 5 REPLACE \
             ROOT sig 20261121214631 TTL 60000 ATTEMPTS 1 NOSYNC STATUS"
        );
        assert_eq!(words(&Push::new("p").at(17).sync().command(b"q")), "QPUSH q p AT 17 SYNC STATUS");
    }

    #[test]
    fn statuses_are_read_and_unknown_ones_refused() {
        let reply = |status: &str, id: Value| {
            pushed("QPUSH", Value::Array(vec![Value::BulkString(status.as_bytes().to_vec()), id]))
        };
        let id = Value::BulkString(b"0000100000000001".to_vec());
        let added = reply("ready", id.clone()).unwrap();
        assert_eq!((added.status, added.id.unwrap().as_str()), (PushStatus::Ready, "0000100000000001"));
        assert_eq!(reply("superseded", Value::Nil).unwrap().id, None);
        assert!(reply("lost", id).is_err());
        assert!(pushed("QPUSH", Value::Array(vec![])).is_err());
    }
}
