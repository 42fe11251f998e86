//! What time does: due jobs, lapses, expiry, retention, windows, queues that have been empty for an hour; and
//! what a restart does.

use stanchion_protocol::command::State;
use stanchion_protocol::id::JobId;

use crate::{JobEvent, Now, Shard};

use super::{Job, Model, Queue, Verdict, must};

/// A queue without anything is gone after so long.
const EMPTY_QUEUE_MS: u64 = 3_600_000;

/// What falls due for a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Ready,
    Lapse,
    Expire,
    Retire,
}

impl Model {
    /// Everything that falls due up to now, earliest first.
    pub(crate) fn tick(&mut self, now: u64, shard: &Shard) -> Verdict {
        for queue in &mut self.queues {
            queue.tick(now);
            queue.adopt_sweep(shard);
            queue.refresh_turns();
        }
        self.forget_empty_queues(now, shard)?;
        self.settle(now, shard);
        self.ticked_at = now;
        Ok(())
    }

    /// The earliest instant at which something is due, other than the end of an empty queue.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let jobs = self.queues.iter().flat_map(|queue| queue.dues().map(|due| due.0));
        let windows = self.queues.iter().flat_map(|queue| queue.windows.iter().map(|window| window.until));
        jobs.chain(windows).min()
    }

    /// The server was down: the turns are lost, epochs rise, and leases last at least the grace.
    pub(crate) fn restart(&mut self, now: u64, grace_ms: u64, shard: &Shard) {
        self.boot += 1;
        self.waiters.clear();
        for queue in &mut self.queues {
            queue.turns.forget();
            queue.adopt_volatile_totals(now, shard);
            for job in queue.jobs.iter_mut().filter(|job| job.state == State::Claimed) {
                job.lease_until = job.lease_until.max(now + grace_ms);
            }
        }
    }

    /// The sweep is done when the engine says that there is no more to do.
    pub(crate) fn swept(&self) -> Verdict {
        for queue in &self.queues {
            let left = queue.jobs.iter().find(|job| queue.swept(job));
            must!(left.is_none(), "the sweep is over, but {left:?} is superseded");
        }
        Ok(())
    }

    fn forget_empty_queues(&mut self, now: u64, shard: &Shard) -> Verdict {
        let mut gone = Vec::new();
        for queue in &self.queues {
            let Some((first, last)) = queue.empty_since else { continue };
            let exists = shard.exists(&queue.name);
            must!(exists || now >= first + EMPTY_QUEUE_MS, "an empty queue is gone too early");
            must!(!exists || now < last + EMPTY_QUEUE_MS, "an empty queue is still there after an hour");
            if !exists {
                gone.push(queue.name.clone());
            }
        }
        self.queues.retain(|queue| !gone.contains(&queue.name));
        Ok(())
    }
}

impl Queue {
    /// What changes nothing leaves no record, so a restart may forget how often it happened.
    fn adopt_volatile_totals(&mut self, now: u64, shard: &Shard) {
        let Some(seen) = shard.stats(Now { ms: now, entropy: 0 }, &self.name) else { return };
        let own = &mut self.totals;
        own.duplicates = own.duplicates.min(seen.totals.duplicates);
        own.stale_acks = own.stale_acks.min(seen.totals.stale_acks);
        let superseded = seen.totals.superseded.saturating_sub(own.superseded);
        self.superseded_pushes = self.superseded_pushes.min(superseded);
    }

    fn tick(&mut self, now: u64) {
        self.windows.retain(|window| window.until > now);
        let mut touched: Vec<Vec<u8>> = Vec::new();
        while let Some((_, due, id)) = self.dues().filter(|due| due.0 <= now).min() {
            let group = self.job(id).expect("a due job is there").group.clone();
            if touched.contains(&group) {
                // It may have left and joined again, in the engine's order of things.
                self.turns.float(&group);
            }
            touched.push(group);
            self.fire(now, due, id);
        }
        let retention = self.settings.root_retention;
        let jobs = &self.jobs;
        // A root lasts at least as long as the jobs that it is compared with.
        self.roots.retain(|root| {
            let tags = |job: &Job| {
                job.group == root.group && job.root.as_ref().is_some_and(|(tag, _)| *tag == root.signature)
            };
            root.registered_at + retention > now || jobs.iter().any(tags)
        });
    }

    /// Instant, kind and job of everything that will fall due.
    fn dues(&self) -> impl Iterator<Item = (u64, Due, JobId)> {
        let retention = self.settings.dead_retention;
        self.jobs.iter().flat_map(move |job| {
            let expiry = job.expires_at.map(|at| (at, Due::Expire, job.id));
            match job.state {
                State::Delayed => [Some((job.ready_at, Due::Ready, job.id)), expiry],
                State::Ready => [None, expiry],
                State::Claimed => [Some((job.lease_until, Due::Lapse, job.id)), None],
                State::Dead => [Some((job.died_at + retention, Due::Retire, job.id)), None],
            }
            .into_iter()
            .flatten()
        })
    }

    fn fire(&mut self, now: u64, due: Due, id: JobId) {
        match due {
            Due::Ready => self.job_mut(id).expect("a due job is there").state = State::Ready,
            Due::Lapse => {
                self.lapse(now, id);
            }
            Due::Expire => {
                let swept = self.job(id).is_some_and(|job| self.swept(job));
                if swept {
                    self.superseded_or_expired += 1;
                }
                self.totals.expired += 1;
                self.note_either(id, JobEvent::Expired, swept.then_some(JobEvent::Superseded));
                self.drop_job(id);
            }
            Due::Retire => {
                self.note(id, JobEvent::Forgotten);
                self.drop_job(id);
            }
        }
    }
}
