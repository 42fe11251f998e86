//! A naive model of a shard, written from commands.md alone and never from the engine's code.
//!
//! It is a `Vec` of jobs and linear scans: slow, and right by reading. It does not predict the engine, it
//! *explains* it: [`Model::explain`] takes a command with the engine's answer, refuses an answer that
//! commands.md does not allow, and takes over what the page leaves open: an id from the answer; the rest, such
//! as a drawn jitter, through [`seen`], so that its callers are the list of the engine's freedoms.

mod consumers;
mod notes;
mod operators;
mod producers;
mod settings;
mod time;
mod turns;
mod waiters;

use stanchion_protocol::command::{QueueCommand, State, Until, Which};
use stanchion_protocol::id::JobId;

use crate::{JobEvent, JobView, Shard, Totals};

use super::rig::Answer;
use settings::{Bucket, Settings};
use turns::Turns;
pub(crate) use waiters::Waiter;

/// What the model thinks of an answer: why it can't be, if it can't.
pub(crate) type Verdict = Result<(), String>;

/// Refuses the engine's answer unless the condition holds.
macro_rules! must {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use must;

/// A job, as the table of words describes it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) group: Vec<u8>,
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    /// ATTEMPTS of its push; else the queue's setting counts.
    pub(crate) attempts_max: Option<u32>,
    pub(crate) pushed_at: u64,
    pub(crate) ready_at: u64,
    pub(crate) expires_at: Option<u64>,
    pub(crate) claimed_at: u64,
    pub(crate) lease_until: u64,
    pub(crate) worker: Option<Vec<u8>>,
    pub(crate) epoch: u64,
    pub(crate) key: Option<Key>,
    pub(crate) root: Option<(Vec<u8>, u64)>,
    pub(crate) last_error: Option<Vec<u8>>,
    pub(crate) died_at: u64,
}

/// A job's dedupe key with its terms.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) key: Vec<u8>,
    pub(crate) until: Until,
    /// UNTIL still has it; a window counts besides.
    pub(crate) held: bool,
}

/// A WINDOW, which outlives its job.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) group: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) holder: JobId,
    pub(crate) until: u64,
}

/// The newest timestamp registered for a signature in a group.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) group: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) newest: u64,
    /// When it, or an equal one, was registered last.
    pub(crate) registered_at: u64,
}

/// A queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) name: Vec<u8>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) windows: Vec<Window>,
    pub(crate) roots: Vec<Root>,
    pub(crate) settings: Settings,
    /// Pushes are refused before this instant.
    pub(crate) push_paused_until: u64,
    /// Claims wait until this instant.
    pub(crate) claim_paused_until: u64,
    pub(crate) totals: Totals,
    /// Pushes dropped by a newer root; a restart forgets how many, as with duplicates.
    pub(crate) superseded_pushes: u64,
    /// Jobs that were both superseded and expired: either total may count them.
    pub(crate) superseded_or_expired: u64,
    pub(crate) turns: Turns,
    pub(crate) bucket: Option<Bucket>,
    /// It has held nothing at all since some instant in this span.
    pub(crate) empty_since: Option<(u64, u64)>,
    /// What must have been noted since the last comparison.
    notes: Vec<notes::Expected>,
}

/// A shard, naively.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) queues: Vec<Queue>,
    pub(crate) boot: u64,
    /// The newest id seen; none may be issued at or below it.
    pub(crate) newest: u64,
    pub(crate) waiters: Vec<Waiter>,
    /// The instant of the last tick: what a tick finds due fell due after it.
    pub(crate) ticked_at: u64,
}

/// What the engine says of a job: for what commands.md leaves to it, and for comparing.
pub(crate) fn seen<'a>(shard: &'a Shard, queue: &[u8], id: JobId) -> Option<JobView<'a>> {
    shard.job(queue, Which::Id(id)).map(|job| shard.view(job))
}

impl Model {
    /// A shard of this boot number.
    pub(crate) fn new(boot: u32) -> Model {
        Model { boot: u64::from(boot), ..Model::default() }
    }

    /// The queue of this name, if it exists.
    pub(crate) fn queue(&self, name: &[u8]) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// The queue of this name, made if it does not exist.
    fn made(&mut self, name: &[u8]) -> &mut Queue {
        let at = self.queues.iter().position(|queue| queue.name == name).unwrap_or_else(|| {
            self.queues.push(Queue::new(name));
            self.queues.len() - 1
        });
        &mut self.queues[at]
    }

