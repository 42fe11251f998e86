//! SLOWLOG: shows the slow log and empties it.

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::{Args, CommandError};

use super::Done;
use crate::turn::Turn;

/// How many entries SLOWLOG GET shows when it is not told.
const SHOWN: usize = 10;

/// `SLOWLOG GET [count]`.
pub(super) fn get(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if args.len() > 3 {
        let word = String::from_utf8_lossy(args.at(1));
        return Err(CommandError::new(format!(
            "unknown subcommand or wrong number of arguments for '{word}'. Try SLOWLOG HELP."
        )));
    }
    let count = match args.get(2) {
        None => SHOWN,
        Some(word) => match string2ll(word) {
            Some(-1) => usize::MAX,
            Some(count) if count >= 0 => usize::try_from(count).unwrap_or(usize::MAX),
            _ => return Err(CommandError::new("count should be greater than or equal to -1")),
        },
    };
    let entries = turn.server.slow_log.newest(count);
    let mut reply = turn.reply();
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.integer(entry.id);
        reply.integer(entry.at_secs);
        reply.integer(entry.length.as_micros() as u64);
        reply.array(entry.words.len());
        for word in &entry.words {
            reply.bulk(word);
        }
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(entry.name.as_bytes());
    }
    Ok(())
}

/// SLOWLOG LEN.
pub(super) fn len(turn: &mut Turn<'_, '_>) -> Done {
    let len = turn.server.slow_log.len();
    turn.reply().integer(len);
    Ok(())
}

/// SLOWLOG RESET.
pub(super) fn reset(turn: &mut Turn<'_, '_>) -> Done {
    turn.server.slow_log.reset();
    turn.reply().ok();
    Ok(())
}
