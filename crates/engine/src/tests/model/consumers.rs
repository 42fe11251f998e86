//! QCLAIM, QMCLAIM, QACK, QNACK, QRELEASE, QEXTEND and the end of BOUND leases.

use std::cmp::Reverse;

use stanchion_protocol::command::{ClaimMany, Nack, Retry, Sources, State, Take, Until};
use stanchion_protocol::id::{JobId, Receipt};

use crate::{JobEvent, Nacked, Shard};

use super::{Job, Model, Queue, Verdict, must, seen};
use crate::tests::rig::Handed;

/// What the end of a claim other than by an ack makes of the job.
#[derive(PartialEq, Eq)]
pub(crate) enum Back {
    /// A newer root dropped it.
    Superseded,
    /// It is dead.
    Dead,
    /// It is where it was, ready.
    Ready,
}

impl Model {
    /// QCLAIM: the jobs in this order, and no more to be had.
    pub(crate) fn claim(
        &mut self,
        now: u64,
        name: &[u8],
        take: &Take<'_>,
        jobs: &[Handed],
        shard: &Shard,
    ) -> Verdict {
        for job in jobs {
            must!(job.queue == name, "a claim of one queue got {job:?}");
            self.take(now, job, take)?;
        }
        if jobs.len() < take.count as usize
            && let Some(queue) = self.existing(name)
        {
            queue.adopt_sweep(shard);
            must!(!queue.must_serve(now, take.group), "there was one more job to claim: {:?}", queue.jobs);
        }
        Ok(())
    }

    /// QMCLAIM: earlier queues first, or in turns between those that match.
    pub(crate) fn claim_many(
        &mut self,
        now: u64,
        claim: &ClaimMany<'_>,
        jobs: &[Handed],
        shard: &Shard,
    ) -> Verdict {
        let take = &claim.take;
        match &claim.from {
            Sources::Queues(names) => {
                let mut rest = jobs;
                for name in names {
                    let (mine, others) =
                        rest.split_at(rest.iter().take_while(|job| job.queue == *name).count());
                    rest = others;
                    let left = take.count - (jobs.len() - mine.len() - rest.len()) as u32;
                    self.claim(now, name, &Take { count: left, ..*take }, mine, shard)?;
                }
                must!(rest.is_empty(), "{rest:?} are of no queue that was asked, or out of turn");
            }
            Sources::Match { globs, except } => {
                let matching = |name: &[u8]| {
                    let hit = |globs: &[&[u8]]| globs.iter().any(|glob| *glob == b"*" || *glob == name);
                    hit(globs) && !hit(except)
                };
                let mut turns: Vec<(Vec<u8>, u32)> = Vec::new();
                for job in jobs {
                    must!(matching(&job.queue), "{job:?} does not match");
                    let taken = |turns: &[(Vec<u8>, u32)], name: &[u8]| {
                        turns.iter().find(|turn| turn.0 == name).map_or(0, |turn| turn.1)
                    };
                    let waiting = self
                        .queues
                        .iter()
                        .filter(|queue| matching(&queue.name) && queue.must_serve(now, take.group));
                    let least = waiting.map(|queue| taken(&turns, &queue.name)).min().unwrap_or(u32::MAX);
                    let mine = taken(&turns, &job.queue);
                    must!(mine <= least, "{job:?} came before the turn of another queue");
                    turns.retain(|turn| turn.0 != job.queue);
                    turns.push((job.queue.clone(), mine + 1));
                    self.take(now, job, take)?;
                }
                if jobs.len() < take.count as usize {
                    self.queues.iter_mut().for_each(|queue| queue.adopt_sweep(shard));
                    let left = self
                        .queues
                        .iter()
                        .find(|queue| matching(&queue.name) && queue.must_serve(now, take.group));
                    must!(left.is_none(), "there was one more job to claim: {left:?}");
                }
            }
        }
        Ok(())
    }

