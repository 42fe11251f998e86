//! SAVE, BGSAVE and LASTSAVE: the log is the database, so to save is to sync it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use stanchion_protocol::{Args, CommandError};

use super::Done;
use crate::server::Server;
use crate::session::{Pending, SyncReply};
use crate::turn::Turn;

/// When everything was known to be on disk last, in Unix seconds.
#[derive(Default)]
pub(crate) struct Saved {
    at: AtomicU64,
}

impl Saved {
    /// Everything is on disk at this moment, or was: the later counts.
    pub(crate) fn note(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.at.fetch_max(now, Ordering::Relaxed).max(now)
    }

    fn last(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }
}

/// SAVE.
pub(super) fn save(turn: &mut Turn<'_, '_>) -> Done {
    turn.end_hold();
    let lane = turn.lane();
    let lsn = lane.log.next_lsn() - 1;
    if lsn > lane.tidings.durable.durable() {
        lane.log.sync_to(lsn);
    }
    turn.session.pending = Some(Pending::Sync { lsn, deadline: None, reply: SyncReply::Ok });
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
    let lane = turn.lane();
    lane.log.sync_to(lane.log.next_lsn() - 1);
    turn.reply().simple("Background saving started");
    Ok(())
}

/// LASTSAVE.
pub(super) fn last(turn: &mut Turn<'_, '_>) -> Done {
    let at = last_secs(turn.server);
    turn.reply().integer(at);
    Ok(())
}

/// When everything was on disk last, in Unix seconds: now, unless something is not on disk yet.
pub(super) fn last_secs(server: &Server) -> u64 {
    let is_saved =
        server.lane().is_some_and(|lane| lane.log.next_lsn() - 1 <= lane.tidings.durable.durable());
    if is_saved { server.saved.note() } else { server.saved.last() }
}
