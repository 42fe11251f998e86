//! What the records of a log mean, without a server: replayed into one shard in memory, and shown as plain data.
//!
//! For those who look at a data directory; nothing here writes one.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use stanchion_engine::{Now, PayloadRoom, ReadPayloads, SettingsPatch, Shard, ShardConfig, Step};
use stanchion_storage::RecordView;

pub use stanchion_engine::{Counts, EventView, Field, PartView};
pub use stanchion_protocol::glob::matches;

use crate::lane::EVENTS;

/// How much of a snapshot is written at a time.
const SNAPSHOT_BYTES: usize = 1 << 20;

/// The jobs of a log, as a server would have them after its start.
pub struct OfflineJobs {
    shard: Shard,
    /// The newest record that was taken.
    last_lsn: u64,
}

/// A queue and how many jobs it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfflineQueue {
    /// Its name.
    pub queue: Vec<u8>,
    /// Jobs in each state.
    pub counts: Counts,
}

impl OfflineJobs {
    /// None yet.
    pub fn new() -> OfflineJobs {
        // Settings decide what commands do, and there will be none.
        let file = Arc::new(|_: &[u8]| SettingsPatch::default());
        let mut shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file });
        shard.limit_payloads(PayloadRoom::UNLIMITED);
        OfflineJobs { shard, last_lsn: 0 }
    }

    /// Applies a record.
    ///
    /// # Errors
    /// It can't be applied, so that no server of this version would start.
    pub fn take(&mut self, record: RecordView<'_>) -> Result<(), String> {
        check_kind(record)?;
        self.last_lsn = record.lsn;
        for part in Shard::parts(record.body) {
            let (_, part) = part.map_err(|damaged| damaged.to_string())?;
            self.shard.replay(record.lsn, part).map_err(|damaged| damaged.to_string())?;
        }
        Ok(())
    }

    /// The queues by name.
    pub fn queues(&self) -> Vec<OfflineQueue> {
        let mut queues = Vec::new();
        let now = Now { ms: self.shard.last_now(), entropy: 0 };
        self.shard.list(now, 0, usize::MAX, &mut |line| {
            queues.push(OfflineQueue { queue: line.queue.to_vec(), counts: line.counts });
        });
        queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        queues
    }

    /// Shows everything that lives, as events that would make it: roots, windows, jobs, and each queue with its
    /// settings. Everything of one queue comes together, the queue itself last.
    ///
    /// # Errors
    /// What `show` returns.
    pub fn show_all<E>(mut self, show: &mut dyn FnMut(&PartView<'_>) -> Result<(), E>) -> Result<(), E> {
        let now = Now { ms: self.shard.last_now(), entropy: 0 };
        // As if the whole log was to be reclaimed: what was shown is based behind it, and not shown again.
        let below = self.last_lsn + 1;
        self.shard.begin(below);
        let read = ReadPayloads::default();
        let mut body = Vec::new();
        loop {
            body.clear();
            let step = self.shard.reclaim(now, below, SNAPSHOT_BYTES, &read, &mut body);
            for part in stanchion_engine::view_parts(&body).expect("what was just written can be read") {
                show(&part)?;
            }
            if matches!(step, Step::Done(_)) {
                return Ok(());
            }
        }
    }
}

impl Default for OfflineJobs {
    fn default() -> OfflineJobs {
        OfflineJobs::new()
    }
}

/// What a record says.
///
/// # Errors
/// It can't be read: another version wrote it.
pub fn parts(record: RecordView<'_>) -> Result<Vec<PartView<'_>>, String> {
    check_kind(record)?;
    stanchion_engine::view_parts(record.body).map_err(|damaged| damaged.to_string())
}

fn check_kind(record: RecordView<'_>) -> Result<(), String> {
    if record.kind == EVENTS {
        return Ok(());
    }
    Err(format!("its kind {} is unknown; a newer version may have written it", record.kind.get()))
}
