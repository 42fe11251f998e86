//! Queues as Redis's keys: TYPE EXISTS DEL UNLINK SCAN KEYS RANDOMKEY DBSIZE.

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::parse::{Options, cursor};
use stanchion_protocol::table::Opt;
use stanchion_protocol::{Args, CommandError, CommandSpec, Proto, glob, limits};

use super::Done;
use super::browse::Cursor;
use super::listing::Listing;
use super::survey::{self, Question};
use crate::hold::Hold;
use crate::limits::LIST_STEP;
use crate::turn::Turn;

/// TYPE.
pub(super) fn kind(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let queue = args.at(1);
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let kind = if holds.hold().engine().exists(queue) { "queue" } else { "none" };
    outbox.reply(session.proto).simple(kind);
    Ok(())
}

/// EXISTS.
pub(super) fn exists(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (holds, session, outbox) = turn.parts();
    let mut found = 0;
    for queue in args.skip(1).iter() {
        holds.enter(queue, outbox);
        outbox.wait(holds.hold().wait(queue));
        found += usize::from(holds.hold().engine().exists(queue));
    }
    outbox.reply(session.proto).integer(found);
    Ok(())
}

/// DEL, UNLINK: one step and one record, however many queues there are.
pub(super) fn delete(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (holds, session, outbox) = turn.parts();
    let queues = args.skip(1);
    let together = queues.len() > 1 && !holds.in_transaction();
    if together {
        let mut shards: Vec<_> = queues.iter().map(|queue| holds.lane().shard_of(queue)).collect();
        shards.sort_unstable();
        shards.dedup();
        holds.begin_transaction(&shards, outbox);
    }
    let mut deleted = 0;
    for queue in queues.iter() {
        holds.enter(queue, outbox);
        outbox.wait(holds.hold().wait(queue));
        deleted += usize::from(holds.record(|engine, now, log| engine.delete_queue(now, queue, log)));
        holds.serve();
    }
    outbox.reply(session.proto).integer(deleted);
    if together {
        holds.end_transaction(outbox);
    }
    Ok(())
}

/// SCAN cursor [MATCH glob] [COUNT n] [TYPE type].
pub(super) fn scan(turn: &mut Turn<'_, '_>, spec: &'static CommandSpec, args: Args<'_>) -> Done {
    let server = turn.server;
    let (mut pattern, mut count, mut queues) = (None, limits::SCAN_COUNT_DEFAULT, true);
    let start = cursor(args.at(1)).map_err(|_| CommandError::new("invalid cursor"))?;
    let mut options = Options::new(spec, args, 2, &server.config.limits);
    while let Some(found) = options.read().map_err(|_| scan_error(args))? {
        match found.opt {
            Opt::Match => pattern = Some(found.value.bytes()),
            Opt::Count => count = found.value.number().min(limits::SCAN_COUNT_MAX.into()) as u32,
            Opt::Type => queues = found.value.bytes().eq_ignore_ascii_case(b"queue"),
            _ => return Err(CommandError::syntax("SCAN takes MATCH, COUNT and TYPE")),
        }
    }
    let (holds, session, outbox) = turn.parts();
    let mut cursor = Cursor::read(start, holds.lane().shard_count())?;
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let mut looked = 0;
    while let Some((shard, within)) = cursor.place() {
        holds.enter_shard(shard, outbox);
        outbox.wait(holds.hold().wait_any());
        let within = u32::try_from(within).map_err(|_| CommandError::new("invalid cursor"))?;
        let next = holds.hold().list(within, (count - looked) as usize, &mut |line| {
            looked += 1;
            if queues && pattern.is_none_or(|pattern| glob::matches(pattern, line.queue)) {
                names.push(line.queue.into());
            }
        });
        cursor.advance(next.into());
        if looked >= count {
            break;
        }
    }
    let mut reply = outbox.reply(session.proto);
    reply.array(2);
    reply.bulk_integer(cursor.number());
    reply.array(names.len());
    for name in &names {
        reply.bulk(name);
    }
    Ok(())
}

/// Redis's words for what is wrong with SCAN's options: those for the first that is wrong.
fn scan_error(args: Args<'_>) -> CommandError {
    let mut words = args.skip(2).iter();
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("COUNT") && string2ll(value).is_none() {
            return CommandError::new("value is not an integer or out of range");
        }
        if !is("COUNT") && !is("MATCH") && !is("TYPE") {
            break;
        }
    }
    CommandError::new("syntax error")
}

/// KEYS.
struct Names {
    pattern: Box<[u8]>,
    lines: Listing,
}

/// KEYS.
pub(super) fn list(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    survey::ask(turn, Names { pattern: args.at(1).into(), lines: Listing::default() })
}

impl Question for Names {
    fn look(&mut self, hold: &mut Hold<'_>, cursor: u32, proto: Proto) -> u32 {
        let Names { pattern, lines } = self;
        hold.list(cursor, LIST_STEP, &mut |line| {
            if glob::matches(pattern, line.queue) {
                lines.add(proto, |reply| reply.bulk(line.queue));
            }
        })
    }

    fn answer(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        self.lines.write(turn.outbox, turn.session.proto)
    }
}

/// RANDOMKEY: each queue is as likely as any other.
pub(super) fn random(turn: &mut Turn<'_, '_>) -> Done {
    let (holds, session, outbox) = turn.parts();
    let mut chosen: Option<Box<[u8]>> = None;
    let mut seen = 0;
    for shard in 0..holds.lane().shard_count() {
        holds.enter_shard(shard, outbox);
        outbox.wait(holds.hold().wait_any());
        let entropy = holds.hold().draw();
        let engine = holds.hold().engine();
        // This shard's is chosen as often as its share among those that were seen.
        let queues = engine.queues();
        seen += queues;
        if queues > 0 && entropy % seen < queues {
            chosen = engine.random_queue(entropy.rotate_left(32)).map(Into::into);
        }
    }
    let mut reply = outbox.reply(session.proto);
    match chosen {
        Some(queue) => reply.bulk(&queue),
        None => reply.nil(),
    }
    Ok(())
}

/// DBSIZE.
pub(super) fn count(turn: &mut Turn<'_, '_>) -> Done {
    let (holds, session, outbox) = turn.parts();
    let mut queues = 0;
    for shard in 0..holds.lane().shard_count() {
        holds.enter_shard(shard, outbox);
        outbox.wait(holds.hold().wait_any());
        queues += holds.hold().engine().queues();
    }
    outbox.reply(session.proto).integer(queues);
    Ok(())
}
