//! The judge: it hears what was asked for and what was replied, knows nothing else, and says what can't be.
//!
//! What it holds the server to: no acknowledged job is lost, a job has at most one live lease, nothing is handed out
//! after it was acked for good, jobs of a group come in their order, waiting claims find what is ready, keys, roots
//! and settings are remembered, a transaction is done whole or not at all, and every job ends.

mod answers;
mod book;
mod claims;
mod effects;
mod finish;
mod heard;
mod job;
mod pauses;
mod pushes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stanchion_storage::Durability;

use book::Book;
pub(crate) use effects::{EffectId, Moment};
use effects::{Effects, Seq};
use job::{ClaimRecord, End, EndedBy, Job, Outcome};

use crate::ask::{Ask, Held, NewJob, Root, Serial};
use crate::plan::Plan;
use crate::wire::Reply;

/// What all replies of a run have told.
pub(crate) struct Oracle {
    plan: Arc<Plan>,
    seq: Seq,
    effects: Effects,
    jobs: Vec<Job>,
    claims: Vec<ClaimRecord>,
    books: Vec<Book>,
    /// Which jobs each id stands for: several only when one replaced the other.
    ids: BTreeMap<String, Vec<Serial>>,
    receipts: BTreeSet<String>,
    /// Clients of this life that somebody wanted to kill.
    killed: BTreeSet<i64>,
    /// The server ends connections by itself.
    stops: bool,
    /// Claims of jobs that somebody wanted to delete, as in [`Sent::reported`].
    deleted: Vec<(EffectId, Report)>,
    /// What can't be unless a claim of the queue turns out to have been taken back.
    suspicions: Vec<(usize, String)>,
    /// When the request was sent whose reply is being looked at.
    reporting: Seq,
    /// What was counted, for the report.
    pub(crate) tally: Tally,
}

/// A claim that was spoken of: its number, until when it was live if it was, and how often it had ended by then.
type Report = (usize, Option<u64>, u32);

/// How much a run has shown.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests whose outcome is unknown.
    pub unanswered: u64,
    /// Jobs that were handed out.
    pub deliveries: u64,
    /// Acknowledged jobs that a crash was allowed to lose and has lost.
    pub lost: u64,
    /// Requests that were refused for want of space or memory.
    pub refused: u64,
    /// Payloads that were read from the log.
    pub read_back: u64,
}

impl Tally {
    /// Adds what another run has shown.
    pub fn add(&mut self, other: &Tally) {
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.deliveries += other.deliveries;
        self.lost += other.lost;
        self.refused += other.refused;
        self.read_back += other.read_back;
    }
}

/// Whether a reply says that the log has failed, and that it is unknown what was done.
fn is_unknown(reply: &Reply) -> bool {
    match reply {
        Reply::Error(text) => text.starts_with("MISCONF"),
        // The first replies of a transaction may not have waited for the log.
        Reply::Array(replies) => replies.iter().any(is_unknown),
        _ => false,
    }
}

/// A request under way.
pub(crate) struct Sent {
    pub(crate) ask: Ask,
    at: Moment,
    effect: EffectId,
    client: i64,
    /// The claims that it reports, with the end of their leases if they were live for certain, and what may have
    /// ended them then, this request included.
    reported: Vec<Report>,
}

impl Oracle {
    pub(crate) fn new(plan: Arc<Plan>) -> Oracle {
        Oracle {
            books: plan.queues.iter().map(|_| Book::default()).collect(),
            plan,
            seq: 0,
            effects: Effects::new(),
            jobs: Vec::new(),
            claims: Vec::new(),
            ids: BTreeMap::new(),
            receipts: BTreeSet::new(),
            killed: BTreeSet::new(),
            stops: false,
            deleted: Vec::new(),
            suspicions: Vec::new(),
            reporting: 0,
            tally: Tally::default(),
        }
    }

    fn moment(&mut self, ms: u64) -> Moment {
        self.seq += 1;
        Moment { seq: self.seq, ms }
    }

