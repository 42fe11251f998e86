//! QREQUEUE, QDEL, QPURGE, DEL, QPAUSE, QRESUME and QCONFIG.

use stanchion_protocol::command::{Pause, Selection, State, Which};
use stanchion_protocol::id::JobId;

use crate::{JobEvent, Shard};

use super::settings::Bucket;
use super::{Job, Model, Queue, Verdict, must, seen};

impl Model {
    /// QREQUEUE.
    pub(crate) fn requeue(
        &mut self,
        now: u64,
        name: &[u8],
        jobs: &Selection<'_>,
        answer: u64,
        shard: &Shard,
    ) -> Verdict {
        let Some(queue) = self.existing(name) else {
            must!(answer == 0, "a missing queue has nothing to requeue");
            return Ok(());
        };
        match jobs {
            Selection::Ids(ids) => {
                let count = ids.iter().filter(|id| queue.requeue(now, **id)).count() as u64;
                must!(count == answer, "QREQUEUE answers {count}, not {answer}");
            }
            Selection::Dead { group, count } => {
                let dead =
                    |job: &&Job| job.state == State::Dead && group.is_none_or(|group| job.group == group);
                let mut dead: Vec<&Job> = queue.jobs.iter().filter(dead).collect();
                dead.sort_by_key(|job| (job.died_at, job.id));
                let dead: Vec<JobId> = dead.into_iter().map(|job| job.id).collect();
                let count = count.unwrap_or(u64::MAX).min(dead.len() as u64);
                must!(count == answer, "QREQUEUE DEAD answers {count}, not {answer}");
                // Which ones of too many is the engine's choice.
                let moved = |id: &&JobId| seen(shard, name, **id).is_none_or(|job| job.state != State::Dead);
                let moved: Vec<JobId> = dead.iter().filter(moved).copied().collect();
                must!(moved.len() as u64 == count, "{count} were requeued, but {} are not dead", moved.len());
                for id in moved {
                    queue.requeue(now, id);
                }
            }
            Selection::Key { .. } => return Err("QREQUEUE has no KEY".to_owned()),
        }
        queue.refresh_turns();
        Ok(())
    }

    /// QDEL.
    pub(crate) fn delete(&mut self, name: &[u8], jobs: &Selection<'_>, answer: u64) -> Verdict {
        let mut deleted = 0;
        if let Some(queue) = self.existing(name) {
            match jobs {
                Selection::Ids(ids) => {
                    for id in ids.iter().filter(|id| queue.job(**id).is_some()).copied().collect::<Vec<_>>() {
                        // The same id twice counts once.
                        if queue.job(id).is_some() {
                            queue.delete_job(id);
                            deleted += 1;
                        }
                    }
                }
                Selection::Key { key, group } => {
                    if let Some(id) = queue.holder(group, key) {
                        if queue.job(id).is_some() {
                            queue.delete_job(id);
                            deleted += 1;
                        }
                        queue.free(group, key);
                    }
                }
                Selection::Dead { .. } => return Err("QDEL has no DEAD".to_owned()),
            }
            queue.refresh_turns();
        }
        must!(deleted == answer, "QDEL answers {deleted}, not {answer}");
        Ok(())
    }

    /// QPURGE.
    pub(crate) fn purge(
        &mut self,
        name: &[u8],
        state: Option<State>,
        group: Option<&[u8]>,
        answer: u64,
    ) -> Verdict {
        let mut purged = 0;
        if let Some(queue) = self.existing(name) {
            let chosen = |job: &&Job| {
                state.is_none_or(|state| job.state == state) && group.is_none_or(|group| job.group == group)
            };
            for id in queue.jobs.iter().filter(chosen).map(|job| job.id).collect::<Vec<_>>() {
                queue.delete_job(id);
                purged += 1;
            }
            // Of the whole queue: windows go, too, that have outlived their jobs.
            if state.is_none() && group.is_none() {
                queue.windows.clear();
            }
        }
        must!(purged == answer, "QPURGE answers {purged}, not {answer}");
        Ok(())
    }

