//! One run of a fleet: gives what is due to who is free, and hears what comes back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::retry_on_intr;
use rustix::time::{ClockId, Itimerspec, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_settime};

use crate::connection::{Role, Stage, Watch};
use crate::dialect::{Dialect, What};
use crate::fleet::{Fleet, Order, Progress, Run, TIMER, Until, Work};
use crate::latency::Clocks;
use crate::ledger::Ledger;
use crate::load::Acks;
use crate::pace::Schedule;

/// How often progress is told.
const TELL_EVERY_NS: u64 = 1_000_000_000;

/// In a closed loop producers wait while so many cycles wait for a consumer, so that what is measured is the cycle and
/// not the growth of a backlog.
const HANDOVERS_MAX: usize = 256;

/// The same where jobs are delayed and wait by themselves.
const DELAYED_HANDOVERS_MAX: usize = 10_000;

/// Jobs that a producer has pushed and some consumer will claim.
struct Handover {
    queue: usize,
    dues: Vec<u64>,
    /// From when on they can be claimed.
    ready_at: u64,
}

pub(crate) struct Shift<'a> {
    fleet: &'a mut Fleet,
    dialect: &'a mut dyn Dialect,
    ledger: &'a mut Ledger,
    order: Order,
    schedule: Schedule,
    start: Instant,
    /// Jobs that were begun.
    begun: u64,
    /// Connections that wait for answers.
    busy: usize,
    /// Who may push, and who may only claim, longest idle first.
    pushers: VecDeque<usize>,
    claimers: VecDeque<usize>,
    handovers: VecDeque<Handover>,
    clocks: Clocks,
    /// For when the timer is set.
    armed: Option<u64>,
}

