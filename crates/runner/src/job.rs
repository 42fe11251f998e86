//! One job from its claim to its report, with a structured log line at its start and at its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stanchion_client::{Job, Report};
use tokio::time::Instant;

use crate::group::{Group, Work};
use crate::outcome::{Cancel, Outcome};
use crate::runner::Shared;
use crate::slots::Slot;

/// Runs a job in its slot, and leaves its report in the group's outbox.
pub(crate) async fn run(shared: Arc<Shared>, group: Arc<Group>, work: Arc<Work>, job: Job, slot: Slot) {
    let entered = shared.running.start(&job, work.dispatch.time_max());
    let began = Instant::now();
    let names = Names::of(&job);
    let (queue, tenant, id) = (names.queue.as_str(), names.group.as_str(), names.id.as_str());
    tracing::info!(queue, id, group = tenant, attempt = job.attempt, slot = slot.number(), "job started");
    shared.counts.job_started(queue, waited(&job));

    let outcome = work.dispatch.run(&job, entered.cancel.clone()).await;

    let ran = began.elapsed();
    shared.counts.job_ended(queue, &outcome, ran);
    let ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
    let status = outcome.status();
    let error = outcome.error();
    tracing::info!(
        queue,
        id,
        group = tenant,
        attempt = job.attempt,
        slot = slot.number(),
        status,
        ms,
        error,
        "job ended"
    );
    if let Some(report) = report(&shared, job, outcome, entered.told()) {
        group.outbox.add(report);
    }
    // In this order, because who sees no job running also sees its report, and who sees the slot free does too.
    drop(entered);
    drop(slot);
}

/// From ready to now, by this machine's clock and the server's.
fn waited(job: &Job) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(job.ready_at))
}

/// What the server is told, if anything.
fn report(shared: &Shared, job: Job, outcome: Outcome, told: Cancel) -> Option<Report> {
    let (queue, receipt) = (job.queue, job.receipt);
    let was_tried = matches!(outcome, Outcome::Done | Outcome::Failed(_) | Outcome::Hopeless(_));
    if was_tried {
        shared.releases.tried(&queue);
    }
    match outcome {
        Outcome::Done => Some(Report::Ack { queue, receipt }),
        Outcome::Failed(_) | Outcome::Hopeless(_) => {
            let retry = outcome.retry();
            let error = outcome.error().unwrap_or_default().as_bytes().to_vec();
            Some(Report::Nack { queue, receipt, retry, error })
        }
        // Another runner may have it at once: this one stops, the job is all right.
        Outcome::Release { .. } if told != Cancel::No => {
            Some(Report::Release { queue, receipt, delay: None })
        }
        Outcome::Release { after } => {
            let delay = after.unwrap_or_else(|| shared.releases.pause(&queue, Instant::now()));
            Some(Report::Release { queue, receipt, delay: Some(delay) })
        }
        // The claim does not hold, so there is nothing to give back.
        Outcome::Cancelled if told == Cancel::Lost => None,
        Outcome::Cancelled => Some(Report::Release { queue, receipt, delay: None }),
    }
}

/// A job's names as text, for logs.
struct Names {
    queue: String,
    group: String,
    id: String,
}

impl Names {
    fn of(job: &Job) -> Names {
        Names {
            queue: String::from_utf8_lossy(&job.queue).into_owned(),
            group: String::from_utf8_lossy(&job.group).into_owned(),
            id: job.receipt.id().as_str().to_owned(),
        }
    }
}
