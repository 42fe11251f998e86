//! Consumers, first half: QCLAIM and QMCLAIM.

use std::fmt;
use std::time::Duration;

use redis::{Cmd, Value};

use crate::connection::Client;
use crate::error::{Error, Result};
use crate::push::millis;
use crate::reply;
use crate::report::{Report, Reported, report_commands, reported};

/// A job's id: 16 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

/// Proof of one claim: `<id>-<epoch>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(String);

impl JobId {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Receipt {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The claimed job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        let id = self.0.split_once('-').map_or(self.0.as_str(), |(id, _)| id);
        JobId(id.to_owned())
    }
}

impl From<String> for JobId {
    fn from(id: String) -> JobId {
        JobId(id)
    }
}

impl From<String> for Receipt {
    fn from(receipt: String) -> Receipt {
        Receipt(receipt)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A claimed job, whole: claims are always sent with META.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Where it came from.
    pub queue: Vec<u8>,
    /// Proof of this claim; acks, nacks, releases and extends name it.
    pub receipt: Receipt,
    /// The job's bytes.
    pub payload: Vec<u8>,
    /// Which attempt this is, from 1.
    pub attempt: u64,
    /// Its tenant; empty for none.
    pub group: Vec<u8>,
    /// 0 to 9.
    pub priority: u64,
    /// When it was pushed, Unix ms.
    pub pushed_at: u64,
    /// When it became ready, Unix ms.
    pub ready_at: u64,
    /// When this claim lapses, Unix ms.
    pub lease_until: u64,
    /// Nacks and lapses so far.
    pub failures: u64,
    /// The event that it belongs to: signature and timestamp.
    pub root: Option<(Vec<u8>, String)>,
    /// Its dedupe key.
    pub dedupe: Option<Vec<u8>>,
    /// Why the last attempt failed.
    pub last_error: Option<Vec<u8>>,
}

/// What a claim asks for.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    count: Option<u32>,
    lease: Option<Duration>,
    block: Option<Duration>,
    group: Option<Vec<u8>>,
    worker: Option<Vec<u8>>,
    bound: bool,
    acks: Vec<Receipt>,
}

impl Job {
    /// A job with nothing but these, in its first attempt: what a test gives to a handler.
    #[must_use]
    pub fn new(queue: impl Into<Vec<u8>>, receipt: Receipt, payload: impl Into<Vec<u8>>) -> Job {
        Job {
            queue: queue.into(),
            receipt,
            payload: payload.into(),
            attempt: 1,
            group: Vec::new(),
            priority: 0,
            pushed_at: 0,
            ready_at: 0,
            lease_until: 0,
            failures: 0,
            root: None,
            dedupe: None,
            last_error: None,
        }
    }
}

impl Claim {
    /// One job, if there is one now, with the queue's lease.
    #[must_use]
    pub fn new() -> Claim {
        Claim::default()
    }

    /// At most so many jobs.
    #[must_use]
    pub fn count(mut self, count: u32) -> Claim {
        self.count = Some(count);
        self
    }

    /// The claim holds for this long, unless extended.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Claim {
        self.lease = Some(lease);
        self
    }

    /// Waits until a job is ready; zero for ever. Use a client [`Client::for_claims`].
    #[must_use]
    pub fn block(mut self, block: Duration) -> Claim {
        self.block = Some(block);
        self
    }

    /// Only jobs of this group; the empty one holds the jobs without a group.
    #[must_use]
    pub fn group(mut self, group: impl AsRef<[u8]>) -> Claim {
        self.group = Some(group.as_ref().to_vec());
        self
    }

    /// Who claims.
    #[must_use]
    pub fn worker(mut self, worker: impl AsRef<[u8]>) -> Claim {
        self.worker = Some(worker.as_ref().to_vec());
        self
    }

    /// The lease also ends when the connection does.
    #[must_use]
    pub fn bound(mut self) -> Claim {
        self.bound = true;
        self
    }

    /// Receipts that are acked first. Only for one queue: QMCLAIM takes none.
    #[must_use]
    pub fn ack(mut self, receipts: impl IntoIterator<Item = Receipt>) -> Claim {
        self.acks.extend(receipts);
        self
    }

    /// How long the reply may take besides the usual time; `None` for ever.
    fn wait(&self) -> Option<Duration> {
        match self.block {
            None => Some(Duration::ZERO),
            Some(block) if block.is_zero() => None,
            Some(block) => Some(block),
        }
    }

    /// Writes the options that QCLAIM and QMCLAIM share.
    fn write(&self, command: &mut Cmd) {
        if let Some(count) = self.count {
            command.arg("COUNT").arg(count);
        }
        if let Some(lease) = self.lease {
            command.arg("LEASE").arg(millis(lease));
        }
        if let Some(block) = self.block {
            command.arg("BLOCK").arg(millis(block));
        }
        if let Some(group) = &self.group {
            command.arg("GROUP").arg(group.as_slice());
        }
        if let Some(worker) = &self.worker {
            command.arg("WORKER").arg(worker.as_slice());
        }
        if self.bound {
            command.arg("BOUND");
        }
        command.arg("META");
    }
}

