//! Consumers, second half: what became of a claimed job (QACK, QNACK, QRELEASE), and QEXTEND.
//!
//! The pipelined forms send one command per receipt, so that each receipt has its own answer; a stale one is
//! an answer, not an error, and any of them may be sent again.

use std::time::Duration;

use redis::{Pipeline, Value};

use crate::claim::Receipt;
use crate::connection::Client;
use crate::error::{Error, Result};
use crate::push::millis;
use crate::reply;

/// What became of one claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It is done.
    Ack {
        /// The job's queue.
        queue: Vec<u8>,
        /// The claim.
        receipt: Receipt,
    },
    /// It failed.
    Nack {
        /// The job's queue.
        queue: Vec<u8>,
        /// The claim.
        receipt: Receipt,
        /// What becomes of it now.
        retry: Retry,
        /// Why it failed.
        error: Vec<u8>,
    },
    /// It was not tried, or could not be; no attempt is used.
    Release {
        /// The job's queue.
        queue: Vec<u8>,
        /// The claim.
        receipt: Receipt,
        /// It waits this long; absent: it goes back to its place.
        delay: Option<Duration>,
    },
}

/// What becomes of a job that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The queue's back-off applies.
    Backoff,
    /// It is ready again after this long.
    Delay(Duration),
    /// It is dead.
    Dead,
}

/// The server's answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// Acked: the job is gone.
    Done,
    /// Nacked: it will be tried again.
    Retry,
    /// Nacked: its attempts are used up, or the report said so.
    Dead,
    /// Nacked: it was superseded meanwhile, and dropped.
    Superseded,
    /// Released.
    Released,
    /// The claim no longer holds; the report changed nothing.
    Stale,
}

impl Report {
    /// The claim that it is about.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        match self {
            Report::Ack { receipt, .. } | Report::Nack { receipt, .. } | Report::Release { receipt, .. } => {
                receipt
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Report::Ack { .. } => "QACK",
            Report::Nack { .. } => "QNACK",
            Report::Release { .. } => "QRELEASE",
        }
    }
}

impl Client {
    /// `QACK`: how many were acked now.
    pub async fn ack(&self, queue: impl AsRef<[u8]>, receipts: &[Receipt]) -> Result<u64> {
        let mut command = redis::cmd("QACK");
        command.arg(queue.as_ref());
        for receipt in receipts {
            command.arg(receipt.as_str());
        }
        reply::number("QACK", &self.run("QACK", &command).await?)
    }

    /// `QNACK`.
    pub async fn nack(
        &self,
        queue: impl AsRef<[u8]>,
        receipt: &Receipt,
        retry: Retry,
        error: impl AsRef<[u8]>,
    ) -> Result<Reported> {
        let (queue, error) = (queue.as_ref().to_vec(), error.as_ref().to_vec());
        self.report_one(Report::Nack { queue, receipt: receipt.clone(), retry, error }).await
    }

    /// `QRELEASE` of one claim.
    pub async fn release(
        &self,
        queue: impl AsRef<[u8]>,
        receipt: &Receipt,
        delay: Option<Duration>,
    ) -> Result<Reported> {
        let queue = queue.as_ref().to_vec();
        self.report_one(Report::Release { queue, receipt: receipt.clone(), delay }).await
    }

    async fn report_one(&self, report: Report) -> Result<Reported> {
        let mut answers = self.report(std::slice::from_ref(&report)).await?;
        answers.pop().unwrap_or_else(|| Err(Error::Reply { command: report.name(), found: "nothing".into() }))
    }

    /// Reports in one go, one answer each. The outer error means that they may not have arrived: send them again.
    pub async fn report(&self, reports: &[Report]) -> Result<Vec<Result<Reported>>> {
        let replies = self.run_all("QACK", &mut report_commands(reports)).await?;
        Ok(reported(reports, replies))
    }

    /// `QEXTEND`: how many leases now end this long from now.
    pub async fn extend(
        &self,
        queue: impl AsRef<[u8]>,
        lease: Duration,
        receipts: &[Receipt],
    ) -> Result<u64> {
        let mut command = redis::cmd("QEXTEND");
        command.arg(queue.as_ref()).arg(millis(lease));
        for receipt in receipts {
            command.arg(receipt.as_str());
        }
        reply::number("QEXTEND", &self.run("QEXTEND", &command).await?)
    }

