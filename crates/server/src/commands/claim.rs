//! QCLAIM and QMCLAIM, blocked ones included.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stanchion_engine::{Shard, WaitFor, WaiterId};
use stanchion_protocol::command::{Claim, ClaimMany, Sources, Take};
use stanchion_protocol::limits::CLAIM_BYTES_MAX;
use stanchion_protocol::{Proto, Reply};
use tokio::time::Instant;

use super::Done;
use crate::claims;
use crate::hold::{Hold, Wait};
use crate::holes::Hole;
use crate::lane::Lane;
use crate::outbox::Outbox;
use crate::session::{Blocked, Pending, Session};
use crate::turn::Turn;
use crate::waiter::{Answer, Ask, Handed, Waiter};

/// QCLAIM.
pub(super) fn claim(turn: &mut Turn<'_, '_>, claim: &Claim<'_>) -> Done {
    let server = turn.server;
    let (holds, session, outbox) = turn.parts();
    let (queue, take) = (claim.queue, &claim.take);
    holds.enter(queue, outbox);
    holds.record_claims(|engine, now, log, claimed| {
        if !claim.acks.is_empty() {
            engine.ack(now, queue, &claim.acks, log);
        }
        engine.claim(now, queue, take, log, claimed);
    });
    session.bound.forget(&claim.acks);
    let in_transaction = holds.in_transaction();
    let hold = holds.hold();
    let (newest_base, cut_short) = (hold.claimed().1.newest_base, hold.claimed().1.cut_short);
    let wait = hold.wait_after(queue);
    outbox.wait(if claim.acks.is_empty() { hold.wait_pushed(wait, newest_base) } else { wait });
    let jobs = hold.claimed().1.len();
    if jobs == 0 && (take.block_ms.is_some() || cut_short) && !in_transaction {
        let waiter = new_waiter(server.next_waiter(), take, session);
        hold.park(&waiter, |engine| engine.park(waiter.id, WaitFor::Queue(queue), take.group));
        session.pending = Some(Pending::Claim(blocked(waiter, vec![hold.index()], take)));
        // What the acks made room for is for those who waited before.
        hold.serve();
        return Ok(());
    }
    let from = outbox.position();
    let (engine, claimed) = hold.claimed();
    outbox.claimed(engine, claimed, take.meta, session.proto);
    if take.bound {
        outbox.handed_since(from).for_each(|job| session.bound.add(job));
    }
    holds.serve();
    holds.worked(jobs as u32 + claim.acks.len() as u32 + 1, outbox);
    sweep_bound(session, holds, outbox);
    Ok(())
}

/// Forgets finished BOUND claims now and then, while no lock is held.
fn sweep_bound(session: &mut Session, holds: &mut crate::holds::Holds<'_>, outbox: &mut Outbox) {
    if session.bound.is_crowded() && !holds.in_transaction() {
        holds.end(outbox);
        session.bound.sweep(holds.lane());
    }
}

/// QMCLAIM.
pub(super) fn claim_many(turn: &mut Turn<'_, '_>, claim: &ClaimMany<'_>) -> Done {
    let visits = visits(turn, &claim.from);
    let answer = gather(turn, claim, &visits);
    let waits = claim.take.block_ms.is_some() || answer.cut_short;
    if answer.jobs == 0 && waits && !turn.parts().0.in_transaction() {
        block(turn, claim, &visits);
        return Ok(());
    }
    let (holds, session, outbox) = turn.parts();
    // Its jobs are from several holds, which have all ended but the last.
    holds.end(outbox);
    let staged =
        if holds.in_transaction() { Wait::Staged } else { Wait::Lsn(holds.lane().log.next_lsn() - 1) };
    answer.write(session, outbox, claim.take.bound, staged);
    sweep_bound(session, holds, outbox);
    Ok(())
}

/// Claims what there is. Queues are emptied one after the other; over a glob each shard gives a job in turn, and
/// within a shard each queue does.
fn gather(turn: &mut Turn<'_, '_>, claim: &ClaimMany<'_>, visits: &[Visit<'_>]) -> Gathered {
    let in_turns = matches!(claim.from, Sources::Match { .. });
    let (holds, session, outbox) = turn.parts();
    let mut answer = Gathered::default();
    let mut waiting: VecDeque<&Visit<'_>> = visits.iter().collect();
    while let Some(visit) = waiting.pop_front() {
        let left = claim.take.count - answer.jobs;
        if left == 0 || answer.bytes.len() >= CLAIM_BYTES_MAX {
            break;
        }
        let count = if in_turns && !waiting.is_empty() { 1 } else { left };
        let take = Take { count, ..claim.take };
        holds.enter_shard(visit.shard(), outbox);
        holds.record_claims(|engine, now, log, claimed| match visit {
            Visit::Queue(_, queue) => engine.claim(now, queue, &take, log, claimed),
            Visit::Shard(_, globs, except) => engine.claim_matching(now, globs, except, &take, log, claimed),
        });
        let jobs = answer.gather(holds.hold(), take.meta, session.proto);
        if in_turns && jobs == count {
            waiting.push_back(visit);
        }
        holds.serve();
        holds.worked(jobs + 1, outbox);
    }
    answer
}

