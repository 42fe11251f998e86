//! QLIST and QREADY: looks at all queues, shard by shard.

use stanchion_engine::{QueueLine, ReadyLine};
use stanchion_protocol::{CommandError, Proto, Reply};

use super::Done;
use super::listing::{Listing, Wanted};
use super::operate::paused_word;
use super::survey::{self, Question};
use crate::fields::Fields;
use crate::hold::Hold;
use crate::limits::LIST_STEP;
use crate::turn::Turn;

/// Bits of a cursor that count within a shard; those above name the shard.
const CURSOR_SHARD_SHIFT: u32 = 48;

/// QLIST.
struct Queues {
    wanted: Wanted,
    lines: Listing,
}

/// QLIST.
pub(super) fn list(turn: &mut Turn<'_, '_>, pattern: Option<&[u8]>) -> Done {
    let wanted = Wanted::new(turn.session, pattern);
    survey::ask(turn, Queues { wanted, lines: Listing::default() })
}

impl Question for Queues {
    fn look(&mut self, hold: &mut Hold<'_>, cursor: u32, proto: Proto) -> u32 {
        let Queues { wanted, lines } = self;
        hold.list(cursor, LIST_STEP, &mut |line| {
            if wanted.has(line.queue) {
                lines.add(proto, |reply| write_line(&line, reply));
            }
        })
    }

    fn answer(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        self.lines.write(turn.outbox, turn.session.proto)
    }
}

fn write_line(line: &QueueLine<'_>, reply: &mut Reply<'_>) {
    let mut fields = Fields::new(reply.proto());
    fields.text("queue", line.queue);
    fields.number("ready", line.counts.ready);
    fields.number("delayed", line.counts.delayed);
    fields.number("claimed", line.counts.claimed);
    fields.number("dead", line.counts.dead);
    fields.maybe("oldest-ready-ms", line.oldest_ready_ms);
    fields.text("paused", paused_word(line.paused).as_bytes());
    fields.write(reply);
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