    /// One job handed out.
    fn take(&mut self, now: u64, handed: &Handed, take: &Take<'_>) -> Verdict {
        let boot = self.boot;
        let Some(queue) = self.existing(&handed.queue) else {
            return Err(format!("{handed:?} is of a queue that does not exist"));
        };
        queue.take(now, boot, handed, take)
    }

    /// Whether this receipt was acked now.
    pub(crate) fn ack(&mut self, name: &[u8], receipt: Receipt) -> bool {
        let Some(queue) = self.existing(name) else { return false };
        if !queue.live(receipt) {
            queue.totals.stale_acks += 1;
            return false;
        }
        queue.totals.acked += 1;
        queue.note(receipt.id, JobEvent::Acked);
        queue.drop_job(receipt.id);
        queue.refresh_turns();
        true
    }

    /// QNACK.
    pub(crate) fn nack(&mut self, now: u64, nack: &Nack<'_>, answer: Nacked, shard: &Shard) -> Verdict {
        let id = nack.receipt.id;
        let stale = |answer| {
            must!(answer == Nacked::Stale, "no such claim, so the answer is stale, not {answer:?}");
            Ok(())
        };
        let Some(queue) = self.existing(nack.queue) else { return stale(answer) };
        if !queue.live(nack.receipt) {
            queue.totals.stale_acks += 1;
            return stale(answer);
        }
        let superseded = queue.job(id).is_some_and(|job| queue.superseded(job));
        let job = queue.job_mut(id).expect("a live claim has its job");
        job.failures += 1;
        job.worker = None;
        if let Some(error) = nack.error {
            job.last_error = Some(error.to_vec());
        }
        let failures = job.failures;
        queue.totals.nacked += 1;
        let expected = if superseded {
            queue.drop_superseded(id);
            Nacked::Superseded
        } else if nack.retry == Retry::Dead || queue.used_up(id) {
            queue.die(now, id);
            Nacked::Dead
        } else {
            let (least, most) = match nack.retry {
                Retry::Delay(delay) => (delay, delay),
                _ => queue.backoff(failures),
            };
            let job = queue.job_mut(id).expect("a live claim has its job");
            // An expired one may be dropped at once.
            let due = seen(shard, nack.queue, id).map_or(now + least, |job| job.ready_at);
            must!(
                (now + least..=now + most).contains(&due),
                "due {} ms from now, not {least} to {most}",
                due.wrapping_sub(now)
            );
            job.ready_at = due;
            job.state = if due > now { State::Delayed } else { State::Ready };
            queue.note(id, JobEvent::Retried);
            Nacked::Retry
        };
        must!(answer == expected, "QNACK answers {expected:?}, not {answer:?}");
        queue.refresh_turns();
        Ok(())
    }

    /// QRELEASE.
    pub(crate) fn release(
        &mut self,
        now: u64,
        name: &[u8],
        delay_ms: Option<u64>,
        receipts: &[Receipt],
        answer: u64,
    ) -> Verdict {
        let (mut given_back, mut dropped) = (0, 0);
        if let Some(queue) = self.existing(name) {
            for receipt in receipts.iter() {
                if !queue.live(*receipt) {
                    continue;
                }
                queue.totals.released += 1;
                queue.note(receipt.id, JobEvent::Released);
                let job = queue.job_mut(receipt.id).expect("a live claim has its job");
                job.attempts -= 1;
                let superseded = queue.job(receipt.id).is_some_and(|job| queue.superseded(job));
                if superseded {
                    dropped += 1;
                    queue.drop_superseded(receipt.id);
                    continue;
                }
                given_back += 1;
                let job = queue.job_mut(receipt.id).expect("a live claim has its job");
                job.worker = None;
                job.state = State::Ready;
                // No delay is back to its place.
                if let Some(delay) = delay_ms.filter(|delay| *delay > 0) {
                    job.ready_at = now + delay;
                    job.state = State::Delayed;
                }
                queue.refresh_turns();
            }
        }
        // Whether a superseded one was given back, the page does not say.
        let range = given_back..=given_back + dropped;
        must!(range.contains(&answer), "QRELEASE answers {range:?}, not {answer}");
        Ok(())
    }

