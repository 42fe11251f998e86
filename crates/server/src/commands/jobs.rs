//! QJOB, QPEEK and QSCAN: looks at single jobs.

use stanchion_engine::JobView;
use stanchion_protocol::Reply;
use stanchion_protocol::command::{State, Which};

use super::Done;
use crate::fields::Fields;
use crate::holes::Hole;
use crate::turn::Turn;

/// QJOB.
pub(super) fn job(turn: &mut Turn<'_, '_>, queue: &[u8], which: Which<'_>) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let engine = holds.hold().engine();
    match engine.job(queue, which) {
        Some(job) => outbox.reply_with(session.proto, |reply, holes| {
            write_job(&engine.view(job), reply, holes);
        }),
        None => outbox.reply(session.proto).nil(),
    }
    holds.worked(1, outbox);
    Ok(())
}

/// QPEEK.
pub(super) fn peek(
    turn: &mut Turn<'_, '_>,
    queue: &[u8],
    (state, count, group): (State, u32, Option<&[u8]>),
) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let engine = holds.hold().engine();
    let mut jobs = Vec::new();
    engine.peek(queue, state, count as usize, group, &mut jobs);
    outbox.reply_with(session.proto, |reply, holes| {
        reply.array(jobs.len());
        for job in &jobs {
            write_job(&engine.view(*job), reply, holes);
        }
    });
    holds.worked(count, outbox);
    Ok(())
}

/// QSCAN.
pub(super) fn scan(
    turn: &mut Turn<'_, '_>,
    queue: &[u8],
    cursor: u64,
    (state, group, count): (Option<State>, Option<&[u8]>, u32),
) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let mut ids = Vec::new();
    let next = holds.hold().engine().scan(queue, cursor, state, group, count as usize, &mut ids);
    let mut reply = outbox.reply(session.proto);
    reply.array(2);
    reply.bulk_integer(next);
    reply.array(ids.len());
    for id in ids {
        reply.bulk_id(id);
    }
    holds.worked(count, outbox);
    Ok(())
}

/// Everything there is to know of a job, as a map.
fn write_job(job: &JobView<'_>, reply: &mut Reply<'_>, holes: &mut Vec<Hole>) {
    let mut fields = Fields::new(reply.proto());
    fields.text("id", &job.id.text());
    fields.text("queue", job.queue);
    fields.text("group", job.group);
    fields.text("state", state_word(job.state).as_bytes());
    fields.number("priority", job.priority.into());
    fields.payload("payload", job.queue, job.payload);
    fields.number("attempts", job.attempts.into());
    fields.number("failures", job.failures.into());
    fields.number("attempts-max", job.attempts_max.into());
    fields.number("pushed-at", job.pushed_at);
    fields.number("ready-at", job.ready_at);
    fields.maybe("expires-at", job.expires_at);
    fields.maybe("lease-until", job.lease_until);
    fields.maybe_text("worker", job.worker);
    fields.maybe_text("dedupe", job.dedupe);
    if let Some((signature, timestamp)) = job.root {
        fields.text("root-signature", signature);
        fields.text("root-timestamp", timestamp.to_string().as_bytes());
    }
    fields.maybe_text("last-error", job.last_error);
    fields.write_with(reply, holes);
}

/// A state as replies name it.
fn state_word(state: State) -> &'static str {
    match state {
        State::Delayed => "delayed",
        State::Ready => "ready",
        State::Claimed => "claimed",
        State::Dead => "dead",
    }
}
