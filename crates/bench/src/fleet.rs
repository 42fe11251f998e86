//! The connections of a load: one thread drives them all, so that the generator leaves the second core to the server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

use crate::connection::{Connection, Role};
use crate::dialect::{Dialect, Place};
use crate::latency::Latencies;
use crate::ledger::Ledger;
use crate::load::{Acks, Crew, Load, Shape};
use crate::pace::Pace;
use crate::shift::Shift;

/// The timer's mark among the events; connections have their numbers.
pub(crate) const TIMER: u64 = u64::MAX;

/// When a run begins no further cycle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After so many jobs.
    Jobs(u64),
}

/// What a run does with its jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Pushes, claims and acks them.
    Cycle,
    /// Pushes them and lets them stand.
    Fill,
}

/// One run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Order {
    /// What it does.
    pub work: Work,
    /// How its connections send.
    pub shape: Shape,
    /// When.
    pub pace: Pace,
    /// For how long.
    pub until: Until,
}

/// What a run did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Run {
    /// Jobs that went the whole way.
    pub jobs: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// CPU that the generator itself took.
    pub client_cpu: Duration,
    /// Pushes that were due and could never be sent, for no connection became free. They count in the percentiles
    /// with the time for which they had waited at the end.
    pub unsent: u64,
    /// What commands took.
    pub latencies: Latencies,
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// Since its start.
    pub elapsed: Duration,
    /// Jobs that went as far as the run wants.
    pub jobs: u64,
}

/// The connections to one server.
pub struct Fleet {
    pub(crate) poll: OwnedFd,
    pub(crate) timer: OwnedFd,
    pub(crate) connections: Vec<Connection>,
    /// How many of them push.
    pub(crate) pushers: usize,
    pub(crate) queues: usize,
    pub(crate) delay_ns: u64,
    pub(crate) acks: Acks,
}

impl Fleet {
    /// Connects as many as the load wants.
    ///
    /// # Errors
    /// The server does not take them all.
    pub fn connect(address: SocketAddr, load: &Load, dialect: &mut dyn Dialect) -> Result<Fleet> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Of its own precision: the timeout of epoll is rounded up to milliseconds.
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        epoll::add(&poll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        let mut connections = Vec::with_capacity(load.crew.connections());
        for number in 0..load.crew.connections() {
            let role = match load.crew {
                Crew::Workers(_) => Role::Worker,
                Crew::Apart { producers, .. } if number < producers => Role::Producer,
                Crew::Apart { .. } => Role::Consumer,
            };
            let place = Place { connection: number, queue: number % load.queues };
            let connection = Connection::connect(address, place, role, dialect)?;
            let mark = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, &connection.stream, mark, epoll::EventFlags::IN)?;
            connections.push(connection);
        }
        let pushers = match load.crew {
            Crew::Workers(workers) => workers,
            Crew::Apart { producers, .. } => producers,
        };
        let delay_ns = load.delay_ms * 1_000_000;
        Ok(Fleet { poll, timer, connections, pushers, queues: load.queues, delay_ns, acks: load.acks })
    }

    /// Runs cycles on all connections and lets those under way finish. `tell` hears every second how far it is.
    ///
    /// # Errors
    /// The server answers an error, loses or doubles a job, or goes away.
    pub fn run(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        order: Order,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Run> {
        Shift::new(self, dialect, ledger, order).run(tell)
    }
}

#[cfg(test)]
mod tests;
