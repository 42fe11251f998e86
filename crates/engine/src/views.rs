//! Looking: counts, lists, peeks and scans. Nothing here changes anything.

use stanchion_protocol::command::{Count, State, Which};
use stanchion_protocol::glob;
use stanchion_protocol::id::{Epoch, JobId, Receipt};

use crate::Now;
use crate::heap::Moment;
use crate::queue::Queue;
use crate::{HandedOut, JobRef, JobView, Paused, QueueLine, ReadyLine, Shard, Stats, limits};

impl Shard {
    /// Everything of a job that a claim, a peek or a look-up found.
    pub fn view(&self, job: JobRef) -> JobView<'_> {
        self.queues[job.queue].view(job.job)
    }

    /// What a claim hands to a worker: a small part of [`Shard::view`].
    pub fn handed_out(&self, job: JobRef) -> HandedOut<'_> {
        let queue = &self.queues[job.queue];
        let extras = queue.extras(job.job);
        HandedOut {
            queue: &queue.name,
            receipt: Receipt { id: JobId(queue.jobs[job.job].id), epoch: Epoch(extras.epoch) },
            payload: queue.payload(job.job),
            attempt: extras.attempts,
        }
    }

    /// QLEN.
    pub fn len(&self, queue: &[u8], count: Count, group: Option<&[u8]>) -> u64 {
        let Some(ix) = self.find(queue) else { return 0 };
        let queue = &self.queues[ix];
        match count {
            Count::State(state) => queue.count_in(state, group),
            Count::All => [State::Ready, State::Delayed, State::Claimed, State::Dead]
                .into_iter()
                .map(|state| queue.count_in(state, group))
                .sum(),
        }
    }

    /// QSTATS. It looks at each group with ready jobs for the oldest one.
    pub fn stats(&self, now: Now, queue: &[u8]) -> Option<Stats> {
        let queue = &self.queues[self.find(queue)?];
        let latencies = queue.latencies.as_deref();
        Some(Stats {
            counts: queue.counts(),
            bytes: queue.bytes,
            memory: queue.memory_bytes(limits::MEMORY_SAMPLES),
            groups: queue.groups_with_jobs,
            oldest_ready_ms: queue.oldest_ready_ms(now.ms),
            paused: queue.paused(now.ms),
            totals: queue.all_totals(),
            wait: latencies.map(|latencies| latencies.wait.latency()).unwrap_or_default(),
            run: latencies.map(|latencies| latencies.run.latency()).unwrap_or_default(),
        })
    }

    /// How many queues there are.
    pub fn queues(&self) -> u64 {
        self.queues.len() as u64
    }

    /// When the last event of a queue happened.
    pub fn idle_since(&self, queue: &[u8]) -> Option<u64> {
        Some(self.queues[self.find(queue)?].idle_since)
    }

    /// Whether there is a queue of this name.
    pub fn exists(&self, queue: &[u8]) -> bool {
        self.find(queue).is_some()
    }

    /// Visits queues from a cursor on, about `count` of them; the next cursor, 0 at the end.
    pub fn list(&self, now: Now, cursor: u32, count: usize, visit: &mut dyn FnMut(QueueLine<'_>)) -> u32 {
        self.visit_queues(cursor, count, |queue| visit(queue.line(now.ms)))
    }

    /// Visits so many queues from a cursor on; the next cursor, 0 at the end.
    pub(crate) fn visit_queues<'a>(
        &'a self,
        cursor: u32,
        count: usize,
        mut visit: impl FnMut(&'a Queue),
    ) -> u32 {
        let mut left = count;
        for ix in cursor..self.queues.slots() {
            let Some(queue) = self.queues.get(ix) else { continue };
            if left == 0 {
                return ix;
            }
            left -= 1;
            visit(queue);
        }
        0
    }

    /// QREADY: groups with ready jobs, about `count` a call. The cursor is a queue's and a group's slot, so
    /// that what stays is seen once.
    pub fn ready(
        &self,
        now: Now,
        cursor: u64,
        glob: Option<&[u8]>,
        count: usize,
        out: &mut Vec<ReadyLine>,
    ) -> u64 {
        let (mut queue_ix, mut group_ix) = ((cursor >> 32) as u32, cursor as u32);
        let mut looked = 0;
        let full = out.len() + count;
        while queue_ix < self.queues.slots() {
            let wanted = |queue: &&Queue| glob.is_none_or(|glob| glob::matches(glob, &queue.name));
            if let Some(queue) = self.queues.get(queue_ix).filter(wanted) {
                while group_ix < queue.groups.slots() {
                    if out.len() >= full || looked >= limits::SCAN_SLOTS_MAX {
                        return u64::from(queue_ix) << 32 | u64::from(group_ix);
                    }
                    looked += 1;
                    out.extend(queue.ready_line(group_ix, now.ms));
                    group_ix += 1;
                }
            }
            (queue_ix, group_ix) = (queue_ix + 1, 0);
            looked += 1;
            if looked >= limits::SCAN_SLOTS_MAX && queue_ix < self.queues.slots() {
                return u64::from(queue_ix) << 32;
            }
        }
        0
    }

    /// QPEEK: jobs in a state, next to be claimed first; delayed by due time, claimed by the end of their
    /// lease, dead by when they died.
    pub fn peek(
        &self,
        queue: &[u8],
        state: State,
        count: usize,
        group: Option<&[u8]>,
        out: &mut Vec<JobRef>,
    ) {
        let Some(queue_ix) = self.find(queue) else { return };
        let queue = &self.queues[queue_ix];
        let found = match state {
            State::Ready => queue.peek_ready(count, group),
            State::Delayed => queue.peek_timers(queue.delayed.in_order(), count, group),
            State::Claimed => queue.peek_timers(queue.leases_in_order(), count, group),
            State::Dead => queue.peek_timers(queue.dead.in_order(), count, group),
        };
        out.extend(found.into_iter().map(|job| JobRef { queue: queue_ix, job }));
    }

    /// QJOB.
    pub fn job(&self, queue: &[u8], which: Which<'_>) -> Option<JobRef> {
        let queue_ix = self.find(queue)?;
        let queue = &self.queues[queue_ix];
        let job = match which {
            Which::Id(id) => queue.find(id.0),
            Which::Key { key, group } => queue.find_by_key(self.last_now(), group, key),
        };
        job.map(|job| JobRef { queue: queue_ix, job })
    }

    /// QSCAN: ids from a cursor on, about `count`; the next cursor, 0 at the end. A job keeps its slot for
    /// life, so one that is there all the while is seen.
    pub fn scan(
        &self,
        queue: &[u8],
        cursor: u64,
        state: Option<State>,
        group: Option<&[u8]>,
        count: usize,
        out: &mut Vec<JobId>,
    ) -> u64 {
        let Some(queue_ix) = self.find(queue) else { return 0 };
        let queue = &self.queues[queue_ix];
        let end = queue.jobs.slots();
        let full = out.len() + count;
        let start = u32::try_from(cursor).unwrap_or(end).min(end);
        for ix in start..end {
            if out.len() >= full || (ix - start) as usize >= limits::SCAN_SLOTS_MAX {
                return u64::from(ix);
            }
            if queue.matches(ix, state, group) {
                out.push(JobId(queue.jobs[ix].id));
            }
        }
        0
    }
}

