//! QPUSH, QMPUSH and QROOT, decided in the order that commands.md gives.

use stanchion_protocol::command::{NewJob, Push, RootTag, State, When};
use stanchion_protocol::id::JobId;

use crate::{JobEvent, Pushed, Refusal};

use super::settings::Settings;
use super::{Job, Key, Model, Queue, Root, Verdict, Window, must};

/// What the page lets an engine say about one job of a push.
enum Decision {
    Added(State),
    Replaced,
    Duplicate,
    Superseded,
    Refused(&'static str),
}

impl Model {
    /// All or nothing: the whole batch is tried on a copy.
    pub(crate) fn push(
        &mut self,
        now: u64,
        push: &Push<'_>,
        answer: &Result<Vec<Pushed>, Refusal>,
    ) -> Verdict {
        let mut copy = self.clone();
        let newest = copy.newest;
        let queue = copy.made(push.queue);
        match answer {
            Ok(pushed) => {
                must!(
                    pushed.len() == push.jobs.len(),
                    "{} answers to {} jobs",
                    pushed.len(),
                    push.jobs.len()
                );
                let mut newest = newest;
                for (job, pushed) in push.jobs.iter().zip(pushed) {
                    let full = queue.full(job).filter(|_| exact(push) && is_added(pushed));
                    must!(full.is_none(), "-{full:?} it is, not {pushed:?}");
                    queue.push(now, job, *pushed, &mut newest)?;
                    queue.refresh_turns();
                }
                copy.newest = newest;
                *self = copy;
            }
            Err(refusal) => queue.refusal(now, push, refusal)?,
        }
        Ok(())
    }
}

impl Queue {
    /// Registers a root unless a newer one is.
    pub(crate) fn register(&mut self, now: u64, group: &[u8], root: &RootTag<'_>) -> bool {
        match self.roots.iter_mut().find(|known| known.group == group && known.signature == root.signature) {
            Some(known) if known.newest > root.timestamp => return false,
            Some(known) => {
                known.newest = root.timestamp;
                known.registered_at = now;
            }
            None => self.roots.push(Root {
                group: group.to_vec(),
                signature: root.signature.to_vec(),
                newest: root.timestamp,
                registered_at: now,
            }),
        }
        true
    }

    /// One job of a push that was not refused.
    fn push(&mut self, now: u64, job: &NewJob<'_>, answer: Pushed, newest: &mut u64) -> Verdict {
        let holder = job.dedupe.as_ref().and_then(|dedupe| self.holder(job.group, dedupe.key));
        let decision = self.decide(now, job);
        if !matches!(decision, Decision::Superseded)
            && let Some(root) = &job.root
        {
            self.register(now, job.group, root);
        }
        match (decision, answer) {
            (Decision::Superseded, Pushed::Superseded) => self.superseded_pushes += 1,
            (Decision::Duplicate, Pushed::Duplicate(id)) => {
                must!(holder == Some(id), "the duplicate's holder is {holder:?}, not {id}");
                self.totals.duplicates += 1;
                self.raise_root(id, job.root.as_ref());
            }
            (Decision::Replaced, Pushed::Replaced(id)) => {
                must!(holder == Some(id), "the replaced holder is {holder:?}, not {id}");
                self.totals.replaced += 1;
                self.replace(now, id, job);
            }
            (Decision::Added(State::Ready), Pushed::Ready(id))
            | (Decision::Added(State::Delayed), Pushed::Delayed(id)) => {
                must!(id.0 > *newest, "id {id} does not rise: {newest:016x} was issued before");
                *newest = id.0;
                self.totals.pushed += 1;
                self.add(now, id, job);
            }
            (Decision::Refused(why), answer) => return Err(format!("-{why} it is, not {answer:?}")),
            (_, answer) => {
                return Err(format!("{answer:?} is not what becomes of {job:?}; holder {holder:?}"));
            }
        }
        Ok(())
    }

    fn decide(&self, now: u64, job: &NewJob<'_>) -> Decision {
        if now < self.push_paused_until {
            return Decision::Refused("PAUSED");
        }
        if let Some(root) = &job.root
            && self.newest_root(job.group, root.signature).is_some_and(|newest| root.timestamp < newest)
        {
            return Decision::Superseded;
        }
        if let Some(dedupe) = &job.dedupe
            && let Some(id) = self.holder(job.group, dedupe.key)
        {
            let state = self.job(id).map(|job| job.state);
            return match state {
                Some(State::Delayed | State::Ready) if dedupe.replace => Decision::Replaced,
                _ => Decision::Duplicate,
            };
        }
        Decision::Added(if due(now, job) > now { State::Delayed } else { State::Ready })
    }

