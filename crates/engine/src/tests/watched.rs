//! What WATCH relies on: a queue's version is another one whenever the queue is not what it was.

use std::collections::BTreeMap;

use crate::{LoggedPayload, Shard};

/// Every queue as it was before a step, with its version.
pub(super) struct Watched {
    queues: BTreeMap<Box<[u8]>, (u64, String)>,
}

impl Watched {
    /// What is there now.
    pub(super) fn new(shard: &Shard, read: &dyn Fn(LoggedPayload) -> Vec<u8>) -> Watched {
        let line = |name: &[u8], dump| (shard.version(name), dump);
        let queues =
            shard.queues.iter().map(|(_, queue)| (queue.name.clone(), line(&queue.name, queue.dump(read))));
        Watched { queues: queues.collect() }
    }

    /// After a step with this record: what changed has another version, and without a record nothing has.
    pub(super) fn compare(&self, shard: &Shard, now: &Watched, is_recorded: bool) {
        for name in self.queues.keys().chain(now.queues.keys()) {
            let (before, after) = (self.queues.get(name), now.queues.get(name));
            let version = before.map(|(version, _)| *version);
            let same = version == Some(shard.version(name));
            if before.map(|(_, dump)| dump) != after.map(|(_, dump)| dump) {
                assert!(!same, "{} changed, but not its version", name.escape_ascii());
            } else if !is_recorded {
                assert!(same, "nothing was recorded, but {} has another version", name.escape_ascii());
            }
        }
    }
}
