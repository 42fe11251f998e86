//! QLIST and QREADY: looks at all queues, shard by shard.

use stanchion_engine::{QueueLine, ReadyLine};
use stanchion_protocol::{CommandError, Proto, Reply, glob};

use super::Done;
use super::operate::paused_word;
use crate::fields::Fields;
use crate::hold::Hold;
use crate::limits::LIST_STEP;
use crate::turn::Turn;

/// Bits of a cursor that count within a shard; those above name the shard.
const CURSOR_SHARD_SHIFT: u32 = 48;

/// QLIST.
pub(super) fn list(turn: &mut Turn<'_, '_>, pattern: Option<&[u8]>) -> Done {
    let proto = turn.session.proto;
    let (mut lines, mut bytes) = (0, Vec::new());
    let reader = turn.session.access.limited_reader();
    for_each_queue(turn, |line| {
        if reader.as_ref().is_some_and(|user| !user.may_read(line.queue)) {
            return;
        }
        if pattern.is_none_or(|pattern| glob::matches(pattern, line.queue)) {
            lines += 1;
            write_line(&line, proto, &mut bytes);
        }
    });
    let mut reply = turn.reply();
    reply.array(lines);
    reply.raw(&bytes);
    Ok(())
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
