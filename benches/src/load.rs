//! The load: one thread drives all connections, so that the client leaves the second core to the server.
//!
//! A connection pushes `depth` commands, reads their replies, claims as many jobs, reads, acks them, reads, and
//! begins again. It never has more than one write and one read for each of the three.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::time::{ClockId, clock_gettime};

use crate::dialect::{Dialect, Receipts};
use crate::ledger::Ledger;
use crate::resp::Scanner;

/// A read takes this much; a whole stage's replies fit.
const READ_BYTES: usize = 64 * 1024;

/// Jobs of one cycle. More would not fit the socket buffers, and a blocking write could wait for ever.
const CYCLE_JOBS_MAX: usize = 512;

/// How a connection sends its jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// Commands sent before the first reply is read.
    pub(crate) depth: usize,
    /// Jobs in one command, where the server has such a command.
    pub(crate) batch: usize,
}

/// When a run begins no further cycle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Elapsed(Duration),
    Jobs(u64),
}

/// What a run did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) jobs: u64,
    pub(crate) elapsed: Duration,
    /// CPU that the load itself took.
    pub(crate) client_cpu: Duration,
}

/// The connections to one server.
pub(crate) struct Fleet {
    poll: OwnedFd,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    queue: usize,
    stage: Stage,
    /// Replies of this stage that are still to come.
    awaited: usize,
    receipts: Receipts,
    out: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that hold replies not yet read.
    filled: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    Push,
    Claim,
    Ack,
}

impl Fleet {
    /// Connects so many, which take turns over so many queues.
    pub(crate) fn connect(address: SocketAddr, connections: usize, queues: usize) -> Result<Fleet> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut fleet = Fleet { poll, connections: Vec::with_capacity(connections) };
        for index in 0..connections {
            let stream =
                TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
            stream.set_nodelay(true)?;
            epoll::add(&fleet.poll, &stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            fleet.connections.push(Connection::new(stream, index % queues));
        }
        Ok(fleet)
    }

    /// Runs cycles on all connections and lets those under way finish.
    pub(crate) fn run(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        shape: Shape,
        until: Until,
    ) -> Result<Run> {
        ensure!(shape.depth * shape.batch <= CYCLE_JOBS_MAX, "a cycle takes at most {CYCLE_JOBS_MAX} jobs");
        let (start, cpu, done) = (Instant::now(), cpu_now(), ledger.done());
        let mut begun = 0;
        let mut may_begin = || {
            let more = match until {
                Until::Elapsed(limit) => start.elapsed() < limit,
                Until::Jobs(limit) => begun < limit,
            };
            begun += (shape.depth * shape.batch) as u64;
            more
        };
        let mut busy = 0;
        for connection in &mut self.connections {
            if may_begin() {
                connection.push(dialect, ledger, shape)?;
                busy += 1;
            }
        }
        let mut scanner = Scanner::default();
        let mut events = Vec::with_capacity(self.connections.len().max(1));
        while busy > 0 {
            epoll::wait(&self.poll, spare_capacity(&mut events), None)?;
            for event in events.drain(..) {
                let connection = &mut self.connections[event.data.u64() as usize];
                connection.receive(dialect, ledger, &mut scanner)?;
                if connection.awaited > 0 {
                    continue;
                }
                match connection.stage {
                    Stage::Push => connection.claim(dialect, ledger, shape)?,
                    // What was claimed is acked with the next claim.
                    Stage::Claim if dialect.acks_with_claims() && may_begin() => {
                        connection.push(dialect, ledger, shape)?;
                    }
                    Stage::Claim => connection.ack(dialect, shape)?,
                    Stage::Ack if !dialect.acks_with_claims() && may_begin() => {
                        connection.push(dialect, ledger, shape)?;
                    }
                    Stage::Ack | Stage::Idle => {
                        connection.stage = Stage::Idle;
                        busy -= 1;
                    }
                }
            }
        }
        Ok(Run {
            jobs: ledger.done() - done,
            elapsed: start.elapsed(),
            client_cpu: cpu_now().saturating_sub(cpu),
        })
    }
}