    /// DEL.
    pub(crate) fn delete_queue(&mut self, name: &[u8], answer: bool) -> Verdict {
        let before = self.queues.len();
        self.queues.retain(|queue| queue.name != name);
        let existed = before != self.queues.len();
        must!(existed == answer, "DEL answers {existed}, not {answer}");
        Ok(())
    }

    /// QPAUSE.
    pub(crate) fn pause(&mut self, now: u64, name: &[u8], what: Pause, for_ms: Option<u64>) {
        let until = for_ms.map_or(u64::MAX, |for_ms| now + for_ms);
        let queue = self.made(name);
        // Pauses add up: a shorter one does not end a longer one.
        if matches!(what, Pause::Push | Pause::All) {
            queue.push_paused_until = queue.push_paused_until.max(until);
        }
        if matches!(what, Pause::Claim | Pause::All) {
            queue.claim_paused_until = queue.claim_paused_until.max(until);
        }
    }

    /// QRESUME.
    pub(crate) fn resume(&mut self, name: &[u8]) {
        if let Some(queue) = self.existing(name) {
            queue.push_paused_until = 0;
            queue.claim_paused_until = 0;
        }
    }

    /// QCONFIG SET, of pairs that are right.
    pub(crate) fn config_set(&mut self, name: &[u8], pairs: &[(&[u8], &[u8])]) {
        let now = self.ticked_at;
        let queue = self.made(name);
        for (key, value) in pairs {
            let [key, value] = [key, value].map(|word| std::str::from_utf8(word).expect("settings are text"));
            queue.settings.set(key, value);
            queue.changed(key, now);
        }
        queue.refresh_turns();
    }

    /// QCONFIG UNSET.
    pub(crate) fn config_unset(&mut self, name: &[u8], keys: &[&[u8]]) {
        let now = self.ticked_at;
        let Some(queue) = self.existing(name) else { return };
        for key in keys {
            let key = std::str::from_utf8(key).expect("settings are text");
            queue.settings.unset(key);
            queue.changed(key, now);
        }
        queue.refresh_turns();
    }
}

impl Queue {
    fn changed(&mut self, setting: &str, now: u64) {
        if setting == "rate" {
            // How many tokens a changed rate starts with, the page does not say.
            self.bucket = self.settings.rate.map(|rate| Bucket::new(rate, now, false));
        }
    }

    /// A dead or delayed job is ready now; a dead one has fresh attempts; its key comes back if it is free.
    fn requeue(&mut self, now: u64, id: JobId) -> bool {
        let Some(job) = self.job_mut(id) else { return false };
        match job.state {
            State::Dead => {
                job.attempts = 0;
                job.failures = 0;
            }
            State::Delayed => {}
            State::Ready | State::Claimed => return false,
        }
        job.state = State::Ready;
        job.ready_at = now;
        let (group, key) = (job.group.clone(), job.key.clone().map(|terms| terms.key));
        if let Some(key) = key
            && let holder = self.holder(&group, &key)
            && holder.is_none_or(|holder| holder == id)
            && !self.job(id).is_some_and(|job| self.swept(job))
        {
            if holder.is_none() {
                // A superseded job has it for nothing, and loses its window with it.
                self.free(&group, &key);
            }
            self.job_mut(id).and_then(|job| job.key.as_mut()).expect("it has a key").held = true;
        }
        self.note(id, JobEvent::Requeued);
        true
    }

    /// The job that QJOB shows.
    pub(crate) fn find(&self, which: Which<'_>) -> Option<JobId> {
        match which {
            Which::Id(id) => self.job(id).map(|job| job.id),
            Which::Key { key, group } => {
                self.holder(group, key).and_then(|id| self.job(id)).map(|job| job.id)
            }
        }
    }
}
