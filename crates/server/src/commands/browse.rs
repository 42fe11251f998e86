//! QLIST and QREADY: looks at all queues, shard by shard.

use std::sync::Arc;

use stanchion_engine::{QueueLine, ReadyLine};
use stanchion_protocol::{CommandError, Proto, Reply, glob};

use super::Done;
use super::operate::paused_word;
use super::steps::{LongTask, Work};
use crate::acl::User;
use crate::fields::Fields;
use crate::hold::Hold;
use crate::limits::LIST_STEP;
use crate::session::Pending;
use crate::turn::Turn;

/// Bits of a cursor that count within a shard; those above name the shard.
const CURSOR_SHARD_SHIFT: u32 = 48;

/// A QLIST that is not finished: the lines so far.
pub(super) struct ListTask {
    pattern: Option<Box<[u8]>>,
    /// The user, if there are queues that it must not see.
    reader: Option<Arc<User>>,
    /// Where to look next: the shard, and the engine's own cursor within it.
    shard: usize,
    cursor: u32,
    lines: usize,
    bytes: Vec<u8>,
}

/// QLIST: in steps, since the lines of ten thousand queues take milliseconds.
pub(super) fn list(turn: &mut Turn<'_, '_>, pattern: Option<&[u8]>) -> Done {
    let mut task = ListTask {
        pattern: pattern.map(Into::into),
        reader: turn.session.access.limited_reader(),
        shard: 0,
        cursor: 0,
        lines: 0,
        bytes: Vec::new(),
    };
    while !task.step(turn) {
        let (holds, session, _) = turn.parts();
        // A transaction keeps its locks to its end, whatever it does.
        if !holds.in_transaction() {
            let task = LongTask::new(Work::List(task), session.run.take_newest());
            session.pending = Some(Pending::Task(task));
            break;
        }
    }
    Ok(())
}

impl ListTask {
    /// Looks at so many queues more; true when they were the last, and the reply is written.
    pub(super) fn step(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let (holds, session, outbox) = turn.parts();
        let ListTask { pattern, reader, lines, bytes, .. } = self;
        let mut left = LIST_STEP;
        while self.shard < holds.lane().shard_count() && left > 0 {
            holds.enter_shard(self.shard, outbox);
            outbox.wait(holds.hold().wait_any());
            let count = left;
            self.cursor = holds.hold().list(self.cursor, count, &mut |line| {
                left -= 1;
                let is_wanted = pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, line.queue));
                if is_wanted && reader.as_ref().is_none_or(|user| user.may_read(line.queue)) {
                    *lines += 1;
                    write_line(&line, session.proto, bytes);
                }
            });
            self.shard += usize::from(self.cursor == 0);
        }
        let done = self.shard == holds.lane().shard_count();
        if done {
            let mut reply = outbox.reply(session.proto);
            reply.array(*lines);
            reply.raw(bytes);
        }
        holds.end(outbox);
        done
    }
}

