//! What each event does to a queue: the one way in which state changes.
//!
//! Live, a decision encodes an event and calls its method here with the job at hand; replay decodes the event,
//! finds the job and calls the same method. Nothing here can fail, reads a clock or depends on a setting.
//! After reclaiming, the log may speak of jobs whose records are gone: their events do nothing, and the
//! snapshot that replaced those records comes later in the log.

use std::sync::Arc;

use stanchion_protocol::command::Until;

use crate::event::{Event, Gone};
use crate::figures::End;
use crate::heap::Moment;
use crate::hold::Holder;
use crate::job::{Job, KeyState, Stand};
use crate::notes::JobEvent;
use crate::packed::Packed48;
use crate::payload::Keep;
use crate::queue::{At, Queue, rate_us};
use crate::slab::NONE;
use crate::terms::{JobSnapshot, Spot, Terms};
use crate::{Damaged, Settings, SettingsError, SettingsPatch};

impl Queue {
    /// Applies an event of the log.
    pub(crate) fn replay(&mut self, at: At, event: &Event<'_>) -> Result<(), Damaged> {
        // Writing again what there is, is nothing that happens.
        if !matches!(event, Event::Job(_) | Event::Window { .. } | Event::RootKept { .. }) {
            self.touch(at);
        }
        // What a checkpoint says is not in the log, so all of the queue is to be written again some time.
        self.touched_base = 0;
        if let Some(id) = job_of(event) {
            match (self.find(id), event) {
                (Some(ix), event) => self.replay_on(at, ix, event),
                (None, &Event::Replace { id, pushed_at, epoch, ref terms }) => {
                    self.revive(at, id, pushed_at, epoch, terms);
                }
                (None, _) => {}
            }
            return Ok(());
        }
        match *event {
            Event::Push { id, ref terms } => {
                self.push(at, id, terms);
            }
            Event::Root { group, signature, timestamp } => self.root(at, group, signature, timestamp),
            Event::Due { through } => self.due(through),
            Event::Lapses { through, attempts_max } => self.lapses(at, through, attempts_max),
            Event::Expiries { through } => self.expire(at, through),
            Event::Buried { through } => self.bury(at, through),
            Event::WindowsOver { through } => self.windows_over(through),
            Event::RootOver { group, signature } => self.root_over(group, signature),
            Event::Pause { push_until, claim_until } => self.pause(push_until, claim_until),
            Event::Set { name, words } => self.set(at.now, name, words)?,
            Event::Unset { name } => self.unset(at.now, name)?,
            Event::Windowless => self.drop_windows(),
            Event::KeyFreed { group, key } => self.free_key(group, key),
            Event::Job(ref job) => self.restore_job(at, job, self.keep(at, job.terms.payload)),
            Event::JobBeside { ref job, logged } => {
                self.restore_job(at, job, logged.map_or(Keep::Pinned, |bytes| Keep::Log { bytes }));
            }
            Event::Window { group, key, holder, window_until } => {
                let group = self.group(group);
                self.add_window(at.base, group, key, holder, window_until);
            }
            Event::RootKept { group, signature, timestamp, registered_at } => {
                let group = self.group(group);
                self.register(at.base, group, signature, timestamp, registered_at);
            }
            Event::Queue { push_until, claim_until, rate_at, idle_since, totals } => {
                self.pause(push_until, claim_until);
                (self.rate_at, self.idle_since, self.totals) = (rate_at, idle_since, totals);
                self.snapshot_bytes -= self.settings_footprint();
                self.own = SettingsPatch::default();
                self.resolve_settings();
            }
            Event::QueueGone => unreachable!("the shard forgets queues"),
            Event::Based { .. } => unreachable!("the shard knows the base of the next event"),
            _ => unreachable!("events of a job were handled above"),
        }
        Ok(())
    }

    fn replay_on(&mut self, at: At, ix: u32, event: &Event<'_>) {
        let claimed = self.jobs[ix].is_claimed();
        match *event {
            Event::Replace { ref terms, .. } => self.replace(at, ix, terms),
            Event::Reroot { timestamp, .. } => self.reroot(ix, timestamp),
            Event::Claim { epoch, lease_until, rate_at, worker, .. } => {
                self.claim(at, ix, &Claiming { epoch, lease_until, rate_at, worker, version: None });
            }
            Event::Ack { .. } if claimed => self.ack(at, ix),
            Event::Nack { ready_at, error, .. } if claimed => self.nack(at, ix, ready_at, error),
            Event::Die { error, .. } if claimed => self.die(at, ix, error),
            Event::Release { delayed_until, .. } if claimed => self.release(ix, delayed_until),
            Event::Extend { lease_until, .. } if claimed => self.extend(ix, lease_until),
            Event::Lapse { attempts_max, .. } if claimed => self.lapse(at, ix, attempts_max),
            Event::Gone { why, .. } => self.gone(at, ix, why),
            Event::Requeue { takes_key, .. } => self.requeue(at, ix, takes_key),
            Event::Lost { reason, .. } => self.lose(at, ix, reason),
            _ => {}
        }
    }

