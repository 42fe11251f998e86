//! MEMORY and OBJECT: what queues take, and how they are kept.

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::{Args, CommandError};

use super::Done;
use super::info::{human, sum_shards};
use crate::process;
use crate::turn::Turn;

/// What OBJECT ENCODING says of a queue: its jobs are the slots of a slab, linked by their groups.
const ENCODING: &str = "slab";

/// A resident size beyond which more than half of it unused is worth a word.
const WORTH_A_WORD_BYTES: u64 = 256 << 20;

/// MEMORY USAGE key [SAMPLES count].
pub(super) fn usage(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    // The engine knows how many samples a queue needs, so the number makes no difference.
    let mut options = args.skip(3).iter();
    while let Some(option) = options.next() {
        let (true, Some(count)) = (option.eq_ignore_ascii_case(b"SAMPLES"), options.next()) else {
            return Err(CommandError::new("syntax error"));
        };
        match string2ll(count) {
            Some(0..) => {}
            Some(_) => return Err(CommandError::new("syntax error")),
            None => return Err(CommandError::new("value is not an integer or out of range")),
        }
    }
    let queue = args.at(2);
    let (holds, session, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    let bytes = holds.hold().engine().memory_usage(queue);
    let mut reply = outbox.reply(session.proto);
    match bytes {
        Some(bytes) => reply.integer(bytes),
        None => reply.nil(),
    }
    Ok(())
}

/// MEMORY STATS: the fields of Redis's that mean something here, and what queues take.
pub(super) fn stats(turn: &mut Turn<'_, '_>) -> Done {
    let memory = process::memory();
    let queues = sum_shards(turn, |shard| shard.queues());
    let dataset = sum_shards(turn, |shard| shard.memory_bytes()).min(memory.used);
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let mut reply = turn.reply();
    reply.map(14);
    for (name, value) in [
        ("peak.allocated", memory.resident_peak),
        ("total.allocated", memory.used),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("cluster.links", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", memory.used - dataset),
        ("keys.count", queues),
        ("keys.bytes-per-key", dataset.checked_div(queues).unwrap_or(0)),
        ("dataset.bytes", dataset),
    ] {
        reply.bulk(name.as_bytes());
        reply.integer(value);
    }
    for (name, value) in [
        ("dataset.percentage", percent(dataset, memory.used)),
        ("peak.percentage", percent(memory.used, memory.resident_peak)),
        ("fragmentation", memory.resident as f64 / memory.used.max(1) as f64),
    ] {
        reply.bulk(name.as_bytes());
        reply.double(value);
    }
    Ok(())
}

/// MEMORY DOCTOR.
pub(super) fn doctor(turn: &mut Turn<'_, '_>) -> Done {
    let memory = process::memory();
    let dataset = sum_shards(turn, |shard| shard.memory_bytes());
    let text = if memory.resident > WORTH_A_WORD_BYTES && dataset < memory.used / 2 {
        format!(
            "Queues take {} of the {} that are in memory. The rest is buffers of clients and of the log, and memory that \
             the allocator keeps after a peak of {}; it is used again before more is asked for.",
            human(dataset),
            human(memory.resident),
            human(memory.resident_peak)
        )
    } else {
        format!("Nothing is wrong: queues take {} of {}.", human(dataset), human(memory.resident))
    };
    turn.reply().verbatim(text.as_bytes());
    Ok(())
}

/// MEMORY PURGE: what is due goes back at once, and the rest within two seconds.
pub(super) fn purge(turn: &mut Turn<'_, '_>) -> Done {
    turn.lane().memory.give_back();
    turn.reply().ok();
    Ok(())
}

/// MEMORY MALLOC-STATS.
pub(super) fn malloc_stats(turn: &mut Turn<'_, '_>) -> Done {
    turn.reply().bulk(b"Stats not supported for the current allocator");
    Ok(())
}

/// OBJECT ENCODING key.
pub(super) fn encoding(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if idle_ms(turn, args).is_some() {
        turn.reply().bulk(ENCODING.as_bytes())
    } else {
        turn.reply().nil()
    }
    Ok(())
}

/// OBJECT REFCOUNT key.
pub(super) fn reference_count(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if idle_ms(turn, args).is_some() {
        turn.reply().integer(1)
    } else {
        turn.reply().nil()
    }
    Ok(())
}

/// OBJECT IDLETIME key: seconds since the last event. Reading a queue is none, so it does not count.
pub(super) fn idle_time(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    match idle_ms(turn, args) {
        Some(ms) => turn.reply().integer(ms / 1_000),
        None => turn.reply().nil(),
    }
    Ok(())
}

/// OBJECT FREQ key.
pub(super) fn frequency(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if idle_ms(turn, args).is_some() {
        return Err(CommandError::new(
            "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    turn.reply().nil();
    Ok(())
}

/// For how long nothing happened to the queue; `None` when there is none.
fn idle_ms(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Option<u64> {
    let queue = args.at(2);
    let (holds, _, outbox) = turn.parts();
    holds.enter(queue, outbox);
    outbox.wait(holds.hold().wait(queue));
    holds.hold().idle_ms(queue)
}
