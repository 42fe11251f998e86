//! Keeps the leases of running jobs: at a third of a lease, one QEXTEND per job in one pipeline, so that an
//! answer of 0 names the job that was lost. Sleeps while nothing runs.

use std::time::Duration;

use stanchion_client::{Backoff, Client, Error};

use crate::limits::EXTENDS_PER_LEASE;
use crate::outcome::Cancel;
use crate::running::Running;

/// Runs until it is dropped.
pub(crate) async fn keep_leases(client: Client, running: &Running, lease: Duration) {
    let mut backoff = Backoff::default();
    loop {
        running.some().await;
        tokio::time::sleep(lease / EXTENDS_PER_LEASE).await;
        while let Err(error) = extend_all(&client, running, lease).await {
            // The jobs run on: a server that is soon back grants them a grace, and their reports may still count.
            tracing::warn!(%error, "leases can't be extended; trying again");
            tokio::time::sleep(backoff.next_pause()).await;
        }
        backoff.reset();
    }
}

/// Extends all leases once, and cancels the jobs whose claims no longer hold.
async fn extend_all(client: &Client, running: &Running, lease: Duration) -> Result<(), Error> {
    let claims = running.claims();
    let answers = client.extend_each(lease, &claims).await?;
    let mut failed = Ok(());
    for ((queue, receipt), answer) in claims.iter().zip(answers) {
        match answer {
            Ok(true) => {}
            Ok(false) => {
                // A job that ended since the list was made is not there to be cancelled.
                if running.cancel(receipt, Cancel::Lost) {
                    let (queue, id) = (String::from_utf8_lossy(queue), receipt.id());
                    tracing::warn!(%queue, %id, "the job's lease was lost; it is cancelled");
                }
            }
            Err(error) => failed = Err(error),
        }
    }
    failed
}
