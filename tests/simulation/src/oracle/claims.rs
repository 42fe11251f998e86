//! What the reply of a claim tells: who may be handed which job, when, and in which order.

use super::book::{Delivery, Empty, Place};
use super::effects::{Moment, Status};
use super::job::{ClaimRecord, Job};
use super::{Oracle, Outcome, Sent};
use crate::ask::{Claim, Held, PauseWhat, Serial, group_name, payload};
use crate::wire::Reply;

/// Timers fire within 10 ms, and instants are whole milliseconds.
const TIMER_MS: u64 = 12;

/// How late something may be that is due after so long: a clock that is to meet the wall clock runs 5 % slower.
fn late_ms(after_ms: u64) -> u64 {
    TIMER_MS + after_ms / 16
}

impl Oracle {
    pub(super) fn claimed(
        &mut self,
        claim: &Claim,
        sent: &Sent,
        reply: &Reply,
        now: Moment,
    ) -> Result<Vec<Held>, String> {
        let jobs = reply.array()?;
        if jobs.len() as u64 > claim.count {
            return Err(format!("a claim of {} was handed {}", claim.count, jobs.len()));
        }
        if jobs.is_empty() {
            let (sent, group) = (sent.at, claim.group);
            self.books[claim.queue].empties.push(Empty { sent, replied: now, group });
        }
        let mut held = Vec::new();
        let mut places: Vec<(u64, Place)> = Vec::new();
        for job in jobs {
            held.push(self.delivered(claim, sent, job, now, &mut places)?);
        }
        Ok(held)
    }

    /// One job of a claim.
    fn delivered(
        &mut self,
        claim: &Claim,
        sent: &Sent,
        reply: &Reply,
        now: Moment,
        places: &mut Vec<(u64, Place)>,
    ) -> Result<Held, String> {
        let (words, meta) = match reply.array()? {
            [queue, receipt, payload, attempt] => ([queue, receipt, payload, attempt], None),
            [queue, receipt, payload, attempt, meta] => ([queue, receipt, payload, attempt], Some(meta)),
            _ => return Err(format!("a job was handed out as {reply}")),
        };
        let [queue, receipt, payload, attempt] = words;
        let is_first = attempt.integer()? == 1;
        let receipt = receipt.text()?;
        let serial = self.known_payload(payload, claim.queue)?;
        self.tally.deliveries += 1;
        let tell = |problem: String| format!("{receipt} (job {serial}): {problem}");
        if queue.text()? != self.plan.queues[claim.queue].name {
            return Err(tell(format!("it is of queue {queue}")));
        }
        let (id, epoch) = receipt.split_once('-').ok_or_else(|| tell("no receipt".to_owned()))?;
        let epoch: u64 = epoch.parse().map_err(|_| tell("no epoch".to_owned()))?;
        if !self.receipts.insert(receipt.clone()) {
            return Err(tell("the receipt was issued twice".to_owned()));
        }
        self.books[claim.queue].heard.check(id, sent.at).map_err(tell)?;
        if self.jobs[serial].id.is_none() {
            // Its own reply is under way yet: it may have replaced one that somebody wants to delete.
            self.inherit_deletions(serial, id, sent);
        }
        self.learn_id(serial, id, false).map_err(tell)?;
        self.exists(serial, now)
            .map_err(|problem| format!("{receipt} (job {serial}): it was handed out, but {problem}"))?;
        self.not_ended(serial, sent.at).map_err(tell)?;
        if self.plan.waits(claim.queue, None) {
            let push = self.jobs[serial].push;
            self.effects.promise(push);
        }
        self.check_leases(serial, epoch, sent.at, now).map_err(tell)?;
        // Its reply was long under way: it lapsed, and another was handed out and heard of meanwhile.
        let is_outrun = self.jobs[serial].claims.iter().any(|&other| self.claims[other].epoch > epoch);
        self.check_time(serial, is_outrun, sent.at, now).map_err(tell)?;
        self.check_root(serial, claim, sent.at, meta).map_err(tell)?;
        self.check_pause(claim.queue, sent.at, now).map_err(tell)?;
        if is_first && self.was_always_ready(serial) {
            if let Some(meta) = meta {
                self.check_passed_over(serial, &self.place(serial, id, meta)?, sent.at);
            }
            self.check_key(serial, sent.at);
        }
        if let Some(meta) = meta {
            self.check_order(serial, id, sent.at, now, meta, places).map_err(tell)?;
        }

        let lease_ms = claim.lease_ms.unwrap_or(self.plan.queues[claim.queue].lease_ms);
        let number = self.claims.len();
        let bound = claim.is_bound.then_some(sent.client);
        // Something may end it that was asked for before its reply came.
        let may_have_ended = !self.jobs[serial].ends.is_empty()
            || bound.is_some_and(|client| self.stops || self.killed.contains(&client))
            || is_outrun;
        self.claims.push(ClaimRecord {
            queue: claim.queue,
            group: self.jobs[serial].terms.group,
            receipt: receipt.clone(),
            epoch,
            life: self.effects.life(),
            replied: now,
            until_ms: sent.at.ms + lease_ms,
            endings: u32::from(may_have_ended),
            bound,
        });
        let job = &mut self.jobs[serial];
        job.claims.push(number);
        if !is_outrun {
            job.not_before = None;
        }
        self.check_caps(claim.queue, number, now)?;
        Ok(Held { queue: claim.queue, serial, receipt, claim: number })
    }