/// Where a QMCLAIM looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// Named queues, earlier ones first.
    Queues(Vec<Vec<u8>>),
    /// Queues that match a glob and no exception, in turns.
    Match {
        /// At least one of these matches.
        globs: Vec<String>,
        /// None of these does.
        except: Vec<String>,
    },
}

impl Sources {
    pub(crate) fn write(&self, command: &mut Cmd) {
        match self {
            Sources::Queues(queues) => {
                command.arg("QUEUES").arg(queues.len());
                for queue in queues {
                    command.arg(queue.as_slice());
                }
            }
            Sources::Match { globs, except } => {
                command.arg("MATCH").arg(globs.len()).arg(globs.as_slice());
                if !except.is_empty() {
                    command.arg("EXCEPT").arg(except.len()).arg(except.as_slice());
                }
            }
        }
    }
}

impl Client {
    /// `QCLAIM`. Dropping the future of a claim that waits does not take the claim back: its jobs come back
    /// when their lease lapses.
    pub async fn claim(&self, queue: impl AsRef<[u8]>, claim: &Claim) -> Result<Vec<Job>> {
        let mut command = redis::cmd("QCLAIM");
        command.arg(queue.as_ref());
        claim.write(&mut command);
        if !claim.acks.is_empty() {
            command.arg("ACK").arg(claim.acks.len());
            for receipt in &claim.acks {
                command.arg(receipt.as_str());
            }
        }
        jobs("QCLAIM", self.run_waiting("QCLAIM", &command, claim.wait()).await?)
    }

    /// `QMCLAIM`. As with [`Client::claim`], dropping its future does not take it back.
    pub async fn claim_many(&self, from: &Sources, claim: &Claim) -> Result<Vec<Job>> {
        let command = claim_many_command(from, claim)?;
        jobs("QMCLAIM", self.run_waiting("QMCLAIM", &command, claim.wait()).await?)
    }

    /// Reports, and behind them a QMCLAIM, in one write. The outer error is about opening the socket; the
    /// first inner one means that the reports may not have arrived, the second that the claim may not have.
    pub async fn report_and_claim_many(
        &self,
        reports: &[Report],
        from: &Sources,
        claim: &Claim,
    ) -> Result<(Result<Vec<Result<Reported>>>, Result<Vec<Job>>)> {
        let command = claim_many_command(from, claim)?;
        let mut commands = report_commands(reports);
        let (told, claimed) = self.run_all_then("QMCLAIM", &mut commands, &command, claim.wait()).await?;
        Ok((told.map(|replies| reported(reports, replies)), claimed.and_then(|value| jobs("QMCLAIM", value))))
    }
}

fn claim_many_command(from: &Sources, claim: &Claim) -> Result<Cmd> {
    if !claim.acks.is_empty() {
        return Err(Error::Command("QMCLAIM takes no ACK; report the receipts in front of it".into()));
    }
    let mut command = redis::cmd("QMCLAIM");
    from.write(&mut command);
    claim.write(&mut command);
    Ok(command)
}

fn jobs(command: &'static str, value: Value) -> Result<Vec<Job>> {
    reply::array(command, value)?.into_iter().map(|one| job(command, one)).collect()
}

