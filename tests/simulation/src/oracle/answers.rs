//! What each reply tells, and which replies can't be.

use super::effects::{Moment, Status};
use super::job::ClaimRecord;
use super::{EndedBy, Oracle, Outcome, Report, Sent};
use crate::ask::{Ask, DEAD_MAX, Held, Retry, Root};
use crate::wire::Reply;

/// Errors that a legal command may get: it has changed nothing then.
const REFUSALS: &[&str] = &["FULL", "PAUSED", "UNBLOCKED", "EXECABORT"];

type Reported<'a> = &'a [Report];

impl Oracle {
    /// Takes in a reply, and gives the jobs in it.
    pub(super) fn answer(
        &mut self,
        ask: &Ask,
        sent: &Sent,
        reply: &Reply,
        now: Moment,
        reported: &mut Reported<'_>,
    ) -> Result<Vec<Held>, String> {
        if let Reply::Error(text) = reply {
            self.tally.refused += u64::from(text.starts_with("FULL"));
            // SAVE says so when a full disk has no room for a checkpoint.
            let is_unsaved = matches!(ask, Ask::Save { .. }) && text.contains("no checkpoint was written");
            if !is_unsaved && !REFUSALS.iter().any(|code| text.starts_with(code)) {
                return Err(format!("a legal command was refused: {text}"));
            }
            match ask {
                // Its acks were done before it waited, if their claims were live.
                Ask::Claim(claim) if text.starts_with("UNBLOCKED") => {
                    claim.acks.iter().for_each(|held| self.split_end_of(held, sent));
                }
                _ => self.refused(ask, sent, reported),
            }
            return Ok(Vec::new());
        }
        match ask {
            Ask::Push(push) => self.pushed(push, sent, reply, now)?,
            Ask::Claim(claim) => {
                let acked = take(reported, claim.acks.len());
                self.acked_with_claim(claim.queue, &claim.acks, sent, acked, now);
                return self.claimed(claim, sent, reply, now);
            }
            Ask::Ack { queue, held } => {
                self.done(sent, *queue, None, now);
                self.acked(held, sent, take(reported, held.len()), reply, now)?;
            }
            Ask::Nack { held, retry } => {
                self.done(sent, held.queue, None, now);
                let live = take(reported, 1);
                self.nacked(held, *retry, sent, self.was_live(&live[0], now), reply)?;
            }
            Ask::Release { queue, held, delay_ms } => {
                self.done(sent, *queue, None, now);
                let live = take(reported, held.len());
                let count = self.count(held, live, reply, now, "released")?;
                if let Some(ms) = delay_ms
                    && count == held.len()
                {
                    for held in held {
                        self.jobs[held.serial].not_before = Some((self.effects.life(), sent.at.ms + ms));
                    }
                }
            }
            Ask::Extend { held, ms } => {
                let live = take(reported, 1);
                let count = self.count(std::slice::from_ref(held), live, reply, now, "extended")?;
                if count == 1 {
                    self.claims[held.claim].until_ms = sent.at.ms + ms;
                }
            }
            Ask::Root { queue, group, root } => self.registered(*queue, *group, root, sent, reply, now)?,
            Ask::Delete { queue, id } => {
                self.done(sent, *queue, None, now);
                if reply.integer()? == 0 {
                    let is_of_job = |claim: usize| self.claims[claim].receipt.starts_with(id);
                    let mut claims = self.deleted.iter().filter(|(effect, _)| *effect == sent.effect);
                    if claims.any(|(_, claim)| is_of_job(claim.0) && self.was_live(claim, now)) {
                        return Err(format!("the claimed job {id} could not be deleted"));
                    }
                    for serial in self.ids.get(id).cloned().unwrap_or_default() {
                        self.drop_end(serial, sent.effect, EndedBy::Deletion);
                    }
                }
            }
            Ask::Wipe { queue, all } => {
                self.done(sent, *queue, None, now);
                let book = &mut self.books[*queue];
                book.was_wiped(sent.effect, now);
                if *all {
                    book.pauses.ended(now);
                }
                reply.integer()?;
            }
            Ask::RequeueDead { queue } => {
                self.done(sent, *queue, None, now);
                reply.integer()?;
            }
            Ask::Pause { queue, what, ms } => {
                self.done(sent, *queue, None, now);
                self.books[*queue].pauses.paused(*what, sent.at, now, *ms);
            }
            Ask::Resume { queue } => {
                self.done(sent, *queue, None, now);
                self.books[*queue].pauses.ended(now);
            }
            Ask::Set { queue, .. } => self.done(sent, *queue, None, now),
            Ask::Get { queue } => self.read(*queue, sent, reply)?,
            Ask::Barrier => {
                if reply.array()?.first() == Some(&Reply::Integer(1)) {
                    self.effects.keep(self.effects.get(sent.effect).life, sent.at.seq);
                }
            }
            Ask::Save { waits } => {
                reply.text()?;
                if *waits {
                    self.effects.keep(self.effects.get(sent.effect).life, sent.at.seq);
                }
            }
            Ask::Kill { .. } | Ask::Unblock { .. } | Ask::Length { .. } => _ = reply.integer()?,
            Ask::Peek { queue, .. } => {
                for job in reply.array()? {
                    self.look_at(*queue, job, sent.at, now)?;
                }
            }
            Ask::Transaction(asks) => return self.transacted(asks, sent, reply, now, reported),
        }
        Ok(Vec::new())
    }

