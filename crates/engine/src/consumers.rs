//! Decisions of QCLAIM, QACK, QNACK, QRELEASE and QEXTEND.

use std::sync::Arc;

use stanchion_protocol::command::{Nack, Retry, Take};
use stanchion_protocol::id::Receipt;

use crate::apply::Claiming;
use crate::event::{Event, Gone, Part};
use crate::notes::JobEvent;
use crate::queue::{At, Queue, rate_us};
use crate::slab::NONE;
use crate::{Nacked, Now, limits};

/// What limits one claim.
pub(crate) struct Claimer<'a> {
    pub(crate) take: &'a Take<'a>,
    /// Of what the worker runs, if the claim names one and the server knows.
    pub(crate) version: Option<Arc<[u8]>>,
    /// Epochs are above the boot number's.
    pub(crate) epoch_floor: u64,
    /// Superseded and expired jobs that it may still step over.
    pub(crate) drops_left: usize,
    /// They were not enough.
    pub(crate) cut_short: bool,
    /// Payload that still fits the reply; `None` before the first job, which always does.
    pub(crate) bytes_left: Option<u64>,
}

impl Claimer<'_> {
    /// Counts superseded or expired jobs; `None` when they are too many for the claim, or for the record.
    fn step_over(&mut self, jobs: usize, part: &Part<'_>) -> Option<()> {
        let has_room = part.bytes() < limits::CLAIM_DROPS_RECORD_BYTES_MAX;
        let left = self.drops_left.checked_sub(jobs).filter(|_| has_room);
        self.cut_short = left.is_none();
        self.drops_left = left?;
        Some(())
    }
}

impl Queue {
    /// Whether a claim could be served now, though it may have to step over superseded jobs.
    pub(crate) fn claimable(&mut self, now: u64, group: Option<&[u8]>) -> bool {
        self.may_claim(now) && self.next_group(group).is_some()
    }

    /// Neither paused nor at its concurrency nor out of tokens.
    fn may_claim(&self, now: u64) -> bool {
        let concurrency = self.settings.concurrency;
        self.claim_paused_until <= now
            && (concurrency == 0 || (self.leases.len() as u64) < concurrency)
            && self.token_at().is_none_or(|at| at <= now)
    }

    /// The group whose turn it is, or the one asked for; those at their cap, and those whose ready jobs are all
    /// superseded, are set aside on the way.
    fn next_group(&mut self, wanted: Option<&[u8]>) -> Option<u32> {
        if let Some(name) = wanted {
            let group = self.find_group(name)?;
            return self.has_turn(group).then_some(group);
        }
        loop {
            let group = self.ring.front;
            if group == NONE {
                return None;
            }
            if self.has_turn(group) {
                return Some(group);
            }
            self.set_aside(group);
        }
    }

    fn has_turn(&self, group: u32) -> bool {
        self.groups[group].current() > 0 && !self.at_cap(group)
    }

    /// Claims the next job, stepping over those that are superseded or expired.
    pub(crate) fn decide_claim(
        &mut self,
        at: At,
        part: &mut Part<'_>,
        claimer: &mut Claimer<'_>,
    ) -> Option<u32> {
        if !self.may_claim(at.now) {
            return None;
        }
        loop {
            let group = self.next_group(claimer.take.group)?;
            let first = self.groups[group].first(&self.jobs, self.settings.order);
            let ix = first.expect("a group in the turn has a ready job");
            let expires_at = self.expires_at(ix);
            if self.superseded(ix) {
                let run = self.first_superseded(group, limits::DROP_RUN_JOBS.min(claimer.drops_left));
                claimer.step_over(run.len().max(1), part)?;
                self.drop_superseded(at, part, &run);
            } else if expires_at.is_some_and(|expires_at| expires_at <= at.now) {
                claimer.step_over(1, part)?;
                self.decide_gone(at, part, ix, Gone::Expired);
            } else {
                let bytes = self.payload_bytes(ix);
                claimer.bytes_left = Some(match claimer.bytes_left {
                    Some(left) => left.checked_sub(bytes)?,
                    None => limits::CLAIM_BYTES_MAX.saturating_sub(bytes),
                });
                self.claim_this(at, part, claimer, ix);
                return Some(ix);
            }
        }
    }