/// Parks a claim that found nothing wherever it looks. One that does not block waits until that is known.
fn block(turn: &mut Turn<'_, '_>, claim: &ClaimMany<'_>, visits: &[Visit<'_>]) {
    let id = turn.server.next_waiter();
    let (holds, session, outbox) = turn.parts();
    let waiter = new_waiter(id, &claim.take, session);
    let mut shards = Vec::new();
    for visit in visits {
        // Parked first and served after: whatever came since the first look is found in turn.
        holds.enter_shard(visit.shard(), outbox);
        let hold = holds.hold();
        hold.park(&waiter, |engine| visit.park(engine, waiter.id, claim.take.group));
        shards.push(visit.shard());
        hold.serve();
        if waiter.is_taken() {
            break;
        }
    }
    shards.dedup();
    session.pending = Some(Pending::Claim(blocked(waiter, shards, &claim.take)));
}

/// One look of a QMCLAIM.
enum Visit<'c> {
    /// At a queue, in this shard.
    Queue(usize, &'c [u8]),
    /// At all queues of this shard that match and are not excepted.
    Shard(usize, &'c [&'c [u8]], &'c [&'c [u8]]),
}

impl Visit<'_> {
    fn shard(&self) -> usize {
        match self {
            Visit::Queue(shard, _) | Visit::Shard(shard, ..) => *shard,
        }
    }

    fn park(&self, engine: &mut Shard, waiter: WaiterId, group: Option<&[u8]>) {
        match self {
            Visit::Queue(_, queue) => engine.park(waiter, WaitFor::Queue(queue), group),
            Visit::Shard(_, globs, except) => engine.park(waiter, WaitFor::Match { globs, except }, group),
        }
    }
}

/// Where a QMCLAIM looks, in order. MATCH begins one shard further each time, so that none is always first.
fn visits<'c>(turn: &mut Turn<'_, '_>, from: &'c Sources<'c>) -> Vec<Visit<'c>> {
    let lane = turn.lane();
    match from {
        Sources::Queues(queues) => {
            queues.iter().map(|queue| Visit::Queue(lane.shard_of(queue), queue)).collect()
        }
        Sources::Match { globs, except } => {
            let count = lane.shard_count();
            turn.session.next_shard = (turn.session.next_shard + 1) % count;
            let first = turn.session.next_shard;
            (0..count).map(|nth| Visit::Shard((first + nth) % count, globs, except)).collect()
        }
    }
}

/// The jobs of a QMCLAIM, from several holds.
#[derive(Default)]
struct Gathered {
    jobs: u32,
    bytes: Vec<u8>,
    handed: Vec<Handed>,
    holes: Vec<Hole>,
    /// There may be more jobs behind superseded ones.
    cut_short: bool,
    /// The reply waits for all that is staged when the last hold ends.
    staged: bool,
    /// It waits for this record.
    lsn: stanchion_storage::Lsn,
}

impl Gathered {
    /// Takes the jobs that the last command of a hold claimed; how many.
    fn gather(&mut self, hold: &mut Hold<'_>, meta: bool, proto: Proto) -> u32 {
        let (engine, claimed) = hold.claimed();
        let jobs = claimed.len() as u32;
        self.jobs += jobs;
        self.cut_short |= claimed.cut_short;
        let newest_base = claimed.newest_base;
        let mut reply = Reply::new(&mut self.bytes, proto);
        let first = self.handed.len();
        claims::write_jobs(engine, claimed, meta, &mut reply, &mut self.holes, |job| {
            self.handed.push(Handed::of(job));
        });
        for same in self.handed[first..].chunk_by(|one, other| one.queue == other.queue) {
            let wait = hold.wait(&same[0].queue);
            match hold.wait_pushed(wait, newest_base) {
                Wait::No => {}
                Wait::Staged => self.staged = true,
                Wait::Lsn(lsn) => self.lsn = self.lsn.max(lsn),
            }
        }
        jobs
    }

    /// Writes them as one reply.
    fn write(self, session: &mut Session, outbox: &mut Outbox, bound: bool, staged: Wait) {
        if bound {
            self.handed.iter().for_each(|job| session.bound.add(job));
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() + 16);
        Reply::new(&mut bytes, session.proto).array(self.jobs as usize);
        let before = bytes.len() as u64;
        bytes.extend_from_slice(&self.bytes);
        let holes = self.holes.into_iter().map(|hole| hole.moved(before)).collect();
        if self.staged {
            outbox.wait(staged);
        }
        outbox.answer(Answer { bytes, lsn: self.lsn, jobs: self.handed, holes });
    }
}

fn new_waiter(id: WaiterId, take: &Take<'_>, session: &Session) -> Arc<Waiter> {
    Arc::new(Waiter::new(id, Ask::new(take), session.proto, Arc::clone(&session.client.wake)))
}

fn blocked(waiter: Arc<Waiter>, shards: Vec<usize>, take: &Take<'_>) -> Blocked {
    let block_ms = take.block_ms.filter(|ms| *ms > 0);
    let deadline = block_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
    Blocked { waiter, shards, deadline, blocks: take.block_ms.is_some(), bound: take.bound }
}

/// Takes a claim that is no longer blocked out of the shards where it is parked.
pub(crate) fn unpark(lane: &Lane, blocked: &Blocked) {
    for shard in &blocked.shards {
        let mut hold = Hold::begin(lane, *shard);
        hold.unpark(&blocked.waiter);
        hold.end();
    }
}

/// Writes the answer of a blocked claim that was served.
pub(crate) fn finish_claim(session: &mut Session, outbox: &mut Outbox, bound: bool, answer: Answer) {
    if bound {
        answer.jobs.iter().for_each(|job| session.bound.add(job));
    }
    outbox.answer(answer);
}
