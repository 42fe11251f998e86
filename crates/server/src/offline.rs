//! What the records of a log mean, without a server: replayed into one shard in memory, and shown as plain data.
//!
//! For those who look at a data directory; nothing here writes one.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use stanchion_engine::{Checkpoint, Now, Payload, PayloadRoom, SettingsPatch, Shard, ShardConfig, Step};
use stanchion_protocol::command::Which;
use stanchion_protocol::id::JobId;
use stanchion_storage::offline::OfflineLog;
use stanchion_storage::{OpenError, RecordView};

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

/// Takes an event, with its queue.
pub type Show<'a, E> = dyn FnMut(&[u8], &EventView<'_>) -> Result<(), E> + 'a;

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
        // They may be more than fits into memory, and are in the log.
        shard.limit_payloads(PayloadRoom { bytes_max: 0, queue_bytes: 0 });
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

    /// Shows everything that lives, as events that would make it: roots, windows, jobs, and queues with their
    /// settings. Payloads are read from the log once more, for they need not fit into memory.
    ///
    /// # Errors
    /// What `show` returns, or the log can't be read.
    pub fn show_all<E: From<OpenError>>(
        &mut self,
        log: &OfflineLog,
        show: &mut Show<'_, E>,
    ) -> Result<(), E> {
        self.show_what_is_in_memory(show)?;
        let mut shown = HashSet::new();
        let mut stopped = None;
        log.inspect(&mut |located| {
            if stopped.is_none() {
                stopped = self.show_payloads(located.record, &mut shown, show).err();
            }
            Ok(())
        })?;
        stopped.map_or(Ok(()), Err)
    }

    fn show_what_is_in_memory<E>(&mut self, show: &mut Show<'_, E>) -> Result<(), E> {
        let now = Now { ms: self.shard.last_now(), entropy: 0 };
        let mut checkpoint = Checkpoint::begin(self.last_lsn + 1);
        let mut body = Vec::new();
        loop {
            body.clear();
            let step = self.shard.checkpoint(now, &mut checkpoint, SNAPSHOT_BYTES, &mut body);
            for part in stanchion_engine::view_parts(&body).expect("what was just written can be read") {
                let Some(queue) = part.queue else { continue };
                for mut event in part.events {
                    let is_logged = event.fields.iter().any(|(name, _)| *name == "logged_bytes");
                    match event.name {
                        "based" => continue,
                        "job_beside" if is_logged => continue,
                        "job_beside" => event.name = "job",
                        _ => {}
                    }
                    show(queue, &event)?;
                }
            }
            if matches!(step, Step::Done(_)) {
                return Ok(());
            }
        }
    }

    /// Shows the jobs whose payloads are in this record and nowhere else.
    fn show_payloads<E>(
        &self,
        record: RecordView<'_>,
        shown: &mut HashSet<JobId>,
        show: &mut Show<'_, E>,
    ) -> Result<(), E> {
        // One that can't be read is damage, and was told as such.
        for part in parts(record).unwrap_or_default() {
            let Some(queue) = part.queue else { continue };
            for (id, payload) in part.events.iter().filter_map(payload_of) {
                let Some(job) = self.shard.job(queue, Which::Id(id)) else { continue };
                let Payload::Logged(logged) = self.shard.payload(job) else { continue };
                // The first from its base on is the one.
                if record.lsn >= logged.base && shown.insert(id) {
                    show(queue, &self.shard.show_job(job, payload))?;
                }
            }
        }
        Ok(())
    }
}

/// The payload that an event brings, and whose it is.
fn payload_of<'a>(event: &EventView<'a>) -> Option<(JobId, &'a [u8])> {
    let mut id = None;
    let mut payload = None;
    for (name, field) in &event.fields {
        match (*name, *field) {
            ("id", Field::Job(job)) => id = Some(job),
            ("payload", Field::Bytes(bytes)) => payload = Some(bytes),
            _ => {}
        }
    }
    id.zip(payload)
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
