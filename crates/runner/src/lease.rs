//! Keeps the leases of running jobs: at a third of a lease, one QEXTEND per job in one pipeline, so that an
//! answer of 0 names the job that was lost. Sleeps while nothing runs.

use std::time::Duration;

use stanchion_client::{Backoff, Error};
use tokio::time::{Instant, sleep_until};

use crate::limits::EXTENDS_PER_LEASE;
use crate::outcome::Cancel;
use crate::runner::Shared;

/// Runs until it is dropped.
pub(crate) async fn keep_leases(shared: &Shared) {
    let mut backoff = Backoff::default();
    loop {
        shared.lease_pulse.rest();
        shared.running.some().await;
        let lease = next_extend(shared).await;
        while let Err(error) = extend_all(shared, lease).await {
            shared.lease_pulse.promise(lease);
            // The jobs run on: a server that is soon back grants them a grace, and their reports may still count.
            tracing::warn!(%error, "leases can't be extended; trying again");
            tokio::time::sleep(backoff.next_pause()).await;
        }
        backoff.reset();
    }
}

/// Waits for a third of a lease, and returns the lease. One that is made shorter meanwhile counts from the same
/// moment, so that the jobs that are claimed with it are in time.
async fn next_extend(shared: &Shared) -> Duration {
    let began = Instant::now();
    let mut settings = shared.settings.subscribe();
    loop {
        let lease = settings.borrow_and_update().lease;
        shared.lease_pulse.promise(lease);
        tokio::select! {
            () = sleep_until(began + lease / EXTENDS_PER_LEASE) => return lease,
            _ = settings.changed() => {}
        }
    }
}

/// Extends all leases once, and cancels the jobs whose claims no longer hold.
async fn extend_all(shared: &Shared, lease: Duration) -> Result<(), Error> {
    let claims = shared.running.claims();
    let answers = shared.client.extend_each(lease, &claims).await?;
    let mut failed = Ok(());
    for ((queue, receipt), answer) in claims.iter().zip(answers) {
        match answer {
            Ok(true) => {}
            Ok(false) => {
                // A job that ended since the list was made is not there to be cancelled.
                if shared.running.cancel(receipt, Cancel::Lost) {
                    shared.counts.lease_lost();
                    let (queue, id) = (String::from_utf8_lossy(queue), receipt.id());
                    tracing::warn!(%queue, %id, "the job's lease was lost; it is cancelled");
                }
            }
            Err(error) => failed = Err(error),
        }
    }
    failed
}
