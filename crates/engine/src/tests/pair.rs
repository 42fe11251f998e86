//! A shard and its model side by side: whatever is done to the one is explained by the other, and both are
//! compared after each step.

use stanchion_protocol::command::{QueueCommand, Take, Which};
use stanchion_protocol::id::{JobId, Receipt};

use crate::{LoggedPayload, Now, Payload, SettingsPatch, Step, WaitFor, WaiterId};

use super::compare::compare;
use super::model::{Model, Verdict, Waiter, must};
use super::rig::{Answer, Handed, LEASE_GRACE_MS, Noted, Rig};

/// What a blocked claim got.
pub(crate) struct Served {
    pub(crate) waiter: WaiterId,
    pub(crate) jobs: Vec<Handed>,
}

/// A shard and its model.
pub(crate) struct Pair {
    pub(crate) rig: Rig,
    pub(crate) model: Model,
    /// What was noted since a script asked.
    pub(crate) heard: Vec<Noted>,
}

impl Pair {
    /// Both empty.
    pub(crate) fn new(now: u64) -> Pair {
        let mut model = Model::new(1);
        model.ticked_at = now;
        Pair { rig: Rig::new(now, SettingsPatch::default()), model, heard: Vec::new() }
    }

    /// One command.
    pub(crate) fn run(&mut self, command: &QueueCommand<'_>) -> Result<Answer, String> {
        let answer = self.rig.run(command);
        self.model
            .explain(self.rig.now, command, &answer, &self.rig.shard)
            .map_err(|why| format!("{command:?} answers {answer:?}: {why}"))?;
        self.fire()?;
        Ok(answer)
    }

    /// What is due fires: also what a command has put back after its time, such as a job whose TTL is over.
    fn fire(&mut self) -> Verdict {
        self.rig.tick();
        self.model.tick(self.rig.now, &self.rig.shard)?;
        self.check()
    }

    /// Time passes, and what is due fires.
    pub(crate) fn advance(&mut self, ms: u64) -> Verdict {
        let now = self.rig.now + ms;
        if let Some(due) = self.model.next_due()
            && due <= now
        {
            let deadline = self.rig.shard.next_deadline();
            must!(deadline.is_some_and(|at| at <= due), "due at {due}, but the deadline is {deadline:?}");
        }
        self.rig.now = now;
        self.rig.tick();
        self.model.tick(now, &self.rig.shard)?;
        let deadline = self.rig.shard.next_deadline();
        must!(
            deadline.is_none_or(|at| at > now),
            "all is fired up to {now}, but the deadline is {deadline:?}"
        );
        self.check()
    }

    /// The connection of BOUND claims is gone.
    pub(crate) fn lapse(&mut self, queue: &[u8], receipts: &[Receipt]) -> Result<u64, String> {
        let count = self.rig.hold(|shard, now, log| shard.lapse(now, queue, receipts, log));
        self.model.lapse(self.rig.now, queue, receipts, count)?;
        self.settle()?;
        Ok(count)
    }

    /// A worker is gone, or says so: its jobs come back at once.
    pub(crate) fn release_worker(&mut self, worker: &[u8]) -> Result<u64, String> {
        let now = self.rig.now;
        let mut held: Vec<(Vec<u8>, Vec<Receipt>)> = Vec::new();
        for (_, queue) in self.rig.shard.queues.iter() {
            let jobs = queue.claimed_by(worker, now, usize::MAX).into_iter();
            held.push((queue.name.to_vec(), jobs.map(|job| queue.view(job).receipt).collect()));
        }
        let (mut cursor, mut released) = (0, 0);
        loop {
            let step =
                self.rig.hold(|shard, at, log| shard.release_worker(at, worker, now, &mut cursor, log));
            let (Step::More(jobs) | Step::Done(jobs)) = step;
            released += jobs;
            if let Step::Done(_) = step {
                break;
            }
        }
        for (queue, receipts) in &held {
            self.model.release(now, queue, None, receipts, receipts.len() as u64)?;
        }
        let left = self.model.queues.iter().flat_map(|queue| &queue.jobs);
        let left = left.filter(|job| job.worker.as_deref() == Some(worker)).count();
        must!(left == 0, "{left} jobs are still with the worker");
        self.settle()?;
        Ok(released)
    }