    // --- producers

    pub(crate) fn push(&mut self, at: At, id: u64, terms: &Terms<'_>) -> u32 {
        self.totals.pushed += 1;
        let group = self.group(terms.group);
        let keep = self.keep(at, terms.payload);
        let ix = self.admit(at.base, Job::new(id, group, at.now, terms), terms, keep);
        self.take_terms(at, ix, terms);
        self.enter_waiting(ix, terms.delayed);
        self.note(ix, JobEvent::Pushed);
        ix
    }

    /// The holder takes the content of a push with its key. From here on this event is the job's base.
    pub(crate) fn replace(&mut self, at: At, ix: u32, terms: &Terms<'_>) {
        self.totals.replaced += 1;
        // A job that is replaced over and over must not send its group to the end of the turn each time.
        self.lift(ix);
        self.untag(ix);
        let keep = if self.jobs.base(ix) == at.base { Keep::Pinned } else { self.keep(at, terms.payload) };
        self.jobs.rebase(ix, at.base);
        self.set_payload(ix, terms.payload, keep);
        let job = &mut self.jobs[ix];
        (job.priority, job.ready_at) = (terms.priority, terms.ready_at.into());
        if job.extras != NONE {
            self.change_extras(ix, |extras| {
                (extras.attempts, extras.failures, extras.last_error) = (0, 0, None);
                (extras.attempts_max, extras.expires_at) = (None, Packed48::ZERO);
            });
        }
        self.take_terms(at, ix, terms);
        self.enter_waiting(ix, terms.delayed);
        self.leave_idle_turn(self.jobs[ix].group);
        self.note(ix, JobEvent::Replaced);
    }

    /// A job whose older records were reclaimed after its replacement.
    fn revive(&mut self, at: At, id: u64, pushed_at: u64, epoch: u64, terms: &Terms<'_>) {
        let group = self.group(terms.group);
        let keep = self.keep(at, terms.payload);
        let ix = self.admit(at.base, Job::new(id, group, pushed_at, terms), terms, keep);
        if epoch > 0 {
            self.extras_mut(ix).epoch = epoch;
        }
        self.take_terms(at, ix, terms);
        self.enter_waiting(ix, terms.delayed);
    }

    pub(crate) fn root(&mut self, at: At, group: &[u8], signature: &[u8], timestamp: u64) {
        let group = self.group(group);
        self.register(at.base, group, signature, timestamp, at.now);
    }

    /// A duplicate raises its holder's root, which was registered before.
    pub(crate) fn reroot(&mut self, ix: u32, timestamp: u64) {
        self.move_in_root(ix, timestamp);
    }

    /// What a push and a replace have in common.
    fn take_terms(&mut self, at: At, ix: u32, terms: &Terms<'_>) {
        if terms.attempts_max.is_some() || terms.expires_at > 0 {
            self.change_extras(ix, |extras| {
                (extras.attempts_max, extras.expires_at) = (terms.attempts_max, terms.expires_at.into());
            });
        }
        if let Some(key) = &terms.key {
            self.jobs[ix].until = key.until;
            self.take_key(at.base, ix, key.key, key.window_until, true);
        }
        if let Some((signature, timestamp)) = terms.root {
            let group = self.jobs[ix].group;
            let root = self.register(at.base, group, signature, timestamp, at.now);
            self.tag(ix, root, timestamp);
        }
    }

    fn enter_waiting(&mut self, ix: u32, delayed: bool) {
        if delayed { self.enter_delayed(ix) } else { self.enter_ready(ix) }
    }

    // --- consumers

