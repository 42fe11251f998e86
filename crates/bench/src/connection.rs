//! One connection of the load, and where it stands in its cycle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;

use anyhow::{Context, Result, ensure};

use crate::dialect::{Asked, Books, Dialect, Heard, Place, Receipts, What};
use crate::latency::Times;
use crate::ledger::Ledger;
use crate::load::Shape;

/// A read takes this much; the answers of most stages fit.
const READ_BYTES: usize = 64 * 1024;

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Worker,
    Producer,
    Consumer,
}

/// A connection pushes some commands, reads their answers, claims as many jobs, reads, acks them, reads, and begins
/// again. It never has more than one write under way.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) role: Role,
    pub(crate) place: Place,
    pub(crate) stage: Stage,
    /// When each command of this cycle was due, in nanoseconds since the start of the run.
    pub(crate) dues: Vec<u64>,
    /// When this cycle's pushes were sent.
    pub(crate) sent_at: u64,
    /// When the commands of this stage were due, where they were due together.
    pub(crate) stage_due: u64,
    /// Since when it has had nothing to do.
    pub(crate) idle_since: u64,
    pub(crate) receipts: Receipts,
    /// How many cycles it has begun.
    cycles: usize,
    /// Of each command of this stage: after how many answers it is answered.
    ends: Vec<usize>,
    /// Answers of this stage that are here.
    answers: usize,
    /// Commands of this stage that are answered.
    answered: usize,
    out: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that hold answers not yet read.
    filled: usize,
}

/// What the connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Idle,
    Asked(What),
}

/// Where the times of a stage's commands are recorded, if each counts by itself.
pub(crate) struct Watch<'a> {
    pub(crate) times: Option<&'a mut Times>,
    /// Without what the generator was late.
    pub(crate) unhindered: Option<&'a mut Times>,
    pub(crate) whole: Option<&'a mut Times>,
    pub(crate) now: u64,
}