    /// The job of a payload, which must be whole.
    pub(super) fn known_payload(&self, reply: &Reply, queue: usize) -> Result<Serial, String> {
        let Reply::Bulk(bytes) = reply else { return Err(format!("{reply} is no payload")) };
        let serial = bytes.split(|&byte| byte == b':').next().map(String::from_utf8_lossy);
        let serial = serial.and_then(|serial| serial.parse::<Serial>().ok());
        let Some((serial, job)) = serial.and_then(|serial| Some((serial, self.jobs.get(serial)?))) else {
            return Err(format!("the payload {reply} was never pushed"));
        };
        if *bytes != payload(serial, job.terms.payload_bytes) {
            return Err(format!("the payload of job {serial} was changed"));
        }
        if job.queue != queue {
            return Err(format!("job {serial} was pushed into another queue"));
        }
        Ok(serial)
    }

    /// A job can be seen.
    pub(super) fn exists(&mut self, serial: Serial, now: Moment) -> Result<(), String> {
        let Job { push, outcome, .. } = self.jobs[serial];
        if outcome == Outcome::Dropped {
            return Err("its push was not added".to_owned());
        }
        self.effects.happened(push, now)
    }

    /// Nothing has ended a job that was there after this moment.
    pub(super) fn not_ended(&mut self, serial: Serial, at: Moment) -> Result<(), String> {
        let life = self.effects.life();
        let mut index = 0;
        while let Some(end) = self.jobs[serial].ends.get(index).copied() {
            let effect = self.effects.get(end.effect);
            let (is_of_this_life, replied) = (effect.life == life, effect.replied);
            match self.effects.status(end.effect) {
                Status::Certain if replied.is_some_and(|replied| replied.seq < at.seq) => {
                    return Err(format!("it is there after its end by {:?} that is certain", end.by));
                }
                // It was asked for at the same time, or may yet be done.
                Status::Certain | Status::Perhaps if is_of_this_life => index += 1,
                Status::Certain => {
                    return Err(format!("it is there after its end by {:?} that nothing may undo", end.by));
                }
                Status::Perhaps => {
                    if replied.is_some() {
                        self.tally.lost += 1;
                    }
                    self.effects.lose(end.effect)?;
                    self.jobs[serial].ends.remove(index);
                }
                Status::Lost => _ = self.jobs[serial].ends.remove(index),
            }
        }
        Ok(())
    }

    fn check_leases(&self, serial: Serial, epoch: u64, sent: Moment, now: Moment) -> Result<(), String> {
        let life = self.effects.life();
        for &claim in &self.jobs[serial].claims {
            let claim = &self.claims[claim];
            if claim.epoch < epoch && claim.is_live(life, now.ms) {
                return Err(format!("{} is live until {} at least", claim.receipt, claim.until_ms));
            }
            if claim.replied.seq < sent.seq && claim.epoch >= epoch {
                return Err(format!("it is no newer than {}", claim.receipt));
            }
        }
        Ok(())
    }