impl<'a> Shift<'a> {
    pub(crate) fn new(
        fleet: &'a mut Fleet,
        dialect: &'a mut dyn Dialect,
        ledger: &'a mut Ledger,
        order: Order,
    ) -> Shift<'a> {
        let mut shift = Shift {
            dialect,
            ledger,
            order,
            schedule: Schedule::new(order.pace),
            start: Instant::now(),
            begun: 0,
            busy: 0,
            pushers: VecDeque::new(),
            claimers: VecDeque::new(),
            handovers: VecDeque::new(),
            clocks: Clocks::new(),
            armed: None,
            fleet,
        };
        for index in 0..shift.fleet.connections.len() {
            shift.rest(index, 0);
        }
        shift
    }

    pub(crate) fn run(mut self, tell: &mut dyn FnMut(Progress)) -> Result<Run> {
        let (cpu, done) = (cpu_now(), self.ledger.done());
        let mut tell_at = TELL_EVERY_NS;
        let mut events = Vec::with_capacity(self.fleet.connections.len() + 1);
        self.start = Instant::now();
        loop {
            let now = self.now();
            self.hand_out(now)?;
            if self.busy == 0 && self.is_over(now) && self.handovers.is_empty() {
                break;
            }
            self.arm(now, tell_at)?;
            // A child of another thread that ends, or a stop of this process, is no event.
            retry_on_intr(|| epoll::wait(&self.fleet.poll, spare_capacity(&mut events), None))?;
            for event in events.drain(..) {
                match event.data.u64() {
                    TIMER => {
                        rustix::io::read(&self.fleet.timer, &mut [0_u8; 8])?;
                        self.armed = None;
                    }
                    index => self.hear(index as usize)?,
                }
            }
            if self.now() >= tell_at {
                tell_at += TELL_EVERY_NS;
                let jobs = match self.order.work {
                    Work::Cycle => self.ledger.done() - done,
                    Work::Fill => self.begun,
                };
                tell(Progress { elapsed: self.start.elapsed(), jobs });
            }
        }
        let elapsed = self.start.elapsed();
        let unsent = self.count_unsent();
        Ok(Run {
            jobs: self.ledger.done() - done,
            elapsed,
            client_cpu: cpu_now().saturating_sub(cpu),
            unsent,
            latencies: self.clocks.read(),
        })
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Whether no further cycle begins.
    fn is_over(&self, now: u64) -> bool {
        match self.order.until {
            Until::Elapsed(limit) => u128::from(now) >= limit.as_nanos(),
            Until::Jobs(limit) => self.begun >= limit,
        }
    }

    /// Gives all that is due to connections that are free.
    fn hand_out(&mut self, now: u64) -> Result<()> {
        while self.handovers.front().is_some_and(|handover| handover.ready_at <= now) {
            let Some(index) = self.claimers.pop_front() else { break };
            let Some(Handover { queue, dues, ready_at }) = self.handovers.pop_front() else { break };
            let connection = &mut self.fleet.connections[index];
            self.clocks.late.record(ready_at.max(connection.idle_since), now);
            connection.place.queue = queue;
            connection.dues = dues;
            self.claim(index, ready_at)?;
            self.busy += 1;
        }
        while let Some(&index) = self.pushers.front() {
            let over = self.is_over(now);
            if over && self.fleet.connections[index].receipts.is_empty() {
                // It has done its part.
                self.pushers.pop_front();
                continue;
            }
            if over {
                // What was claimed last is acked without a further claim.
                self.pushers.pop_front();
                self.ack(index, now)?;
                self.busy += 1;
                continue;
            }
            if !self.begin(index, now)? {
                break;
            }
            self.pushers.pop_front();
            self.busy += 1;
        }
        Ok(())
    }

    /// Pushes what is due, if anything is.
    fn begin(&mut self, index: usize, now: u64) -> Result<bool> {
        let closed = self.schedule.next().is_none();
        let handovers_max = if self.fleet.delay_ns > 0 { DELAYED_HANDOVERS_MAX } else { HANDOVERS_MAX };
        if closed && self.handovers.len() >= handovers_max {
            return Ok(false);
        }
        let connection = &mut self.fleet.connections[index];
        connection.dues.clear();
        while connection.dues.len() < self.order.shape.depth {
            if let Until::Jobs(limit) = self.order.until
                && self.begun >= limit
            {
                break;
            }
            let Some(due) = self.schedule.take(now) else { break };
            if !closed {
                self.clocks.late.record(due.max(connection.idle_since), now);
            }
            connection.dues.push(due);
            self.begun += self.order.shape.batch as u64;
        }
        if connection.dues.is_empty() {
            return Ok(false);
        }
        connection.sent_at = now;
        connection.turn(self.fleet.pushers, self.fleet.queues);
        connection.push(self.dialect, self.ledger, self.order.shape)?;
        Ok(true)
    }

    /// Reads what one connection has received, and takes it a step further once all answers are there.
    fn hear(&mut self, index: usize) -> Result<()> {
        let now = self.now();
        let connection = &mut self.fleet.connections[index];
        let delayed = self.fleet.delay_ns > 0;
        let (times, unhindered, whole) = match connection.stage {
            Stage::Asked(What::Push) => {
                (Some(&mut self.clocks.push), Some(&mut self.clocks.unhindered), None)
            }
            // Where a claim may come back short, all count once all are there.
            Stage::Asked(What::Claim) if !delayed => (Some(&mut self.clocks.claim), None, None),
            // Where acks travel with claims, those of the last cycle tell nothing of the others.
            Stage::Asked(What::Ack) if self.fleet.acks == Acks::Alone => {
                (Some(&mut self.clocks.ack), None, Some(&mut self.clocks.job))
            }
            _ => (None, None, None),
        };
        let watch = Watch { times, unhindered, whole, now };
        connection.receive(self.dialect, self.ledger, self.order.shape.batch as u64, watch)?;
        if connection.awaits() {
            return Ok(());
        }
        match connection.stage {
            Stage::Asked(What::Push) => self.pushed(index, now)?,
            Stage::Asked(What::Claim) => self.claimed(index, now)?,
            Stage::Asked(What::Ack) => {
                self.busy -= 1;
                self.rest(index, now);
            }
            Stage::Asked(What::Greeting) | Stage::Idle => {}
        }
        Ok(())
    }

    fn pushed(&mut self, index: usize, now: u64) -> Result<()> {
        let connection = &mut self.fleet.connections[index];
        if self.order.work == Work::Cycle && connection.role == Role::Worker {
            return self.claim(index, now);
        }
        if self.order.work == Work::Cycle {
            let (queue, dues) = (connection.place.queue, std::mem::take(&mut connection.dues));
            self.handovers.push_back(Handover { queue, dues, ready_at: now + self.fleet.delay_ns });
        }
        self.busy -= 1;
        self.rest(index, now);
        Ok(())
    }

    fn claim(&mut self, index: usize, due: u64) -> Result<()> {
        let connection = &mut self.fleet.connections[index];
        connection.stage_due = due;
        connection.claim(self.dialect, self.ledger, self.order.shape)
    }

    fn claimed(&mut self, index: usize, now: u64) -> Result<()> {
        let (shape, delayed) = (self.order.shape, self.fleet.delay_ns > 0);
        let connection = &mut self.fleet.connections[index];
        let missing = connection.missing(shape);
        if missing > 0 && delayed {
            return connection.claim_missing(self.dialect, shape);
        }
        // Only as many are claimed as were pushed, so there is always something for everyone.
        ensure!(
            missing == 0,
            "a claim came back with {missing} jobs less than it asked for; more were ready"
        );
        if delayed {
            for _ in 0..connection.dues.len() {
                self.clocks.claim.record(connection.stage_due, now);
            }
        }
        if self.fleet.acks == Acks::WithClaims {
            self.busy -= 1;
            self.rest(index, now);
            return Ok(());
        }
        self.ack(index, now)
    }

    fn ack(&mut self, index: usize, due: u64) -> Result<()> {
        let connection = &mut self.fleet.connections[index];
        connection.stage_due = due;
        connection.ack(self.dialect, self.order.shape)
    }

    /// The connection has nothing to do.
    fn rest(&mut self, index: usize, now: u64) {
        let connection = &mut self.fleet.connections[index];
        connection.stage = Stage::Idle;
        connection.idle_since = now;
        match (connection.role, self.order.work) {
            (Role::Consumer, Work::Cycle) => self.claimers.push_back(index),
            (Role::Consumer, Work::Fill) => {}
            (Role::Worker | Role::Producer, _) => self.pushers.push_back(index),
        }
    }

    /// Sets the timer for what is due next to somebody who is free.
    fn arm(&mut self, now: u64, tell_at: u64) -> Result<()> {
        let mut wake = tell_at;
        if !self.pushers.is_empty() && !self.is_over(now) {
            if let Some(next) = self.schedule.next() {
                wake = wake.min(next);
            }
            if let Until::Elapsed(limit) = self.order.until {
                wake = wake.min(limit.as_nanos() as u64);
            }
        }
        if let (false, Some(handover)) = (self.claimers.is_empty(), self.handovers.front()) {
            wake = wake.min(handover.ready_at);
        }
        if self.armed == Some(wake) {
            return Ok(());
        }
        // A timer of zero would be none.
        let wait = Duration::from_nanos(wake.saturating_sub(now).max(1));
        let it_value = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.fleet.timer, TimerfdTimerFlags::empty(), &once)?;
        self.armed = Some(wake);
        Ok(())
    }

    /// Counts the pushes that were due before the end and never sent, with the time for which they had waited: to
    /// leave them out would leave out the worst.
    fn count_unsent(&mut self) -> u64 {
        let (Until::Elapsed(limit), Some(_)) = (self.order.until, self.schedule.next()) else { return 0 };
        let (limit, now) = (limit.as_nanos() as u64, self.now());
        let mut unsent = 0;
        while let Some(due) = self.schedule.take(limit.saturating_sub(1)) {
            self.clocks.push.record(due, now);
            self.clocks.unhindered.record(due, now);
            self.clocks.job.record(due, now);
            unsent += 1;
        }
        unsent
    }
}

/// CPU that this process has taken so far.
fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