    /// The jobs at the front of a group that are superseded, `count` of them at most.
    fn first_superseded(&self, group: u32, count: usize) -> Vec<u32> {
        let ready = self.groups[group].in_order(&self.jobs, self.settings.order).take(count);
        ready.take_while(|&ix| self.superseded(ix)).collect()
    }

    fn claim_this(&mut self, at: At, part: &mut Part<'_>, claimer: &Claimer<'_>, ix: u32) {
        let epoch = self.extras(ix).epoch.max(claimer.epoch_floor) + 1;
        let lease_ms = claimer.take.lease_ms.unwrap_or(self.settings.lease_ms);
        let lease_until = self.cap_lease(at.now, at.now.saturating_add(lease_ms));
        let rate_at = self.settings.rate.map_or(0, |rate| {
            let (interval_us, _) = rate_us(rate);
            self.rate_at.max(at.now * 1_000) + interval_us
        });
        let worker = claimer.take.worker.unwrap_or(b"");
        part.add(&self.name, &Event::Claim { id: self.jobs[ix].id, epoch, lease_until, rate_at, worker });
        let version = claimer.version.as_ref();
        self.claim(at, ix, &Claiming { epoch, lease_until, rate_at, worker, version });
    }

    /// A lease ends at most `run-max` after its claim.
    fn cap_lease(&self, claimed_at: u64, until: u64) -> u64 {
        match self.settings.run_ms_max {
            0 => until,
            run_ms_max => until.min(claimed_at.saturating_add(run_ms_max)),
        }
    }

    /// The job of a live claim.
    fn live(&self, receipt: Receipt) -> Option<u32> {
        let ix = self.find(receipt.id.0)?;
        let is_live = self.jobs[ix].is_claimed() && self.extras(ix).epoch == receipt.epoch.0;
        is_live.then_some(ix)
    }

    pub(crate) fn decide_ack(&mut self, at: At, part: &mut Part<'_>, receipt: Receipt) -> bool {
        let Some(ix) = self.live(receipt) else {
            self.totals.stale_acks += 1;
            return false;
        };
        part.add(&self.name, &Event::Ack { id: receipt.id.0 });
        self.ack(at, ix);
        true
    }

    pub(crate) fn decide_nack(&mut self, now: Now, at: At, part: &mut Part<'_>, nack: &Nack<'_>) -> Nacked {
        let Some(ix) = self.live(nack.receipt) else {
            self.totals.stale_acks += 1;
            return Nacked::Stale;
        };
        let (id, error) = (nack.receipt.id.0, nack.error);
        if self.superseded(ix) {
            part.add(&self.name, &Event::Nack { id, ready_at: at.now, error });
            self.nack(at, ix, at.now, error);
            self.decide_gone(at, part, ix, Gone::Superseded);
            return Nacked::Superseded;
        }
        let delay_ms = match nack.retry {
            Retry::Dead => None,
            _ if !self.may_retry(ix, self.settings.attempts) => None,
            Retry::Delay(ms) => Some(ms),
            Retry::Backoff => Some(self.backoff_ms(self.extras(ix).failures, now.entropy)),
        };
        if let Some(delay_ms) = delay_ms {
            let ready_at = at.now.saturating_add(delay_ms);
            part.add(&self.name, &Event::Nack { id, ready_at, error });
            self.nack(at, ix, ready_at, error);
            // Not for every nack: that of a superseded job above is no retry.
            self.note(ix, JobEvent::Retried);
            Nacked::Retry
        } else {
            part.add(&self.name, &Event::Die { id, error });
            self.die(at, ix, error);
            self.decide_burial(at, part);
            Nacked::Dead
        }
    }