    /// How many values of its setting were asked for.
    pub(crate) fn values(&self, queue: usize) -> u64 {
        self.books[queue].values_asked
    }

    /// The serial of the next job: the first of a push takes it, and each further one the next.
    pub(crate) fn next_serial(&self) -> Serial {
        self.jobs.len()
    }

    /// An id that somebody was told, if there are any.
    pub(crate) fn any_id(&self, queue: usize, pick: u64) -> Option<String> {
        let of_queue: Vec<_> =
            self.ids.iter().filter(|(_, serials)| self.jobs[serials[0]].queue == queue).collect();
        let index = usize::try_from(pick).unwrap_or(0).checked_rem(of_queue.len())?;
        Some(of_queue[index].0.clone())
    }

    /// A request goes out.
    pub(crate) fn sent(&mut self, ask: Ask, client: i64, now_ms: u64) -> Sent {
        let at = self.moment(now_ms);
        let effect = self.effects.sent(at);
        let mut reported = Vec::new();
        self.expect(&ask, effect, at, &mut reported);
        Sent { ask, at, effect, client, reported }
    }

    /// Notes what a request may do.
    fn expect(&mut self, ask: &Ask, effect: EffectId, at: Moment, reported: &mut Vec<Report>) {
        match ask {
            Ask::Push(push) => {
                for terms in &push.jobs {
                    self.expect_push(push.queue, terms, effect);
                }
            }
            Ask::Root { queue, group, root } => self.expect_root(*queue, *group, root, effect),
            Ask::Claim(claim) => self.expect_acks(&claim.acks, effect, at, reported),
            Ask::Ack { held, .. } => self.expect_acks(held, effect, at, reported),
            Ask::Nack { held, .. } => {
                self.report(held.claim, at, reported);
                self.jobs[held.serial].not_before = None;
            }
            Ask::Release { held, .. } => held.iter().for_each(|held| {
                self.report(held.claim, at, reported);
                self.jobs[held.serial].not_before = None;
            }),
            Ask::Extend { held, ms } => {
                let claim = &mut self.claims[held.claim];
                let until = claim.is_live(self.effects.life(), at.ms).then_some(claim.until_ms);
                claim.until_ms = claim.until_ms.min(at.ms + ms);
                reported.push((held.claim, until, claim.endings));
            }
            Ask::Delete { id, .. } => {
                for serial in self.ids.get(id).cloned().unwrap_or_default() {
                    self.end(serial, effect, EndedBy::Deletion);
                    let mut deleted = Vec::new();
                    for claim in self.jobs[serial].claims.clone() {
                        self.report(claim, at, &mut deleted);
                    }
                    self.deleted.extend(deleted.into_iter().map(|claim| (effect, claim)));
                }
            }
            Ask::Wipe { queue, all } => {
                for serial in 0..self.jobs.len() {
                    if self.jobs[serial].queue == *queue {
                        let effect = self.effects.split(effect);
                        self.end(serial, effect, EndedBy::Deletion);
                    }
                }
                self.may_end_claims(|claim| claim.queue == *queue);
                let book = &mut self.books[*queue];
                book.wipes.push(effect);
                if *all {
                    // Whatever it remembers may be forgotten from here on.
                    book.pauses.ending();
                    book.roots.values_mut().flatten().for_each(|(_, effect)| {
                        *effect = self.effects.split(*effect);
                    });
                    book.values.clear();
                }
            }
            Ask::Resume { queue } => self.books[*queue].pauses.ending(),
            Ask::Kill { client } => {
                self.killed.insert(*client);
                self.may_end_claims(|claim| claim.bound == Some(*client));
            }
            Ask::Set { queue, value } => {
                let effect = self.unless_wiped(*queue, effect);
                let book = &mut self.books[*queue];
                book.values.push((*value, effect));
                book.values_asked += 1;
            }
            Ask::Transaction(asks) => {
                for ask in asks {
                    self.expect(ask, effect, at, reported);
                }
            }
            Ask::RequeueDead { .. }
            | Ask::Pause { .. }
            | Ask::Barrier
            | Ask::Unblock { .. }
            | Ask::Save { .. }
            | Ask::Get { .. }
            | Ask::Length { .. }
            | Ask::Peek { .. } => {}
        }
    }

