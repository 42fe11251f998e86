//! The engine's face: a shard owns queues.
//!
//! Commands come here by queue name; the queue decides, and afterwards the shard brings its own books up to
//! date: the heap of deadlines, the turn between queues, and the queues whose waiters may now be served.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use stanchion_protocol::command::{Nack, NewJob, RootTag, Take};
use stanchion_protocol::id::{COUNTER_BITS, JobId, Receipt};

use crate::consumers::Claimer;
use crate::event::{Event, LastPart, Part};
use crate::footprint::Footprint;
use crate::heap::Heap;
use crate::index::Index;
use crate::line::{Kind, Line};
use crate::notes::Notes;
use crate::payload::SpillAt;
use crate::queue::{At, Queue};
use crate::slab::{NONE, Slab};
use crate::waiters::{Waiters, wanted};
use crate::{
    Claimed, Grant, JobRef, Lsn, Nacked, PayloadRoom, Pushed, Refusal, SettingsPatch, WaitFor, WaiterId,
    limits,
};

/// The instant of a command.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Unix milliseconds; never below an earlier one.
    pub ms: u64,
    /// Random bits, for jitter; drawn values go into the events.
    pub entropy: u64,
}

/// Reads what the configuration file says about a queue of this name.
pub type FileSettings = Arc<dyn Fn(&[u8]) -> SettingsPatch + Send + Sync>;

/// What a shard must know at its start.
#[derive(Clone)]
pub struct ShardConfig {
    /// Which shard this is.
    pub index: u16,
    /// How many there are.
    pub count: u16,
    /// This run's boot number; [`Shard::set_boot`] sets one that is known only after recovery.
    pub boot: u32,
    /// Asked when a queue is made.
    pub file: FileSettings,
}

/// How far a bounded piece of work got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<T> {
    /// There is more: call again, in another hold.
    More(T),
    /// Finished.
    Done(T),
}

/// One owner of its queues.
pub struct Shard {
    index: u16,
    count: u16,
    boot: u32,
    pub(crate) file: FileSettings,
    pub(crate) hasher: foldhash::fast::FixedState,
    pub(crate) queues: Slab<Queue>,
    /// What lives in all of them.
    pub(crate) live: Footprint,
    pub(crate) names: Index,
    /// The queue that was found last: commands come in runs.
    pub(crate) found: Cell<u32>,
    /// The queue whose turn and deadline are yet to be booked.
    pub(crate) unsettled: u32,
    /// A lower bound of the lsn of this hold's records.
    pub(crate) base: Lsn,
    /// The part that was written last in this hold.
    pub(crate) last_part: Option<LastPart>,
    /// Ids issued in this run.
    issued: u64,
    pub(crate) last_now: u64,
    pub(crate) last_id: u64,
    /// Changes of any queue in this run, as the versions of queues number them.
    pub(crate) changes: u64,
    /// The number of the last change that deleted a queue.
    pub(crate) newest_deletion: u64,
    /// What happened to jobs since somebody took the notes.
    pub(crate) notes: Notes,
    /// Queues by their next deadline.
    pub(crate) deadlines: Heap,
    pub(crate) waiters: Waiters,
    /// What the server knows of the versions of workers.
    pub(crate) worker_versions: HashMap<Box<[u8]>, Arc<[u8]>, foldhash::fast::FixedState>,
    pub(crate) attention: Line,
    pub(crate) turn: Line,
    pub(crate) stale: Line,
    /// Deleted queues whose memory is freed in bounded steps.
    pub(crate) doomed: Vec<Queue>,
    /// Where reclaiming goes on.
    pub(crate) reclaim_at: u32,
    /// How much of payloads may be in memory.
    pub(crate) room: PayloadRoom,
    /// Where payloads are given up next.
    pub(crate) spill_at: SpillAt,
}

impl Shard {
    /// A shard without queues.
    pub fn new(config: ShardConfig) -> Shard {
        assert!(config.index < config.count, "shard {} of {}", config.index, config.count);
        Shard {
            index: config.index,
            count: config.count,
            boot: config.boot,
            file: config.file,
            hasher: foldhash::fast::FixedState::default(),
            queues: Slab::default(),
            live: Footprint::default(),
            names: Index::default(),
            found: Cell::new(NONE),
            unsettled: NONE,
            base: 0,
            last_part: None,
            issued: 0,
            last_now: 0,
            last_id: 0,
            changes: 0,
            newest_deletion: 0,
            notes: Notes::default(),
            deadlines: Heap::default(),
            waiters: Waiters::default(),
            worker_versions: HashMap::default(),
            attention: Line::new(Kind::Attention),
            turn: Line::new(Kind::Turn),
            stale: Line::new(Kind::Stale),
            doomed: Vec::new(),
            reclaim_at: 0,
            room: PayloadRoom::UNLIMITED,
            spill_at: SpillAt::START,
        }
    }

