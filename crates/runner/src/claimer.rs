//! A group's claims: as many jobs as there are free slots, never more, and no polling when there are none.
//!
//! One claim of a group is out at a time. A group without low-priority queues waits at the server with its free
//! slots. One with them first asks each tier without waiting, by the rule in [`crate::slots`], and waits for
//! both together when neither has a job: two waiting claims would need a free slot each, which a group with one
//! does not have, and would hold the slots of one tier back from the other.

use std::sync::Arc;
use std::time::Duration;

use stanchion_client::{Backoff, Claim, Client, Error, Job, Report, Sources};

use crate::group::Group;
use crate::job;
use crate::limits::{CLAIM_BLOCK, UNBLOCK_WAIT};
use crate::phase::Phase;
use crate::runner::Shared;

/// Claims for one group.
pub(crate) struct Claimer {
    shared: Arc<Shared>,
    group: Arc<Group>,
    /// A connection of its own: everything behind a claim that waits would wait with it.
    connection: Client,
}

/// Whether a claim waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    No,
    UntilAJob,
}

impl Claimer {
    pub(crate) fn new(shared: Arc<Shared>, group: Arc<Group>) -> Claimer {
        let connection = shared.client.for_claims();
        Claimer { shared, group, connection }
    }

    /// Claims until the runner stops. An error is one that will not pass by itself.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let result = self.claim_while_running().await;
        self.group.outbox.claims_ended();
        result
    }

    async fn claim_while_running(&self) -> Result<(), Error> {
        let stop = &self.shared.stop;
        let mut backoff = Backoff::default();
        let mut is_away = false;
        while !stop.is_stopping() {
            tokio::select! {
                biased;
                () = stop.reached(Phase::Draining) => break,
                free = self.group.slots.wait_free() => free,
            };
            // After an outage first a word that does not wait, to say that it is over and to claim again.
            let answer = match is_away {
                true => self.connection.ping().await,
                false => self.round().await,
            };
            match answer {
                Ok(()) => {
                    if is_away {
                        tracing::info!(group = self.group.name, "the server is back");
                    }
                    is_away = false;
                    backoff.reset();
                }
                Err(error) if passes_by_itself(&error) => {
                    if !is_away {
                        tracing::warn!(group = self.group.name, %error, "the server is away; trying again");
                    }
                    is_away = true;
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next_pause()) => {}
                        () = stop.reached(Phase::Draining) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Fills the free slots once, or waits for the first job.
    async fn round(&self) -> Result<(), Error> {
        let free = self.group.slots.free();
        let Some(tiers) = &self.group.tiers else {
            return self.claim(&self.group.all, free.count, Wait::UntilAJob).await.map(drop);
        };
        let low = self.claim(&tiers.low, free.low_first, Wait::No).await?;
        let normal = self.claim(&tiers.normal, free.count - low, Wait::No).await?;
        let left = free.count - low - normal;
        // The other queues had their chance and left slots free: those are anybody's. Not asked again are
        // low-priority queues that had less than they might have given.
        let more = if low == free.low_first { self.claim(&tiers.low, left, Wait::No).await? } else { 0 };
        if low + normal + more == 0 {
            self.claim(&self.group.all, left, Wait::UntilAJob).await?;
        }
        Ok(())
    }

    /// Sends what there is to report and claims up to `count` jobs; starts them, and returns how many.
    async fn claim(&self, from: &Sources, count: u32, wait: Wait) -> Result<u32, Error> {
        if count == 0 || self.shared.stop.is_stopping() {
            return Ok(0);
        }
        let settings = &self.shared.settings;
        let mut claim = Claim::new().count(count).lease(settings.lease).worker(&settings.name);
        if wait == Wait::UntilAJob {
            claim = claim.block(CLAIM_BLOCK);
        }
        // Opened first, because stopping needs its number.
        let connection_id = tokio::select! {
            opened = self.connection.connect() => opened?,
            () = self.shared.stop.reached(Phase::Draining) => return Ok(0),
        };
        let outbox = &self.group.outbox;
        let reports = outbox.take_for_claim();
        let answer = self.answer(&reports, from, &claim, connection_id).await;
        outbox.claim_answered();
        let (told, claimed) = match answer {
            Ok(answers) => answers,
            Err(error) => (Err(error.clone()), Err(error)),
        };
        let reported = outbox.answered(reports, told);
        // The jobs come first whatever became of the reports: they are claimed already.
        let jobs = claimed?;
        let started = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        for job in jobs {
            self.start(job);
        }
        reported.map(|()| started)
    }

    /// Sends reports and claim. When the runner stops, the claim is unblocked and its reply read all the same,
    /// because it may bring jobs; only a server that does not answer loses its connection.
    async fn answer(
        &self,
        reports: &[Report],
        from: &Sources,
        claim: &Claim,
        connection_id: u64,
    ) -> Result<(Result<Vec<Result<stanchion_client::Reported, Error>>, Error>, Result<Vec<Job>, Error>), Error>
    {
        let mut answer = std::pin::pin!(self.connection.report_and_claim_many(reports, from, claim));
        tokio::select! {
            answer = &mut answer => return answer,
            () = self.shared.stop.reached(Phase::Draining) => {}
        }
        let unblocked = within(UNBLOCK_WAIT, self.shared.client.unblock(connection_id)).await;
        if let Err(error) = unblocked {
            tracing::debug!(%error, "a waiting claim could not be unblocked");
        }
        let answered = within(UNBLOCK_WAIT, answer).await;
        if answered.is_err() {
            // The server releases what it was about to hand out to this connection.
            self.connection.disconnect().await;
        }
        answered
    }

    /// Runs a job in a free slot; gives it back when the runner stops meanwhile.
    fn start(&self, job: Job) {
        let slot = if self.shared.stop.is_stopping() {
            None
        } else {
            self.group.slots.take(self.group.tier(&job.queue))
        };
        match slot {
            Some(slot) => {
                tokio::spawn(job::run(Arc::clone(&self.shared), Arc::clone(&self.group), job, slot));
            }
            None => {
                self.group.outbox.add(Report::Release { queue: job.queue, receipt: job.receipt, delay: None })
            }
        }
    }
}

/// Errors that end without anybody doing anything to this runner: an outage, a restart, a failed disk whose
/// server is about to be replaced.
fn passes_by_itself(error: &Error) -> bool {
    error.is_transient()
        || !matches!(error, Error::Auth(_) | Error::Command(_) | Error::WrongType(_) | Error::Url(_))
}

async fn within<T>(limit: Duration, future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(limit, future).await.unwrap_or(Err(Error::Timeout(limit)))
}
