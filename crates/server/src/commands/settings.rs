//! QCONFIG SET, GET and UNSET.

use stanchion_engine::{Now, Refusal, Shard, Source};

use super::{Done, refused};
use crate::turn::Turn;

/// QCONFIG SET.
pub(super) fn set(turn: &mut Turn<'_, '_>, queue: &[u8], pairs: &[(&[u8], &[u8])]) -> Done {
    change(turn, queue, |engine, now, log| engine.config_set(now, queue, pairs, log))
}

/// QCONFIG UNSET.
pub(super) fn unset(turn: &mut Turn<'_, '_>, queue: &[u8], keys: &[&[u8]]) -> Done {
    change(turn, queue, |engine, now, log| engine.config_unset(now, queue, keys, log))
}

/// Changes settings, or nothing when one is refused.
fn change(
    turn: &mut Turn<'_, '_>,
    queue: &[u8],
    change: impl FnOnce(&mut Shard, Now, &mut Vec<u8>) -> Result<(), Refusal>,
) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let result = holds.record(change);
    outbox.wait(holds.hold().wait(queue));
    result.map_err(refused)?;
    outbox.reply(session.proto).ok();
    holds.serve();
    holds.worked(1, outbox);
    Ok(())
}

/// QCONFIG GET.
pub(super) fn get(turn: &mut Turn<'_, '_>, queue: &[u8], key: Option<&[u8]>) -> Done {
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let settings = holds.hold().engine().config_get(queue, key).map_err(refused)?;
    let mut reply = outbox.reply(session.proto);
    reply.map(settings.len());
    for (name, value, source) in settings {
        reply.bulk(name.as_bytes());
        reply.array(2);
        reply.bulk(value.as_bytes());
        reply.bulk(match source {
            Source::Queue => b"queue",
            Source::File => b"file",
            Source::Default => b"default",
        });
    }
    holds.worked(1, outbox);
    Ok(())
}
