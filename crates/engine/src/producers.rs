//! Decisions of QPUSH, QMPUSH and QROOT.

use std::collections::HashMap;

use stanchion_protocol::command::{Dedupe, NewJob, RootTag, State, When};
use stanchion_protocol::id::JobId;
use stanchion_protocol::limits::DURATION_MS_MAX;

use crate::event::{Event, Part};
use crate::hold::{Holder, Holding};
use crate::queue::{At, Queue, column};
use crate::slab::NONE;
use crate::tag::Tag;
use crate::terms::{KeyTerms, Terms};
use crate::{Pushed, Refusal};

impl Queue {
    /// Whether these pushes are let in, all of them: the checks that come before and after each push's own.
    pub(crate) fn admits(&self, now: u64, jobs: &[NewJob<'_>]) -> Result<(), Refusal> {
        let too_far = jobs.iter().find_map(|job| match job.when {
            When::At(at) if at > now.saturating_add(DURATION_MS_MAX) => Some(at),
            _ => None,
        });
        if let Some(at) = too_far {
            return Err(Refusal::TooFar { at });
        }
        if self.push_paused_until > now {
            return Err(Refusal::Paused { queue: self.printable_name() });
        }
        let (jobs_max, bytes_max) = (self.settings.jobs_max, self.settings.bytes_max);
        if jobs_max == 0 && bytes_max == 0 {
            return Ok(());
        }
        let added = self.would_add(now, jobs);
        let count = self.jobs.len() as u64 - self.counts[column(State::Dead)];
        if jobs_max > 0 && !added.is_empty() && count + added.len() as u64 > jobs_max {
            return Err(Refusal::FullJobs { queue: self.printable_name(), limit: jobs_max });
        }
        let bytes: u64 = added.iter().map(|job| job.payload.len() as u64).sum();
        if bytes_max > 0 && !added.is_empty() && self.bytes - self.bytes_dead + bytes > bytes_max {
            return Err(Refusal::FullBytes { queue: self.printable_name(), limit: bytes_max });
        }
        Ok(())
    }

    /// The jobs that would be added, were they pushed in order: neither superseded nor duplicates, of what is
    /// here or of each other.
    fn would_add<'a, 'j>(&self, now: u64, jobs: &'a [NewJob<'j>]) -> Vec<&'a NewJob<'j>> {
        let mut holders: HashMap<(&[u8], &[u8]), Expected<'_>> = HashMap::new();
        let mut roots: HashMap<(&[u8], &[u8]), u64> = HashMap::new();
        let mut adds = |job: &&'a NewJob<'j>| {
            let group = self.find_group(job.group);
            let is_older = |root: &RootTag<'_>| {
                let newest = roots.get(&(job.group, root.signature));
                newest.is_some_and(|newest| root.timestamp < *newest)
            };
            if job.root.is_some_and(|root| self.is_older(group, &root) || is_older(&root)) {
                return false;
            }
            let pushed = Expected { is_waiting: true, root: job.root };
            let mut is_added = true;
            if let Some(dedupe) = &job.dedupe {
                let key = (job.group, dedupe.key);
                let known = holders.get(&key).copied();
                let holder =
                    known.or_else(|| self.holder(now, group, dedupe).map(|holder| self.expect(holder)));
                let holder = holder.filter(|holder| !holder.root.is_some_and(|root| is_older(&root)));
                is_added = holder.is_none();
                let replaces = holder.is_some_and(|holder| holder.is_waiting && dedupe.replace);
                let next = holder.filter(|_| !replaces).map_or(pushed, |holder| holder.raised(job.root));
                holders.insert(key, next);
            }
            if let Some(root) = &job.root {
                roots.insert((job.group, root.signature), root.timestamp);
            }
            is_added
        };
        jobs.iter().filter(|job| adds(job)).collect()
    }

    /// A holder as it is before a push of several jobs.
    fn expect(&self, holder: Holder) -> Expected<'_> {
        let Holding { owner, .. } = self.holding(holder);
        if owner == NONE || !self.is_waiting(owner) {
            return Expected { is_waiting: false, root: None };
        }
        let tag =
            |tag: &Tag| RootTag { signature: &self.roots[tag.root].signature, timestamp: tag.timestamp };
        Expected { is_waiting: true, root: self.tag_of(owner).map(tag) }
    }

    /// Decides one push; `next_id` is used when it is added.
    pub(crate) fn decide_push(
        &mut self,
        at: At,
        part: &mut Part<'_>,
        job: &NewJob<'_>,
        next_id: impl FnOnce() -> u64,
    ) -> Pushed {
        let group = self.find_group(job.group);
        if job.root.is_some_and(|root| self.is_older(group, &root)) {
            self.superseded_pushes += 1;
            return Pushed::Superseded;
        }
        let terms = terms(at.now, job);
        let holder = job.dedupe.and_then(|dedupe| self.holder(at.now, group, &dedupe));
        if let Some(holder) = holder {
            let Holding { owner, id: holder, .. } = self.holding(holder);
            if owner != NONE && self.is_waiting(owner) && job.dedupe.is_some_and(|dedupe| dedupe.replace) {
                let held = &self.jobs[owner];
                let keeps_place = held.state() == State::Ready && !terms.delayed;
                let terms = Terms {
                    ready_at: if keeps_place { held.ready_at.get() } else { terms.ready_at },
                    ..terms
                };
                let (pushed_at, epoch) = (held.pushed_at.get(), self.extras(owner).epoch);
                part.add(&self.name, &Event::Replace { id: holder, pushed_at, epoch, terms });
                self.replace(at, owner, &terms);
                return Pushed::Replaced(JobId(holder));
            }
            if let Some(root) = &job.root {
                self.note_root(at, part, job.group, root);
                self.raise_root(part, owner, root);
            }
            self.totals.duplicates += 1;
            return Pushed::Duplicate(JobId(holder));
        }
        let id = next_id();
        part.add(&self.name, &Event::Push { id, terms });
        self.push(at, id, &terms);
        if terms.delayed { Pushed::Delayed(JobId(id)) } else { Pushed::Ready(JobId(id)) }
    }

    /// Registers a root; false when a newer one is registered.
    pub(crate) fn decide_root(
        &mut self,
        at: At,
        part: &mut Part<'_>,
        group: &[u8],
        root: &RootTag<'_>,
    ) -> bool {
        let known = self.find_group(group).and_then(|group| self.find_root(group, root.signature));
        if known.is_some_and(|known| self.roots[known].newest > root.timestamp) {
            return false;
        }
        // Registered again with the same timestamp, it is remembered for longer.
        let RootTag { signature, timestamp } = *root;
        part.add(&self.name, &Event::Root { group, signature, timestamp });
        self.root(at, group, signature, timestamp);
        true
    }

    /// A duplicate's root counts, too; one that is known already is no event.
    fn note_root(&mut self, at: At, part: &mut Part<'_>, group: &[u8], root: &RootTag<'_>) {
        let known = self.find_group(group).and_then(|group| self.find_root(group, root.signature));
        if known.is_none_or(|known| self.roots[known].newest < root.timestamp) {
            self.decide_root(at, part, group, root);
        }
    }

    /// A duplicate lends its newer root to the job that it duplicates, so that dedupe and superseding
    /// together never lose the last word.
    fn raise_root(&mut self, part: &mut Part<'_>, owner: u32, root: &RootTag<'_>) {
        if owner == NONE || self.jobs[owner].state() == State::Dead {
            return;
        }
        let Some(own) = self.tag_of(owner) else { return };
        if *self.roots[own.root].signature == *root.signature && own.timestamp < root.timestamp {
            let (id, timestamp) = (self.jobs[owner].id, root.timestamp);
            part.add(&self.name, &Event::Reroot { id, timestamp });
            self.reroot(owner, timestamp);
        }
    }

    /// A newer timestamp than this is registered.
    fn is_older(&self, group: Option<u32>, root: &RootTag<'_>) -> bool {
        let known = group.and_then(|group| self.find_root(group, root.signature));
        known.is_some_and(|known| self.roots[known].newest > root.timestamp)
    }

    /// The holder that makes a push with this key a duplicate.
    fn holder(&self, now: u64, group: Option<u32>, dedupe: &Dedupe<'_>) -> Option<Holder> {
        self.find_holder(group?, dedupe.key).filter(|&holder| self.in_force(holder, now))
    }

    pub(crate) fn printable_name(&self) -> String {
        self.name.escape_ascii().to_string()
    }
}

