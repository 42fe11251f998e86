//! What the reply of a push tells.

use super::book::KeyPush;
use super::effects::{Moment, Status};
use super::{EndedBy, Oracle, Outcome, Sent};
use crate::ask::{NewJob, PauseWhat, Push, Serial};
use crate::wire::Reply;

impl Oracle {
    pub(super) fn pushed(
        &mut self,
        push: &Push,
        sent: &Sent,
        reply: &Reply,
        now: Moment,
    ) -> Result<(), String> {
        self.done(sent, push.queue, push.sync, now);
        if self.books[push.queue].pauses.stop(PauseWhat::Push, sent.at, now) {
            return Err("a push was let in, although its queue is paused for pushes".to_owned());
        }
        if push.jobs.len() == 1 {
            return self.status(push, &push.jobs[0], sent, reply, now);
        }
        let statuses = reply.array()?;
        if statuses.len() != push.jobs.len() {
            return Err(format!("a push of {} jobs was answered by {reply}", push.jobs.len()));
        }
        for (job, status) in push.jobs.iter().zip(statuses) {
            self.status(push, job, sent, status, now)?;
        }
        Ok(())
    }

    fn status(
        &mut self,
        push: &Push,
        job: &NewJob,
        sent: &Sent,
        reply: &Reply,
        now: Moment,
    ) -> Result<(), String> {
        let [word, id] = reply.array()? else { return Err(format!("a push was answered {reply}")) };
        let word = word.text()?;
        if word != "replaced" {
            self.settle_replacement(push.queue, job, sent, None);
        }
        match word.as_str() {
            "ready" | "delayed" => {
                let id = id.text()?;
                self.jobs[job.serial].outcome = Outcome::Added;
                self.learn_id(job.serial, &id, false)?;
                self.took_key(push.queue, job, sent, now)
            }
            "replaced" => {
                let id = id.text()?;
                self.jobs[job.serial].outcome = Outcome::Added;
                self.settle_replacement(push.queue, job, sent, Some(&id));
                self.inherit_deletions(job.serial, &id, sent);
                self.learn_id(job.serial, &id, true)?;
                self.note_key(push.queue, job, sent, now);
                Ok(())
            }
            "duplicate" => {
                self.jobs[job.serial].outcome = Outcome::Dropped;
                let holder = id.text()?;
                match self.ids.get(&holder).and_then(|serials| serials.first()) {
                    Some(&serial) => self.check_holder(&holder, serial, push.queue, job),
                    // Its push was never answered.
                    None => Ok(()),
                }
            }
            "superseded" => {
                self.jobs[job.serial].outcome = Outcome::Dropped;
                if job.root.is_none() {
                    return Err("a push without a root was superseded".to_owned());
                }
                Ok(())
            }
            other => Err(format!("a push was answered {other}")),
        }
    }

    /// Whoever was asked to delete a job may yet delete the one that replaced it.
    pub(super) fn inherit_deletions(&mut self, serial: Serial, id: &str, sent: &Sent) {
        for other in self.ids.get(id).cloned().unwrap_or_default() {
            for end in self.jobs[other].ends.clone() {
                let replied = self.effects.get(end.effect).replied;
                if end.by == EndedBy::Deletion && replied.is_none_or(|replied| replied.seq > sent.at.seq) {
                    let effect = self.effects.split(end.effect);
                    self.end(serial, effect, EndedBy::Deletion);
                }
            }
        }
    }

    /// An id was told for a job.
    pub(super) fn learn_id(&mut self, serial: Serial, id: &str, replaces: bool) -> Result<(), String> {
        match &self.jobs[serial].id {
            Some(known) if known == id => return Ok(()),
            Some(known) => return Err(format!("job {serial} is called {id}, and was called {known}")),
            None => {}
        }
        let replaces =
            replaces || self.jobs[serial].terms.dedupe.as_ref().is_some_and(|dedupe| dedupe.replaces);
        let serials = self.ids.entry(id.to_owned()).or_default();
        if let Some(other) = serials.first()
            && !replaces
        {
            // A replacement whose reply did not come gives its id away later than the one that it replaced.
            let is_replacement = |serial: &Serial| {
                self.jobs[*serial].terms.dedupe.as_ref().is_some_and(|dedupe| dedupe.replaces)
            };
            if !serials.iter().any(is_replacement) {
                return Err(format!("the id {id} was issued twice, for job {other} and for job {serial}"));
            }
        }
        serials.push(serial);
        self.jobs[serial].id = Some(id.to_owned());
        Ok(())
    }

    fn check_holder(&self, id: &str, holder: Serial, queue: usize, job: &NewJob) -> Result<(), String> {
        let (held, wanted) = (&self.jobs[holder], job.dedupe.as_ref().map(|dedupe| dedupe.key));
        let key = held.terms.dedupe.as_ref().map(|dedupe| dedupe.key);
        if held.queue == queue && held.terms.group == job.group && key == wanted {
            return Ok(());
        }
        Err(format!("job {} is a duplicate of {id}, which never had its key", job.serial))
    }

    fn note_key(&mut self, queue: usize, job: &NewJob, sent: &Sent, now: Moment) {
        if let Some(dedupe) = &job.dedupe {
            let pushes = self.books[queue].keys.entry((job.group, dedupe.key)).or_default();
            pushes.push(KeyPush { serial: job.serial, sent: sent.at, replied: now });
        }
    }

    /// A push was added, so nobody held its key.
    fn took_key(&mut self, queue: usize, job: &NewJob, sent: &Sent, now: Moment) -> Result<(), String> {
        let Some(dedupe) = &job.dedupe else { return Ok(()) };
        let book = &self.books[queue];
        let plan = &self.plan.queues[queue];
        // A superseded job holds no key.
        if !plan.roots && !book.may_be_wiped_since(sent.at) {
            let earlier = book.keys.get(&(job.group, dedupe.key)).into_iter().flatten();
            for other in earlier.filter(|other| other.replied.seq < sent.at.seq) {
                if !book.may_be_wiped_since(other.sent) && self.holds_key(other, now) {
                    return Err(format!(
                        "job {} was added, although job {} holds its key k{}",
                        job.serial, other.serial, dedupe.key
                    ));
                }
            }
        }
        self.note_key(queue, job, sent, now);
        Ok(())
    }

    /// Whether a job holds its key until now for certain.
    fn holds_key(&self, other: &KeyPush, now: Moment) -> bool {
        let job = &self.jobs[other.serial];
        let Some(dedupe) = &job.terms.dedupe else { return false };
        let may_be_gone =
            job.ends.iter().any(|end| matches!(end.by, EndedBy::Deletion | EndedBy::Replacement(_)));
        if may_be_gone || self.push_status(other.serial) != Status::Certain {
            return false;
        }
        let life = self.effects.life();
        let is_known = !self.plan.clock_steps || self.effects.get(job.push).life == life;
        let in_window = is_known && now.ms < other.sent.ms + dedupe.window_ms;
        let is_claimed = job.claims.iter().any(|&claim| self.claims[claim].is_live(life, now.ms));
        // A job that died and came back may have lost its key to another.
        in_window || (dedupe.until_done && is_claimed && !self.plan.queues[job.queue].requeues)
    }
}