impl Connection {
    fn new(stream: TcpStream, queue: usize) -> Connection {
        Connection {
            stream,
            queue,
            stage: Stage::Idle,
            awaited: 0,
            receipts: Receipts::default(),
            out: Vec::new(),
            input: vec![0; READ_BYTES],
            filled: 0,
        }
    }

    fn push(&mut self, dialect: &mut dyn Dialect, ledger: &mut Ledger, shape: Shape) -> Result<()> {
        for _ in 0..shape.depth {
            dialect.push(&mut self.out, self.queue, ledger.send(shape.batch as u64));
        }
        self.send(Stage::Push, shape.depth)
    }

    fn claim(&mut self, dialect: &dyn Dialect, ledger: &mut Ledger, shape: Shape) -> Result<()> {
        if dialect.acks_with_claims() && self.receipts.len() > 0 {
            return self.ack_and_claim(dialect, ledger, shape);
        }
        self.receipts.clear();
        let replies = (0..shape.depth).map(|_| dialect.claim(&mut self.out, self.queue, shape.batch)).sum();
        self.send(Stage::Claim, replies)
    }

    /// The reply has no word about the acks; that they were done shows at the end, when nothing may be left.
    fn ack_and_claim(&mut self, dialect: &dyn Dialect, ledger: &mut Ledger, shape: Shape) -> Result<()> {
        self.check_claimed(shape)?;
        let held = std::mem::take(&mut self.receipts);
        for first in (0..held.len()).step_by(shape.batch) {
            let which = first..first + shape.batch;
            dialect.ack_and_claim(&mut self.out, self.queue, shape.batch, &held, which);
        }
        ledger.acked(held.len() as u64);
        self.send(Stage::Claim, shape.depth)
    }

    fn ack(&mut self, dialect: &dyn Dialect, shape: Shape) -> Result<()> {
        self.check_claimed(shape)?;
        let claimed = self.receipts.len();
        let starts = (0..claimed).step_by(shape.batch);
        let replies = starts
            .map(|first| dialect.ack(&mut self.out, self.queue, &self.receipts, first..first + shape.batch))
            .sum();
        self.receipts.clear();
        self.send(Stage::Ack, replies)
    }

    /// Each connection claims only as many as it pushed, so there is always something for everyone.
    fn check_claimed(&self, shape: Shape) -> Result<()> {
        let claimed = self.receipts.len();
        ensure!(claimed == shape.depth * shape.batch, "{claimed} jobs were handed out, more were ready");
        Ok(())
    }

    fn send(&mut self, stage: Stage, replies: usize) -> Result<()> {
        self.stream.write_all(&self.out).context("the server does not take requests")?;
        self.out.clear();
        self.stage = stage;
        self.awaited = replies;
        Ok(())
    }

    /// Reads once and books the replies that are complete.
    fn receive(&mut self, dialect: &dyn Dialect, ledger: &mut Ledger, scanner: &mut Scanner) -> Result<()> {
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
        let length = self.stream.read(&mut self.input[self.filled..])?;
        ensure!(length > 0, "the server closed a connection");
        self.filled += length;
        let mut read = 0;
        while let Some((reply, length)) = scanner.next(&self.input[read..self.filled])? {
            read += length;
            ensure!(self.awaited > 0, "the server answered more than it was asked: {}", reply.show());
            self.awaited -= 1;
            match self.stage {
                Stage::Push => ledger.added(dialect.added(reply)?),
                Stage::Claim => dialect.claimed(reply, &mut self.receipts, ledger)?,
                Stage::Ack => ledger.acked(reply.integer()?.try_into()?),
                Stage::Idle => {}
            }
        }
        self.input.copy_within(read..self.filled, 0);
        self.filled -= read;
        Ok(())
    }
}

/// CPU that this process has taken so far.
fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
