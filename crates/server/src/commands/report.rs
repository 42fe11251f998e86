//! QACK, QNACK, QRELEASE and QEXTEND.

use stanchion_engine::Nacked;
use stanchion_protocol::command::Nack;
use stanchion_protocol::id::Receipt;

use super::Done;
use crate::turn::Turn;

/// QACK.
pub(super) fn ack(turn: &mut Turn<'_, '_>, queue: &[u8], receipts: &[Receipt]) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let acked = holds.record(|engine, now, log| engine.ack(now, queue, receipts, log));
    outbox.wait(holds.hold().wait_after(queue));
    outbox.reply(session.proto).integer(acked);
    session.bound.forget(receipts);
    holds.serve();
    holds.worked(receipts.len() as u32, outbox);
    Ok(())
}

/// QNACK.
pub(super) fn nack(turn: &mut Turn<'_, '_>, nack: &Nack<'_>) -> Done {
    let nack = &super::space::within_reserve(turn, nack);
    let (holds, session, outbox) = turn.parts();
    holds.enter(nack.queue, outbox);
    let nacked = holds.record(|engine, now, log| engine.nack(now, nack, log));
    outbox.wait(holds.hold().wait_after(nack.queue));
    outbox.reply(session.proto).bulk(match nacked {
        Nacked::Retry => b"retry",
        Nacked::Dead => b"dead",
        Nacked::Superseded => b"superseded",
        Nacked::Stale => b"stale",
    });
    session.bound.forget(&[nack.receipt]);
    holds.serve();
    holds.worked(1, outbox);
    Ok(())
}

/// QRELEASE.
pub(super) fn release(
    turn: &mut Turn<'_, '_>,
    queue: &[u8],
    delay_ms: Option<u64>,
    receipts: &[Receipt],
) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let released = holds.record(|engine, now, log| engine.release(now, queue, delay_ms, receipts, log));
    outbox.wait(holds.hold().wait_after(queue));
    outbox.reply(session.proto).integer(released);
    session.bound.forget(receipts);
    holds.serve();
    holds.worked(receipts.len() as u32, outbox);
    Ok(())
}

/// QEXTEND, whose reply does not wait: a lease that a crash shortens ends no sooner than the grace after it.
pub(super) fn extend(turn: &mut Turn<'_, '_>, queue: &[u8], lease_ms: u64, receipts: &[Receipt]) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let extended = holds.record(|engine, now, log| engine.extend(now, queue, lease_ms, receipts, log));
    outbox.reply(session.proto).integer(extended);
    holds.serve();
    holds.worked(receipts.len() as u32, outbox);
    Ok(())
}
