//! What clients draw: requests that make sense together, from what the plan lets them do.

use std::sync::Arc;

use stanchion_storage::simulation::Random;

use crate::ask::{Ask, Claim, ClaimBy, Dedupe, Held, NewJob, PauseWhat, Push, Retry, Root, Serial};
use crate::oracle::Oracle;
use crate::plan::{Plan, QueuePlan};

/// Draws the requests of one client.
pub(crate) struct Workload<'a> {
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) oracle: &'a Oracle,
    pub(crate) random: &'a mut Random,
    /// What this client was handed and has not reported.
    pub(crate) held: &'a mut Vec<Held>,
    /// Other clients, by their numbers in the server.
    pub(crate) others: &'a [i64],
    /// The serial of the next job.
    next_serial: Serial,
}

impl<'a> Workload<'a> {
    pub(crate) fn new(
        plan: &'a Arc<Plan>,
        oracle: &'a Oracle,
        random: &'a mut Random,
        held: &'a mut Vec<Held>,
        others: &'a [i64],
    ) -> Workload<'a> {
        let next_serial = oracle.next_serial();
        Workload { plan, oracle, random, held, others, next_serial }
    }

    /// The next request.
    pub(crate) fn draw(&mut self) -> Ask {
        if self.random.one_in(12) {
            let asks = (0..1 + self.random.below(4)).map(|_| self.draw_for_transaction()).collect();
            return Ask::Transaction(asks);
        }
        let queue = self.queue();
        let plan = &self.plan.clone().queues[queue];
        match self.random.below(40) {
            0 if plan.wipes => Ask::Wipe { queue, all: self.random.one_in(2) },
            1 if plan.requeues => Ask::RequeueDead { queue },
            2 | 3 if plan.pauses => {
                let what = [PauseWhat::Push, PauseWhat::Claim, PauseWhat::All][self.random.below(3) as usize];
                Ask::Pause { queue, what, ms: 1 + self.random.below(2_000) }
            }
            4 | 5 if plan.pauses => Ask::Resume { queue },
            6 | 7 => Ask::Barrier,
            8 if self.plan.disconnects && !self.others.is_empty() => {
                let index = self.random.below(self.others.len() as u64) as usize;
                Ask::Kill { client: self.others[index] }
            }
            12 if !self.others.is_empty() => {
                let index = self.random.below(self.others.len() as u64) as usize;
                Ask::Unblock { client: self.others[index] }
            }
            9 => Ask::Get { queue },
            10 if self.random.one_in(2) => Ask::Save { waits: self.random.one_in(2) },
            10 => Ask::Length { queue },
            13 | 14 => {
                let state = ["READY", "DELAYED", "CLAIMED", "DEAD"][self.random.below(4) as usize];
                Ask::Peek { queue, state }
            }
            11 | 15..=23 => self.claim(queue, true),
            _ => self.draw_simple(queue, true),
        }
    }

    /// What may stand in a transaction.
    fn draw_for_transaction(&mut self) -> Ask {
        let queue = self.queue();
        if self.random.one_in(4) { self.claim(queue, false) } else { self.draw_simple(queue, false) }
    }

    /// `keeps`: a job may be reported and kept, to be reported again.
    fn draw_simple(&mut self, queue: usize, keeps: bool) -> Ask {
        let plan = &self.plan.clone().queues[queue];
        match self.random.below(30) {
            0 if plan.deletes => match self.oracle.any_id(queue, self.random.bits()) {
                Some(id) => Ask::Delete { queue, id },
                None => self.push(queue, plan),
            },
            1 => Ask::Set { queue, value: 1 + self.oracle.values(queue) * 8 + self.random.below(8) },
            2 | 3 if plan.roots => {
                let group = self.group(plan);
                Ask::Root { queue, group, root: self.root() }
            }
            4..=14 => self.report(keeps).unwrap_or_else(|| self.push(queue, plan)),
            _ => self.push(queue, plan),
        }
    }

    fn queue(&mut self) -> usize {
        self.random.below(self.plan.queues.len() as u64) as usize
    }

    fn group(&mut self, plan: &QueuePlan) -> u64 {
        self.random.below(plan.groups + 1)
    }

    fn root(&mut self) -> Root {
        Root { signature: self.random.below(2), timestamp: 1 + self.random.below(50) }
    }

    fn push(&mut self, queue: usize, plan: &QueuePlan) -> Ask {
        let count = if self.random.one_in(5) { 1 + self.random.below(6) } else { 1 };
        let jobs = (0..count).map(|_| self.job(plan)).collect();
        let sync = match self.random.below(8) {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        };
        Ask::Push(Push { queue, jobs, sync })
    }

    fn job(&mut self, plan: &QueuePlan) -> NewJob {
        let (random, payload_bytes_max) = (&mut *self.random, self.plan.payload_bytes_max());
        let payload_bytes = match random.below(16) {
            0 if plan.large => payload_bytes_max / 4 + random.below(payload_bytes_max * 3 / 4),
            0..=2 => random.below(1_500),
            _ => random.below(60),
        };
        let delay_ms = match random.below(8) {
            _ if !plan.delays => 0,
            0 => 1 + random.below(3_600_000),
            1..=3 => 1 + random.below(800),
            _ => 0,
        };
        let dedupe = (plan.dedupes && !random.one_in(4)).then(|| Dedupe {
            key: random.below(5),
            until_done: random.one_in(2),
            window_ms: if random.one_in(3) { 1 + random.below(20_000) } else { 0 },
            replaces: plan.replaces && random.one_in(2),
        });
        let (priority, ttl_ms) = (
            if plan.priorities { random.below(10) } else { 0 },
            (plan.expires && random.one_in(3)).then(|| 1 + random.below(3_000)),
        );
        let serial = self.next_serial;
        self.next_serial += 1;
        NewJob {
            serial,
            payload_bytes: payload_bytes as usize,
            group: self.group(plan),
            priority,
            delay_ms,
            ttl_ms,
            dedupe,
            root: (plan.roots && self.random.one_in(2)).then(|| self.root()),
        }
    }

    fn claim(&mut self, queue: usize, may_block: bool) -> Ask {
        let plan = &self.plan.clone().queues[queue];
        let by = [ClaimBy::Name, ClaimBy::Name, ClaimBy::List, ClaimBy::Glob][self.random.below(4) as usize];
        // QMCLAIM acks nothing.
        let acks =
            if by == ClaimBy::Name && self.random.one_in(3) { self.take_held(queue, 3) } else { Vec::new() };
        let random = &mut *self.random;
        Ask::Claim(Claim {
            queue,
            by,
            count: if random.one_in(3) { 1 + random.below(10) } else { 1 },
            lease_ms: random.one_in(4).then(|| 1 + random.below(3_000)),
            block_ms: (may_block && random.one_in(3)).then(|| 1 + random.below(2_000)),
            group: (plan.groups > 0 && random.one_in(4)).then(|| random.below(plan.groups + 1)),
            is_bound: random.one_in(5),
            meta: !random.one_in(6),
            acks,
        })
    }

    /// Takes some of what is held of a queue.
    fn take_held(&mut self, queue: usize, most: usize) -> Vec<Held> {
        let (mut taken, mut index) = (Vec::new(), 0);
        while index < self.held.len() && taken.len() < most {
            if self.held[index].queue == queue {
                taken.push(self.held.remove(index));
            } else {
                index += 1;
            }
        }
        taken
    }

    /// Reports what became of a job that is held.
    fn report(&mut self, keeps: bool) -> Option<Ask> {
        if self.held.is_empty() {
            return None;
        }
        let index = self.random.below(self.held.len() as u64) as usize;
        Some(match self.random.below(12) {
            0 if keeps => {
                // Kept, for it is reported later.
                Ask::Extend { held: self.held[index].clone(), ms: 1 + self.random.below(5_000) }
            }
            1 | 2 => {
                let retry = match self.random.below(4) {
                    0 => Retry::Dead,
                    1 => Retry::Delay(self.random.below(1_500)),
                    _ => Retry::Backoff,
                };
                Ask::Nack { held: self.held.remove(index), retry }
            }
            3 => {
                let queue = self.held[index].queue;
                let delay_ms = self.random.one_in(3).then(|| self.random.below(500));
                Ask::Release { queue, held: self.take_held(queue, 2), delay_ms }
            }
            4 if keeps => {
                // Repeated later: a repeat is safe, and counts nothing.
                let held = vec![self.held[index].clone()];
                Ask::Ack { queue: held[0].queue, held }
            }
            5 => {
                let queue = self.held[index].queue;
                Ask::Ack { queue, held: self.take_held(queue, 4) }
            }
            _ => {
                let held = self.held.remove(index);
                Ask::Ack { queue: held.queue, held: vec![held] }
            }
        })
    }
}