    /// QEXTEND.
    pub(crate) fn extend(
        &mut self,
        now: u64,
        name: &[u8],
        lease_ms: u64,
        receipts: &[Receipt],
        answer: u64,
    ) -> Verdict {
        let mut extended = 0;
        if let Some(queue) = self.existing(name) {
            let run_max = queue.settings.run_max;
            for receipt in
                receipts.iter().filter(|receipt| queue.live(**receipt)).copied().collect::<Vec<_>>()
            {
                extended += 1;
                let job = queue.job_mut(receipt.id).expect("a live claim has its job");
                job.lease_until = now + lease_ms;
                if run_max != 0 {
                    job.lease_until = job.lease_until.min(job.claimed_at + run_max);
                }
            }
        }
        must!(extended == answer, "QEXTEND answers {extended}, not {answer}");
        Ok(())
    }

    /// A job's payload can't be read: it is dead for that reason, and has none.
    pub(crate) fn lose(&mut self, now: u64, name: &[u8], id: JobId, reason: &[u8]) -> Verdict {
        let queue = self.existing(name).ok_or("a lost job has a queue")?;
        let job = queue.job_mut(id).ok_or("a lost job is there")?;
        job.payload.clear();
        job.last_error = Some(reason.to_vec());
        if job.state != State::Dead {
            queue.die(now, id);
            queue.refresh_turns();
        }
        Ok(())
    }

    /// The connection of BOUND claims is gone: as if their leases lapsed.
    pub(crate) fn lapse(&mut self, now: u64, name: &[u8], receipts: &[Receipt], answer: u64) -> Verdict {
        let mut lapsed = 0;
        if let Some(queue) = self.existing(name) {
            for receipt in receipts {
                if queue.live(*receipt) {
                    lapsed += 1;
                    queue.lapse(now, receipt.id);
                    queue.refresh_turns();
                }
            }
        }
        must!(lapsed == answer, "{lapsed} leases end, not {answer}");
        Ok(())
    }
}

impl Queue {
    /// The receipt is of a claim that lasts.
    pub(crate) fn live(&self, receipt: Receipt) -> bool {
        self.job(receipt.id).is_some_and(|job| job.state == State::Claimed && job.epoch == receipt.epoch.0)
    }

    /// A queue-wide reason why nothing is handed out now.
    fn held_up(&self, now: u64) -> bool {
        let at_cap =
            self.settings.concurrency != 0 && self.count(State::Claimed) >= self.settings.concurrency;
        now < self.claim_paused_until || at_cap
    }

    /// By every reading of the page, a claim gets a job now.
    pub(crate) fn must_serve(&self, now: u64, group: Option<&[u8]>) -> bool {
        let mut bucket = self.bucket.clone();
        let rate_lets = bucket.as_mut().is_none_or(|bucket| {
            bucket.fill(now);
            bucket.must_give()
        });
        let groups = self.claimable_groups();
        let serves = group.map_or(!groups.is_empty(), |group| groups.iter().any(|other| other == group));
        !self.held_up(now) && rate_lets && serves
    }

    /// The first job of a group that can be claimed, caps not considered.
    pub(crate) fn first_of(&self, group: &[u8]) -> Option<&Job> {
        let ready = self.jobs.iter().filter(|job| job.state == State::Ready && job.group == group);
        let claimable = ready.filter(|job| !self.superseded(job));
        match self.settings.lifo {
            false => claimable.min_by_key(|job| (Reverse(job.priority), job.ready_at, job.id)),
            true => {
                claimable.min_by_key(|job| (Reverse(job.priority), Reverse(job.ready_at), Reverse(job.id)))
            }
        }
    }

