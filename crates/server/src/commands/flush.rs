//! FLUSHALL and FLUSHDB: all queues that are there, in bounded steps.

use stanchion_engine::{Flush, Step};
use stanchion_protocol::{Args, CommandError};

use super::Done;
use super::steps::{LongTask, Work};
use crate::session::Pending;
use crate::turn::Turn;

/// A flush that is not finished.
pub(crate) struct FlushTask {
    /// What was there in each shard.
    shards: Vec<Flush>,
    /// Which shard is next.
    next: usize,
}

/// FLUSHALL [ASYNC|SYNC]: both forms answer when the queues are gone, and free memory later.
pub(super) fn flush(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let known = |word: &[u8]| word.eq_ignore_ascii_case(b"async") || word.eq_ignore_ascii_case(b"sync");
    if args.len() > 2 || args.get(1).is_some_and(|word| !known(word)) {
        return Err(CommandError::new("syntax error"));
    }
    let (holds, session, outbox) = turn.parts();
    let mut shards = Vec::new();
    // All of them first, so that what is pushed while it runs stays, wherever that is.
    for shard in 0..holds.lane().shard_count() {
        holds.enter_shard(shard, outbox);
        shards.push(Flush::begin(holds.hold().engine()));
    }
    let work = Work::Flush(FlushTask { shards, next: 0 });
    session.pending = Some(Pending::Task(LongTask::new(work, session.run.take_newest())));
    Ok(())
}

impl FlushTask {
    /// Does one step; true when it was the last, and the reply is written.
    pub(super) fn step(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let (holds, session, outbox) = turn.parts();
        holds.enter_shard(self.next, outbox);
        let flush = &mut self.shards[self.next];
        let step = holds.record(|engine, now, log| engine.flush(now, flush, log));
        if matches!(step, Step::Done(_)) {
            self.next += 1;
        }
        let done = self.next == self.shards.len();
        if done {
            outbox.wait(holds.hold().wait_any());
            outbox.reply(session.proto).ok();
        }
        holds.serve();
        holds.end(outbox);
        done
    }
}