    pub(crate) fn claim(&mut self, at: At, ix: u32, claiming: &Claiming<'_>) {
        self.totals.claims += 1;
        self.rate_at = claiming.rate_at;
        self.leave(ix);
        let waited = at.now.saturating_sub(self.jobs[ix].ready_at.get());
        let extras = self.extras_mut(ix);
        extras.attempts = extras.attempts.saturating_add(1);
        (extras.epoch, extras.claimed_at) = (claiming.epoch, at.now.into());
        extras.lease_until = claiming.lease_until.into();
        if self.jobs[ix].until == Until::Claim {
            self.end_hold(ix, at.now);
        }
        self.enter_claimed(ix);
        if !claiming.worker.is_empty() {
            self.give_to_worker(ix, claiming.worker, claiming.version);
        }
        self.end_turn(self.jobs[ix].group);
        self.latencies.get_or_insert_default().wait.record(waited);
        self.note(ix, JobEvent::Claimed);
    }

    pub(crate) fn ack(&mut self, at: At, ix: u32) {
        self.totals.acked += 1;
        self.note(ix, JobEvent::Acked);
        self.count_for_version(at, ix, End::Acked);
        self.end_run(at, ix);
        self.leave_hold(ix, at.now, false);
        self.untag(ix);
        self.dismiss(ix);
    }

    pub(crate) fn nack(&mut self, at: At, ix: u32, ready_at: u64, error: Option<&[u8]>) {
        self.totals.nacked += 1;
        self.count_for_version(at, ix, End::Nacked);
        self.end_run(at, ix);
        self.fail(ix, error);
        self.jobs[ix].ready_at = ready_at.into();
        self.enter_waiting(ix, ready_at > at.now);
    }

    pub(crate) fn die(&mut self, at: At, ix: u32, error: Option<&[u8]>) {
        self.totals.nacked += 1;
        self.count_for_version(at, ix, End::Nacked);
        self.end_run(at, ix);
        self.fail(ix, error);
        self.dead(at, ix);
    }

    pub(crate) fn release(&mut self, ix: u32, delayed_until: Option<u64>) {
        self.totals.released += 1;
        self.note(ix, JobEvent::Released);
        self.leave(ix);
        let extras = self.extras_mut(ix);
        extras.attempts = extras.attempts.saturating_sub(1);
        if let Some(until) = delayed_until {
            self.jobs[ix].ready_at = until.into();
        }
        self.enter_waiting(ix, delayed_until.is_some());
    }

    pub(crate) fn extend(&mut self, ix: u32, lease_until: u64) {
        self.leases.remove(&mut self.jobs, ix);
        self.extras_mut(ix).lease_until = lease_until.into();
        self.leases.insert(&mut self.jobs, &self.extras, ix);
    }

    /// A lease ended by itself.
    pub(crate) fn lapse(&mut self, at: At, ix: u32, attempts_max: u32) {
        self.totals.lapsed += 1;
        self.note(ix, JobEvent::Lapsed);
        self.count_for_version(at, ix, End::Lapsed);
        if self.superseded(ix) {
            return self.gone(at, ix, Gone::Superseded);
        }
        if self.extras(ix).last_error.is_none() {
            let reason = match self.worker(ix) {
                Some(worker) => [b"lapsed, worker ", &*worker.name].concat(),
                None => b"lapsed".to_vec(),
            };
            self.change_extras(ix, |extras| extras.last_error = Some(reason.into()));
        }
        self.end_run(at, ix);
        self.fail(ix, None);
        if self.may_retry(ix, attempts_max) {
            self.enter_ready(ix);
        } else {
            self.dead(at, ix);
        }
    }

    /// An attempt is over, however it ended.
    fn end_run(&mut self, at: At, ix: u32) {
        let ran = at.now.saturating_sub(self.extras(ix).claimed_at.get());
        self.leave(ix);
        self.latencies.get_or_insert_default().run.record(ran);
    }

    fn fail(&mut self, ix: u32, error: Option<&[u8]>) {
        let extras = self.extras_mut(ix);
        extras.failures = extras.failures.saturating_add(1);
        if let Some(error) = error {
            self.change_extras(ix, |extras| extras.last_error = Some(error.into()));
        }
    }

    fn dead(&mut self, at: At, ix: u32) {
        self.totals.died += 1;
        self.note(ix, JobEvent::Died);
        self.end_hold(ix, at.now);
        self.enter_dead(ix, at.now);
    }

    /// Its payload can't be read any more.
    pub(crate) fn lose(&mut self, at: At, ix: u32, reason: &[u8]) {
        let stand = self.jobs[ix].stand;
        if stand == Stand::Dead {
            self.bytes_dead -= self.payload_bytes(ix);
        }
        self.set_payload(ix, b"", Keep::Here);
        self.change_extras(ix, |extras| extras.last_error = Some(reason.into()));
        match stand {
            Stand::Dead => return,
            Stand::LeaseList | Stand::LeaseHeap => self.end_run(at, ix),
            _ => self.leave(ix),
        }
        self.dead(at, ix);
    }

