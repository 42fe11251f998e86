//! Job notes: what happened to the jobs of a queue whose `notify` setting is on, for those who listen.
//!
//! A note is made where an event is applied, so that every way in which a job changes is covered: commands,
//! blocked claims, timers and sweeps. The stream is lossy by design: notes are neither logged nor made again
//! by replay, there is a bound on those that wait to be taken, and what is over it is only counted. DEL makes
//! none for the jobs that go with their queue: it is one step, however many they are.

use std::ops::Range;

use stanchion_protocol::id::JobId;

use crate::limits;
use crate::queue::Queue;

/// What happened to a job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JobEvent {
    /// A push added it, ready or delayed.
    Pushed,
    /// A push with its dedupe key gave it a new content.
    Replaced,
    /// It was handed to a worker.
    Claimed,
    /// It is done and gone.
    Acked,
    /// It failed and will be tried again, at once or after a delay.
    Retried,
    /// It was given back without using an attempt.
    Released,
    /// Its lease ended by itself: it is ready again, unless it died or was superseded, as a second note says.
    Lapsed,
    /// It is kept as a dead job: its last attempt failed or lapsed, or a nack said so.
    Died,
    /// An operator made it ready, dead or delayed as it was.
    Requeued,
    /// It was dropped, since a newer root is registered.
    Superseded,
    /// It was dropped at the end of its TTL.
    Expired,
    /// An operator deleted it with QDEL or QPURGE.
    Deleted,
    /// A dead job was dropped: kept long enough, or one too many.
    Forgotten,
}

impl JobEvent {
    /// All of them.
    pub const ALL: [JobEvent; 13] = [
        JobEvent::Pushed,
        JobEvent::Replaced,
        JobEvent::Claimed,
        JobEvent::Acked,
        JobEvent::Retried,
        JobEvent::Released,
        JobEvent::Lapsed,
        JobEvent::Died,
        JobEvent::Requeued,
        JobEvent::Superseded,
        JobEvent::Expired,
        JobEvent::Deleted,
        JobEvent::Forgotten,
    ];

    /// As clients read it.
    pub fn word(self) -> &'static str {
        match self {
            JobEvent::Pushed => "pushed",
            JobEvent::Replaced => "replaced",
            JobEvent::Claimed => "claimed",
            JobEvent::Acked => "acked",
            JobEvent::Retried => "retried",
            JobEvent::Released => "released",
            JobEvent::Lapsed => "lapsed",
            JobEvent::Died => "died",
            JobEvent::Requeued => "requeued",
            JobEvent::Superseded => "superseded",
            JobEvent::Expired => "expired",
            JobEvent::Deleted => "deleted",
            JobEvent::Forgotten => "forgotten",
        }
    }
}

/// One thing that happened to one job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobNote<'a> {
    /// The job's queue.
    pub queue: &'a [u8],
    /// What happened.
    pub event: JobEvent,
    /// To which job.
    pub id: JobId,
    /// Its attempts so far, the one that this is about included.
    pub attempt: u32,
    /// Its group; empty for none.
    pub group: &'a [u8],
}

/// Notes in the order in which things happened, and how many more there were.
#[derive(Default, Debug)]
pub struct Notes {
    entries: Vec<Entry>,
    /// Names of queues and groups, one after the other.
    names: Vec<u8>,
    /// The queue of the last entry, which the next one mostly shares.
    queue: Range<usize>,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    event: JobEvent,
    attempt: u32,
    id: u64,
    queue: Range<usize>,
    group: Range<usize>,
}

impl Notes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were made beyond the bound and are lost.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets all and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.names.clear();
        (self.queue, self.dropped) = (0..0, 0);
    }

    /// The notes, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = JobNote<'_>> {
        self.entries.iter().map(|entry| JobNote {
            queue: &self.names[entry.queue.clone()],
            event: entry.event,
            id: JobId(entry.id),
            attempt: entry.attempt,
            group: &self.names[entry.group.clone()],
        })
    }

    /// What it takes in memory.
    pub(crate) fn allocation_bytes(&self) -> usize {
        size_of::<Notes>() + self.entries.capacity() * size_of::<Entry>() + self.names.capacity()
    }

    // Out of line, so that a queue without `notify` pays for no more than the question.
    #[inline(never)]
    fn add(&mut self, note: JobNote<'_>) {
        if self.entries.len() >= limits::NOTES_MAX {
            self.dropped += 1;
            return;
        }
        if self.entries.is_empty() || self.names[self.queue.clone()] != *note.queue {
            self.queue = self.name(note.queue);
        }
        let (queue, group) = (self.queue.clone(), self.name(note.group));
        let JobNote { event, attempt, id: JobId(id), .. } = note;
        self.entries.push(Entry { event, attempt, id, queue, group });
    }

    fn name(&mut self, name: &[u8]) -> Range<usize> {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        start..self.names.len()
    }

    /// Takes all from `other`: without a copy when there is none here.
    pub(crate) fn take_from(&mut self, other: &mut Notes) {
        if self.entries.is_empty() && self.dropped == 0 {
            std::mem::swap(self, other);
        } else {
            other.iter().for_each(|note| self.add(note));
            self.dropped += other.dropped;
        }
        other.clear();
    }
}

impl Queue {
    /// Notes what happened to a job, if anybody may want to know.
    #[inline(always)]
    pub(crate) fn note(&mut self, job: u32, event: JobEvent) {
        if self.notes.is_some() {
            self.note_down(job, event);
        }
    }

    #[inline(never)]
    fn note_down(&mut self, ix: u32, event: JobEvent) {
        let attempt = self.extras(ix).attempts;
        let (job, notes) = (&self.jobs[ix], self.notes.get_or_insert_default());
        let group = &*self.groups[job.group].name;
        notes.add(JobNote { queue: &self.name, event, id: JobId(job.id), attempt, group });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(queue: &'static [u8], id: u64, group: &'static [u8]) -> JobNote<'static> {
        JobNote { queue, event: JobEvent::Acked, id: JobId(id), attempt: 1, group }
    }

    #[test]
    fn words_are_the_names_of_their_events() {
        for event in JobEvent::ALL {
            assert_eq!(event.word(), format!("{event:?}").to_lowercase());
        }
    }

    #[test]
    fn what_is_added_and_taken_comes_out_in_order() {
        let all = [note(b"q", 1, b""), note(b"q", 2, b"g"), note(b"r", 3, b"g"), note(b"q", 4, b"")];
        let (mut first, mut second) = (Notes::default(), Notes::default());
        all[..2].iter().for_each(|note| first.add(*note));
        all[2..].iter().for_each(|note| second.add(*note));
        let mut taken = Notes::default();
        taken.take_from(&mut first);
        taken.take_from(&mut second);
        assert!(first.is_empty() && second.is_empty());
        assert_eq!(taken.iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn what_is_over_the_bound_is_counted() {
        let (mut first, mut second) = (Notes::default(), Notes::default());
        for id in 0..limits::NOTES_MAX as u64 {
            first.add(note(b"q", id, b""));
        }
        for id in 0..limits::NOTES_MAX as u64 + 5 {
            second.add(note(b"q", id, b""));
        }
        assert_eq!((first.dropped(), second.dropped()), (0, 5));
        first.take_from(&mut second);
        assert_eq!((first.len(), first.dropped()), (limits::NOTES_MAX, limits::NOTES_MAX as u64 + 5));
        first.clear();
        assert_eq!((first.len(), first.dropped()), (0, 0));
    }
}