    fn check_time(&self, serial: Serial, is_outrun: bool, sent: Moment, now: Moment) -> Result<(), String> {
        let Job { terms, push, not_before, claims, .. } = &self.jobs[serial];
        let pushed = self.effects.get(*push);
        let due_is_known = !self.plan.clock_steps || self.push_life_is_now(serial);
        if due_is_known && now.ms < pushed.sent.ms + terms.delay_ms {
            return Err(format!("it is not due before {}", pushed.sent.ms + terms.delay_ms));
        }
        // What a later claim asked for does not bind an earlier one.
        if !is_outrun
            && let Some((life, ms)) = not_before
            && *life == self.effects.life()
            && now.ms < *ms
        {
            return Err(format!("it was to wait until {ms}"));
        }
        if let Some(ttl) = terms.ttl_ms
            && let Some(replied) = pushed.replied
            && claims.is_empty()
            && !self.books[self.jobs[serial].queue].has_broken_claims
            && self.push_life_is_now(serial)
            && sent.ms > replied.ms + terms.delay_ms + ttl + late_ms(terms.delay_ms + ttl)
        {
            return Err("it has expired".to_owned());
        }
        Ok(())
    }

    fn push_life_is_now(&self, serial: Serial) -> bool {
        self.effects.get(self.jobs[serial].push).life == self.effects.life()
    }

    fn check_root(
        &self,
        serial: Serial,
        claim: &Claim,
        sent: Moment,
        meta: Option<&Reply>,
    ) -> Result<(), String> {
        let terms = &self.jobs[serial].terms;
        // A duplicate may have raised the root of a job, which only META tells.
        let (Some(root), Some(meta)) = (&terms.root, meta) else { return Ok(()) };
        let Some(shown) = meta.field("root-timestamp") else { return Err("it lost its root".to_owned()) };
        let shown: u64 = shown.text()?.parse().map_err(|_| format!("its root is {shown}"))?;
        match self.newest_root(claim.queue, terms.group, root.signature, sent) {
            Some(newest) if newest > shown => {
                Err(format!("it is superseded: its root is {shown}, and {newest} is registered"))
            }
            _ => Ok(()),
        }
    }

    fn check_pause(&self, queue: usize, sent: Moment, now: Moment) -> Result<(), String> {
        match self.books[queue].pauses.stop(PauseWhat::Claim, sent, now) {
            true => Err("its queue is paused".to_owned()),
            false => Ok(()),
        }
    }

    /// Whether a job was ready and nobody's, from when its push was answered until it was handed out first.
    fn was_always_ready(&self, serial: Serial) -> bool {
        let job = &self.jobs[serial];
        let plan = &self.plan.queues[job.queue];
        job.claims.is_empty()
            && self.push_life_is_now(serial)
            && self.effects.get(job.push).replied.is_some()
            && !plan.replaces
            && !self.books[job.queue].has_broken_claims
    }

    /// Where a job stands.
    fn place(&self, serial: Serial, id: &str, meta: &Reply) -> Result<Place, String> {
        let job = &self.jobs[serial];
        let is_lifo = self.plan.queues[job.queue].is_lifo;
        let ready_at = meta.field("ready-at").map_or(Ok(0), Reply::integer)?;
        Ok(Place {
            reversed_priority: 9 - job.terms.priority,
            ready_at: if is_lifo { -ready_at } else { ready_at },
            id: if is_lifo { String::new() } else { id.to_owned() },
        })
    }