    // --- leaving

    pub(crate) fn gone(&mut self, at: At, ix: u32, why: Gone) {
        let event = match why {
            Gone::Superseded => {
                self.totals.superseded += 1;
                JobEvent::Superseded
            }
            Gone::Expired => {
                self.totals.expired += 1;
                JobEvent::Expired
            }
            Gone::Deleted => JobEvent::Deleted,
        };
        self.note(ix, event);
        self.leave(ix);
        self.leave_hold(ix, at.now, why != Gone::Expired);
        self.untag(ix);
        self.dismiss(ix);
    }

    pub(crate) fn requeue(&mut self, at: At, ix: u32, takes_key: bool) {
        let was_dead = self.jobs[ix].stand == Stand::Dead;
        self.leave(ix);
        self.jobs[ix].ready_at = at.now.into();
        if was_dead {
            let extras = self.extras_mut(ix);
            (extras.attempts, extras.failures) = (0, 0);
        }
        if takes_key {
            match self.jobs[ix].key {
                KeyState::Lost => {
                    let key = self.key(ix).expect("a lost key is kept").to_vec();
                    self.take_key(at.base, ix, &key, 0, true);
                }
                KeyState::Window => self.renew_hold(ix),
                KeyState::None | KeyState::Held => {}
            }
        }
        self.enter_ready(ix);
        self.note(ix, JobEvent::Requeued);
    }

    // --- timers: everything up to a moment

    pub(crate) fn due(&mut self, through: Moment) {
        while let Some((_, ix)) = self.delayed.first().filter(|&(moment, _)| moment <= through) {
            self.leave(ix);
            self.enter_ready(ix);
        }
    }

    pub(crate) fn lapses(&mut self, at: At, through: Moment, attempts_max: u32) {
        while let Some((_, ix)) = self.first_lease().filter(|&(moment, _)| moment <= through) {
            self.lapse(at, ix, attempts_max);
        }
    }

    pub(crate) fn expire(&mut self, at: At, through: Moment) {
        while let Some((_, ix)) = self.expiries.first().filter(|&(moment, _)| moment <= through) {
            self.gone(at, ix, Gone::Expired);
        }
    }

    pub(crate) fn bury(&mut self, at: At, through: Moment) {
        while let Some((_, ix)) = self.dead.first().filter(|&(moment, _)| moment <= through) {
            self.note(ix, JobEvent::Forgotten);
            self.leave(ix);
            self.leave_hold(ix, at.now, false);
            self.untag(ix);
            self.dismiss(ix);
        }
    }

    pub(crate) fn windows_over(&mut self, through: Moment) {
        while let Some((_, ix)) = self.windows.first().filter(|&(moment, _)| moment <= through) {
            self.end_window(ix);
        }
    }

    fn root_over(&mut self, group: &[u8], signature: &[u8]) {
        let root = self.find_group(group).and_then(|group| self.find_root(group, signature));
        // A root whose jobs' records were reclaimed has none yet; one with jobs can't have been over.
        if let Some(root) = root.filter(|&root| self.roots[root].jobs == 0) {
            self.drop_root(root);
        }
    }

    // --- the queue itself

    pub(crate) fn pause(&mut self, push_until: u64, claim_until: u64) {
        (self.push_paused_until, self.claim_paused_until) = (push_until, claim_until);
    }

    pub(crate) fn set(&mut self, now: u64, name: &str, words: &str) -> Result<(), Damaged> {
        self.change_own(|own| own.set(name, words))?;
        self.resettle(now, name);
        Ok(())
    }

    pub(crate) fn unset(&mut self, now: u64, name: &str) -> Result<(), Damaged> {
        self.change_own(|own| own.unset(name).map(|_| ()))?;
        self.resettle(now, name);
        Ok(())
    }

    fn change_own(
        &mut self,
        change: impl FnOnce(&mut SettingsPatch) -> Result<(), SettingsError>,
    ) -> Result<(), Damaged> {
        let before = self.settings_footprint();
        let changed = change(&mut self.own);
        self.snapshot_bytes = self.snapshot_bytes - before + self.settings_footprint();
        changed.map_err(|error| Damaged(format!("a setting of the log: {error}")))
    }

    fn resettle(&mut self, now: u64, changed: &str) {
        self.resolve_settings();
        if changed == "rate" {
            self.limit_debt(now);
        }
        while self.aside.front != NONE {
            self.bring_back(self.aside.front);
        }
    }