    fn expect_push(&mut self, queue: usize, terms: &NewJob, effect: EffectId) {
        assert_eq!(terms.serial, self.jobs.len(), "serials are given in the order of sending");
        if let Some(root) = &terms.root {
            self.expect_root(queue, terms.group, root, effect);
        }
        let replaces = |terms: &NewJob| terms.dedupe.as_ref().is_some_and(|dedupe| dedupe.replaces);
        let mut replaced_by = Vec::new();
        for serial in self.with_key_of(queue, terms) {
            let other = self.jobs[serial].push;
            // Of two that are under way, either may come first.
            let is_open = self.effects.get(other).replied.is_none() && other != effect;
            if replaces(terms) {
                // Only its reply tells whether it replaces one, and which.
                let own = self.effects.split(effect);
                self.end(serial, own, EndedBy::Replacement(terms.serial));
            }
            if is_open && replaces(&self.jobs[serial].terms) {
                replaced_by.push(End { effect: self.effects.split(other), by: EndedBy::Replacement(serial) });
            }
        }
        self.jobs.push(Job {
            queue,
            terms: terms.clone(),
            push: effect,
            outcome: Outcome::Unknown,
            id: None,
            ends: replaced_by,
            claims: Vec::new(),
            not_before: None,
        });
        // It may be pushed before somebody who was asked earlier empties the queue.
        for effect in self.books[queue].wipes.clone() {
            let effect = self.effects.split(effect);
            self.end(terms.serial, effect, EndedBy::Deletion);
        }
    }

    fn expect_root(&mut self, queue: usize, group: u64, root: &Root, effect: EffectId) {
        let effect = self.unless_wiped(queue, effect);
        let roots = self.books[queue].roots.entry((group, root.signature)).or_default();
        roots.push((root.timestamp, effect));
    }

    /// What somebody who was asked earlier may yet undo is never certain.
    fn unless_wiped(&mut self, queue: usize, effect: EffectId) -> EffectId {
        if self.books[queue].wipes.is_empty() { effect } else { self.effects.split(effect) }
    }

    /// The jobs that were pushed with the same key.
    fn with_key_of(&self, queue: usize, terms: &NewJob) -> Vec<Serial> {
        let key = |terms: &NewJob| terms.dedupe.as_ref().map(|dedupe| (terms.group, dedupe.key));
        let is_same = |job: &Job| {
            job.queue == queue && job.outcome != Outcome::Dropped && key(&job.terms) == key(terms)
        };
        (0..self.jobs.len()).filter(|&serial| is_same(&self.jobs[serial])).collect()
    }

    fn expect_acks(&mut self, held: &[Held], effect: EffectId, at: Moment, reported: &mut Vec<Report>) {
        for held in held {
            self.report(held.claim, at, reported);
            self.end(held.serial, effect, EndedBy::Ack(held.claim));
        }
    }

    /// A claim is reported, which may end it.
    fn report(&mut self, number: usize, at: Moment, reported: &mut Vec<Report>) {
        let claim = &mut self.claims[number];
        let until = claim.is_live(self.effects.life(), at.ms).then_some(claim.until_ms);
        claim.endings += 1;
        reported.push((number, until, claim.endings));
    }

    fn may_end_claims(&mut self, which: impl Fn(&ClaimRecord) -> bool) {
        let life = self.effects.life();
        for claim in self.claims.iter_mut().filter(|claim| claim.life == life && which(claim)) {
            claim.endings += 1;
        }
    }

    fn end(&mut self, serial: Serial, effect: EffectId, by: EndedBy) {
        self.jobs[serial].ends.push(End { effect, by });
    }

    /// A command has not ended a job in this way; another one of its transaction may have.
    fn drop_end(&mut self, serial: Serial, effect: EffectId, by: EndedBy) {
        let ends = &mut self.jobs[serial].ends;
        if let Some(index) = ends.iter().position(|end| (end.effect, end.by) == (effect, by)) {
            ends.remove(index);
        }
    }

