//! WATCH and UNWATCH: a transaction that does nothing when a queue changed before it.

use std::collections::BTreeMap;

use stanchion_protocol::{Args, CommandError, ErrorCode};

use super::Done;
use crate::holds::Holds;
use crate::limits::WATCHED_MAX;
use crate::outbox::Outbox;
use crate::turn::Turn;

/// The queues that a connection watches, each with its version when it began to.
#[derive(Default)]
pub(crate) struct Watched {
    versions: BTreeMap<Box<[u8]>, u64>,
}

impl Watched {
    /// Their names.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &[u8]> {
        self.versions.keys().map(|queue| &**queue)
    }

    /// Whether one has changed since. To be asked under the locks of the transaction that depends on it.
    pub(crate) fn has_changed(&self, holds: &mut Holds<'_>, outbox: &mut Outbox) -> bool {
        self.versions.iter().any(|(queue, version)| {
            holds.enter(queue, outbox);
            holds.hold().engine().version(queue) != *version
        })
    }
}

/// WATCH.
pub(super) fn watch(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if turn.session.queued.is_some() {
        return Err(CommandError::new("WATCH inside MULTI is not allowed"));
    }
    if turn.holds.is_none() {
        return Err(CommandError::with_code(ErrorCode::Loading, turn.server.loading.message()));
    }
    let queues = args.skip(1);
    check(turn, queues)?;
    let (holds, session, outbox) = turn.parts();
    for queue in queues.iter() {
        if session.watched.versions.contains_key(queue) {
            continue;
        }
        holds.enter(queue, outbox);
        let version = holds.hold().engine().version(queue);
        session.watched.versions.insert(queue.into(), version);
        holds.worked(1, outbox);
    }
    turn.reply().ok();
    Ok(())
}

/// Whether these may be watched, too.
fn check(turn: &Turn<'_, '_>, queues: Args<'_>) -> Done {
    let name_bytes_max = turn.server.config.limits.name_bytes_max;
    if let Some(long) = queues.iter().find(|queue| queue.len() > name_bytes_max) {
        let len = long.len();
        return Err(CommandError::new(format!(
            "the queue of {len} bytes is above the limit of {name_bytes_max} (name-bytes-max)"
        )));
    }
    let watched = &turn.session.watched.versions;
    let count = watched.len() + queues.iter().filter(|queue| !watched.contains_key(*queue)).count();
    if count > WATCHED_MAX {
        return Err(CommandError::new(format!(
            "{count} watched queues are above the limit of {WATCHED_MAX} of one connection"
        )));
    }
    Ok(())
}

/// UNWATCH.
pub(super) fn unwatch(turn: &mut Turn<'_, '_>) -> Done {
    turn.session.watched = Watched::default();
    turn.reply().ok();
    Ok(())
}