    /// The payload of a job can't be read.
    pub(crate) fn lose(&mut self, queue: &[u8], id: JobId, reason: &[u8]) -> Verdict {
        let found = self.rig.shard.job(queue, Which::Id(id)).map(|job| self.rig.shard.payload(job));
        let Some(Payload::Logged(payload)) = found else { return Ok(()) };
        let elsewhere = LoggedPayload { base: payload.base + 1, ..payload };
        let lost = self.rig.hold(|shard, now, log| shard.lose(now, queue, elsewhere, reason, log));
        must!(!lost, "a payload with another base is lost");
        let lost = self.rig.hold(|shard, now, log| shard.lose(now, queue, payload, reason, log));
        must!(lost, "{payload:?} is not lost");
        self.model.lose(self.rig.now, queue, id, reason)?;
        self.settle()
    }

    /// DEL.
    pub(crate) fn delete_queue(&mut self, queue: &[u8]) -> Result<bool, String> {
        let existed = self.rig.hold(|shard, now, log| shard.delete_queue(now, queue, log));
        self.model.delete_queue(queue, existed)?;
        self.settle()?;
        Ok(existed)
    }

    /// Background steps: all of them, or one.
    pub(crate) fn sweep(&mut self, to_the_end: bool) -> Verdict {
        if to_the_end {
            self.rig.sweep();
        } else {
            self.rig.sweep_a_little();
        }
        self.settle()?;
        if to_the_end { self.model.swept() } else { Ok(()) }
    }

    /// Ends the server and starts it again from its log.
    pub(crate) fn restart(&mut self, down_ms: u64) -> Verdict {
        self.rig.check_replay()?;
        self.rig.check_merged()?;
        self.rig.restart(down_ms);
        let now = self.rig.now;
        self.model.restart(now, LEASE_GRACE_MS, &self.rig.shard);
        // What fell due meanwhile fires at the first tick.
        self.fire()
    }

    /// A claim blocks; no queue: it matches all.
    pub(crate) fn park(&mut self, id: WaiterId, queue: Option<&[u8]>, group: Option<&[u8]>) {
        let on = match queue {
            Some(queue) => WaitFor::Queue(queue),
            None => WaitFor::Match { globs: &[b"*"], except: &[] },
        };
        self.rig.shard.park(id, on, group);
        let (queue, group) = (queue.map(<[u8]>::to_vec), group.map(<[u8]>::to_vec));
        self.model.waiters.push(Waiter { id, queue, group });
    }

    /// A blocked claim gives up.
    pub(crate) fn unpark(&mut self, id: WaiterId) {
        self.rig.shard.unpark(id);
        self.model.waiters.retain(|waiter| waiter.id != id);
    }

    /// Serves the blocked claims that can be served, one job each.
    pub(crate) fn serve(&mut self) -> Result<Vec<Served>, String> {
        let mut served = Vec::new();
        loop {
            let now = self.rig.now;
            let Some(grant) = self.rig.shard.next_grant(Now { ms: now, entropy: 0 }) else { break };
            self.model.grant(now, &grant)?;
            let waiter = self.model.waiters.iter().find(|waiter| waiter.id == grant.waiter).cloned();
            let group = waiter.ok_or("a grant to nobody who waits")?.group;
            let take = Take { group: group.as_deref(), ..one() };
            let command = claim(&grant.queue, take);
            let Answer::Jobs(jobs) = self.run(&command)? else { panic!("a claim answers jobs") };
            if jobs.is_empty() {
                // It stepped over superseded jobs, and whether that was right is explained by now. It has
                // not waited in vain: it stays where it stands.
                continue;
            }
            self.unpark(grant.waiter);
            served.push(Served { waiter: grant.waiter, jobs });
        }
        self.model.no_grant(self.rig.now)?;
        Ok(served)
    }

    fn settle(&mut self) -> Verdict {
        self.model.settle(self.rig.now, &self.rig.shard);
        self.fire()
    }

    fn check(&mut self) -> Verdict {
        let noted = std::mem::take(&mut self.rig.notes);
        self.heard.extend(noted.iter().cloned());
        self.model.compare_notes(noted)?;
        compare(&self.rig, &self.model)
    }
}

/// A claim of one job, by nobody in particular.
pub(crate) fn one() -> Take<'static> {
    Take::ONE
}

/// QCLAIM without acks.
pub(crate) fn claim<'a>(queue: &'a [u8], take: Take<'a>) -> QueueCommand<'a> {
    QueueCommand::Claim(stanchion_protocol::command::Claim { queue, take, acks: Default::default() })
}
