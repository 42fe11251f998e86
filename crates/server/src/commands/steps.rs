//! QPURGE, QREQUEUE DEAD, QWORKER BYE, FLUSHALL and questions about all queues: work in bounded steps, with the lock given
//! back between them.

use std::time::Duration;

use stanchion_engine::{Purge, Requeue, Step};
use stanchion_protocol::CommandError;
use stanchion_protocol::command::State;

use super::Done;
use super::flush::FlushTask;
use super::survey::Survey;
use super::worker::ByeTask;
use crate::session::Pending;
use crate::stats::Alone;
use crate::turn::Turn;

/// A command that is carried out step by step; the commands behind it on its connection wait.
pub(crate) struct LongTask {
    work: Work,
    /// The command, for the statistics.
    index: usize,
    /// How long its steps took so far.
    spent: Duration,
    /// Its words, for the slow log.
    words: Vec<Vec<u8>>,
}

/// What is to be done.
pub(super) enum Work {
    /// Something to one queue.
    Queue(QueueTask),
    /// A worker's jobs are to come back.
    Bye(ByeTask),
    /// All queues are to go.
    Flush(FlushTask),
    /// All queues are looked at.
    Survey(Survey),
}

/// Work on one queue.
pub(super) struct QueueTask {
    queue: Box<[u8]>,
    group: Option<Box<[u8]>>,
    what: What,
    /// Jobs so far.
    total: u64,
}

enum What {
    Purge { state: Option<State>, purge: Purge },
    Requeue(Requeue),
}

/// QPURGE.
pub(super) fn purge(
    turn: &mut Turn<'_, '_>,
    queue: &[u8],
    state: Option<State>,
    group: Option<&[u8]>,
) -> Done {
    let (holds, _, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let purge = Purge::begin(holds.hold().engine());
    begin(turn, queue, group, What::Purge { state, purge })
}

/// QREQUEUE DEAD.
pub(super) fn requeue_dead(
    turn: &mut Turn<'_, '_>,
    queue: &[u8],
    group: Option<&[u8]>,
    count: Option<u64>,
) -> Done {
    let (holds, _, outbox) = turn.parts();
    holds.enter(queue, outbox);
    let requeue = holds.hold().look(|engine, now| Requeue::begin(engine, now, count));
    begin(turn, queue, group, What::Requeue(requeue))
}

fn begin(turn: &mut Turn<'_, '_>, queue: &[u8], group: Option<&[u8]>, what: What) -> Done {
    let (holds, session, _) = turn.parts();
    if holds.in_transaction() {
        // Queueing refuses it; this is for a transaction that was queued in another way.
        return Err(CommandError::new("Command not allowed inside a transaction"));
    }
    let task = QueueTask { queue: queue.into(), group: group.map(Into::into), what, total: 0 };
    session.pending = Some(Pending::Task(LongTask::new(Work::Queue(task), session.run.take_newest())));
    Ok(())
}

impl LongTask {
    /// Work of the newest command, which has begun with this.
    pub(super) fn new(work: Work, alone: Alone) -> LongTask {
        LongTask { work, index: alone.index, spent: alone.begun.elapsed(), words: Vec::new() }
    }

    /// Keeps the command's words until it is known how long it took.
    pub(crate) fn remember(&mut self, words: impl FnOnce() -> Vec<Vec<u8>>) {
        if self.words.is_empty() {
            self.words = words();
        }
    }

    /// A step is done, which began with the turn.
    pub(crate) fn add_time(&mut self, length: Duration) {
        self.spent += length;
    }

    /// It is finished: the command, its words, and how long all steps took.
    pub(crate) fn into_timed(self) -> (usize, Vec<Vec<u8>>, Duration) {
        (self.index, self.words, self.spent)
    }

    /// Does one step; true when it was the last, and the reply is written.
    pub(crate) fn step(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        match &mut self.work {
            Work::Queue(task) => task.step(turn),
            Work::Bye(task) => task.step(turn),
            Work::Flush(task) => task.step(turn),
            Work::Survey(survey) => survey.step(turn),
        }
    }

    /// Whether a part of its reply is written, so that nothing else may be before the rest.
    pub(crate) fn is_answering(&self) -> bool {
        matches!(&self.work, Work::Survey(survey) if survey.is_answering())
    }
}

impl QueueTask {
    fn step(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let (holds, session, outbox) = turn.parts();
        let (queue, group) = (&*self.queue, self.group.as_deref());
        holds.enter(queue, outbox);
        let step = match &mut self.what {
            What::Purge { state, purge } => {
                let state = *state;
                holds.record(|engine, now, log| engine.purge(now, queue, state, group, purge, log))
            }
            What::Requeue(requeue) => {
                holds.record(|engine, now, log| engine.requeue_dead(now, queue, group, requeue, log))
            }
        };
        let (Step::More(jobs) | Step::Done(jobs)) = step;
        self.total += jobs;
        let done = matches!(step, Step::Done(_));
        if done {
            outbox.wait(holds.hold().wait(queue));
            outbox.reply(session.proto).integer(self.total);
        }
        holds.serve();
        holds.end(outbox);
        done
    }
}
