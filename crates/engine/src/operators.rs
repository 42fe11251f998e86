//! Decisions of the operators' commands.

use stanchion_protocol::command::{Pause, State};
use stanchion_protocol::id::JobId;

use crate::event::{Event, Gone, Part};
use crate::hold::Holder;
use crate::job::{Job, KeyState, Stand};
use crate::queue::{At, Queue, column};
use crate::slab::NONE;
use crate::{Durability, Now, Refusal, Settings, SettingsPatch, Shard, Source, Step, limits, settings};

/// How far a purge got, and what was there when it began.
#[derive(Clone, Debug)]
pub struct Purge {
    next: u32,
    /// The same of windows, once the jobs are gone.
    next_window: u32,
    through: JobId,
}

impl Purge {
    /// A purge of what is there now.
    pub fn begin(shard: &Shard) -> Purge {
        Purge { next: 0, next_window: 0, through: shard.newest_id() }
    }
}

/// How far a QREQUEUE DEAD got, and which jobs were dead when it began.
#[derive(Clone, Debug)]
pub struct Requeue {
    pub(crate) next: u32,
    /// Jobs that died later stay dead, lest those that fail again at once have no end.
    through_ms: u64,
    left: u64,
}

impl Requeue {
    /// A requeue of what is dead now, of `count` jobs at most.
    pub fn begin(shard: &Shard, now: Now, count: Option<u64>) -> Requeue {
        Requeue { next: 0, through_ms: shard.last_now().max(now.ms), left: count.unwrap_or(u64::MAX) }
    }
}

impl Shard {
    /// QREQUEUE of ids: dead or delayed jobs are ready now; how many.
    pub fn requeue(&mut self, now: Now, queue: &[u8], ids: &[JobId], log: &mut Vec<u8>) -> u64 {
        self.change(now, queue, log, |queue, at, part| {
            let jobs = ids.iter().filter(|&&id| {
                let job = queue.find(id.0);
                job.is_some_and(|ix| queue.decide_requeue(at, part, ix))
            });
            jobs.count() as u64
        })
    }

    /// One step of QREQUEUE DEAD: how many were requeued in it.
    pub fn requeue_dead(
        &mut self,
        now: Now,
        queue: &[u8],
        group: Option<&[u8]>,
        requeue: &mut Requeue,
        log: &mut Vec<u8>,
    ) -> Step<u64> {
        let mut done = true;
        let requeued = self.change(now, queue, log, |queue, at, part| {
            let dead = match group {
                None => queue.next_dead(requeue),
                Some(group) => queue.next_dead_of(group, requeue),
            };
            let (Step::More(jobs) | Step::Done(jobs)) = &dead;
            done = matches!(dead, Step::Done(_));
            jobs.iter().filter(|&&ix| queue.decide_requeue(at, part, ix)).count() as u64
        });
        requeue.left -= requeued;
        if done || requeue.left == 0 { Step::Done(requeued) } else { Step::More(requeued) }
    }

    /// QDEL of ids, in any state; how many.
    pub fn delete(&mut self, now: Now, queue: &[u8], ids: &[JobId], log: &mut Vec<u8>) -> u64 {
        self.change(now, queue, log, |queue, at, part| {
            let jobs = ids.iter().filter(|&&id| match queue.find(id.0) {
                Some(ix) => {
                    queue.decide_gone(at, part, ix, Gone::Deleted);
                    true
                }
                None => false,
            });
            jobs.count() as u64
        })
    }

    /// QDEL of the job that holds a dedupe key; a window whose job is gone ends, too.
    pub fn delete_key(&mut self, now: Now, queue: &[u8], group: &[u8], key: &[u8], log: &mut Vec<u8>) -> u64 {
        self.change(now, queue, log, |queue, at, part| {
            if let Some(ix) = queue.find_by_key(at.now, group, key) {
                queue.decide_gone(at, part, ix, Gone::Deleted);
                return 1;
            }
            let window = queue.find_group(group).and_then(|group| queue.find_holder(group, key));
            if let Some(holder) = window.filter(|&holder| queue.holding(holder).owner == NONE) {
                part.add(&queue.name, &Event::KeyFreed { group, key });
                queue.free(holder);
            }
            0
        })
    }