/// Who will hold a dedupe key, as far as it matters to the pushes behind it in a command.
#[derive(Clone, Copy)]
struct Expected<'a> {
    is_waiting: bool,
    /// Of one that waits: with an older one it holds nothing.
    root: Option<RootTag<'a>>,
}

impl<'a> Expected<'a> {
    /// After a duplicate with this root.
    fn raised(self, by: Option<RootTag<'a>>) -> Expected<'a> {
        let is_newer = |own: &RootTag<'_>, by: &RootTag<'_>| {
            own.signature == by.signature && own.timestamp < by.timestamp
        };
        match (self.root, by) {
            (Some(own), Some(by)) if is_newer(&own, &by) => Expected { root: Some(by), ..self },
            _ => self,
        }
    }
}

/// Makes a push's times absolute.
fn terms<'a>(now: u64, job: &NewJob<'a>) -> Terms<'a> {
    let ready_at = match job.when {
        When::Now => now,
        When::Delay(ms) => now.saturating_add(ms),
        When::At(at) => at.max(now),
    };
    Terms {
        payload: job.payload,
        group: job.group,
        priority: job.priority,
        delayed: ready_at > now,
        ready_at,
        expires_at: job.ttl_ms.map_or(0, |ttl| ready_at.saturating_add(ttl)),
        attempts_max: job.attempts_max,
        key: job.dedupe.map(|dedupe| KeyTerms {
            key: dedupe.key,
            until: dedupe.until,
            window_until: if dedupe.window_ms > 0 { now.saturating_add(dedupe.window_ms) } else { 0 },
        }),
        root: job.root.map(|root| (root.signature, root.timestamp)),
    }
}