    /// One QEXTEND per job in one go: whether each claim still holds.
    pub async fn extend_each(
        &self,
        lease: Duration,
        jobs: &[(Vec<u8>, Receipt)],
    ) -> Result<Vec<Result<bool>>> {
        let mut commands = redis::pipe();
        for (queue, receipt) in jobs {
            commands.cmd("QEXTEND").arg(queue.as_slice()).arg(millis(lease)).arg(receipt.as_str());
        }
        let replies = self.run_all("QEXTEND", &mut commands).await?;
        Ok(replies.into_iter().map(|one| Ok(reply::number("QEXTEND", &one?)? == 1)).collect())
    }
}

/// The commands of reports, in their order.
pub(crate) fn report_commands(reports: &[Report]) -> Pipeline {
    let mut commands = redis::pipe();
    for report in reports {
        let command = commands.cmd(report.name());
        match report {
            Report::Ack { queue, receipt } => drop(command.arg(queue.as_slice()).arg(receipt.as_str())),
            Report::Nack { queue, receipt, retry, error } => {
                command.arg(queue.as_slice()).arg(receipt.as_str());
                match retry {
                    Retry::Backoff => {}
                    Retry::Delay(delay) => drop(command.arg("DELAY").arg(millis(*delay))),
                    Retry::Dead => drop(command.arg("DEAD")),
                }
                command.arg("ERROR").arg(error.as_slice());
            }
            Report::Release { queue, receipt, delay } => {
                command.arg(queue.as_slice());
                if let Some(delay) = delay {
                    command.arg("DELAY").arg(millis(*delay));
                }
                command.arg(receipt.as_str());
            }
        }
    }
    commands
}

/// The answers to [`report_commands`].
pub(crate) fn reported(reports: &[Report], replies: Vec<Result<Value>>) -> Vec<Result<Reported>> {
    reports.iter().zip(replies).map(|(report, reply)| answer(report, reply?)).collect()
}

fn answer(report: &Report, value: Value) -> Result<Reported> {
    let command = report.name();
    match report {
        Report::Ack { .. } if reply::number(command, &value)? == 1 => Ok(Reported::Done),
        Report::Release { .. } if reply::number(command, &value)? == 1 => Ok(Reported::Released),
        Report::Ack { .. } | Report::Release { .. } => Ok(Reported::Stale),
        Report::Nack { .. } => match reply::text(command, value)?.as_str() {
            "retry" => Ok(Reported::Retry),
            "dead" => Ok(Reported::Dead),
            "superseded" => Ok(Reported::Superseded),
            "stale" => Ok(Reported::Stale),
            other => Err(Error::Reply { command, found: format!("the word {other:?}") }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    fn reports() -> Vec<Report> {
        let (queue, receipt) = (b"q".to_vec(), Receipt::from("00ab-1".to_owned()));
        let nack = |retry| Report::Nack {
            queue: queue.clone(),
            receipt: receipt.clone(),
            retry,
            error: b"e".to_vec(),
        };
        vec![
            Report::Ack { queue: queue.clone(), receipt: receipt.clone() },
            nack(Retry::Backoff),
            nack(Retry::Delay(Duration::from_secs(1))),
            nack(Retry::Dead),
            Report::Release { queue: queue.clone(), receipt: receipt.clone(), delay: None },
            Report::Release {
                queue: queue.clone(),
                receipt: receipt.clone(),
                delay: Some(Duration::from_secs(5)),
            },
        ]
    }

    #[test]
    fn each_report_is_one_command() {
        let commands = report_commands(&reports());
        let lines: Vec<String> = commands.cmd_iter().map(words).collect();
        assert_eq!(
            lines,
            [
                "QACK q 00ab-1",
                "QNACK q 00ab-1 ERROR e",
                "QNACK q 00ab-1 DELAY 1000 ERROR e",
                "QNACK q 00ab-1 DEAD ERROR e",
                "QRELEASE q 00ab-1",
                "QRELEASE q DELAY 5000 00ab-1",
            ]
        );
    }

    #[test]
    fn answers_stand_with_their_reports() {
        let word = |text: &str| Ok(Value::BulkString(text.as_bytes().to_vec()));
        let replies = vec![
            Ok(Value::Int(0)),
            word("retry"),
            word("stale"),
            word("what"),
            Ok(Value::Int(1)),
            Ok(Value::Int(0)),
        ];
        let answers = reported(&reports(), replies);
        assert!(matches!(answers[0], Ok(Reported::Stale)));
        assert!(matches!(answers[1], Ok(Reported::Retry)));
        assert!(matches!(answers[2], Ok(Reported::Stale)));
        assert!(matches!(answers[3], Err(Error::Reply { command: "QNACK", .. })));
        assert!(matches!(answers[4], Ok(Reported::Released)));
        assert!(matches!(answers[5], Ok(Reported::Stale)));
    }
}
