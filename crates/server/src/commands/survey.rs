//! Questions about all queues: they are looked at shard by shard and in steps, with each lock given back between them.
//!
//! Queues come and go meanwhile. One that is there all the while is seen exactly once.

use stanchion_protocol::Proto;

use super::Done;
use super::steps::{LongTask, Work};
use crate::hold::Hold;
use crate::limits::LIST_STEP;
use crate::session::Pending;
use crate::turn::Turn;

/// What somebody wants to know of all queues.
pub(super) trait Question: Send {
    /// Looks at [`LIST_STEP`] queues from a cursor on; gives the next cursor, 0 at the shard's end.
    fn look(&mut self, hold: &mut Hold<'_>, cursor: u32, proto: Proto) -> u32;

    /// Writes the reply, or the next part of it, once all were looked at; true when that was all of it.
    fn answer(&mut self, turn: &mut Turn<'_, '_>) -> bool;
}

/// A question that is being answered.
pub(super) struct Survey {
    question: Box<dyn Question>,
    /// Where to look next: the shard, and the engine's own cursor within it.
    shard: usize,
    cursor: u32,
    /// A part of the reply is written.
    is_answering: bool,
}

/// Answers a question: at once where there are few queues, and in steps otherwise.
pub(super) fn ask(turn: &mut Turn<'_, '_>, question: impl Question + 'static) -> Done {
    let mut survey = Survey { question: Box::new(question), shard: 0, cursor: 0, is_answering: false };
    while !survey.step(turn) {
        let (holds, session, _) = turn.parts();
        // A transaction keeps its locks to its end, whatever it does.
        if !holds.in_transaction() {
            let task = LongTask::new(Work::Survey(survey), session.run.take_newest());
            session.pending = Some(Pending::Task(task));
            break;
        }
    }
    Ok(())
}

impl Survey {
    /// Looks at some queues more, or writes a part of the reply; true when that was the last.
    pub(super) fn step(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let (holds, session, outbox) = turn.parts();
        let mut left = LIST_STEP;
        while self.shard < holds.lane().shard_count() && left > 0 {
            holds.enter_shard(self.shard, outbox);
            outbox.wait(holds.hold().wait_any());
            let queues = holds.hold().engine().queues();
            left = left.saturating_sub(usize::try_from(queues).unwrap_or(LIST_STEP).max(1));
            self.cursor = self.question.look(holds.hold(), self.cursor, session.proto);
            self.shard += usize::from(self.cursor == 0);
        }
        let is_seen = self.shard == holds.lane().shard_count();
        holds.end(outbox);
        if !is_seen {
            return false;
        }
        let is_answered = self.question.answer(turn);
        self.is_answering = !is_answered;
        is_answered
    }

    /// Whether nothing may be written but the rest of its reply.
    pub(super) fn is_answering(&self) -> bool {
        self.is_answering
    }
}