    /// Something was done.
    pub(super) fn done(&mut self, sent: &Sent, queue: usize, sync: Option<bool>, now: Moment) {
        self.effects.replied(sent.effect, now);
        if self.plan.waits(queue, sync) {
            self.effects.promise(sent.effect);
        }
    }

    /// A command was refused: what it might have done it has not.
    fn refused(&mut self, ask: &Ask, sent: &Sent, reported: &mut Reported<'_>) {
        // What may have ended a claim is not worth undoing: it only makes the judge milder.
        take(reported, count_of(ask));
        match ask {
            Ask::Push(push) => {
                for job in &push.jobs {
                    self.jobs[job.serial].outcome = Outcome::Dropped;
                    self.forget_root(push.queue, job.group, job.root.as_ref(), sent);
                    self.settle_replacement(push.queue, job, sent, None);
                }
            }
            Ask::Root { queue, group, root } => self.forget_root(*queue, *group, Some(root), sent),
            Ask::Set { queue, .. } => self.books[*queue].values.retain(|(_, effect)| *effect != sent.effect),
            Ask::Claim(claim) => claim.acks.iter().for_each(|held| self.drop_end_of(held, sent)),
            Ask::Ack { held, .. } => held.iter().for_each(|held| self.drop_end_of(held, sent)),
            Ask::Transaction(asks) => asks.iter().for_each(|ask| self.refused(ask, sent, reported)),
            _ => {}
        }
    }

    fn forget_root(&mut self, queue: usize, group: u64, root: Option<&Root>, sent: &Sent) {
        if let Some(root) = root
            && let Some(roots) = self.books[queue].roots.get_mut(&(group, root.signature))
        {
            // Another command of its transaction may have registered the same one.
            let own = (root.timestamp, sent.effect);
            if let Some(index) = roots.iter().position(|root| *root == own) {
                roots.remove(index);
            }
        }
    }

    fn transacted(
        &mut self,
        asks: &[Ask],
        sent: &Sent,
        reply: &Reply,
        now: Moment,
        reported: &mut Reported<'_>,
    ) -> Result<Vec<Held>, String> {
        let replies = reply.array()?;
        if replies.len() != asks.len() {
            return Err(format!("a transaction of {} commands was answered by {reply}", asks.len()));
        }
        let mut held = Vec::new();
        for (ask, reply) in asks.iter().zip(replies) {
            held.extend(self.answer(ask, sent, reply, now, reported)?);
        }
        Ok(held)
    }

