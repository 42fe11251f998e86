//! Compares a shard with the model through the reads that operators have: every job with every field, who
//! holds which key, counts per state and totals.

use stanchion_protocol::command::{Count, State, Which};
use stanchion_protocol::id::{Epoch, JobId, Receipt};

use crate::{Now, Shard, Totals};

use super::model::{Job, Model, Queue, Verdict, must, seen};
use super::rig::Rig;

const STATES: [State; 4] = [State::Delayed, State::Ready, State::Claimed, State::Dead];

/// Everything that can be read agrees.
pub(crate) fn compare(rig: &Rig, model: &Model) -> Verdict {
    let (shard, now) = (&rig.shard, rig.now);
    shard.check()?;
    must!(
        shard.queues() == model.queues.len() as u64,
        "{} queues, not {}",
        shard.queues(),
        model.queues.len()
    );
    for queue in &model.queues {
        compare_queue(now, rig, queue)
            .map_err(|why| format!("queue {}: {why}", queue.name.escape_ascii()))?;
    }
    Ok(())
}

fn compare_queue(now: u64, rig: &Rig, queue: &Queue) -> Verdict {
    let shard = &rig.shard;
    let name = &queue.name[..];
    must!(shard.exists(name), "it does not exist");
    let mut ids = scan(shard, name, None, None);
    ids.sort();
    let mut own: Vec<JobId> = queue.jobs.iter().map(|job| job.id).collect();
    own.sort();
    must!(ids == own, "QSCAN has {ids:?}, not {own:?}");
    for job in &queue.jobs {
        compare_job(rig, queue, job).map_err(|why| format!("job {}: {why}; {job:?}", job.id))?;
    }
    for state in STATES {
        compare_state(shard, queue, state)?;
    }
    compare_keys(shard, queue)?;
    let stats = shard.stats(Now { ms: now, entropy: 0 }, name).ok_or("no QSTATS")?;
    let counts = [stats.counts.delayed, stats.counts.ready, stats.counts.claimed, stats.counts.dead];
    must!(counts == STATES.map(|state| queue.count(state)), "QSTATS counts {counts:?}");
    let bytes: usize = queue.jobs.iter().map(|job| job.payload.len()).sum();
    must!(stats.bytes == bytes as u64, "{} bytes, not {bytes}", stats.bytes);
    let mut groups: Vec<&[u8]> = queue.jobs.iter().map(|job| &job.group[..]).collect();
    groups.sort();
    groups.dedup();
    must!(stats.groups == groups.len() as u64, "{} groups, not {groups:?}", stats.groups);
    must!(stats.paused.push == (now < queue.push_paused_until), "pushes are paused: {}", stats.paused.push);
    must!(
        stats.paused.claim == (now < queue.claim_paused_until),
        "claims are paused: {}",
        stats.paused.claim
    );
    let oldest =
        queue.jobs.iter().filter(|job| job.state == State::Ready).map(|job| now - job.ready_at).max();
    must!(stats.oldest_ready_ms == oldest, "the oldest is {:?}, not {oldest:?}", stats.oldest_ready_ms);
    compare_totals(&stats.totals, queue)
}

fn compare_job(rig: &Rig, queue: &Queue, job: &Job) -> Verdict {
    let view = seen(&rig.shard, &queue.name, job.id).ok_or("QJOB does not know it")?;
    must!(view.queue == queue.name && view.id == job.id && view.group == job.group, "another job: {view:?}");
    must!(view.state == job.state, "state {:?}", view.state);
    must!(view.priority == job.priority, "priority {}", view.priority);
    must!(rig.bytes(view.payload) == job.payload, "payload {:?}", view.payload);
    must!(view.receipt == Receipt { id: job.id, epoch: Epoch(job.epoch) }, "receipt {:?}", view.receipt);
    must!(view.attempts == job.attempts, "attempts {}", view.attempts);
    must!(view.failures == job.failures, "failures {}", view.failures);
    must!(view.attempts_max == queue.attempts_max(job), "attempts-max {}", view.attempts_max);
    must!(view.pushed_at == job.pushed_at, "pushed-at {}", view.pushed_at);
    must!(view.ready_at == job.ready_at, "ready-at {}", view.ready_at);
    must!(view.expires_at == job.expires_at, "expires-at {:?}", view.expires_at);
    let lease = (job.state == State::Claimed).then_some(job.lease_until);
    must!(view.lease_until == lease, "lease-until {:?}", view.lease_until);
    let worker = job.worker.as_deref();
    must!(view.worker == worker, "worker {:?}", view.worker);
    must!(view.dedupe == job.key.as_ref().map(|terms| &terms.key[..]), "dedupe {:?}", view.dedupe);
    let root = job.root.as_ref().map(|(signature, timestamp)| (&signature[..], *timestamp));
    must!(view.root == root, "root {:?}", view.root);
    must!(view.last_error == job.last_error.as_deref(), "last-error {:?}", view.last_error);
    Ok(())
}