impl Connection {
    pub(crate) fn connect(
        address: SocketAddr,
        place: Place,
        role: Role,
        dialect: &mut dyn Dialect,
    ) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            role,
            place,
            stage: Stage::Idle,
            dues: Vec::new(),
            sent_at: 0,
            stage_due: 0,
            idle_since: 0,
            receipts: Receipts::default(),
            cycles: 0,
            ends: Vec::new(),
            answers: 0,
            answered: 0,
            out: Vec::new(),
            input: vec![0; READ_BYTES],
            filled: 0,
        };
        let answers = dialect.greet(&mut connection.out, place);
        connection.ends = vec![answers];
        connection.send(What::Greeting)?;
        let mut nothing = Ledger::default();
        while connection.awaits() {
            let watch = Watch { times: None, unhindered: None, whole: None, now: 0 };
            connection.receive(dialect, &mut nothing, 0, watch)?;
        }
        connection.stage = Stage::Idle;
        Ok(connection)
    }

    /// Whether answers of this stage are still to come.
    pub(crate) fn awaits(&self) -> bool {
        self.ends.last().is_some_and(|end| self.answers < *end)
    }

    /// The cycles of all that push take turns over the queues; where their number is a multiple of that of the queues,
    /// each stays with one.
    pub(crate) fn turn(&mut self, pushers: usize, queues: usize) {
        self.place.queue = (self.place.connection + pushers * self.cycles) % queues;
        self.cycles += 1;
    }

    /// Pushes a command for each of `dues`.
    pub(crate) fn push(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        shape: Shape,
    ) -> Result<()> {
        self.ends.clear();
        for _ in 0..self.dues.len() {
            let answers = dialect.push(&mut self.out, self.place, ledger.send(shape.batch as u64));
            self.expect(answers);
        }
        self.send(What::Push)
    }

    /// Pushes these jobs by one command.
    pub(crate) fn push_these(&mut self, dialect: &mut dyn Dialect, jobs: Range<u64>) -> Result<()> {
        self.ends.clear();
        let answers = dialect.push(&mut self.out, self.place, jobs);
        self.expect(answers);
        self.send(What::Push)
    }

    /// Claims as many as the cycle pushed, and acks what it still holds by the same commands.
    pub(crate) fn claim(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        shape: Shape,
    ) -> Result<()> {
        self.ends.clear();
        let mut held = std::mem::take(&mut self.receipts);
        let claims = self.dues.len();
        for claim in 0..claims {
            let first = (claim * shape.batch).min(held.len());
            // The last one takes what the cycle before had more.
            let end = if claim + 1 == claims { held.len() } else { held.len().min(first + shape.batch) };
            let answers = if held.is_empty() {
                dialect.claim(&mut self.out, self.place, shape.batch)
            } else {
                let can = dialect.ack_and_claim(&mut self.out, self.place, shape.batch, &held, first..end);
                ensure!(can, "this dialect acks by a command of its own");
                1
            };
            self.expect(answers);
        }
        // The replies have no word about the acks; that they were done shows at the end, when nothing may be left.
        ledger.acked(held.len() as u64);
        held.clear();
        // Its memory is used again.
        self.receipts = held;
        self.send(What::Claim)
    }

    /// Jobs that the claims of this cycle have not handed out.
    pub(crate) fn missing(&self, shape: Shape) -> usize {
        (self.dues.len() * shape.batch).saturating_sub(self.receipts.len())
    }

    /// Claims again what was not handed out yet.
    pub(crate) fn claim_missing(&mut self, dialect: &mut dyn Dialect, shape: Shape) -> Result<()> {
        self.ends.clear();
        let mut missing = self.missing(shape);
        while missing > 0 {
            let part = missing.min(shape.batch);
            let answers = dialect.claim(&mut self.out, self.place, part);
            self.expect(answers);
            missing -= part;
        }
        self.send(What::Claim)
    }

    /// Acks what it holds.
    pub(crate) fn ack(&mut self, dialect: &mut dyn Dialect, shape: Shape) -> Result<()> {
        self.ends.clear();
        let held = self.receipts.len();
        for first in (0..held).step_by(shape.batch) {
            let which = first..held.min(first + shape.batch);
            let answers = dialect.ack(&mut self.out, self.place, &self.receipts, which);
            self.expect(answers);
        }
        self.receipts.clear();
        self.send(What::Ack)
    }

    fn expect(&mut self, answers: usize) {
        self.ends.push(self.ends.last().copied().unwrap_or(0) + answers);
    }

    fn send(&mut self, what: What) -> Result<()> {
        self.stream.write_all(&self.out).context("the server does not take requests")?;
        self.out.clear();
        self.stage = Stage::Asked(what);
        self.answers = 0;
        self.answered = 0;
        Ok(())
    }

    /// Reads once, books the answers that are complete, and takes the time of the commands that they complete.
    pub(crate) fn receive(
        &mut self,
        dialect: &mut dyn Dialect,
        ledger: &mut Ledger,
        jobs: u64,
        mut watch: Watch<'_>,
    ) -> Result<()> {
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
        let length = self.stream.read(&mut self.input[self.filled..])?;
        ensure!(length > 0, "the server closed a connection");
        self.filled += length;
        let mut read = 0;
        loop {
            let what = match self.stage {
                Stage::Asked(what) if self.awaits() => what,
                // Nothing is asked: there may be asides, but an answer is none.
                _ => What::Greeting,
            };
            let asked = Asked { what, jobs, nth: self.answers };
            let mut books = Books { ledger, receipts: &mut self.receipts };
            match dialect.hear(asked, &self.input[read..self.filled], &mut books)? {
                Heard::Incomplete => break,
                Heard::Aside { length, reply } => {
                    read += length;
                    self.stream.write_all(reply).context("the server does not take what it asked for")?;
                }
                Heard::Answer { length } => {
                    let bytes = &self.input[read..read + length];
                    ensure!(
                        self.awaits(),
                        "the server answered more than it was asked: {}",
                        bytes.escape_ascii()
                    );
                    read += length;
                    self.answers += 1;
                    self.take_times(&mut watch);
                }
            }
        }
        self.input.copy_within(read..self.filled, 0);
        self.filled -= read;
        Ok(())
    }

    /// The times of the commands that the last answer has completed.
    fn take_times(&mut self, watch: &mut Watch<'_>) {
        while self.ends.get(self.answered).is_some_and(|end| *end <= self.answers) {
            if let Some(times) = &mut watch.times {
                let due = match self.stage {
                    Stage::Asked(What::Push) => self.dues.get(self.answered).copied(),
                    _ => None,
                };
                times.record(due.unwrap_or(self.stage_due), watch.now);
            }
            if let (Some(unhindered), Some(&due)) = (&mut watch.unhindered, self.dues.get(self.answered)) {
                let late = self.sent_at.saturating_sub(due.max(self.idle_since));
                unhindered.record(due + late, watch.now);
            }
            if let (Some(whole), Some(due)) = (&mut watch.whole, self.dues.get(self.answered)) {
                whole.record(*due, watch.now);
            }
            self.answered += 1;
        }
    }
}