    /// One step of QPURGE: how many were deleted in it.
    pub fn purge(
        &mut self,
        now: Now,
        queue: &[u8],
        state: Option<State>,
        group: Option<&[u8]>,
        purge: &mut Purge,
        log: &mut Vec<u8>,
    ) -> Step<u64> {
        let mut done = true;
        let deleted = self.change(now, queue, log, |queue, at, part| {
            let mut deleted = 0;
            let end = queue.jobs.slots();
            let stop = end.min(purge.next.saturating_add(limits::SCAN_SLOTS_MAX as u32));
            while purge.next < stop && deleted < limits::STEP_JOBS_MAX as u64 {
                let ix = purge.next;
                purge.next += 1;
                if queue.matches(ix, state, group) && queue.jobs[ix].id <= purge.through.0 {
                    queue.decide_gone(at, part, ix, Gone::Deleted);
                    deleted += 1;
                }
            }
            done = purge.next >= end;
            if done && state.is_none() && group.is_none() {
                done = queue.purge_windows(part, purge, limits::STEP_JOBS_MAX - deleted as usize);
            }
            deleted
        });
        if done { Step::Done(deleted) } else { Step::More(deleted) }
    }

    /// DEL: the queue is gone at once, in one record; its memory is freed in the background.
    pub fn delete_queue(&mut self, now: Now, queue: &[u8], log: &mut Vec<u8>) -> bool {
        let at = self.at(now);
        let Some(ix) = self.find(queue) else { return false };
        Part::new(log, at.now).add(queue, &Event::QueueGone);
        self.remove_queue(ix);
        true
    }

    /// QPAUSE; pauses add up.
    pub fn pause(&mut self, now: Now, queue: &[u8], what: Pause, for_ms: Option<u64>, log: &mut Vec<u8>) {
        self.change_or_make(now, queue, log, |queue, at, part| {
            let until = for_ms.map_or(u64::MAX, |ms| at.now.saturating_add(ms));
            let raised = |now: u64, wanted: bool| if wanted { now.max(until) } else { now };
            let push_until = raised(queue.push_paused_until, what != Pause::Claim);
            let claim_until = raised(queue.claim_paused_until, what != Pause::Push);
            part.add(&queue.name, &Event::Pause { push_until, claim_until });
            queue.pause(push_until, claim_until);
        });
    }

    /// QRESUME: all pauses end.
    pub fn resume(&mut self, now: Now, queue: &[u8], log: &mut Vec<u8>) {
        self.change(now, queue, log, |queue, _, part| {
            if (queue.push_paused_until, queue.claim_paused_until) != (0, 0) {
                part.add(&queue.name, &Event::Pause { push_until: 0, claim_until: 0 });
                queue.pause(0, 0);
            }
            0
        });
    }

    /// QCONFIG SET, all pairs or none.
    ///
    /// # Errors
    /// Names the setting or the value at fault; then nothing has changed.
    pub fn config_set(
        &mut self,
        now: Now,
        queue: &[u8],
        pairs: &[(&[u8], &[u8])],
        log: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut checked = SettingsPatch::default();
        for &(name, words) in pairs {
            checked.set(text(name)?, text(words)?).map_err(|error| Refusal::Setting(error.to_string()))?;
        }
        self.change_or_make(now, queue, log, |queue, at, part| {
            for (name, words) in checked.iter() {
                part.add(&queue.name, &Event::Set { name, words });
                queue.set(at.now, name, words).expect("the setting was checked");
            }
            queue.decide_burial(at, part);
        });
        Ok(())
    }

    /// QCONFIG UNSET.
    ///
    /// # Errors
    /// Names an unknown setting; then nothing has changed.
    pub fn config_unset(
        &mut self,
        now: Now,
        queue: &[u8],
        keys: &[&[u8]],
        log: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let names = settings::names_of(&keys.iter().map(|key| text(key)).collect::<Result<Vec<_>, _>>()?)
            .map_err(|error| Refusal::Setting(error.to_string()))?;
        self.change(now, queue, log, |queue, at, part| {
            for name in names {
                if queue.own.get(name).is_some() {
                    part.add(&queue.name, &Event::Unset { name });
                    queue.unset(at.now, name).expect("the setting is in the table");
                }
            }
            queue.decide_burial(at, part);
            0
        });
        Ok(())
    }