/// Reads `[queue, receipt, payload, attempt, map]`.
fn job(command: &'static str, value: Value) -> Result<Job> {
    let items = reply::array(command, value)?;
    let Ok([queue, receipt, payload, attempt, meta]) = <[Value; 5]>::try_from(items) else {
        return Err(Error::Reply {
            command,
            found: "a job that is not [queue, receipt, payload, attempt, map]".into(),
        });
    };
    let receipt = Receipt(reply::text(command, receipt)?);
    let mut job = Job::new(reply::bytes(command, queue)?, receipt, reply::bytes(command, payload)?);
    job.attempt = reply::number(command, &attempt)?;
    let mut signature = None;
    let mut timestamp = None;
    for (key, value) in reply::map(command, meta)? {
        match key.as_str() {
            "group" => job.group = reply::bytes(command, value)?,
            "priority" => job.priority = reply::number(command, &value)?,
            "pushed-at" => job.pushed_at = reply::number(command, &value)?,
            "ready-at" => job.ready_at = reply::number(command, &value)?,
            "lease-until" => job.lease_until = reply::number(command, &value)?,
            "failures" => job.failures = reply::number(command, &value)?,
            "root-signature" => signature = Some(reply::bytes(command, value)?),
            "root-timestamp" => timestamp = Some(reply::text(command, value)?),
            "dedupe" => job.dedupe = Some(reply::bytes(command, value)?),
            "last-error" => job.last_error = Some(reply::bytes(command, value)?),
            _ => {} // a newer server may say more
        }
    }
    job.root = signature.zip(timestamp);
    Ok(job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn sources_carry_their_counts() {
        let claim =
            Claim::new().count(5).lease(Duration::from_secs(30)).block(Duration::from_secs(2)).worker("w");
        let from = Sources::Match { globs: vec!["a*".into(), "b".into()], except: vec!["ab".into()] };
        assert_eq!(
            words(&claim_many_command(&from, &claim).unwrap()),
            "QMCLAIM MATCH 2 a* b EXCEPT 1 ab COUNT 5 LEASE 30000 BLOCK 2000 WORKER w META"
        );
        let from = Sources::Queues(vec![b"x".to_vec()]);
        assert_eq!(
            words(&claim_many_command(&from, &Claim::new().group("").bound()).unwrap()),
            "QMCLAIM QUEUES 1 x GROUP  BOUND META"
        );
        let with_acks = Claim::new().ack([Receipt("1-1".into())]);
        assert!(claim_many_command(&from, &with_acks).is_err(), "QMCLAIM knows no ACK");
    }

    #[test]
    fn a_job_reads_the_same_in_both_protocols() {
        let fields =
            [("group", bulk("enwiki")), ("priority", Value::Int(4)), ("root-signature", bulk("sig"))];
        let more = [
            ("root-timestamp", bulk("20261121")),
            ("lease-until", Value::Int(99)),
            ("new-field", Value::Nil),
        ];
        let pairs: Vec<(Value, Value)> = fields.into_iter().chain(more).map(|(k, v)| (bulk(k), v)).collect();
        let flat = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
        let reply = |meta| Value::Array(vec![bulk("q"), bulk("00ab-7"), bulk("p"), Value::Int(2), meta]);
        let job3 = job("QCLAIM", reply(Value::Map(pairs))).unwrap();
        assert_eq!(job3, job("QCLAIM", reply(Value::Array(flat))).unwrap());
        assert_eq!((job3.group.as_slice(), job3.priority, job3.attempt), (b"enwiki".as_slice(), 4, 2));
        assert_eq!(job3.root, Some((b"sig".to_vec(), "20261121".to_owned())));
        assert_eq!(job3.receipt.id().as_str(), "00ab");
        assert!(job("QCLAIM", Value::Array(vec![bulk("q")])).is_err());
    }

    #[test]
    fn a_claim_waits_as_long_as_it_blocks() {
        assert_eq!(Claim::new().wait(), Some(Duration::ZERO));
        assert_eq!(Claim::new().block(Duration::ZERO).wait(), None);
        assert_eq!(Claim::new().block(Duration::from_secs(3)).wait(), Some(Duration::from_secs(3)));
    }
}
