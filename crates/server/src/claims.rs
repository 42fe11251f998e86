//! Jobs that are handed out: how they are written, and how they are given back.

use smallvec::SmallVec;
use stanchion_engine::{Claimed, HandedOut, JobRef, JobView, LoggedPayload, Payload, Shard};
use stanchion_protocol::Reply;
use stanchion_protocol::command::{Nack, Receipts, Retry, Which};
use stanchion_protocol::limits::ERROR_BYTES_MAX;

use crate::hold::Hold;
use crate::holes::{Hole, write_payload};
use crate::lane::Lane;
use crate::waiter::Handed;

/// Writes the jobs of a claim, and tells what was handed out.
pub(crate) fn write_jobs(
    engine: &Shard,
    claimed: &Claimed,
    meta: bool,
    reply: &mut Reply<'_>,
    holes: &mut Vec<Hole>,
    mut tell: impl FnMut(&HandedOut<'_>),
) {
    for job in claimed.jobs() {
        let handed = engine.handed_out(*job);
        write_job(engine, *job, &handed, meta, reply, holes);
        tell(&handed);
    }
}

/// Writes one claimed job.
#[inline]
fn write_job(
    engine: &Shard,
    job: JobRef,
    handed: &HandedOut<'_>,
    meta: bool,
    reply: &mut Reply<'_>,
    holes: &mut Vec<Hole>,
) {
    if let (Payload::Here(payload), false) = (handed.payload, meta) {
        return reply.claimed_job(handed.queue, handed.receipt, payload, handed.attempt);
    }
    reply.array(if meta { 5 } else { 4 });
    reply.bulk(handed.queue);
    reply.bulk_receipt(handed.receipt);
    write_payload(handed.queue, handed.payload, reply, holes);
    reply.integer(handed.attempt);
    if meta {
        write_meta(&engine.view(job), reply);
    }
}

/// The map that META asks for.
fn write_meta(job: &JobView<'_>, reply: &mut Reply<'_>) {
    let fields = 5
        + usize::from(job.lease_until.is_some())
        + 2 * usize::from(job.root.is_some())
        + usize::from(job.dedupe.is_some())
        + usize::from(job.last_error.is_some());
    reply.map(fields);
    reply.bulk(b"group");
    reply.bulk(job.group);
    reply.bulk(b"priority");
    reply.integer(job.priority);
    reply.bulk(b"pushed-at");
    reply.integer(job.pushed_at);
    reply.bulk(b"ready-at");
    reply.integer(job.ready_at);
    if let Some(lease_until) = job.lease_until {
        reply.bulk(b"lease-until");
        reply.integer(lease_until);
    }
    reply.bulk(b"failures");
    reply.integer(job.failures);
    if let Some((signature, timestamp)) = job.root {
        reply.bulk(b"root-signature");
        reply.bulk(signature);
        reply.bulk(b"root-timestamp");
        reply.bulk_integer(timestamp);
    }
    if let Some(key) = job.dedupe {
        reply.bulk(b"dedupe");
        reply.bulk(key);
    }
    if let Some(error) = job.last_error {
        reply.bulk(b"last-error");
        reply.bulk(error);
    }
}

/// Gives jobs back that could not be delivered; no attempt is used.
pub(crate) fn give_back(lane: &Lane, jobs: &[Handed]) {
    for_each_queue(lane, jobs, |hold, queue, receipts| {
        hold.record(|engine, now, log| engine.release(now, queue, None, receipts, log));
    });
}

/// A claim whose payload the disk failed to read has failed like any other: the job is tried again after its back-off,
/// and dead after its last attempt, from where QREQUEUE brings it back with all that it had.
pub(crate) fn fail(lane: &Lane, job: &Handed, why: &str) {
    let error = format!("its payload can't be read: {why}");
    let error = &error.as_bytes()[..error.len().min(ERROR_BYTES_MAX)];
    let nack = Nack { queue: &job.queue, receipt: job.receipt, retry: Retry::Backoff, error: Some(error) };
    let mut hold = Hold::begin(lane, lane.shard_of(&job.queue));
    hold.record(|engine, now, log| engine.nack(now, &nack, log));
    hold.serve();
    hold.end();
}

/// Ends the leases of a connection that is gone.
pub(crate) fn lapse(lane: &Lane, jobs: &[Handed]) {
    for_each_queue(lane, jobs, |hold, queue, receipts| {
        hold.record(|engine, now, log| engine.lapse(now, queue, receipts, log));
    });
}

/// What became of a job whose payload could not be read.
pub(crate) enum Found {
    /// Its payload is in memory.
    Here(Box<[u8]>),
    /// It is in the log, in another place than before.
    Elsewhere(LoggedPayload),
    /// The job is dead, for it will never be read.
    Lost,
    /// There is no such job any more.
    Gone,
}

/// Looks again for a payload that was not where it should be; one that still should be there makes its job dead.
pub(crate) fn find_again(lane: &Lane, hole: &Hole, why: &str) -> Found {
    let mut hold = Hold::begin(lane, lane.shard_of(&hole.queue));
    let job = hold.engine().job(&hole.queue, Which::Id(hole.payload.id));
    let found = match job.map(|job| hold.engine().payload(job)) {
        Some(Payload::Here(bytes)) if bytes.len() == hole.bytes() => Found::Here(bytes.into()),
        Some(Payload::Logged(payload)) if payload == hole.payload => {
            let reason = format!("its payload can't be read: {why}");
            hold.record(|engine, now, log| {
                engine.lose(now, &hole.queue, payload, reason.as_bytes(), log);
            });
            Found::Lost
        }
        Some(Payload::Logged(payload)) if payload.bytes == hole.payload.bytes => Found::Elsewhere(payload),
        _ => Found::Gone,
    };
    hold.serve();
    hold.end();
    if matches!(found, Found::Lost) {
        let (queue, job) = (hole.queue.escape_ascii().to_string(), hole.payload.id);
        tracing::error!(queue, %job, why, "a payload can't be read: its job is dead");
    }
    found
}

/// Runs something on each run of jobs of the same queue.
fn for_each_queue(lane: &Lane, jobs: &[Handed], mut run: impl FnMut(&mut Hold<'_>, &[u8], &Receipts)) {
    for same in jobs.chunk_by(|one, other| one.queue == other.queue) {
        let receipts: SmallVec<_> = same.iter().map(|job| job.receipt).collect();
        let mut hold = Hold::begin(lane, lane.shard_of(&same[0].queue));
        run(&mut hold, &same[0].queue, &receipts);
        hold.serve();
        hold.end();
    }
}
