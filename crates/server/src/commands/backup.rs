//! BACKUP: a copy of the log while the server runs.
//!
//! The log is the database, so a copy of its segments up to some record is a copy of the server as it was then. A
//! client asks for one piece after the other, so how fast it goes is up to the client, nothing piles up here, and the
//! end of the connection ends it. Pieces are read on blocking threads: no connection waits for the disk.

use std::sync::Arc;

use parking_lot::Mutex;
use stanchion_protocol::decode::string2ll;
use stanchion_protocol::{Args, CommandError, ErrorCode};
use stanchion_storage::{ReadError, Snapshot};

use super::Done;
use crate::limits::BACKUP_READ_BYTES;
use crate::session::Pending;
use crate::turn::Turn;

/// What a connection copies.
pub(crate) struct Backup {
    snapshot: Arc<Snapshot>,
    client: u64,
}

impl Drop for Backup {
    fn drop(&mut self) {
        tracing::info!(client = self.client, lsn = self.snapshot.last_lsn(), "a backup has ended");
    }
}

/// What was read for BACKUP READ.
type Read = Result<Option<Vec<u8>>, ReadError>;

/// A piece that is being read.
#[derive(Clone, Default)]
pub(crate) struct Piece {
    read: Arc<Mutex<Option<Read>>>,
}

impl Piece {
    /// What was read, once it is there.
    pub(crate) fn take(&self) -> Option<Read> {
        self.read.lock().take()
    }
}

/// BACKUP BEGIN.
pub(super) fn begin(turn: &mut Turn<'_, '_>) -> Done {
    turn.end_hold();
    turn.session.backup = None;
    let lane = turn.lane();
    // All that was answered, also what was answered before it was on the disk.
    let lsn = lane.log.next_lsn() - 1;
    if lsn > lane.tidings.durable.durable() {
        lane.log.sync_to(lsn);
    }
    turn.session.pending = Some(Pending::Backup { lsn });
    Ok(())
}

/// What was answered before BACKUP BEGIN is on the disk.
pub(super) fn write_begun(turn: &mut Turn<'_, '_>) {
    let lane = turn.lane();
    let snapshot = Arc::new(lane.log.snapshot());
    // More may be written by now than is durable, and a copy must not know more than this server will.
    let last = snapshot.last_lsn();
    if last > lane.tidings.durable.durable() {
        lane.log.sync_to(last);
        turn.outbox.wait(crate::hold::Wait::Lsn(last));
    }
    let client = turn.session.client.id;
    tracing::info!(client, lsn = last, bytes = snapshot.bytes(), "a backup begins");
    let mut reply = turn.reply();
    reply.array(2);
    reply.integer(last);
    reply.array(snapshot.segments().len());
    for segment in snapshot.segments() {
        reply.array(4);
        reply.integer(segment.number);
        reply.integer(segment.first_lsn);
        reply.integer(segment.last_lsn);
        reply.integer(segment.bytes);
    }
    turn.session.backup = Some(Backup { snapshot, client });
}

/// BACKUP READ segment offset.
pub(super) fn read(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let number = |at: usize| {
        string2ll(args.at(at))
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| CommandError::new("value is not an integer or out of range"))
    };
    let (segment, offset) = (number(2)?, number(3)?);
    let Some(backup) = &turn.session.backup else {
        return Err(CommandError::new("this connection has no backup; begin one with BACKUP BEGIN"));
    };
    let (snapshot, client) = (Arc::clone(&backup.snapshot), Arc::clone(&turn.session.client));
    let piece = Piece::default();
    turn.session.pending = Some(Pending::Piece(piece.clone()));
    tokio::task::spawn_blocking(move || {
        let read = snapshot.read(segment, offset, BACKUP_READ_BYTES);
        *piece.read.lock() = Some(read);
        client.wake.notify_one();
    });
    Ok(())
}

/// Answers BACKUP READ.
pub(super) fn write_piece(turn: &mut Turn<'_, '_>, read: Read) {
    match read {
        Ok(Some(bytes)) => turn.reply().bulk(&bytes),
        Ok(None) => turn.error(ErrorCode::Err, "no such segment in this backup"),
        Err(error) => {
            // Whoever goes on would copy something with a hole.
            turn.session.backup = None;
            let why = match error {
                ReadError::Gone { .. } => {
                    "the backup was given up: it read nothing for a minute or the disk is full, so its segments were freed; begin again"
                        .to_owned()
                }
                error => format!("the backup was given up: {error}"),
            };
            turn.error(ErrorCode::Err, &why);
        }
    }
}

/// BACKUP END.
pub(super) fn end(turn: &mut Turn<'_, '_>) -> Done {
    let had = turn.session.backup.take().is_some();
    turn.reply().integer(u8::from(had));
    Ok(())
}
