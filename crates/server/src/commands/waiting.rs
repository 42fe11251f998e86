//! Commands that are not finished when their turn ends: blocked claims, long tasks, WAIT, WAITAOF and SAVE.

use std::time::Duration;

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::limits::DURATION_MS_MAX;
use stanchion_protocol::{Args, CommandError, ErrorCode};
use tokio::time::Instant;

use super::{Done, backup, finish_claim, unpark};
use crate::clients::Unblock;
use crate::muted::Replies;
use crate::session::{Blocked, Pending};
use crate::turn::Turn;

/// WAITAOF numlocal numreplicas timeout: the barrier after NOSYNC.
pub(super) fn wait_aof(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let number = |at: usize| string2ll(args.at(at)).filter(|number| *number >= 0);
    let out_of_range = || CommandError::new("value is not an integer or out of range");
    let (local, replicas) = (number(1).ok_or_else(out_of_range)?, number(2).ok_or_else(out_of_range)?);
    let timeout_ms =
        number(3).ok_or_else(|| CommandError::new("timeout is not an integer or out of range"))?;
    if local > 1 {
        return Err(CommandError::new("value is out of range, must be 0 or 1"));
    }
    if replicas > 0 {
        return Err(CommandError::new("numreplicas must be 0: this server has no replicas to wait for"));
    }
    turn.end_hold();
    let lane = turn.lane();
    let lsn = lane.log.next_lsn() - 1;
    let in_transaction = turn.parts().0.in_transaction();
    if local == 0 || in_transaction || lsn <= lane.tidings.durable.durable() {
        write_synced(turn, lsn <= lane.tidings.durable.durable());
        return Ok(());
    }
    lane.log.sync_to(lsn);
    let deadline = (timeout_ms > 0).then(|| Instant::now() + Duration::from_millis(timeout_ms as u64));
    turn.session.pending = Some(Pending::Sync { lsn, deadline });
    Ok(())
}

