//! A group's claims: as many jobs as there are free slots, never more, and no polling when there are none.
//!
//! One claim of a group is out at a time. A group without low-priority queues waits at the server with its free
//! slots. One with them first asks each tier without waiting, by the rule in [`crate::slots`], and waits for
//! both together when neither has a job: two waiting claims would need a free slot each, which a group with one
//! does not have, and would hold the slots of one tier back from the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_client::{Backoff, Claim, Client, Error, Job, Report, Sources};
use tokio::sync::watch;

use crate::dispatch::Dispatch;
use crate::group::{Group, Work};
use crate::job;
use crate::limits::{CLAIM_BLOCK, ROUND_MAX, UNBLOCK_WAIT};
use crate::phase::Phase;
use crate::runner::Shared;

/// Claims for one group.
pub(crate) struct Claimer {
    shared: Arc<Shared>,
    group: Arc<Group>,
    /// A connection of its own: everything behind a claim that waits would wait with it.
    connection: Client,
    /// What to claim; changes when the configuration does.
    work: watch::Receiver<Option<Arc<Work>>>,
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
        let work = group.work.subscribe();
        Claimer { shared, group, connection, work }
    }

    /// Claims until the runner stops or the group leaves; a group that leaves has nothing left to do then. An
    /// error is one that will not pass by itself.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let result = self.claim_while_running().await;
        self.group.outbox.claims_ended();
        if result.is_ok() && self.group.is_leaving() {
            self.group.slots.wait_idle().await;
            self.group.outbox.wait_empty().await;
        }
        result
    }

    async fn claim_while_running(&mut self) -> Result<(), Error> {
        let stop = self.shared.stop.clone();
        let mut backoff = Backoff::default();
        let mut is_away = false;
        while !stop.is_stopping() {
            let Some(work) = self.work.borrow_and_update().clone() else { break };
            self.group.pulse.rest(); // how long jobs may hold all slots is their dispatcher's business
            tokio::select! {
                biased;
                () = stop.reached(Phase::Draining) => break,
                _ = self.work.changed() => continue,
                _ = self.group.slots.wait_free() => {}
            };
            if self.shared.quiet.is_wanted() {
                self.wait_out_quiet().await;
                continue;
            }
            self.group.pulse.promise(ROUND_MAX);
            // After an outage first a word that does not wait, to say that it is over and to claim again.
            let answer = match is_away {
                true => self.connection.ping().await,
                false => self.round(&work).await,
            };
            match answer {
                Ok(()) => {
                    if is_away {
                        tracing::info!(group = self.group.name, "the server is back");
                    }
                    is_away = false;
                    self.group.is_away.store(false, Ordering::Relaxed);
                    backoff.reset();
                }
                Err(error) if passes_by_itself(&error) => {
                    if !is_away {
                        tracing::warn!(group = self.group.name, %error, "the server is away; trying again");
                    }
                    is_away = true;
                    self.group.is_away.store(true, Ordering::Relaxed);
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next_pause()) => {}
                        () = self.interrupted() => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Until the runner stops or is to be quiet, or the group is to do something else.
    async fn interrupted(&self) {
        let mut work = self.work.clone();
        tokio::select! {
            () = self.shared.stop.reached(Phase::Draining) => {}
            () = self.shared.quiet.begun() => {}
            _ = work.changed() => {}
        }
    }

    /// Until the runner may claim again, or there is something else to do.
    async fn wait_out_quiet(&self) {
        // No claim comes by to take reports along meanwhile.
        self.group.outbox.claims_ended();
        let mut work = self.work.clone();
        tokio::select! {
            () = self.shared.stop.reached(Phase::Draining) => {}
            () = self.shared.quiet.over() => {}
            _ = work.changed() => {}
        }
    }

    /// Fills the free slots once, or waits for the first job. Commands that take jobs by themselves are not claimed
    /// for.
    async fn round(&self, work: &Arc<Work>) -> Result<(), Error> {
        if let Dispatch::Drain(drain) = &work.dispatch {
            let started = drain.start(&self.shared, &self.group.slots, &work.all, &self.connection).await?;
            if started == 0 {
                tokio::select! {
                    () = drain.pause() => {}
                    () = self.interrupted() => {}
                }
            }
            return Ok(());
        }
        let free = self.group.slots.free();
        let Some(tiers) = &work.tiers else {
            return self.claim(work, &work.all, free.count, Wait::UntilAJob).await.map(drop);
        };
        let low = self.claim(work, &tiers.low, free.low_first, Wait::No).await?;
        let normal = self.claim(work, &tiers.normal, free.count.saturating_sub(low), Wait::No).await?;
        // What is free now, not what is left of it: the group may have been given fewer slots meanwhile.
        let left = self.group.slots.free().count;
        // The other queues had their chance and left slots free: those are anybody's. Not asked again are
        // low-priority queues that had less than they might have given.
        let more =
            if low == free.low_first { self.claim(work, &tiers.low, left, Wait::No).await? } else { 0 };
        if low + normal + more == 0 {
            self.claim(work, &work.all, left, Wait::UntilAJob).await?;
        }
        Ok(())
    }

    /// Sends what there is to report and claims up to `count` jobs; starts them, and returns how many.
    async fn claim(&self, work: &Arc<Work>, from: &Sources, count: u32, wait: Wait) -> Result<u32, Error> {
        if count == 0 || self.shared.stop.is_stopping() || self.shared.quiet.is_wanted() {
            return Ok(0);
        }
        let settings = self.shared.settings();
        let mut claim = Claim::new().count(count).lease(settings.lease).worker(&settings.name);
        if wait == Wait::UntilAJob {
            claim = claim.block(CLAIM_BLOCK);
        }
        // Opened first, because stopping needs its number.
        let connection_id = tokio::select! {
            opened = self.connection.connect() => opened?,
            () = self.interrupted() => return Ok(0),
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
            self.start(work, job);
        }
        reported.map(|()| started)
    }

    /// Sends reports and claim. When the runner stops or is to be quiet, or the group is to do something else, the
    /// claim is unblocked and its reply read all the same, because it may bring jobs; only a server that does not
    /// answer loses its connection.
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
            () = self.interrupted() => {}
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

    /// Runs a job in a free slot; gives it back when the runner stops or is quiet meanwhile, or the group does
    /// something else now: so no job begins under a configuration that was replaced.
    fn start(&self, work: &Arc<Work>, job: Job) {
        let is_over = self.shared.stop.is_stopping()
            || self.shared.quiet.is_wanted()
            || self.work.has_changed().unwrap_or(true);
        let slot = if is_over { None } else { self.group.slots.take(work.tier(&job.queue)) };
        match slot {
            Some(slot) => {
                let (shared, group) = (Arc::clone(&self.shared), Arc::clone(&self.group));
                tokio::spawn(job::run(shared, group, Arc::clone(work), job, slot));
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