    /// What META says of a job, and that those of one claim come in their order.
    fn check_order(
        &mut self,
        serial: Serial,
        id: &str,
        sent: Moment,
        now: Moment,
        meta: &Reply,
        places: &mut Vec<(u64, Place)>,
    ) -> Result<(), String> {
        let number = |name| meta.field(name).map_or(Ok(0), Reply::integer);
        let job = &self.jobs[serial];
        let (queue, group) = (job.queue, job.terms.group);
        let plan = &self.plan.queues[queue];
        let ready_at = number("ready-at")?;
        if ready_at > now.ms as i64 && !self.plan.clock_steps {
            return Err(format!("it is ready at {ready_at}"));
        }
        if number("priority")? != job.terms.priority as i64 && !plan.replaces {
            return Err("its priority changed".to_owned());
        }
        let shown_group = meta.field("group").map_or(Ok(String::new()), Reply::text)?;
        if shown_group != group_name(group) {
            return Err(format!("its group is {shown_group}"));
        }
        let place = self.place(serial, id, meta)?;
        let is_before = |(other, before): &&(u64, Place)| *other == group && *before > place;
        if let Some((_, before)) = places.iter().find(is_before).filter(|_| !plan.replaces) {
            return Err(format!("it stands before {before:?}, which was handed out before it"));
        }
        places.push((group, place.clone()));
        self.books[queue].deliveries.push(Delivery { sent, replied: now, group, place });
        Ok(())
    }

    /// No claim that could have had this job was handed a later one, or none.
    fn check_passed_over(&mut self, serial: Serial, place: &Place, sent: Moment) {
        let Job { queue, terms, push, .. } = &self.jobs[serial];
        let (queue, book, plan) = (*queue, &self.books[*queue], &self.plan.queues[*queue]);
        let pushed = self.effects.get(*push).replied.expect("its push was answered");
        let due_ms = terms.delay_ms;
        let could_have = |claim_sent: &Moment, claim_replied: &Moment| {
            claim_sent.seq > pushed.seq
                && (due_ms == 0 || claim_sent.ms > pushed.ms + due_ms + late_ms(due_ms))
                && claim_replied.seq < sent.seq
        };
        let later = book.deliveries.iter().find(|other| {
            could_have(&other.sent, &other.replied) && other.group == terms.group && other.place > *place
        });
        let empty = book.empties.iter().filter(|_| plan.always_serves()).find(|empty| {
            could_have(&empty.sent, &empty.replied) && empty.group.is_none_or(|group| group == terms.group)
        });
        let problem = match (later, empty) {
            (Some(later), _) => format!("{:?} was handed out before it, from behind it", later.place),
            (None, Some(empty)) => format!("it was ready, and the claim of {:?} got nothing", empty.sent),
            (None, None) => return,
        };
        self.suspicions.push((queue, format!("job {serial}: {problem}")));
    }

    /// As long as a job was there and nobody's, nobody else could have its key.
    fn check_key(&mut self, serial: Serial, sent: Moment) {
        let Job { queue, terms, push, .. } = &self.jobs[serial];
        let Some(dedupe) = terms.dedupe.as_ref().filter(|_| !self.plan.queues[*queue].roots) else { return };
        let pushed = self.effects.get(*push).replied.expect("its push was answered");
        let pushes = self.books[*queue].keys.get(&(terms.group, dedupe.key));
        let other = pushes.into_iter().flatten().find(|other| {
            other.serial != serial && other.sent.seq > pushed.seq && other.replied.seq < sent.seq
        });
        if let Some(other) = other {
            let problem = format!("job {} was added although job {serial} held its key", other.serial);
            self.suspicions.push((*queue, problem));
        }
    }

    fn check_caps(&mut self, queue: usize, number: usize, now: Moment) -> Result<(), String> {
        let life = self.effects.life();
        let claims = &self.claims;
        let live = &mut self.books[queue].live;
        live.push(number);
        live.retain(|&claim| claims[claim].is_live(life, now.ms));
        let group = claims[number].group;
        let of_group = live.iter().filter(|&&claim| claims[claim].group == group).count();
        let plan = &self.plan.queues[queue];
        if plan.concurrency.is_some_and(|most| live.len() > most) {
            return Err(format!("{} jobs of {} are claimed at once", live.len(), plan.name));
        }
        if group > 0 && plan.group_concurrency.is_some_and(|most| of_group > most) {
            return Err(format!("{of_group} jobs of one group of {} are claimed at once", plan.name));
        }
        Ok(())
    }
}