    /// The limit that this job would exceed, were it added.
    fn full(&self, job: &NewJob<'_>) -> Option<&'static str> {
        let living = || self.jobs.iter().filter(|job| job.state != State::Dead);
        let bytes: usize = living().map(|job| job.payload.len()).sum();
        let Settings { max_jobs, max_bytes, .. } = self.settings;
        if max_jobs != 0 && living().count() as u64 >= max_jobs {
            return Some("FULL jobs");
        }
        (max_bytes != 0 && (bytes + job.payload.len()) as u64 > max_bytes).then_some("FULL bytes")
    }

    /// Some job of the batch must be refused for the reason given, on a copy on which those before it count.
    fn refusal(&mut self, now: u64, push: &Push<'_>, refusal: &Refusal) -> Verdict {
        let given = match refusal {
            Refusal::Paused { .. } => "PAUSED",
            Refusal::FullJobs { .. } => "FULL jobs",
            Refusal::FullBytes { .. } => "FULL bytes",
            other => return Err(format!("{other:?} is no answer to a push")),
        };
        if let Some(why) = push.jobs.iter().find_map(|job| match self.decide(now, job) {
            Decision::Refused(why) => Some(why),
            _ => None,
        }) {
            must!(why == given, "-{why} it is, not -{given}");
            return Ok(());
        }
        // An id for each job of the copy, above whatever is there; the copy is thrown away.
        let mut id = u64::MAX - push.jobs.len() as u64;
        for job in &push.jobs {
            let holder = job.dedupe.as_ref().and_then(|dedupe| self.holder(job.group, dedupe.key));
            id += 1;
            let answer = match (self.decide(now, job), holder) {
                (Decision::Superseded, _) => Pushed::Superseded,
                (Decision::Duplicate, Some(holder)) => Pushed::Duplicate(holder),
                (Decision::Replaced, Some(holder)) => Pushed::Replaced(holder),
                (Decision::Added(State::Delayed), _) => Pushed::Delayed(JobId(id)),
                _ => Pushed::Ready(JobId(id)),
            };
            if let Some(full) = self.full(job).filter(|_| is_added(&answer)) {
                // Which one of two limits a batch names is not said.
                must!(full == given || push.jobs.len() > 1, "-{full} it is, not -{given}");
                return Ok(());
            }
            self.push(now, job, answer, &mut 0)?;
        }
        if !exact(push) {
            return Ok(());
        }
        Err(format!("-{given}, but no job of the push is refused"))
    }

    /// A duplicate of a live job with the same signature raises that job's root to its own.
    fn raise_root(&mut self, holder: JobId, root: Option<&RootTag<'_>>) {
        if let Some(root) = root
            && let Some(job) = self.job_mut(holder)
            && job.state != State::Dead
            && let Some((signature, timestamp)) = &mut job.root
            && signature == root.signature
        {
            *timestamp = root.timestamp.max(*timestamp);
        }
    }

    fn add(&mut self, now: u64, id: JobId, new: &NewJob<'_>) {
        let job = Job {
            id,
            group: new.group.to_vec(),
            state: State::Ready,
            priority: new.priority,
            payload: Vec::new(),
            attempts: 0,
            failures: 0,
            attempts_max: None,
            pushed_at: now,
            ready_at: now,
            expires_at: None,
            claimed_at: 0,
            lease_until: 0,
            worker: None,
            epoch: 0,
            key: None,
            root: None,
            last_error: None,
            died_at: 0,
        };
        self.jobs.push(job);
        // Not ready before, so it has no place to keep.
        self.take_terms(now, id, new, false);
        self.note(id, JobEvent::Pushed);
    }

    fn replace(&mut self, now: u64, id: JobId, new: &NewJob<'_>) {
        let was_ready = self.job(id).is_some_and(|job| job.state == State::Ready);
        self.take_terms(now, id, new, was_ready);
        self.note(id, JobEvent::Replaced);
    }

    /// What a push sets on a new job, and on a holder that it replaces.
    fn take_terms(&mut self, now: u64, id: JobId, new: &NewJob<'_>, keeps_place: bool) {
        if let Some(dedupe) = &new.dedupe {
            self.free(new.group, dedupe.key);
            if dedupe.window_ms > 0 {
                self.windows.push(Window {
                    group: new.group.to_vec(),
                    key: dedupe.key.to_vec(),
                    holder: id,
                    until: now + dedupe.window_ms,
                });
            }
        }
        let due = due(now, new);
        let job = self.job_mut(id).expect("the job takes its terms");
        job.payload = new.payload.to_vec();
        job.priority = new.priority;
        job.attempts = 0;
        job.failures = 0;
        job.attempts_max = new.attempts_max;
        job.state = if due > now { State::Delayed } else { State::Ready };
        if !(keeps_place && job.state == State::Ready) {
            job.ready_at = due;
        }
        job.expires_at = new.ttl_ms.map(|ttl| due + ttl);
        job.root = new.root.as_ref().map(|root| (root.signature.to_vec(), root.timestamp));
        job.last_error = None;
        job.key = new.dedupe.as_ref().map(|dedupe| Key {
            key: dedupe.key.to_vec(),
            until: dedupe.until,
            held: true,
        });
    }
}

/// When the pushed job is ready; an instant in the past is now.
fn due(now: u64, job: &NewJob<'_>) -> u64 {
    match job.when {
        When::Now => now,
        When::Delay(delay) => now + delay,
        When::At(at) => at.max(now),
    }
}

/// Whether limits are exact for this push. For a batch they are reckoned before its first job is added, so
/// without what its own replaces and roots give back.
fn exact(push: &Push<'_>) -> bool {
    let gives_back = |job: &NewJob<'_>| job.root.is_some() || job.dedupe.is_some_and(|dedupe| dedupe.replace);
    push.jobs.len() == 1 || !push.jobs.iter().any(gives_back)
}

fn is_added(pushed: &Pushed) -> bool {
    matches!(pushed, Pushed::Ready(_) | Pushed::Delayed(_))
}