/// QLEN, QPEEK and QSCAN by state and group.
fn compare_state(shard: &Shard, queue: &Queue, state: State) -> Verdict {
    let name = &queue.name[..];
    let mut groups: Vec<&[u8]> = queue.jobs.iter().map(|job| &job.group[..]).collect();
    groups.sort();
    groups.dedup();
    for group in groups.into_iter().map(Some).chain([None]) {
        let here = |job: &&Job| job.state == state && group.is_none_or(|group| job.group == group);
        let mut own: Vec<JobId> = queue.jobs.iter().filter(here).map(|job| job.id).collect();
        own.sort();
        let len = shard.len(name, Count::State(state), group);
        must!(len == own.len() as u64, "QLEN {state:?} {group:?} is {len}, not {}", own.len());
        let mut scanned = scan(shard, name, Some(state), group);
        scanned.sort();
        must!(scanned == own, "QSCAN {state:?} {group:?} has {scanned:?}, not {own:?}");
        let mut peeked = Vec::new();
        shard.peek(name, state, 1_000, group, &mut peeked);
        let peeked: Vec<JobId> = peeked.into_iter().map(|job| shard.view(job).id).collect();
        let mut sorted = peeked.clone();
        sorted.sort();
        must!(sorted == own, "QPEEK {state:?} {group:?} has {sorted:?}, not {own:?}");
        if let (State::Ready, Some(group)) = (state, group) {
            let first = queue.first_of(group).map(|job| job.id);
            let swept = |id: &JobId| queue.job(*id).is_some_and(|job| queue.swept(job));
            let next = peeked.iter().find(|id| !swept(id)).copied();
            must!(next == first, "QPEEK shows {next:?} as the next one, not {first:?}");
        }
    }
    Ok(())
}

/// QJOB by KEY, for every key that anybody may hold.
fn compare_keys(shard: &Shard, queue: &Queue) -> Verdict {
    let of_jobs = queue.jobs.iter().filter_map(|job| Some((&job.group, &job.key.as_ref()?.key)));
    let of_windows = queue.windows.iter().map(|window| (&window.group, &window.key));
    for (group, key) in of_jobs.chain(of_windows) {
        let which = Which::Key { key, group };
        let found = shard.job(&queue.name, which).map(|job| shard.view(job).id);
        must!(found == queue.find(which), "key {key:?} finds {found:?}, not {:?}", queue.find(which));
    }
    Ok(())
}

fn compare_totals(totals: &Totals, queue: &Queue) -> Verdict {
    let own = Totals { superseded: queue.totals.superseded + queue.superseded_pushes, ..queue.totals };
    // A job that was superseded and expired counts as one or the other.
    let slack = queue.superseded_or_expired;
    must!(
        totals.superseded + totals.expired == own.superseded + own.expired
            && totals.expired.abs_diff(own.expired) <= slack,
        "superseded {} and expired {}, not {} and {}",
        totals.superseded,
        totals.expired,
        own.superseded,
        own.expired
    );
    let comparable = Totals { superseded: totals.superseded, expired: totals.expired, ..own };
    must!(*totals == comparable, "totals {totals:?}, not {own:?}");
    Ok(())
}

/// QSCAN to its end.
pub(crate) fn scan(shard: &Shard, queue: &[u8], state: Option<State>, group: Option<&[u8]>) -> Vec<JobId> {
    let mut ids = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = shard.scan(queue, cursor, state, group, 3, &mut ids);
        if cursor == 0 {
            ids.sort();
            ids.dedup();
            return ids;
        }
    }
}
