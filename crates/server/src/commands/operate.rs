//! QLEN, QSTATS, QREQUEUE and QDEL by id, QPAUSE and QRESUME.

use stanchion_engine::{Paused, Stats};
use stanchion_protocol::command::{Count, Pause, Selection};
use stanchion_protocol::{CommandError, Reply};

use super::Done;
use crate::fields::Fields;
use crate::lane::LANE_NAME;
use crate::turn::Turn;

/// QLEN.
pub(super) fn len(turn: &mut Turn<'_, '_>, queue: &[u8], count: Count, group: Option<&[u8]>) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    outbox.reply(session.proto).integer(holds.hold().engine().len(queue, count, group));
    holds.worked(1, outbox);
    Ok(())
}

/// QSTATS.
pub(super) fn stats(turn: &mut Turn<'_, '_>, queue: &[u8]) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let stats = holds.hold().stats(queue);
    let mut reply = outbox.reply(session.proto);
    match stats {
        Some(stats) => write_stats(&stats, &mut reply),
        None => reply.nil(),
    }
    holds.worked(1, outbox);
    Ok(())
}

fn write_stats(stats: &Stats, reply: &mut Reply<'_>) {
    let mut fields = Fields::new(reply.proto());
    fields.number("ready", stats.counts.ready);
    fields.number("delayed", stats.counts.delayed);
    fields.number("claimed", stats.counts.claimed);
    fields.number("dead", stats.counts.dead);
    fields.number("bytes", stats.bytes);
    fields.number("memory", stats.memory);
    fields.number("groups", stats.groups);
    fields.maybe("oldest-ready-ms", stats.oldest_ready_ms);
    fields.text("paused", paused_word(stats.paused).as_bytes());
    for (name, total) in [
        ("pushed", stats.totals.pushed),
        ("duplicates", stats.totals.duplicates),
        ("replaced", stats.totals.replaced),
        ("superseded", stats.totals.superseded),
        ("expired", stats.totals.expired),
        ("claims", stats.totals.claims),
        ("acked", stats.totals.acked),
        ("nacked", stats.totals.nacked),
        ("released", stats.totals.released),
        ("lapsed", stats.totals.lapsed),
        ("died", stats.totals.died),
        ("stale-acks", stats.totals.stale_acks),
    ] {
        fields.number(name, total);
    }
    for (names, latency) in [
        (["wait-p50-ms", "wait-p99-ms", "wait-max-ms"], &stats.wait),
        (["run-p50-ms", "run-p99-ms", "run-max-ms"], &stats.run),
    ] {
        fields.maybe(names[0], latency.p50_ms);
        fields.maybe(names[1], latency.p99_ms);
        fields.maybe(names[2], latency.max_ms);
    }
    fields.text("lane", LANE_NAME.as_bytes());
    fields.write(reply);
}

/// What of a queue is paused, in one word.
pub(super) fn paused_word(paused: Paused) -> &'static str {
    match (paused.push, paused.claim) {
        (false, false) => "no",
        (true, false) => "push",
        (false, true) => "claim",
        (true, true) => "all",
    }
}

/// QREQUEUE by ids.
pub(super) fn requeue(turn: &mut Turn<'_, '_>, queue: &[u8], jobs: &Selection<'_>) -> Done {
    let Selection::Ids(ids) = jobs else {
        return Err(CommandError::syntax("QREQUEUE takes ids or DEAD"));
    };
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let requeued = holds.record(|engine, now, log| engine.requeue(now, queue, ids, log));
    outbox.wait(holds.hold().wait(queue));
    outbox.reply(session.proto).integer(requeued);
    holds.serve();
    holds.worked(ids.len() as u32, outbox);
    Ok(())
}

/// QDEL.
pub(super) fn delete(turn: &mut Turn<'_, '_>, queue: &[u8], jobs: &Selection<'_>) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let (deleted, work) = match jobs {
        Selection::Ids(ids) => {
            (holds.record(|engine, now, log| engine.delete(now, queue, ids, log)), ids.len())
        }
        Selection::Key { key, group } => {
            (holds.record(|engine, now, log| engine.delete_key(now, queue, group, key, log)), 1)
        }
        Selection::Dead { .. } => return Err(CommandError::syntax("QDEL takes ids or KEY")),
    };
    outbox.wait(holds.hold().wait(queue));
    outbox.reply(session.proto).integer(deleted);
    holds.serve();
    holds.worked(work as u32, outbox);
    Ok(())
}

/// QPAUSE.
pub(super) fn pause(turn: &mut Turn<'_, '_>, queue: &[u8], what: Pause, for_ms: Option<u64>) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    #[cfg(feature = "simulation")]
    let for_ms = match holds.lane().planted {
        Some(crate::simulation::Planted::ShortPauses) => Some(1),
        _ => for_ms,
    };
    holds.record(|engine, now, log| engine.pause(now, queue, what, for_ms, log));
    outbox.wait(holds.hold().wait(queue));
    outbox.reply(session.proto).ok();
    holds.worked(1, outbox);
    Ok(())
}

/// QRESUME.
pub(super) fn resume(turn: &mut Turn<'_, '_>, queue: &[u8]) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    holds.record(|engine, now, log| engine.resume(now, queue, log));
    outbox.wait(holds.hold().wait(queue));
    outbox.reply(session.proto).ok();
    holds.serve();
    holds.worked(1, outbox);
    Ok(())
}
