//! SAVE, BGSAVE and LASTSAVE. The log is the database and needs no saving; what they write is a checkpoint, from
//! which the next start is quicker, after a sync of the log.

use std::time::{SystemTime, UNIX_EPOCH};

use stanchion_protocol::{Args, CommandError};

use super::Done;
use crate::server::Server;
use crate::session::Pending;
use crate::turn::Turn;

/// SAVE.
pub(super) fn save(turn: &mut Turn<'_, '_>) -> Done {
    turn.end_hold();
    let checkpoints = &turn.lane().checkpoints;
    let request = checkpoints.ask();
    checkpoints.hurry(request);
    turn.session.pending = Some(Pending::Checkpoint { request });
    Ok(())
}

/// `BGSAVE [SCHEDULE]`.
pub(super) fn background(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let fits = match args.get(1) {
        None => true,
        Some(word) => args.len() == 2 && word.eq_ignore_ascii_case(b"schedule"),
    };
    if !fits {
        return Err(CommandError::new("syntax error"));
    }
    turn.end_hold();
    turn.lane().checkpoints.ask();
    turn.reply().simple("Background saving started");
    Ok(())
}

/// LASTSAVE.
pub(super) fn last(turn: &mut Turn<'_, '_>) -> Done {
    let at = last_secs(turn.server);
    turn.reply().integer(at);
    Ok(())
}

/// When the last checkpoint was written, or the server started before there was one, in Unix seconds.
pub(super) fn last_secs(server: &Server) -> u64 {
    match server.lane() {
        Some(lane) => lane.checkpoints.saved_at(),
        None => {
            let started = SystemTime::now() - server.started.elapsed();
            started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
        }
    }
}