/// A time in milliseconds, in Redis's words for one that is none.
pub(super) fn parse_timeout_ms(word: &[u8]) -> Result<u64, CommandError> {
    let ms = string2ll(word).ok_or_else(|| CommandError::new("timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| CommandError::new("timeout is negative"))?;
    if ms > DURATION_MS_MAX {
        return Err(CommandError::new(format!(
            "timeout is out of range: {ms} ms are above the limit of {DURATION_MS_MAX}"
        )));
    }
    Ok(ms)
}

/// WAIT numreplicas timeout: as with a Redis that has no replicas.
pub(super) fn wait(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let replicas =
        string2ll(args.at(1)).ok_or_else(|| CommandError::new("value is not an integer or out of range"))?;
    let ms = parse_timeout_ms(args.at(2))?;
    if replicas <= 0 || turn.parts().0.in_transaction() {
        turn.reply().integer(0);
        return Ok(());
    }
    let deadline = (ms > 0).then(|| Instant::now() + Duration::from_millis(ms));
    turn.session.pending = Some(Pending::Replicas { deadline });
    Ok(())
}

/// How many logs have it, and how many replicas.
fn write_synced(turn: &mut Turn<'_, '_>, synced: bool) {
    let mut reply = turn.reply();
    reply.array(2);
    reply.integer(u8::from(synced));
    reply.integer(0);
}

/// Why a blocked claim is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitOver {
    /// Something may have happened.
    No,
    /// The server is stopping: nothing waits any longer.
    Yes,
}

/// Looks whether the command that waits is finished, and writes its reply then; true when the next may run.
pub(crate) fn poll_pending(turn: &mut Turn<'_, '_>, over: WaitOver) -> bool {
    match turn.session.replies {
        Replies::On => poll(turn, over),
        _ => turn.muted(|turn| poll(turn, over)),
    }
}

fn poll(turn: &mut Turn<'_, '_>, over: WaitOver) -> bool {
    match turn.session.pending.take() {
        None => true,
        Some(Pending::Task(mut task)) => {
            let done = task.step(turn);
            task.add_time(turn.session.run.lap());
            if done {
                let (index, words, length) = task.into_timed();
                turn.finish_steps(index, words, length);
            } else {
                turn.session.pending = Some(Pending::Task(task));
            }
            done
        }
        Some(Pending::Sync { lsn, deadline }) => {
            let synced = lsn <= turn.lane().tidings.durable.durable();
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if !synced && over == WaitOver::No && !is_late {
                turn.session.pending = Some(Pending::Sync { lsn, deadline });
                return false;
            }
            write_synced(turn, synced);
            true
        }
        // The task that writes checkpoints outlives the connections, so the answer comes, also at the end.
        Some(Pending::Checkpoint { request }) => {
            match turn.lane().checkpoints.outcome(request) {
                None => {
                    turn.session.pending = Some(Pending::Checkpoint { request });
                    return false;
                }
                Some(Ok(())) => turn.reply().ok(),
                Some(Err(why)) => turn.error(
                    ErrorCode::Err,
                    &format!("no checkpoint was written: {why}; jobs are in the log, with or without one"),
                ),
            }
            true
        }
        // It has only one answer; the end of the server syncs, too, so it comes.
        Some(Pending::Backup { lsn }) => {
            let synced = lsn <= turn.lane().tidings.durable.durable();
            if synced {
                backup::write_begun(turn);
            } else {
                turn.session.pending = Some(Pending::Backup { lsn });
            }
            synced
        }
        Some(Pending::Piece(piece)) => match piece.take() {
            Some(read) => {
                backup::write_piece(turn, read);
                true
            }
            None => {
                turn.session.pending = Some(Pending::Piece(piece));
                false
            }
        },
        Some(Pending::Replicas { deadline }) => {
            let unblock = turn.session.client.unblock.lock().take();
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if unblock.is_none() && !late && over == WaitOver::No {
                turn.server.clients.set_blocked(&turn.session.client, true);
                turn.session.pending = Some(Pending::Replicas { deadline });
                return false;
            }
            turn.server.clients.set_blocked(&turn.session.client, false);
            match unblock {
                Some(Unblock::Error) => write_unblocked(turn),
                Some(Unblock::Timeout) | None => turn.reply().integer(0),
            }
            true
        }
        Some(Pending::Postponed { spec, args, until }) => {
            if over == WaitOver::No && turn.paused_until(spec).is_some() {
                turn.session.pending = Some(Pending::Postponed { spec, args, until });
                return false;
            }
            turn.server.clients.set_postponed(&turn.session.client, false);
            if let Some(spec) = turn.request(args.as_args(), turn.server.lifecycle.phase()) {
                turn.end_lap(spec, args.as_args());
            }
            // Before it waits, because it may be a claim that waits now for a job.
            turn.end_hold();
            turn.session.pending.is_none()
        }
        Some(Pending::Claim(blocked)) => match poll_claim(turn, &blocked, over) {
            Polled::Waits => {
                turn.session.pending = Some(Pending::Claim(blocked));
                false
            }
            Polled::Over => {
                let server = turn.server;
                unpark(turn.lane(), &blocked);
                server.clients.set_blocked(&turn.session.client, false);
                true
            }
        },
    }
}

fn write_unblocked(turn: &mut Turn<'_, '_>) {
    turn.error(ErrorCode::Unblocked, "client unblocked via CLIENT UNBLOCK");
}

enum Polled {
    Waits,
    Over,
}

/// Serves a claim that does not block, if there is a job for it behind superseded ones; true when that is not known yet.
fn look_further(turn: &mut Turn<'_, '_>, blocked: &Blocked) -> bool {
    let (holds, _, outbox) = turn.parts();
    let mut more = false;
    for &shard in blocked.shards.iter().take_while(|_| !blocked.waiter.is_taken()) {
        holds.enter_shard(shard, outbox);
        more |= holds.hold().serve();
        // Who is served gets the answer now.
        holds.end(outbox);
    }
    more
}

fn poll_claim(turn: &mut Turn<'_, '_>, blocked: &Blocked, over: WaitOver) -> Polled {
    let is_seen = !blocked.blocks && !look_further(turn, blocked);
    let unblock = turn.session.client.unblock.lock().take();
    if let Some(answer) = blocked.waiter.answer() {
        finish_claim(turn.session, turn.outbox, blocked.bound, answer);
        return Polled::Over;
    }
    let late = blocked.deadline.is_some_and(|deadline| Instant::now() >= deadline);
    if unblock.is_none() && !late && !is_seen && over == WaitOver::No {
        turn.server.clients.set_blocked(&turn.session.client, true);
        return Polled::Waits;
    }
    if !blocked.waiter.try_take() {
        // Somebody serves it at this moment, and wakes us when the answer is there.
        return Polled::Waits;
    }
    match unblock {
        Some(Unblock::Error) => write_unblocked(turn),
        Some(Unblock::Timeout) | None => turn.reply().array(0),
    }
    Polled::Over
}