    /// Whether a claim was live for certain until now, but for the request that reports it.
    fn was_live(&self, reported: &Report, now: Moment) -> bool {
        let (claim, until, endings) = *reported;
        let claim = &self.claims[claim];
        until.is_some_and(|until| now.ms < until)
            && claim.endings == endings
            && claim.life == self.effects.life()
    }

    /// A reply that says how many of some claims were live.
    fn count(
        &self,
        held: &[Held],
        live: Reported<'_>,
        reply: &Reply,
        now: Moment,
        what: &str,
    ) -> Result<usize, String> {
        let count = usize::try_from(reply.integer()?).map_err(|error| error.to_string())?;
        let certain = live.iter().filter(|reported| self.was_live(reported, now)).count();
        if count < certain || count > held.len() {
            let receipts: Vec<_> = held.iter().map(|held| &held.receipt).collect();
            return Err(format!(
                "{count} were {what} of {receipts:?}, and {certain} of them are live for certain"
            ));
        }
        if count == held.len()
            && let Some((stale, newer)) = held.iter().find_map(|held| Some((held, self.newer_claim(held)?)))
        {
            return Err(format!("the stale {} was {what}, after {newer}", stale.receipt));
        }
        Ok(count)
    }

    /// A later claim of the same job that was known before this report went out, so that this claim is stale.
    fn newer_claim(&self, held: &Held) -> Option<&str> {
        let own = self.claims[held.claim].epoch;
        let claims = self.jobs[held.serial].claims.iter().map(|&claim| &self.claims[claim]);
        // A crash may have undone the later claim, and then this one is live again.
        let is_newer = |claim: &&ClaimRecord| {
            claim.epoch > own && claim.replied.seq < self.reporting && claim.life == self.effects.life()
        };
        let mut newer = claims.filter(is_newer);
        newer.next().map(|claim| claim.receipt.as_str())
    }

    fn acked(
        &mut self,
        held: &[Held],
        sent: &Sent,
        live: Reported<'_>,
        reply: &Reply,
        now: Moment,
    ) -> Result<(), String> {
        let count = self.count(held, live, reply, now, "acked")?;
        if count == held.len() {
            return Ok(());
        }
        for held in held {
            if count == 0 {
                self.drop_end_of(held, sent);
            } else {
                self.split_end_of(held, sent);
            }
        }
        Ok(())
    }

    /// Acks that came with a claim are not counted in its reply.
    fn acked_with_claim(
        &mut self,
        queue: usize,
        held: &[Held],
        sent: &Sent,
        live: Reported<'_>,
        now: Moment,
    ) {
        let waits = self.plan.waits(queue, None);
        for (held, reported) in held.iter().zip(live) {
            if self.was_live(reported, now) {
                self.effects.replied(sent.effect, now);
                if waits {
                    self.effects.promise(sent.effect);
                }
            } else {
                self.split_end_of(held, sent);
            }
        }
    }

    fn drop_end_of(&mut self, held: &Held, sent: &Sent) {
        self.drop_end(held.serial, sent.effect, EndedBy::Ack(held.claim));
    }

    /// It is unknown whether this one was done with the others.
    fn split_end_of(&mut self, held: &Held, sent: &Sent) {
        let own = self.effects.split(sent.effect);
        for end in &mut self.jobs[held.serial].ends {
            if (end.effect, end.by) == (sent.effect, EndedBy::Ack(held.claim)) {
                end.effect = own;
            }
        }
    }