    /// The bucket is empty at most: the debt of a slower rate is not that of the one that holds now.
    pub(crate) fn limit_debt(&mut self, now: u64) {
        if let Some(rate) = self.settings.rate {
            let (_, window_us) = rate_us(rate);
            self.rate_at = self.rate_at.min(now * 1_000 + window_us);
        }
    }

    fn resolve_settings(&mut self) {
        self.settings = Settings::resolve(&self.own, &self.file);
        if self.settings.notify {
            self.notes.get_or_insert_default();
        } else {
            self.notes = None;
        }
    }

    fn free_key(&mut self, group: &[u8], key: &[u8]) {
        if let Some(holder) = self.find_group(group).and_then(|group| self.find_holder(group, key)) {
            self.free(holder);
        }
    }

    /// Frees the keys of windows whose jobs are gone, all at once, as a purge in an old log did.
    fn drop_windows(&mut self) {
        let ownerless: Vec<u32> =
            self.holds.iter().filter(|(_, hold)| hold.owner == NONE).map(|(ix, _)| ix).collect();
        ownerless.into_iter().for_each(|ix| self.free(Holder::Hold(ix)));
    }

    /// After a restart: a lease ends no sooner than this.
    pub(crate) fn grant_grace(&mut self, until: u64) {
        // As a lease keeps it: one that can't be as late would be the first for ever.
        let until = Packed48::from(until).get();
        while let Some((_, ix)) = self.first_lease().filter(|&((at, _), _)| at < until) {
            self.extend(ix, until);
        }
    }

    // --- snapshots

    fn restore_job(&mut self, at: At, snapshot: &JobSnapshot<'_>, keep: Keep) {
        if let Some(old) = self.find(snapshot.id) {
            self.leave(old);
            self.leave_hold(old, at.now, true);
            self.untag(old);
            self.dismiss(old);
        }
        let terms = &snapshot.terms;
        let group = self.group(terms.group);
        let ix = self.admit(at.base, Job::new(snapshot.id, group, snapshot.pushed_at, terms), terms, keep);
        if terms.attempts_max.is_some()
            || terms.expires_at > 0
            || snapshot.epoch > 0
            || snapshot.attempts > 0
            || snapshot.failures > 0
            || snapshot.last_error.is_some()
        {
            self.change_extras(ix, |extras| {
                (extras.attempts_max, extras.expires_at) = (terms.attempts_max, terms.expires_at.into());
                (extras.attempts, extras.failures) = (snapshot.attempts, snapshot.failures);
                extras.epoch = snapshot.epoch;
                extras.last_error = snapshot.last_error.map(Into::into);
            });
        }
        if let Some(key) = terms.key.filter(|_| snapshot.owns_key) {
            self.take_key(at.base, ix, key.key, key.window_until, snapshot.held);
        }
        if let Some((signature, timestamp)) = terms.root {
            let root = match self.find_root(group, signature) {
                Some(root) if self.roots[root].newest >= timestamp => root,
                _ => self.register(at.base, group, signature, timestamp, snapshot.pushed_at),
            };
            self.tag(ix, root, timestamp);
        }
        match snapshot.spot {
            Spot::Ready => self.reenter_ready(ix),
            Spot::Delayed => self.enter_delayed(ix),
            Spot::Claimed { lease_until, claimed_at } => {
                let extras = self.extras_mut(ix);
                (extras.claimed_at, extras.lease_until) = (claimed_at.into(), lease_until.into());
                self.enter_claimed(ix);
                if let Some(worker) = snapshot.worker {
                    self.give_to_worker(ix, worker, None);
                }
            }
            Spot::Dead { died_at } => self.enter_dead(ix, died_at),
        }
    }
}

/// What a claim decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claiming<'a> {
    pub(crate) epoch: u64,
    pub(crate) lease_until: u64,
    pub(crate) rate_at: u64,
    pub(crate) worker: &'a [u8],
    /// Of the worker; nothing of it is logged.
    pub(crate) version: Option<&'a Arc<[u8]>>,
}

/// The job that an event is about, for those that need it to be there.
fn job_of(event: &Event<'_>) -> Option<u64> {
    match *event {
        Event::Replace { id, .. }
        | Event::Reroot { id, .. }
        | Event::Claim { id, .. }
        | Event::Ack { id }
        | Event::Nack { id, .. }
        | Event::Die { id, .. }
        | Event::Release { id, .. }
        | Event::Extend { id, .. }
        | Event::Lapse { id, .. }
        | Event::Gone { id, .. }
        | Event::Requeue { id, .. }
        | Event::Lost { id, .. } => Some(id),
        _ => None,
    }
}
