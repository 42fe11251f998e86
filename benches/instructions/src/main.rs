//! A fixed amount of work, whose instructions are counted: one connection pushes, claims and acks jobs on a server
//! that has neither threads nor sockets nor a clock, so that the same binary does the same each time.
//!
//! It is the server of every simulation: engine, log, outbox, parser and replies are the real ones; the kernel's part
//! is missing. `cargo xtask instructions` runs it under callgrind.

mod replies;

use std::io::Write;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use stanchion_bench::job::{Job, Sizes};
use stanchion_bench::resp;
use stanchion_server::Config;
use stanchion_server::simulation::{LogTurns, Machine, MemoryStream, SimulatedServer};
use stanchion_storage::simulation::SimulatedDisk;

use crate::replies::Replies;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const QUEUE: &str = "enwiki:jobqueue:refreshLinks";

/// Bytes on the way in each direction: no command or reply waits for room.
const WINDOW_BYTES: usize = 1 << 20;

/// Jobs that stand in the queue all the time, so that tables and heaps are not empty.
const BACKLOG: u64 = 1_000;

/// One connection's jobs on a simulated server.
#[derive(Parser)]
struct Work {
    /// Commands that are sent at once.
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    depth: u64,
    /// Jobs of a command.
    #[arg(value_parser = clap::value_parser!(u64).range(1..=256))]
    batch: u64,
    /// Times that so many jobs are pushed, claimed and acked.
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rounds: u64,
}

fn main() -> Result<()> {
    let work = Work::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let jobs = runtime.block_on(run(&work))?;
    writeln!(std::io::stdout(), "{jobs}")?;
    Ok(())
}

async fn run(work: &Work) -> Result<u64> {
    let config = Config { shards: 4, ..Config::default() };
    let machine = Machine { disk: SimulatedDisk::new(), wall_ms: 1_780_000_000_000, seed: 1, planted: None };
    let (mut server, turns) = SimulatedServer::start(config, machine)?;
    let writer = tokio::spawn(take_turns(turns));
    let stream = server.connect(WINDOW_BYTES).context("a server that serves")?;
    let mut client = Client {
        stream,
        request: Vec::new(),
        replies: Replies::default(),
        job: Job::new(&Sizes::default()),
        pushed: 0,
    };
    for _ in 0..BACKLOG / 100 {
        client.push(1, 100).await?;
    }
    for _ in 0..work.rounds {
        client.push(work.depth, work.batch).await?;
        client.claim(work.depth, work.batch).await?;
        client.ack(work.depth, work.batch).await?;
    }
    drop(client);
    server.stop().await;
    server.closed().await;
    writer.await?;
    Ok(work.rounds * work.depth * work.batch)
}

/// What the log's writer thread does elsewhere.
async fn take_turns(mut turns: LogTurns) {
    while turns.due().await {
        turns.take();
    }
}

struct Client {
    stream: MemoryStream,
    request: Vec<u8>,
    replies: Replies,
    job: Job,
    pushed: u64,
}

impl Client {
    async fn push(&mut self, depth: u64, batch: u64) -> Result<()> {
        for _ in 0..depth {
            let command = if batch == 1 { "QPUSH" } else { "QMPUSH" };
            start(&mut self.request, command, 3 * batch + (batch - 1));
            for at in 0..batch {
                if at > 0 {
                    resp::word(&mut self.request, b"NEXT");
                }
                self.pushed += 1;
                self.job.set(self.pushed);
                resp::word(&mut self.request, self.job.payload());
                resp::word(&mut self.request, b"DEDUPE");
                resp::word(&mut self.request, self.job.key());
            }
        }
        // An id for each job, and the head of an array if there are several.
        let lines = depth * (2 * batch + u64::from(batch > 1));
        self.exchange(lines).await
    }

    async fn claim(&mut self, depth: u64, batch: u64) -> Result<()> {
        for _ in 0..depth {
            if batch == 1 {
                start(&mut self.request, "QCLAIM", 0);
            } else {
                start(&mut self.request, "QCLAIM", 2);
                resp::word(&mut self.request, b"COUNT");
                resp::word(&mut self.request, batch.to_string().as_bytes());
            }
        }
        self.exchange(depth * (1 + batch * Replies::JOB_LINES)).await
    }

    async fn ack(&mut self, depth: u64, batch: u64) -> Result<()> {
        let receipts = self.replies.receipts(batch)?;
        ensure!(receipts.len() as u64 == depth * batch, "{} of {depth} x {batch} jobs came", receipts.len());
        for receipts in receipts.chunks(batch as usize) {
            start(&mut self.request, "QACK", batch);
            receipts.iter().for_each(|receipt| resp::word(&mut self.request, receipt));
        }
        self.exchange(depth).await?;
        let acked = format!(":{batch}\r\n").repeat(depth as usize);
        ensure!(self.replies.bytes() == acked.as_bytes(), "acks were answered {}", self.replies);
        Ok(())
    }

    /// Sends what was written and waits for so many lines.
    async fn exchange(&mut self, lines: u64) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        self.request.clear();
        self.replies.read(&mut self.stream, lines).await
    }
}

/// Begins a command that has so many words beside the queue.
fn start(out: &mut Vec<u8>, name: &str, words: u64) {
    resp::header(out, words as usize + 2);
    resp::word(out, name.as_bytes());
    resp::word(out, QUEUE.as_bytes());
}