    fn nacked(
        &mut self,
        held: &Held,
        retry: Retry,
        sent: &Sent,
        was_live: bool,
        reply: &Reply,
    ) -> Result<(), String> {
        match reply.text()?.as_str() {
            "stale" if was_live => return Err(format!("the live {} was stale for a nack", held.receipt)),
            "stale" | "dead" => {}
            "retry" => {
                if let Retry::Delay(ms) = retry {
                    self.jobs[held.serial].not_before = Some((self.effects.life(), sent.at.ms + ms));
                }
                if retry == Retry::Dead {
                    return Err(format!("{} was nacked with DEAD and tries again", held.receipt));
                }
            }
            "superseded" => self.end(held.serial, sent.effect, EndedBy::Superseding),
            other => return Err(format!("a nack was answered {other}")),
        }
        Ok(())
    }

    fn registered(
        &mut self,
        queue: usize,
        group: u64,
        root: &Root,
        sent: &Sent,
        reply: &Reply,
        now: Moment,
    ) -> Result<(), String> {
        self.done(sent, queue, None, now);
        if reply.integer()? == 0 {
            self.forget_root(queue, group, Some(root), sent);
            return Ok(());
        }
        match self.newest_root(queue, group, root.signature, sent.at) {
            Some(newer) if newer > root.timestamp => Err(format!(
                "root s{} {} counts as the newest, although {newer} is registered",
                root.signature, root.timestamp
            )),
            _ => Ok(()),
        }
    }

    /// The newest timestamp that was registered before this moment for certain.
    pub(super) fn newest_root(
        &self,
        queue: usize,
        group: u64,
        signature: u64,
        before: Moment,
    ) -> Option<u64> {
        let roots = self.books[queue].roots.get(&(group, signature))?;
        let certain = roots.iter().filter(|(_, effect)| self.effects.is_certain_before(*effect, before));
        certain.map(|(timestamp, _)| *timestamp).max()
    }

    /// The setting that tells which of its values it has.
    fn read(&mut self, queue: usize, sent: &Sent, reply: &Reply) -> Result<(), String> {
        let value = reply.array()?.get(1).and_then(|value| value.array().ok()?.first().cloned());
        let Some(value) = value else { return Err(format!("a setting was answered {reply}")) };
        let number: u64 = value.text()?.parse().map_err(|_| format!("{value} is no dead-max"))?;
        let (found, is_set) = match number.checked_sub(DEAD_MAX) {
            Some(value) => (value, true),
            None => (0, false),
        };
        let values = &self.books[queue].values;
        let of_found = values.iter().find(|(value, _)| is_set && *value == found).map(|(_, effect)| *effect);
        if is_set && of_found.is_none() && !self.books[queue].may_be_wiped() {
            return Err(format!("dead-max is {number}, which nobody has set"));
        }
        if is_set && of_found.is_none() {
            // It was set by somebody who was asked before the queue was emptied, and came after that: nobody knows when.
            return Ok(());
        }
        let found_replied =
            of_found.map_or(Some(0), |effect| self.effects.get(effect).replied.map(|replied| replied.seq));
        let later = values.iter().find(|(_, effect)| {
            self.effects.is_certain_before(*effect, sent.at)
                && found_replied.is_some_and(|replied| replied < self.effects.get(*effect).sent.seq)
        });
        match later {
            Some((later, _)) => {
                Err(format!("dead-max is {number}, although {} was set later", DEAD_MAX + later))
            }
            None => Ok(()),
        }
    }

    /// Whether the push of a job is kept, as far as is known.
    pub(super) fn push_status(&self, serial: usize) -> Status {
        self.effects.status(self.jobs[serial].push)
    }
}

/// Takes the first so many.
fn take<'a>(reported: &mut Reported<'a>, count: usize) -> Reported<'a> {
    let (first, rest) = reported.split_at(count.min(reported.len()));
    *reported = rest;
    first
}

/// How many claims a request reports.
fn count_of(ask: &Ask) -> usize {
    match ask {
        Ask::Claim(claim) => claim.acks.len(),
        Ask::Ack { held, .. } | Ask::Release { held, .. } => held.len(),
        Ask::Nack { .. } | Ask::Extend { .. } => 1,
        _ => 0,
    }
}
