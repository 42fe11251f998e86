//! Reports on their way to the server.
//!
//! A report goes in front of its group's next claim, which costs no round trip of its own; but while a claim
//! waits at the server there is no next one yet, so then it goes at once on the runner's other connection. What
//! could not be sent stays here until the server is back. There are never more reports than slots, because a
//! group without a server claims nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use stanchion_client::{Backoff, Client, Error, Report, Reported};
use tokio::sync::Notify;

/// The reports of one group.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Something may go by itself.
    due: Notify,
    /// Something was answered.
    answered: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Report>,
    /// Reports on the other connection, not answered yet.
    sent: usize,
    /// No claim will come by to take reports along.
    at_once: bool,
    /// Reports whose claim no longer held, so far.
    stale: u64,
    /// Reports that were refused for good, so far.
    refused: u64,
}

impl Outbox {
    /// A job ended.
    pub(crate) fn add(&self, report: Report) {
        let at_once = {
            let mut state = self.state();
            state.waiting.push(report);
            state.at_once
        };
        if at_once {
            self.due.notify_one();
        }
    }

    /// The reports that go in front of a claim; while it waits, later ones go by themselves.
    pub(crate) fn take_for_claim(&self) -> Vec<Report> {
        let mut state = self.state();
        state.at_once = true;
        std::mem::take(&mut state.waiting)
    }

    /// The claim was answered, another one will follow.
    pub(crate) fn claim_answered(&self) {
        self.state().at_once = false;
    }

    /// No claim will follow: everything goes by itself from now on.
    pub(crate) fn claims_ended(&self) {
        self.state().at_once = true;
        self.due.notify_one();
    }

    /// What the server said to reports; those that can't have arrived wait again. The error says why.
    pub(crate) fn answered(
        &self,
        reports: Vec<Report>,
        answers: Result<Vec<Result<Reported, Error>>, Error>,
    ) -> Result<(), Error> {
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.put_back(reports);
                return Err(error);
            }
        };
        let mut again = Vec::new();
        let mut failed = Ok(());
        for (report, answer) in reports.into_iter().zip(answers) {
            match answer {
                Ok(Reported::Stale) => {
                    log_stale(&report);
                    self.state().stale += 1;
                }
                Ok(_) => {}
                Err(error) if error.is_transient() || matches!(error, Error::Misconf(_)) => {
                    again.push(report);
                    failed = Err(error);
                }
                Err(error) => {
                    self.state().refused += 1;
                    let id = report.receipt().id();
                    tracing::error!(%id, %error, "the server refuses the report; the job comes back when its lease lapses");
                }
            }
        }
        self.put_back(again);
        failed
    }

    /// Sends what is due by itself, for as long as it is polled.
    pub(crate) async fn send(&self, client: &Client) {
        let mut backoff = Backoff::default();
        loop {
            let reports = self.take_due().await;
            let answers = client.report(&reports).await;
            let result = self.answered(reports, answers);
            self.state().sent = 0;
            self.answered.notify_waiters();
            match result {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::warn!(%error, "jobs can't be reported; trying again");
                    tokio::time::sleep(backoff.next_pause()).await;
                    self.due.notify_one();
                }
            }
        }
    }

    /// Reports without an answer.
    pub(crate) fn len(&self) -> usize {
        let state = self.state();
        state.waiting.len() + state.sent
    }

    /// Reports whose claim no longer held, so far.
    pub(crate) fn stale(&self) -> u64 {
        self.state().stale
    }

    /// Reports that were refused for good, so far.
    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    /// Waits until every report was answered.
    pub(crate) async fn wait_empty(&self) {
        loop {
            let answered = self.answered.notified();
            if self.len() == 0 {
                return;
            }
            answered.await;
        }
    }

    async fn take_due(&self) -> Vec<Report> {
        loop {
            {
                let mut state = self.state();
                if state.at_once && !state.waiting.is_empty() {
                    state.sent = state.waiting.len();
                    return std::mem::take(&mut state.waiting);
                }
            }
            self.due.notified().await;
        }
    }

    /// Older ones first, as they were.
    fn put_back(&self, mut reports: Vec<Report>) {
        let mut state = self.state();
        reports.append(&mut state.waiting);
        state.waiting = reports;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job may be running elsewhere; or this is the second copy of a report whose first answer was lost.
fn log_stale(report: &Report) {
    let id = report.receipt().id();
    tracing::warn!(%id, "the job's claim no longer held when it was reported");
}

#[cfg(test)]
mod tests {
    use stanchion_client::Receipt;

    use super::*;

    fn ack(receipt: &str) -> Report {
        Report::Ack { queue: b"q".to_vec(), receipt: Receipt::from(receipt.to_owned()) }
    }

    #[test]
    fn reports_wait_for_the_next_claim_in_their_order() {
        let outbox = Outbox::default();
        outbox.add(ack("1-1"));
        outbox.add(ack("2-1"));
        let taken = outbox.take_for_claim();
        assert_eq!(taken, [ack("1-1"), ack("2-1")]);
        outbox.claim_answered();
        outbox.add(ack("3-1"));
        let lost = outbox.answered(taken, Err(Error::Io("gone".into())));
        assert!(lost.is_err());
        assert_eq!(outbox.take_for_claim(), [ack("1-1"), ack("2-1"), ack("3-1")]);
    }

    #[test]
    fn only_what_may_not_have_arrived_waits_again() {
        let outbox = Outbox::default();
        let reports = vec![ack("1-1"), ack("2-1"), ack("3-1"), ack("4-1")];
        let answers = vec![
            Ok(Reported::Done),
            Err(Error::Loading("soon".into())),
            Ok(Reported::Stale),
            Err(Error::Command("no such receipt".into())),
        ];
        assert!(outbox.answered(reports, Ok(answers)).is_err());
        assert_eq!(outbox.take_for_claim(), [ack("2-1")]);
    }

    #[tokio::test]
    async fn while_a_claim_waits_reports_are_due_at_once() {
        let outbox = Outbox::default();
        assert_eq!(outbox.take_for_claim(), []);
        outbox.add(ack("1-1"));
        assert_eq!(outbox.take_due().await, [ack("1-1")]);
        assert_eq!(outbox.len(), 1, "it has no answer yet");
    }

    #[tokio::test]
    async fn when_claims_end_what_waits_is_due() {
        let outbox = Outbox::default();
        outbox.add(ack("1-1"));
        outbox.claims_ended();
        assert_eq!(outbox.take_due().await, [ack("1-1")]);
    }
}