    fn existing(&mut self, name: &[u8]) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.name == name)
    }

    /// Takes a command's answer over, or says why it can't be.
    pub(crate) fn explain(
        &mut self,
        now: u64,
        command: &QueueCommand<'_>,
        answer: &Answer,
        shard: &Shard,
    ) -> Verdict {
        match (command, answer) {
            (QueueCommand::Push(push), Answer::Pushed(answer)) => self.push(now, push, answer)?,
            (QueueCommand::Root { queue, root, group }, Answer::Flag(answer)) => {
                let registered = self.made(queue).register(now, group, root);
                must!(registered == *answer, "QROOT answers {registered}, not {answer}");
                self.made(queue).refresh_turns();
            }
            (QueueCommand::Claim(claim), Answer::Jobs(jobs)) => {
                for receipt in &claim.acks {
                    self.ack(claim.queue, *receipt);
                }
                self.claim(now, claim.queue, &claim.take, jobs, shard)?;
            }
            (QueueCommand::ClaimMany(claim), Answer::Jobs(jobs)) => {
                self.claim_many(now, claim, jobs, shard)?
            }
            (QueueCommand::Ack { queue, receipts }, Answer::Count(count)) => {
                let acked = receipts.iter().filter(|receipt| self.ack(queue, **receipt)).count() as u64;
                must!(acked == *count, "QACK answers {acked}, not {count}");
            }
            (QueueCommand::Nack(nack), Answer::Nacked(answer)) => self.nack(now, nack, *answer, shard)?,
            (QueueCommand::Release { queue, delay_ms, receipts }, Answer::Count(count)) => {
                self.release(now, queue, *delay_ms, receipts, *count)?;
            }
            (QueueCommand::Extend { queue, lease_ms, receipts }, Answer::Count(count)) => {
                self.extend(now, queue, *lease_ms, receipts, *count)?;
            }
            (QueueCommand::Requeue { queue, jobs }, Answer::Count(count)) => {
                self.requeue(now, queue, jobs, *count, shard)?;
            }
            (QueueCommand::Del { queue, jobs }, Answer::Count(count)) => self.delete(queue, jobs, *count)?,
            (QueueCommand::Purge { queue, state, group }, Answer::Count(count)) => {
                self.purge(queue, *state, *group, *count)?;
            }
            (QueueCommand::Pause { queue, what, for_ms }, Answer::Done(Ok(()))) => {
                self.pause(now, queue, *what, *for_ms);
            }
            (QueueCommand::Resume { queue }, Answer::Done(Ok(()))) => self.resume(queue),
            (QueueCommand::ConfigSet { queue, pairs }, Answer::Done(Ok(()))) => self.config_set(queue, pairs),
            (QueueCommand::ConfigUnset { queue, keys }, Answer::Done(Ok(()))) => {
                self.config_unset(queue, keys)
            }
            // Which words are wrong is told by tables, not by this model.
            (_, Answer::Done(Err(_))) => {}
            (command, answer) => return Err(format!("{answer:?} can't answer {command:?}")),
        }
        self.settle(now, shard);
        Ok(())
    }

    /// What follows every change: superseded jobs that the engine has swept go here too, and a queue that
    /// holds nothing starts to count its hour.
    pub(crate) fn settle(&mut self, now: u64, shard: &Shard) {
        let before = self.ticked_at;
        for queue in &mut self.queues {
            queue.adopt_sweep(shard);
            queue.refresh_turns();
            queue.empty_since = match queue.is_empty(now) {
                true => queue.empty_since.or(Some((before, now))),
                false => None,
            };
        }
    }
}

impl Queue {
    fn new(name: &[u8]) -> Queue {
        Queue {
            name: name.to_vec(),
            jobs: Vec::new(),
            windows: Vec::new(),
            roots: Vec::new(),
            settings: Settings::default(),
            push_paused_until: 0,
            claim_paused_until: 0,
            totals: Totals::default(),
            superseded_pushes: 0,
            superseded_or_expired: 0,
            turns: Turns::default(),
            bucket: None,
            empty_since: None,
            notes: Vec::new(),
        }
    }

    /// Without a job, root, window, setting or pause.
    fn is_empty(&self, now: u64) -> bool {
        self.jobs.is_empty()
            && self.roots.is_empty()
            && self.windows.is_empty()
            && self.settings.is_default()
            && self.push_paused_until <= now
            && self.claim_paused_until <= now
    }