    /// The delay before the next attempt, after `failures` earlier ones and this one.
    fn backoff_ms(&self, failures: u32, entropy: u64) -> u64 {
        let settings = &self.settings;
        if settings.backoff_ms == 0 {
            // Zero times a factor that has grown beyond all numbers is none.
            return 0;
        }
        let factor = settings.backoff_factor_milli as f64 / 1e3;
        let delay = settings.backoff_ms as f64 * factor.powi(failures.min(1_000) as i32);
        let delay = delay.min(settings.backoff_ms_max as f64);
        let jitter = settings.backoff_jitter_milli as f64 / 1e3;
        let drawn = (entropy >> 11) as f64 / (1u64 << 53) as f64; // in 0..1, as 53 bits make an f64
        (delay * (1.0 + jitter * (2.0 * drawn - 1.0))) as u64
    }

    pub(crate) fn decide_release(
        &mut self,
        at: At,
        part: &mut Part<'_>,
        receipt: Receipt,
        delay_ms: Option<u64>,
    ) -> bool {
        let Some(ix) = self.live(receipt) else { return false };
        let delayed_until = delay_ms.filter(|&ms| ms > 0).map(|ms| at.now.saturating_add(ms));
        part.add(&self.name, &Event::Release { id: receipt.id.0, delayed_until });
        self.release(ix, delayed_until);
        if self.superseded(ix) {
            self.decide_gone(at, part, ix, Gone::Superseded);
        }
        true
    }

    pub(crate) fn decide_extend(
        &mut self,
        at: At,
        part: &mut Part<'_>,
        receipt: Receipt,
        lease_ms: u64,
    ) -> bool {
        let Some(ix) = self.live(receipt) else { return false };
        let lease_until = self.cap_lease(self.extras(ix).claimed_at.get(), at.now.saturating_add(lease_ms));
        part.add(&self.name, &Event::Extend { id: receipt.id.0, lease_until });
        self.extend(ix, lease_until);
        true
    }

    /// The lease ends with its connection.
    pub(crate) fn decide_lapse(&mut self, at: At, part: &mut Part<'_>, receipt: Receipt) -> bool {
        let Some(ix) = self.live(receipt) else { return false };
        let attempts_max = self.settings.attempts;
        part.add(&self.name, &Event::Lapse { id: receipt.id.0, attempts_max });
        self.lapse(at, ix, attempts_max);
        self.decide_burial(at, part);
        true
    }

    pub(crate) fn decide_gone(&mut self, at: At, part: &mut Part<'_>, ix: u32, why: Gone) {
        part.add(&self.name, &Event::Gone { id: self.jobs[ix].id, why });
        self.gone(at, ix, why);
    }

    /// No more dead jobs are kept than the queue's limit: the oldest go. When the limit is much lower than it was, this
    /// is a step, and the queue's timer goes on.
    pub(crate) fn decide_burial(&mut self, at: At, part: &mut Part<'_>) {
        let surplus = self.surplus_dead().min(limits::STEP_JOBS_MAX as u64) as usize;
        if surplus > 0 {
            let last = self.dead.in_order().nth(surplus - 1);
            let (through, _) = last.expect("there are as many dead jobs");
            part.add(&self.name, &Event::Buried { through });
            self.bury(at, through);
        }
    }

    /// Dead jobs beyond the queue's limit.
    fn surplus_dead(&self) -> u64 {
        (self.dead.len() as u64).saturating_sub(self.settings.dead_max)
    }

    /// When the next dead job is to go.
    pub(crate) fn next_burial(&self) -> Option<u64> {
        let ((died_at, _), _) = self.dead.first()?;
        let has_surplus = self.surplus_dead() > 0;
        Some(if has_surplus { 0 } else { died_at.saturating_add(self.settings.dead_retention_ms) })
    }
}