/// Visits every queue, and hands each lock over every so many of them.
pub(super) fn for_each_queue(turn: &mut Turn<'_, '_>, mut visit: impl FnMut(QueueLine<'_>)) {
    for_each_step(turn, |hold, cursor| hold.list(cursor, LIST_STEP, &mut visit));
}

/// Looks at some queues from a cursor on, and then at the next ones, in every shard; each lock is handed over in between.
pub(super) fn for_each_step(turn: &mut Turn<'_, '_>, mut look: impl FnMut(&mut Hold<'_>, u32) -> u32) {
    let (holds, _, outbox) = turn.parts();
    for shard in 0..holds.lane().shard_count() {
        let mut cursor = 0;
        loop {
            holds.enter_shard(shard, outbox);
            outbox.wait(holds.hold().wait_any());
            cursor = look(holds.hold(), cursor);
            if cursor == 0 {
                break;
            }
            holds.worked(LIST_STEP as u32, outbox);
        }
    }
}

fn write_line(line: &QueueLine<'_>, proto: Proto, out: &mut Vec<u8>) {
    let mut fields = Fields::new(proto);
    fields.text("queue", line.queue);
    fields.number("ready", line.counts.ready);
    fields.number("delayed", line.counts.delayed);
    fields.number("claimed", line.counts.claimed);
    fields.number("dead", line.counts.dead);
    fields.maybe("oldest-ready-ms", line.oldest_ready_ms);
    fields.text("paused", paused_word(line.paused).as_bytes());
    fields.write(&mut Reply::new(out, proto));
}

/// QREADY.
pub(super) fn ready(turn: &mut Turn<'_, '_>, cursor: u64, pattern: Option<&[u8]>, count: u32) -> Done {
    let (holds, session, outbox) = turn.parts();
    let mut cursor = Cursor::read(cursor, holds.lane().shard_count())?;
    let mut lines: Vec<ReadyLine> = Vec::new();
    let reader = session.access.limited_reader();
    while let Some((shard, within)) = cursor.place() {
        holds.enter_shard(shard, outbox);
        outbox.wait(holds.hold().wait_any());
        let left = count as usize - lines.len();
        let next = holds.hold().ready(within, pattern, left, &mut lines);
        cursor.advance(next);
        if let Some(user) = &reader {
            lines.retain(|line| user.may_read(&line.queue));
        }
        if lines.len() >= count as usize {
            break;
        }
    }
    let mut reply = outbox.reply(session.proto);
    reply.array(2);
    reply.bulk_integer(cursor.number());
    reply.array(lines.len());
    for line in &lines {
        reply.array(4);
        reply.bulk(&line.queue);
        reply.bulk(&line.group);
        reply.integer(line.ready);
        reply.integer(line.oldest_ms);
    }
    holds.worked(count, outbox);
    Ok(())
}

/// A place among all shards: the shard and the engine's own cursor within it. 0 is the start and the end.
pub(super) struct Cursor {
    shard: usize,
    within: u64,
    shards: usize,
}

impl Cursor {
    /// Reads the number that a client sends.
    pub(super) fn read(number: u64, shards: usize) -> Result<Cursor, CommandError> {
        let shard = (number >> CURSOR_SHARD_SHIFT) as usize;
        if shard >= shards {
            return Err(CommandError::new(format!("invalid cursor '{number}'")));
        }
        Ok(Cursor { shard, within: number & ((1 << CURSOR_SHARD_SHIFT) - 1), shards })
    }

    /// Where to look next; `None` at the end.
    pub(super) fn place(&self) -> Option<(usize, u64)> {
        (self.shard < self.shards).then_some((self.shard, self.within))
    }

    /// The engine's cursor has gone on, or is through with its shard.
    pub(super) fn advance(&mut self, next: u64) {
        assert!(next < 1 << CURSOR_SHARD_SHIFT, "the engine's cursor {next} leaves no room for the shard");
        self.within = next;
        if next == 0 {
            self.shard += 1;
        }
    }

    /// The number that a client is told; 0 when there is nothing left.
    pub(super) fn number(&self) -> u64 {
        if self.shard >= self.shards { 0 } else { (self.shard as u64) << CURSOR_SHARD_SHIFT | self.within }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_through_all_shards_and_ends_at_zero() {
        let mut cursor = Cursor::read(0, 2).unwrap();
        assert_eq!(cursor.place(), Some((0, 0)));
        cursor.advance(77);
        let mut cursor = Cursor::read(cursor.number(), 2).unwrap();
        assert_eq!(cursor.place(), Some((0, 77)));
        cursor.advance(0);
        let mut cursor = Cursor::read(cursor.number(), 2).unwrap();
        assert_eq!(cursor.place(), Some((1, 0)));
        cursor.advance(0);
        assert_eq!((cursor.place(), cursor.number()), (None, 0));
        assert!(Cursor::read(2 << CURSOR_SHARD_SHIFT, 2).is_err(), "there is no third shard");
    }
}
