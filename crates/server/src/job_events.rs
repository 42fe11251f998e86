//! Job events: what happened to jobs, published on `__job__:<queue>` for whoever listens.
//!
//! The engine notes what it does to the jobs of queues whose setting `notify` is on. At the end of a hold its notes
//! are left here, still under the shard's lock, so that they keep the order in which things happened; they are
//! published after the lock is given back, by one thread at a time. The stream is bounded at each step and what
//! has no room is lost, but counted: a listener never slows a queue down.

use std::collections::VecDeque;

use parking_lot::Mutex;
use stanchion_engine::{JobNote, Lsn, Notes, Shard};

use crate::hub::{Hub, JOB_CHANNEL};
use crate::limits::JOB_EVENTS_MAX;

/// The events of one shard on their way.
#[derive(Default)]
pub(crate) struct JobEvents {
    waiting: Mutex<Waiting>,
    /// Held by whoever publishes.
    publishing: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    /// How many notes are in them.
    notes: usize,
}

/// The notes of one hold.
struct Batch {
    notes: Notes,
    /// They are not seen before this record is durable; 0 for no record.
    lsn: Lsn,
}

impl JobEvents {
    /// Takes the notes of a hold that ends; true when there is something to publish once its lock is given back.
    pub(crate) fn collect(&self, engine: &mut Shard, hub: &Hub, lsn: Lsn) -> bool {
        let mut notes = Notes::default();
        engine.take_notes(&mut notes);
        if !hub.has_job_listeners() {
            return false;
        }
        let mut waiting = self.waiting.lock();
        let lost = if waiting.notes + notes.len() > JOB_EVENTS_MAX { notes.len() } else { 0 };
        hub.add_lost(notes.dropped() + lost as u64);
        if lost > 0 {
            return false;
        }
        waiting.notes += notes.len();
        waiting.batches.push_back(Batch { notes, lsn });
        true
    }

    /// Publishes what waits, unless another thread is at it, which then does this, too.
    pub(crate) fn publish(&self, hub: &Hub) {
        while let Some(publishing) = self.publishing.try_lock() {
            while let Some(batch) = self.take() {
                batch.publish(hub);
            }
            drop(publishing);
            // Whoever left a batch after the last look, and found us publishing, relies on another.
            if self.waiting.lock().batches.is_empty() {
                return;
            }
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        let batch = waiting.batches.pop_front()?;
        waiting.notes -= batch.notes.len();
        Some(batch)
    }
}

impl Batch {
    fn publish(&self, hub: &Hub) {
        let (mut channel, mut text) = (JOB_CHANNEL.to_vec(), Vec::new());
        for note in self.notes.iter() {
            channel.truncate(JOB_CHANNEL.len());
            channel.extend_from_slice(note.queue);
            text.clear();
            write(&note, &mut text);
            hub.publish_job(&channel, &text, self.lsn);
        }
    }
}

/// `<event> <id> <attempt>`, and the group when there is one; last, since it may hold any byte.
fn write(note: &JobNote<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(note.event.word().as_bytes());
    out.push(b' ');
    out.extend_from_slice(&note.id.text());
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(note.attempt).as_bytes());
    if !note.group.is_empty() {
        out.push(b' ');
        out.extend_from_slice(note.group);
    }
}

#[cfg(test)]
mod tests {
    use stanchion_engine::JobEvent;
    use stanchion_protocol::id::JobId;

    use super::*;

    #[test]
    fn an_event_is_words_with_the_group_last() {
        let mut note =
            JobNote { queue: b"q", event: JobEvent::Claimed, id: JobId(0xab), attempt: 2, group: b"" };
        let mut text = Vec::new();
        write(&note, &mut text);
        assert_eq!(text, b"claimed 00000000000000ab 2");
        note.group = b"two words";
        text.clear();
        write(&note, &mut text);
        assert_eq!(text, b"claimed 00000000000000ab 2 two words");
    }

    #[test]
    fn every_event_is_documented() {
        let page = stanchion_protocol::docs::protocol_md();
        for event in JobEvent::ALL {
            assert!(
                page.contains(&format!("\n| `{}` |", event.word())),
                "{} is not documented",
                event.word()
            );
        }
    }
}
