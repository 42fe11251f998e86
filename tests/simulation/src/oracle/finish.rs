//! The end of a run: every job that was acknowledged has ended, and it is known how.

use std::collections::BTreeSet;

use super::effects::{Moment, Status};
use super::{Oracle, Outcome};
use crate::ask::Serial;
use crate::wire::Reply;

impl Oracle {
    /// A job is seen at the end, without being claimed; gives its number.
    pub(crate) fn seen(&mut self, queue: usize, job: &Reply, now_ms: u64) -> Result<Serial, String> {
        let now = self.moment(now_ms);
        self.look_at(queue, job, now, now)
    }

    /// A job is there, as a reply shows that was asked for at this moment; gives its number.
    pub(super) fn look_at(
        &mut self,
        queue: usize,
        job: &Reply,
        sent: Moment,
        now: Moment,
    ) -> Result<Serial, String> {
        let Some(payload) = job.field("payload") else { return Err(format!("{job} is no job")) };
        let serial = self.known_payload(payload, queue)?;
        let tell = |problem: String| format!("job {serial} is there, but {problem}");
        if let Some(id) = job.field("id") {
            let id = id.text()?;
            self.books[queue].heard.check(&id, sent).map_err(tell)?;
            self.learn_id(serial, &id, false).map_err(tell)?;
        }
        self.exists(serial, now).map_err(tell)?;
        self.not_ended(serial, sent).map_err(tell)?;
        Ok(serial)
    }

    /// Nothing is left but these dead jobs.
    pub(crate) fn finish(&mut self, dead: &BTreeSet<Serial>, now_ms: u64) -> Result<(), String> {
        let now = self.moment(now_ms);
        for id in self.books.iter().flat_map(|book| book.heard.pushed()) {
            // Of several one has replaced the other, which may never have been told apart.
            if let Some([serial]) = self.ids.get(id).map(Vec::as_slice) {
                self.effects.promise(self.jobs[*serial].push);
            }
        }
        for serial in 0..self.jobs.len() {
            if !dead.contains(&serial) && self.is_missing(serial, now) {
                let job = &self.jobs[serial];
                let id = job.id.as_deref().unwrap_or("never told");
                return Err(format!("the acknowledged job {serial} (id {id}) is lost: {:?}", job.terms));
            }
            if self.push_status(serial) == Status::Perhaps
                && self.effects.get(self.jobs[serial].push).replied.is_some()
            {
                self.tally.lost += 1;
            }
        }
        self.effects.check_order()
    }

    fn is_missing(&self, serial: Serial, now: Moment) -> bool {
        let job = &self.jobs[serial];
        if job.outcome == Outcome::Dropped || self.push_status(serial) != Status::Certain {
            return false;
        }
        // An unanswered push that is known to have happened by another's evidence may have been a duplicate.
        let has_ended = job.ends.iter().any(|end| self.effects.status(end.effect) != Status::Lost)
            || (job.outcome == Outcome::Unknown && job.claims.is_empty());
        let sent_ms = self.effects.get(job.push).sent.ms;
        let is_over = |ttl| sent_ms + job.terms.delay_ms + ttl <= now.ms || self.plan.clock_steps;
        let may_be_expired = job.terms.ttl_ms.is_some_and(is_over);
        !has_ended && !may_be_expired && !self.may_be_superseded(serial)
    }

    fn may_be_superseded(&self, serial: Serial) -> bool {
        let job = &self.jobs[serial];
        let Some(root) = &job.terms.root else { return false };
        let roots = self.books[job.queue].roots.get(&(job.terms.group, root.signature));
        roots.into_iter().flatten().any(|(timestamp, effect)| {
            *timestamp > root.timestamp && self.effects.status(*effect) != Status::Lost
        })
    }
}
