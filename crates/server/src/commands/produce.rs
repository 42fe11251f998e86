//! QPUSH, QMPUSH and QROOT.

use stanchion_engine::Pushed;
use stanchion_protocol::Reply;
use stanchion_protocol::command::{Push, RootTag, SyncWish};

use super::{Done, check_memory, refused};
use crate::hold::Wait;
use crate::turn::Turn;

/// QPUSH, QMPUSH.
pub(super) fn push(turn: &mut Turn<'_, '_>, push: &Push<'_>) -> Done {
    check_memory(turn)?;
    let (holds, session, outbox) = turn.parts();
    holds.enter(push.queue, outbox);
    let pushed = &mut session.pushed;
    pushed.clear();
    let result = holds.record(|engine, now, log| engine.push(now, push.queue, &push.jobs, log, pushed));
    let wait = match push.sync {
        SyncWish::Policy => holds.hold().wait_after(push.queue),
        SyncWish::Sync => holds.hold().wait_synced(),
        SyncWish::NoSync => Wait::No,
    };
    outbox.wait(wait);
    result.map_err(refused)?;
    let mut reply = outbox.reply(session.proto);
    if push.many {
        reply.array(session.pushed.len());
    }
    for pushed in &session.pushed {
        if push.status { write_status(*pushed, &mut reply) } else { write_id(*pushed, &mut reply) }
    }
    holds.serve();
    holds.worked(push.jobs.len() as u32, outbox);
    Ok(())
}

/// The id, or nil when the job was not added.
#[inline]
fn write_id(pushed: Pushed, reply: &mut Reply<'_>) {
    match pushed {
        Pushed::Ready(id) | Pushed::Delayed(id) | Pushed::Replaced(id) => reply.bulk_id(id),
        Pushed::Duplicate(_) | Pushed::Superseded => reply.nil(),
    }
}

/// `[status, id]`.
fn write_status(pushed: Pushed, reply: &mut Reply<'_>) {
    let (status, id) = match pushed {
        Pushed::Ready(id) => ("ready", Some(id)),
        Pushed::Delayed(id) => ("delayed", Some(id)),
        Pushed::Replaced(id) => ("replaced", Some(id)),
        Pushed::Duplicate(id) => ("duplicate", Some(id)),
        Pushed::Superseded => ("superseded", None),
    };
    reply.array(2);
    reply.bulk(status.as_bytes());
    match id {
        Some(id) => reply.bulk_id(id),
        None => reply.nil(),
    }
}

/// QROOT.
pub(super) fn root(turn: &mut Turn<'_, '_>, queue: &[u8], root: &RootTag<'_>, group: &[u8]) -> Done {
    check_memory(turn)?;
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let newest = holds.record(|engine, now, log| engine.root(now, queue, group, *root, log));
    outbox.wait(holds.hold().wait_after(queue));
    outbox.reply(session.proto).integer(u8::from(newest));
    holds.serve();
    holds.worked(1, outbox);
    Ok(())
}