    /// QCONFIG GET: each setting's name, value and source.
    ///
    /// # Errors
    /// Names an unknown setting.
    pub fn config_get(
        &self,
        queue: &[u8],
        key: Option<&[u8]>,
    ) -> Result<Vec<(&'static str, String, Source)>, Refusal> {
        let key = key.map(text).transpose()?;
        let shown = match self.find(queue) {
            Some(ix) => settings::show(&self.queues[ix].own, &self.queues[ix].file, key),
            None => settings::show(&SettingsPatch::default(), &(self.file)(queue), key),
        };
        shown.map_err(|error| Refusal::Setting(error.to_string()))
    }

    /// The queue's durability; `Lane` unless it or the file sets one. Of a queue that is not there it is the file's:
    /// a crash that brings a deleted queue back would make a lie of what was said about it.
    pub fn durability(&self, queue: &[u8]) -> Durability {
        self.find(queue);
        self.durability_of_found(queue)
    }

    /// The same of the queue that the last command was about, which is found already.
    #[inline]
    pub fn durability_of_found(&self, queue: &[u8]) -> Durability {
        match self.queues.get(self.found.get()) {
            Some(found) => {
                debug_assert_eq!(*found.name, *queue, "the last command was about another queue");
                found.settings.durability
            }
            None => self.durability_of_missing(queue),
        }
    }

    #[cold]
    fn durability_of_missing(&self, queue: &[u8]) -> Durability {
        let file = (self.file)(queue);
        match file.get("durability") {
            Some(_) => Settings::resolve(&SettingsPatch::default(), &file).durability,
            None => Durability::Lane,
        }
    }