impl Queue {
    pub(crate) fn view(&self, ix: u32) -> JobView<'_> {
        let job = &self.jobs[ix];
        let extras = self.extras(ix);
        JobView {
            queue: &self.name,
            id: JobId(job.id),
            receipt: Receipt { id: JobId(job.id), epoch: Epoch(extras.epoch) },
            group: &self.groups[job.group].name,
            state: job.state(),
            priority: job.priority,
            payload: self.payload(ix),
            attempts: extras.attempts,
            failures: extras.failures,
            attempts_max: extras.attempts_max.unwrap_or(self.settings.attempts),
            pushed_at: job.pushed_at.get(),
            ready_at: job.ready_at.get(),
            expires_at: self.expires_at(ix),
            lease_until: job.is_claimed().then(|| extras.lease_until.get()),
            worker: self.worker(ix).map(|worker| &*worker.name),
            dedupe: self.key(ix),
            root: self.tag_of(ix).map(|tag| (&*self.roots[tag.root].signature, tag.timestamp)),
            last_error: extras.last_error.as_deref(),
        }
    }

    fn paused(&self, now: u64) -> Paused {
        Paused { push: self.push_paused_until > now, claim: self.claim_paused_until > now }
    }

    /// The queue's line of QLIST.
    pub(crate) fn line(&self, now: u64) -> QueueLine<'_> {
        QueueLine {
            queue: &self.name,
            counts: self.counts(),
            oldest_ready_ms: self.oldest_ready_ms(now),
            paused: self.paused(now),
        }
    }

    fn oldest_ready_ms(&self, now: u64) -> Option<u64> {
        let turns = self.ring.iter(&self.groups).chain(self.aside.iter(&self.groups));
        let oldest = turns.filter_map(|ix| self.groups[ix].oldest_ready_at(&self.jobs)).min();
        oldest.map(|at| now.saturating_sub(at))
    }

    fn ready_line(&self, ix: u32, now: u64) -> Option<ReadyLine> {
        let group = self.groups.get(ix)?;
        let oldest = group.oldest_ready_at(&self.jobs)?;
        Some(ReadyLine {
            queue: self.name.clone(),
            group: group.name.clone(),
            ready: u64::from(group.counts[0]),
            oldest_ms: now.saturating_sub(oldest),
        })
    }

    /// In the order of claims: groups in turn, each with its own order.
    fn peek_ready(&self, count: usize, group: Option<&[u8]>) -> Vec<u32> {
        let order = self.settings.order;
        if let Some(name) = group {
            let group = self.find_group(name).map(|ix| &self.groups[ix]);
            return group
                .into_iter()
                .flat_map(|group| group.in_order(&self.jobs, order))
                .take(count)
                .collect();
        }
        let turns = self.ring.iter(&self.groups).chain(self.aside.iter(&self.groups));
        let mut groups: Vec<_> =
            turns.take(count).map(|ix| self.groups[ix].in_order(&self.jobs, order)).collect();
        let mut found = Vec::new();
        while !groups.is_empty() && found.len() < count {
            groups.retain_mut(|jobs| {
                let next = jobs.next().filter(|_| found.len() < count);
                found.extend(next);
                next.is_some()
            });
        }
        found
    }

    fn peek_timers(
        &self,
        in_order: impl Iterator<Item = (Moment, u32)>,
        count: usize,
        group: Option<&[u8]>,
    ) -> Vec<u32> {
        let looked = if group.is_some() { limits::PEEK_JOBS_MAX } else { count };
        let jobs = in_order.map(|(_, ix)| ix).take(looked);
        jobs.filter(|&ix| self.matches(ix, None, group)).take(count).collect()
    }
}