    fn take(&mut self, now: u64, boot: u64, handed: &Handed, take: &Take<'_>) -> Verdict {
        let id = handed.receipt.id;
        must!(!self.held_up(now), "{id} was claimed though the queue is paused or at its cap");
        if let Some(bucket) = &mut self.bucket {
            bucket.fill(now);
            must!(bucket.may_give(), "{id} was claimed without a token: {bucket:?}");
            bucket.take();
        }
        let Some(job) = self.job(id) else { return Err(format!("{id} was claimed but is not there")) };
        let group = job.group.clone();
        must!(!self.group_at_cap(&group), "{id} was claimed though its group is at its cap");
        let first = self.first_of(&group).map(|job| job.id);
        must!(first == Some(id), "{first:?} stands first in its group, not {id}");
        match take.group {
            Some(wanted) => must!(group == wanted, "{id} is of another group"),
            None => must!(
                self.turns.may_be_next(&group),
                "{id} of {} is out of turn: {:?}",
                group.escape_ascii(),
                self.turns
            ),
        }
        let settings = self.settings.clone();
        let job = self.job_mut(id).expect("it was there");
        job.state = State::Claimed;
        job.attempts += 1;
        job.epoch = job.epoch.max(boot << 32) + 1;
        job.claimed_at = now;
        job.lease_until = now + take.lease_ms.unwrap_or(settings.lease);
        job.worker = take.worker.map(<[u8]>::to_vec);
        if let Some(terms) = &mut job.key
            && terms.until == Until::Claim
        {
            terms.held = false;
        }
        must!(
            handed.receipt.epoch.0 == job.epoch,
            "the epoch of {id} is {}, not {:?}",
            job.epoch,
            handed.receipt
        );
        must!(handed.payload == job.payload, "{id} has another payload");
        must!(handed.attempt == job.attempts, "{id} is at attempt {}, not {}", job.attempts, handed.attempt);
        if settings.run_max != 0 {
            job.lease_until = job.lease_until.min(now + settings.run_max);
        }
        self.totals.claims += 1;
        self.note(id, JobEvent::Claimed);
        match take.group {
            Some(group) => self.turns.float(group),
            None => self.turns.took_turn(&group),
        }
        self.refresh_turns();
        Ok(())
    }

    /// The bounds of a back-off after so many failures.
    fn backoff(&self, failures: u32) -> (u64, u64) {
        let settings = &self.settings;
        let exponent = i32::try_from(failures - 1).expect("few failures");
        let base = settings.backoff as f64 * settings.backoff_factor.powi(exponent).min(f64::MAX);
        let base = base.min(settings.backoff_max as f64);
        let least = (base * (1.0 - settings.backoff_jitter) - 1.0).max(0.0);
        (least as u64, (base * (1.0 + settings.backoff_jitter) + 1.0) as u64)
    }

    /// A nack, release, lapse or the sweep drops a superseded job.
    pub(crate) fn drop_superseded(&mut self, id: JobId) {
        self.totals.superseded += 1;
        self.note(id, JobEvent::Superseded);
        self.drop_at_once(id);
    }

    /// The lease is over.
    pub(crate) fn lapse(&mut self, now: u64, id: JobId) -> Back {
        self.totals.lapsed += 1;
        self.note(id, JobEvent::Lapsed);
        if self.job(id).is_some_and(|job| self.superseded(job)) {
            self.drop_superseded(id);
            return Back::Superseded;
        }
        let job = self.job_mut(id).expect("a live claim has its job");
        job.failures += 1;
        let lapsed = match job.worker.take() {
            Some(worker) => [b"lapsed, worker ", &worker[..]].concat(),
            None => b"lapsed".to_vec(),
        };
        job.last_error.get_or_insert(lapsed);
        if self.used_up(id) {
            self.die(now, id);
            return Back::Dead;
        }
        let job = self.job_mut(id).expect("a live claim has its job");
        job.state = State::Ready;
        Back::Ready
    }
}