    /// Changes a queue, if it is there.
    pub(crate) fn change(
        &mut self,
        now: Now,
        queue: &[u8],
        log: &mut Vec<u8>,
        change: impl FnOnce(&mut Queue, At, &mut Part<'_>) -> u64,
    ) -> u64 {
        let at = self.at(now);
        let Some(ix) = self.find(queue) else { return 0 };
        let mut part = self.part(at, ix, log);
        let count = change(&mut self.queues[ix], at, &mut part);
        self.after(at, ix, part);
        count
    }

    /// Changes a queue, which is made if need be.
    fn change_or_make(
        &mut self,
        now: Now,
        queue: &[u8],
        log: &mut Vec<u8>,
        change: impl FnOnce(&mut Queue, At, &mut Part<'_>),
    ) {
        let at = self.at(now);
        let ix = self.find_or_make(queue, at.now);
        let mut part = self.part(at, ix, log);
        change(&mut self.queues[ix], at, &mut part);
        self.after(at, ix, part);
    }
}

impl Requeue {
    /// Most jobs of one step.
    fn step_jobs(&self) -> usize {
        self.left.min(limits::STEP_JOBS_MAX as u64) as usize
    }
}

impl Queue {
    /// The dead jobs that a step requeues, the oldest first.
    fn next_dead(&self, requeue: &Requeue) -> Step<Vec<u32>> {
        let died = self.dead.in_order().take_while(|&((died_at, _), _)| died_at <= requeue.through_ms);
        let dead: Vec<u32> = died.map(|(_, ix)| ix).take(requeue.step_jobs()).collect();
        if dead.len() < requeue.step_jobs() { Step::Done(dead) } else { Step::More(dead) }
    }

    /// Those of one group. Jobs of others stay at the front of the heap, where each step would meet them again; their
    /// slots are looked at once.
    fn next_dead_of(&self, group: &[u8], requeue: &mut Requeue) -> Step<Vec<u32>> {
        let of_group = self.count_in(State::Dead, Some(group)) as usize;
        let most = of_group.min(requeue.step_jobs());
        let end = self.jobs.slots();
        let stop = end.min(requeue.next.saturating_add(limits::SCAN_SLOTS_MAX as u32));
        let mut dead = Vec::new();
        while requeue.next < stop && dead.len() < most {
            let ix = requeue.next;
            requeue.next += 1;
            let is_dead = self.matches(ix, Some(State::Dead), Some(group));
            if is_dead && self.dead.at(self.jobs[ix].link_a).0 <= requeue.through_ms {
                dead.push(ix);
            }
        }
        if requeue.next >= end || dead.len() == of_group { Step::Done(dead) } else { Step::More(dead) }
    }

    /// Makes a dead or delayed job ready; false for one in another state.
    fn decide_requeue(&mut self, at: At, part: &mut Part<'_>, ix: u32) -> bool {
        let &Job { id, stand, key, .. } = &self.jobs[ix];
        if !matches!(stand, Stand::Dead | Stand::Delayed) {
            return false;
        }
        // Its own window does not stand in its way.
        let takes_key = match key {
            KeyState::None => false,
            KeyState::Held | KeyState::Window => true,
            KeyState::Lost => self.decide_to_free_key(at, part, ix),
        };
        part.add(&self.name, &Event::Requeue { id, takes_key });
        self.requeue(at, ix, takes_key);
        true
    }

    /// Whether a job may have its key back. A holder that is not in force loses it, which is said before the job
    /// takes it: of a holder that is newer than the job the log has more, and a replay that knows the job no longer
    /// would leave that its window.
    fn decide_to_free_key(&mut self, at: At, part: &mut Part<'_>, ix: u32) -> bool {
        let group = self.jobs[ix].group;
        let key = self.key(ix).expect("a job that lost its key has one");
        let Some(holder) = self.find_holder(group, key) else { return true };
        if self.in_force(holder, at.now) {
            return false;
        }
        part.add(&self.name, &Event::KeyFreed { group: &self.groups[group].name, key });
        self.free(holder);
        true
    }

    /// The job that holds a dedupe key, by itself or by its window.
    pub(crate) fn find_by_key(&self, now: u64, group: &[u8], key: &[u8]) -> Option<u32> {
        let holder = self.find_holder(self.find_group(group)?, key)?;
        Some(self.holding(holder).owner).filter(|&owner| owner != NONE && self.in_force(holder, now))
    }

    pub(crate) fn matches(&self, ix: u32, state: Option<State>, group: Option<&[u8]>) -> bool {
        self.jobs.get(ix).is_some_and(|job| {
            state.is_none_or(|state| job.state() == state)
                && group.is_none_or(|group| *self.groups[job.group].name == *group)
        })
    }

    /// Frees the keys of windows whose jobs are gone, at most `left` of them; true when all are.
    fn purge_windows(&mut self, part: &mut Part<'_>, purge: &mut Purge, mut left: usize) -> bool {
        let end = if self.windows.len() > 0 { self.holds.slots() } else { 0 };
        let stop = end.min(purge.next_window.saturating_add(limits::SCAN_SLOTS_MAX as u32));
        while purge.next_window < stop && left > 0 {
            let ix = purge.next_window;
            purge.next_window += 1;
            let hold = self.holds.get(ix).filter(|hold| hold.owner == NONE && hold.holder <= purge.through.0);
            if let Some(hold) = hold {
                let (group, key) = (&*self.groups[hold.group].name, self.key_of_hold(hold));
                part.add(&self.name, &Event::KeyFreed { group, key });
                self.free(Holder::Hold(ix));
                left -= 1;
            }
        }
        purge.next_window >= end
    }

    pub(crate) fn count_in(&self, state: State, group: Option<&[u8]>) -> u64 {
        match group {
            None => self.counts[column(state)],
            Some(name) => {
                self.find_group(name).map_or(0, |ix| u64::from(self.groups[ix].counts[column(state)]))
            }
        }
    }
}

fn text(word: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(word)
        .map_err(|_| Refusal::Setting(format!("'{}' is neither a setting nor a value", word.escape_ascii())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ShardConfig;

    #[test]
    fn a_queue_that_is_not_there_has_the_durability_of_the_file() {
        let file = |queue: &[u8]| {
            let mut patch = SettingsPatch::default();
            if queue == b"mail" {
                patch.set("durability", "always").unwrap();
            }
            patch
        };
        let mut shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file: Arc::new(file) });
        let (now, mut log) = (Now { ms: 1, entropy: 0 }, Vec::new());
        assert_eq!(shard.durability(b"mail"), Durability::Always);
        assert_eq!(shard.durability(b"other"), Durability::Lane);
        shard.pause(now, b"mail", Pause::Claim, None, &mut log);
        assert_eq!(shard.durability(b"mail"), Durability::Always);
        assert!(shard.delete_queue(now, b"mail", &mut log));
        assert_eq!(shard.durability(b"mail"), Durability::Always, "a crash may bring it back");
    }
}
