//! What is noted of each job, for listeners: its own story in order. How the stories of several jobs that fall
//! due together are mixed is the engine's matter.

use stanchion_protocol::id::JobId;

use crate::JobEvent;
use crate::tests::rig::Noted;

use super::{Model, Queue, Verdict, must};

/// A note that the engine must make.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    note: Noted,
    /// It may as well say this.
    or: Option<JobEvent>,
}

impl Queue {
    /// Something happened to a job that is there.
    pub(super) fn note(&mut self, id: JobId, event: JobEvent) {
        self.note_either(id, event, None);
    }

    /// The same, when two words fit.
    pub(super) fn note_either(&mut self, id: JobId, event: JobEvent, or: Option<JobEvent>) {
        if !self.settings.notify {
            return;
        }
        let job = self.job(id).expect("a noted job is there");
        let (queue, group, attempt) = (self.name.clone(), job.group.clone(), job.attempts);
        self.notes.push(Expected { note: Noted { queue, event, id, attempt, group }, or });
    }
}

impl Model {
    /// The engine has noted what happened since the last time, no more and no less.
    pub(crate) fn compare_notes(&mut self, mut noted: Vec<Noted>) -> Verdict {
        let notes = self.queues.iter_mut().flat_map(|queue| std::mem::take(&mut queue.notes));
        let mut expected: Vec<Expected> = notes.collect();
        expected.sort_by(|a, b| a.note.job().cmp(&b.note.job()));
        noted.sort_by(|a, b| a.job().cmp(&b.job()));
        let fits = |(noted, expected): (&Noted, &Expected)| {
            let other = |event| Noted { event, ..expected.note.clone() };
            *noted == expected.note || expected.or.is_some_and(|event| *noted == other(event))
        };
        let all = noted.len() == expected.len() && noted.iter().zip(&expected).all(fits);
        must!(all, "the notes are {noted:?}, not {expected:?}");
        Ok(())
    }
}