    /// Sets this run's boot number, before the first command.
    pub fn set_boot(&mut self, boot: u32) {
        (self.boot, self.issued) = (boot, 0);
        self.begin_run();
    }

    /// Starts a hold of the shard: `base` is a lower bound of the lsn of every record of this hold. The `log` of its
    /// commands may be the same record, for as long as nobody else takes anything out of it.
    pub fn begin(&mut self, base: Lsn) {
        self.base = self.base.max(base);
        self.last_part = None;
    }

    // --- producers

    /// QPUSH, QMPUSH: all or nothing; one outcome for each job.
    ///
    /// # Errors
    /// Refused when pushes are paused or a limit would be passed; then nothing has changed.
    pub fn push(
        &mut self,
        now: Now,
        queue: &[u8],
        jobs: &[NewJob<'_>],
        log: &mut Vec<u8>,
        out: &mut Vec<Pushed>,
    ) -> Result<(), Refusal> {
        let at = self.at(now);
        let ix = match self.find(queue) {
            Some(ix) => {
                self.queues[ix].admits(at.now, jobs)?;
                ix
            }
            None => {
                let fresh = Queue::new(queue, (self.file)(queue), at.now);
                fresh.admits(at.now, jobs)?;
                self.adopt(fresh)
            }
        };
        let ids = Ids { boot: self.boot, index: self.index, count: self.count };
        let mut part = self.part(at, ix, log);
        for job in jobs {
            let issued = &mut self.issued;
            let next_id = || {
                *issued += 1;
                ids.nth(*issued)
            };
            out.push(self.queues[ix].decide_push(at, &mut part, job, next_id));
        }
        self.after(at, ix, part);
        Ok(())
    }

    /// QROOT: whether it is now the newest or equal to it.
    pub fn root(
        &mut self,
        now: Now,
        queue: &[u8],
        group: &[u8],
        root: RootTag<'_>,
        log: &mut Vec<u8>,
    ) -> bool {
        let at = self.at(now);
        let ix = self.find_or_make(queue, at.now);
        let mut part = self.part(at, ix, log);
        let newest = self.queues[ix].decide_root(at, &mut part, group, &root);
        self.after(at, ix, part);
        newest
    }

    // --- consumers

    /// Claims up to `take.count` jobs of a queue now; blocking is the caller's matter.
    pub fn claim(&mut self, now: Now, queue: &[u8], take: &Take<'_>, log: &mut Vec<u8>, out: &mut Claimed) {
        let at = self.at(now);
        let Some(ix) = self.find(queue) else { return };
        let mut claimer = self.claimer(take);
        let mut part = self.part(at, ix, log);
        self.fire(at, ix, &mut part);
        let before = out.len();
        while out.len() - before < take.count as usize {
            let Some(job) = self.queues[ix].decide_claim(at, &mut part, &mut claimer) else { break };
            self.hand_out(ix, job, out);
        }
        out.cut_short = claimer.cut_short;
        self.after(at, ix, part);
    }

    /// Claims job by job in turns over the queues that match.
    pub fn claim_matching(
        &mut self,
        now: Now,
        globs: &[&[u8]],
        except: &[&[u8]],
        take: &Take<'_>,
        log: &mut Vec<u8>,
        out: &mut Claimed,
    ) {
        let at = self.at(now);
        let mut claimer = self.claimer(take);
        let before = out.len();
        self.settle_up();
        // A queue that has nothing for this claim keeps its place; one that has goes to the back.
        let mut passed = NONE;
        while out.len() - before < take.count as usize
            && let Some(ix) = self.turn.after(&self.queues, passed)
        {
            let name = &self.queues[ix].name;
            if !wanted(name, globs.iter().copied(), except.iter().copied()) {
                passed = ix;
                continue;
            }
            let mut part = self.part(at, ix, log);
            self.fire(at, ix, &mut part);
            let job = self.queues[ix].decide_claim(at, &mut part, &mut claimer);
            if let Some(job) = job {
                self.hand_out(ix, job, out);
            }
            if job.is_some() || self.queues[ix].counts[0] == 0 {
                self.turn.leave(&mut self.queues, ix);
            } else {
                passed = ix;
            }
            self.after(at, ix, part);
            self.settle_up();
        }
        out.cut_short = claimer.cut_short;
    }

    /// QACK: how many were acked now.
    pub fn ack(&mut self, now: Now, queue: &[u8], receipts: &[Receipt], log: &mut Vec<u8>) -> u64 {
        self.each(now, queue, receipts, log, |queue, at, part, receipt| queue.decide_ack(at, part, receipt))
    }

    /// QNACK.
    pub fn nack(&mut self, now: Now, nack: &Nack<'_>, log: &mut Vec<u8>) -> Nacked {
        let at = self.at(now);
        let Some(ix) = self.find(nack.queue) else { return Nacked::Stale };
        let mut part = self.part(at, ix, log);
        let nacked = self.queues[ix].decide_nack(now, at, &mut part, nack);
        self.after(at, ix, part);
        nacked
    }

    /// QRELEASE: how many were given back.
    pub fn release(
        &mut self,
        now: Now,
        queue: &[u8],
        delay_ms: Option<u64>,
        receipts: &[Receipt],
        log: &mut Vec<u8>,
    ) -> u64 {
        self.each(now, queue, receipts, log, |queue, at, part, receipt| {
            queue.decide_release(at, part, receipt, delay_ms)
        })
    }

    /// QEXTEND: how many leases were extended.
    pub fn extend(
        &mut self,
        now: Now,
        queue: &[u8],
        lease_ms: u64,
        receipts: &[Receipt],
        log: &mut Vec<u8>,
    ) -> u64 {
        self.each(now, queue, receipts, log, |queue, at, part, receipt| {
            queue.decide_extend(at, part, receipt, lease_ms)
        })
    }

    /// BOUND: the connection is gone, and these leases end now as if they lapsed.
    pub fn lapse(&mut self, now: Now, queue: &[u8], receipts: &[Receipt], log: &mut Vec<u8>) -> u64 {
        self.each(now, queue, receipts, log, |queue, at, part, receipt| queue.decide_lapse(at, part, receipt))
    }

    fn each(
        &mut self,
        now: Now,
        queue: &[u8],
        receipts: &[Receipt],
        log: &mut Vec<u8>,
        mut decide: impl FnMut(&mut Queue, At, &mut Part<'_>, Receipt) -> bool,
    ) -> u64 {
        let at = self.at(now);
        let Some(ix) = self.find(queue) else { return 0 };
        let mut part = self.part(at, ix, log);
        let queue = &mut self.queues[ix];
        let done = receipts.iter().filter(|&&receipt| decide(queue, at, &mut part, receipt)).count();
        self.after(at, ix, part);
        done as u64
    }

    fn claimer<'a>(&self, take: &'a Take<'a>) -> Claimer<'a> {
        let epoch_floor = u64::from(self.boot) << 32;
        let version = take.worker.and_then(|worker| self.worker_versions.get(worker).cloned());
        let drops_left = limits::CLAIM_DROPS_MAX;
        Claimer { take, version, epoch_floor, drops_left, cut_short: false, bytes_left: None }
    }

    fn hand_out(&self, queue: u32, job: u32, out: &mut Claimed) {
        let jobs = &self.queues[queue].jobs;
        out.newest_base = out.newest_base.max(jobs.base(job));
        out.jobs.push(JobRef { queue, job });
    }

    // --- blocked claims

    /// A claim waits; one waiter may wait for several queues. Nothing of it is logged.
    pub fn park(&mut self, waiter: WaiterId, on: WaitFor<'_>, group: Option<&[u8]>) {
        self.settle_up();
        self.waiters.park(waiter, on, group);
        let queues: Vec<u32> = match on {
            WaitFor::Queue(queue) => {
                let ix = self.find(queue);
                ix.iter().for_each(|&ix| self.queues[ix].waiters += 1);
                ix.into_iter().collect()
            }
            WaitFor::Match { globs, except } => {
                let is_wanted =
                    |ix: &u32| wanted(&self.queues[*ix].name, globs.iter().copied(), except.iter().copied());
                self.turn.iter(&self.queues).filter(is_wanted).collect()
            }
        };
        for ix in queues {
            // A token that nobody waited for until now has no timer yet.
            self.book_deadline(ix);
            self.notice(ix);
        }
    }

    /// It waits no longer.
    pub fn unpark(&mut self, waiter: WaiterId) {
        for queue in self.waiters.unpark(waiter) {
            if let Some(ix) = self.find(&queue) {
                self.queues[ix].waiters -= 1;
            }
        }
    }

    /// Who can be served now. The caller claims for that waiter from that queue and unparks it, or, when the
    /// waiter was served elsewhere, only unparks it; a claim that comes back empty leaves it parked. Then it
    /// asks again, until there is nobody.
    pub fn next_grant(&mut self, now: Now) -> Option<Grant> {
        while let Some(ix) = self.attention.front() {
            let queue = &mut self.queues[ix];
            let name = queue.name.clone();
            if let Some(waiter) = self.waiters.first(&name, |group| queue.claimable(now.ms, group)) {
                return Some(Grant { waiter, queue: name });
            }
            // Nobody can be served from it until it changes again.
            self.attention.leave(&mut self.queues, ix);
        }
        None
    }

    // --- time

    /// Fires what is due, about a thousand jobs at most, in one record; true when there is more.
    pub fn tick(&mut self, now: Now, log: &mut Vec<u8>) -> bool {
        let at = self.at(now);
        self.settle_up();
        let Some((_, ix)) = self.deadlines.first().filter(|&((deadline, _), _)| deadline <= at.now) else {
            return false;
        };
        let mut part = Part::new(log, at.now);
        self.queues[ix].decide_due(at, &mut part);
        // Not within it: a claim need not wait until the dead are as few as a new limit says.
        self.queues[ix].decide_burial(at, &mut part);
        if !part.is_empty() {
            self.changed(at, ix);
        }
        if self.queues[ix].end_at().is_some_and(|end| end <= at.now) {
            part.add(&self.queues[ix].name, &Event::QueueGone);
            drop(part);
            self.remove_queue(ix);
        } else {
            self.notice(ix);
            self.after(at, ix, part);
        }
        self.next_deadline().is_some_and(|deadline| deadline <= at.now)
    }

    /// When the next timer fires, in Unix milliseconds.
    pub fn next_deadline(&mut self) -> Option<u64> {
        self.settle_up();
        self.deadlines.first().map(|((deadline, _), _)| deadline)
    }

    /// One bounded step of the work that nobody waits for: superseded jobs are dropped, deleted queues are
    /// taken apart. True when there is more.
    pub fn background(&mut self, now: Now, log: &mut Vec<u8>) -> bool {
        let at = self.at(now);
        self.settle_up();
        if !self.doomed.is_empty() {
            self.free_doomed();
        } else if let Some(ix) = self.stale.front() {
            let mut part = Part::new(log, at.now);
            let mut left = limits::SWEEP_JOBS_MAX;
            let more = self.queues[ix].sweep(at, &mut part, &mut left);
            if !more {
                self.stale.leave(&mut self.queues, ix);
            }
            self.after(at, ix, part);
        }
        self.has_background()
    }

    /// Frees a large deleted queue in part, or several small ones.
    pub(crate) fn free_doomed(&mut self) {
        let mut left = limits::SWEEP_JOBS_MAX;
        while left > 0
            && let Some(queue) = self.doomed.last_mut()
        {
            let entries = queue.slots_most() as usize;
            if queue.dismantle(left) {
                self.doomed.pop();
            }
            // The queue itself is some dozen allocations.
            left = left.saturating_sub(entries + limits::QUEUE_FREED_AS_JOBS);
        }
    }

    /// Whether [`Shard::background`] has something to do.
    pub fn has_background(&mut self) -> bool {
        self.settle_up();
        !self.doomed.is_empty() || !self.stale.is_empty()
    }

    /// What is due in one queue, before a claim of it.
    fn fire(&mut self, at: At, ix: u32, part: &mut Part<'_>) {
        let queue = &mut self.queues[ix];
        if queue.next_deadline(at.now, false).is_some_and(|deadline| deadline <= at.now) {
            queue.decide_due(at, part);
        }
    }

    // --- for those who watch and listen

    /// A number that differs whenever anything about the queue has changed in between, its making and deletion
    /// included. Only of a queue that is missing it may differ though nothing has: all of them have the number
    /// of the newest deletion. It is of this run: nothing of it is logged.
    pub fn version(&self, queue: &[u8]) -> u64 {
        self.find(queue).map_or(self.newest_deletion, |ix| self.queues[ix].version)
    }

    /// Whether something happened to jobs of queues whose `notify` setting is on.
    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Moves what was noted, in order, behind what is in `into`; free of copies when that is empty.
    pub fn take_notes(&mut self, into: &mut Notes) {
        into.take_from(&mut self.notes);
    }

    // --- books

    /// The newest id issued, in this run or an earlier one.
    pub fn newest_id(&self) -> JobId {
        let ids = Ids { boot: self.boot, index: self.index, count: self.count };
        let issued = if self.issued == 0 { 0 } else { ids.nth(self.issued) };
        JobId(self.last_id.max(issued))
    }
}

/// How a shard's ids come about: a counter that is the shard's index modulo the number of shards.
#[derive(Clone, Copy)]
struct Ids {
    boot: u32,
    index: u16,
    count: u16,
}

impl Ids {
    fn nth(self, n: u64) -> u64 {
        let counter = n * u64::from(self.count) + u64::from(self.index);
        assert!(counter < 1 << COUNTER_BITS, "one run issues at most 2^{COUNTER_BITS} ids");
        u64::from(self.boot) << COUNTER_BITS | counter
    }
}