    /// A push has replaced the job of this id, or none.
    fn settle_replacement(&mut self, queue: usize, terms: &NewJob, push: &Sent, replaced: Option<&str>) {
        for serial in self.with_key_of(queue, terms) {
            let job = &self.jobs[serial];
            let by = EndedBy::Replacement(terms.serial);
            let Some(index) = job.ends.iter().position(|end| end.by == by) else { continue };
            let came_before =
                self.effects.get(job.push).replied.is_some_and(|replied| replied.seq < push.at.seq);
            match (&job.id, replaced) {
                (Some(id), Some(replaced)) if id == replaced && came_before => {
                    self.jobs[serial].ends[index].effect = push.effect;
                }
                // One without an id may be the one, and of two that were under way either may have come first.
                (None, Some(_)) => {}
                (Some(id), Some(replaced)) if id == replaced => {}
                _ => _ = self.jobs[serial].ends.remove(index),
            }
        }
    }

    /// A reply came.
    pub(crate) fn replied(&mut self, sent: &Sent, reply: &Reply, now_ms: u64) -> Result<Vec<Held>, String> {
        let now = self.moment(now_ms);
        if is_unknown(reply) {
            self.unanswered(sent, None);
            return Ok(Vec::new());
        }
        self.tally.answered += 1;
        self.reporting = sent.at.seq;
        let mut reported = sent.reported.as_slice();
        self.answer(&sent.ask, sent, reply, now, &mut reported)
    }

    /// No reply will come. `over_ms` if by then it was done or will never be.
    pub(crate) fn unanswered(&mut self, sent: &Sent, over_ms: Option<u64>) {
        self.tally.unanswered += 1;
        for &(claim, until, _) in &sent.reported {
            // An ack of a claim that may have been stale by then has perhaps done nothing, whatever else was done.
            let was_live = over_ms.is_some_and(|over| until.is_some_and(|until| over < until));
            if !was_live {
                for job in &mut self.jobs {
                    let ends = job.ends.iter_mut();
                    for end in ends.filter(|end| (end.effect, end.by) == (sent.effect, EndedBy::Ack(claim))) {
                        end.effect = self.effects.split(sent.effect);
                    }
                }
            }
        }
        for claim in sent.ask.claims() {
            self.books[claim.queue].has_broken_claims = true;
        }
        if let Ask::Extend { held, .. } = &sent.ask {
            // It may yet be done, after one that is sent later, and make the lease end sooner.
            self.claims[held.claim].endings += 1;
        }
    }

    /// A client's connection is gone, or about to go.
    pub(crate) fn disconnected(&mut self, client: i64) {
        self.may_end_claims(|claim| claim.bound == Some(client));
    }

    /// The server is told to stop: connections end before their clients know.
    pub(crate) fn stopping(&mut self) {
        self.stops = true;
        self.may_end_claims(|claim| claim.bound.is_some());
    }

    /// The server is gone. `in_order` if it had the time to write everything; everything known by `kept_ms` is kept
    /// in any case.
    pub(crate) fn end_life(&mut self, in_order: bool, kept_ms: Option<u64>) -> Result<(), String> {
        // By now all claims were answered, or never will be.
        let suspicions = std::mem::take(&mut self.suspicions);
        let proved = suspicions.into_iter().find(|(queue, _)| !self.books[*queue].has_broken_claims);
        if let Some(ms) = kept_ms {
            let known = self.effects.known_by(ms);
            self.effects.keep(self.effects.life(), known);
        }
        self.effects.end_life(in_order);
        let are_kept = self.plan.durability == Durability::Always;
        let now = self.seq;
        for book in &mut self.books {
            book.end_life(now);
            book.heard.end_life(are_kept);
        }
        self.killed.clear();
        self.stops = false;
        self.deleted.clear();
        proved.map_or(Ok(()), |(_, problem)| Err(problem))
    }
}