    /// The job of this id.
    pub(crate) fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    fn job_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// Its root is strictly older than the newest one registered.
    pub(crate) fn superseded(&self, job: &Job) -> bool {
        let Some((signature, timestamp)) = &job.root else { return false };
        self.newest_root(&job.group, signature).is_some_and(|newest| *timestamp < newest)
    }

    fn newest_root(&self, group: &[u8], signature: &[u8]) -> Option<u64> {
        let mut roots = self.roots.iter();
        roots.find(|root| root.group == group && root.signature == signature).map(|root| root.newest)
    }

    /// Superseded, and not with a worker: it holds no key and waits to be swept.
    pub(crate) fn swept(&self, job: &Job) -> bool {
        matches!(job.state, State::Delayed | State::Ready) && self.superseded(job)
    }

    /// Who holds a dedupe key; the holder may be gone, when its window outlives it.
    pub(crate) fn holder(&self, group: &[u8], key: &[u8]) -> Option<JobId> {
        let by_terms = self.jobs.iter().find(|job| {
            job.group == group && job.key.as_ref().is_some_and(|terms| terms.held && terms.key == key)
        });
        let by_window = self.windows.iter().find(|window| window.group == group && window.key == key);
        let id = by_terms.map(|job| job.id).or(by_window.map(|window| window.holder))?;
        match self.job(id) {
            Some(job) if self.swept(job) => None,
            _ => Some(id),
        }
    }

    /// Takes a key and its window from whoever had them.
    fn free(&mut self, group: &[u8], key: &[u8]) {
        for job in &mut self.jobs {
            if let Some(terms) = &mut job.key
                && job.group == group
                && terms.key == key
            {
                terms.held = false;
            }
        }
        self.windows.retain(|window| window.group != group || window.key != key);
    }

    /// The job is gone; its window stays.
    fn drop_job(&mut self, id: JobId) -> Job {
        let at = self.jobs.iter().position(|job| job.id == id).expect("only a job that is there is dropped");
        self.jobs.remove(at)
    }

    /// QDEL, QPURGE: the job is gone, its key and window are free at once.
    fn delete_job(&mut self, id: JobId) {
        self.note(id, JobEvent::Deleted);
        self.drop_at_once(id);
    }

    fn drop_at_once(&mut self, id: JobId) {
        let job = self.drop_job(id);
        self.windows.retain(|window| window.holder != job.id);
    }

    /// It stays as a dead job with its reason; the oldest dead ones make room.
    fn die(&mut self, now: u64, id: JobId) {
        self.totals.died += 1;
        self.note(id, JobEvent::Died);
        let job = self.job_mut(id).expect("only a job that is there dies");
        job.state = State::Dead;
        job.died_at = now;
        job.worker = None;
        if let Some(terms) = &mut job.key {
            terms.held = false;
        }
        while self.count(State::Dead) > self.settings.dead_max {
            let dead = self.jobs.iter().filter(|job| job.state == State::Dead);
            let oldest =
                dead.min_by_key(|job| (job.died_at, job.id)).expect("more dead jobs than dead-max").id;
            self.note(oldest, JobEvent::Forgotten);
            self.drop_job(oldest);
        }
    }

    /// Jobs in a state; superseded ones count until they are swept.
    pub(crate) fn count(&self, state: State) -> u64 {
        self.jobs.iter().filter(|job| job.state == state).count() as u64
    }

    /// How many attempts the job has; 0 is no limit.
    pub(crate) fn attempts_max(&self, job: &Job) -> u32 {
        job.attempts_max.unwrap_or(self.settings.attempts)
    }

    fn used_up(&self, id: JobId) -> bool {
        let job = self.job(id).expect("only a job that is there has attempts");
        let limit = self.attempts_max(job);
        limit != 0 && job.attempts >= limit
    }

    /// The sweep drops superseded jobs when it pleases: those that the engine no longer has, go.
    fn adopt_sweep(&mut self, shard: &Shard) {
        let swept = |job: &&Job| self.swept(job) && seen(shard, &self.name, job.id).is_none();
        let gone: Vec<JobId> = self.jobs.iter().filter(swept).map(|job| job.id).collect();
        for id in gone {
            self.drop_superseded(id);
        }
    }
}
