//! One worker: its process, the jobs that it has, and their answers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Alive;
use super::frame::{self, Broken};
use crate::config::Pool;
use crate::limits;
use crate::outcome::{Cancel, Outcome};
use crate::process::cgroup::JobGroup;
use crate::process::control::Control;
use crate::process::output::Tail;
use crate::process::{How, limit, reap, timed_out, with_words};
use crate::shim::{Input, Message, Order};

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Word {
    Job(Request),
    /// The job with this id is to end, if it is still there.
    Cancel {
        id: String,
        why: Cancel,
    },
}

/// A job for a worker.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) frame: Vec<u8>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// A worker before it starts.
#[derive(Debug)]
pub(super) struct Worker {
    pool: Arc<Pool>,
    shim: PathBuf,
    alive: Alive,
}

/// A job that a worker has.
#[derive(Debug)]
struct InHand {
    id: String,
    /// None when it was cancelled: nobody waits for its answer.
    reply: Option<oneshot::Sender<Outcome>>,
}

/// Why a worker is being ended.
#[derive(Debug)]
enum Fault {
    /// Its first job took too long.
    TimedOut,
    /// Its first job was cancelled.
    Cancelled,
    /// One of these, and then the job was answered all the same. The worker ends without a culprit.
    Answered,
    /// It wrote something that is no answer.
    Broken(String),
}

/// A worker that runs.
struct Running {
    pool: Arc<Pool>,
    alive: Alive,
    /// Its memory limit.
    limited: Option<JobGroup>,
    child: Child,
    control: Control,
    reader: OwnedReadHalf,
    writer: Option<OwnedWriteHalf>,
    stderr: Tail<ChildStderr>,
    /// Oldest first: the worker has begun no other than the first.
    jobs: VecDeque<InHand>,
    read: BytesMut,
    unwritten: BytesMut,
    /// When the first job's time is over.
    job_deadline: Instant,
    /// When a worker that was told to end is killed.
    kill_at: Option<Instant>,
    fault: Option<Fault>,
}

impl Worker {
    pub(super) fn new(pool: Arc<Pool>, shim: PathBuf, alive: Alive) -> Worker {
        Worker { pool, shim, alive }
    }

    /// Starts the process, and passes jobs and answers on until it is gone.
    pub(super) async fn run(self, inbox: mpsc::Receiver<Word>) {
        match self.start().await {
            Ok(running) => running.run(inbox).await,
            // The jobs' replies go with the inbox, which gives them back.
            Err(error) => {
                tracing::warn!(%error, "no worker can be started: out of processes, memory or descriptors?");
            }
        }
    }

    async fn start(self) -> io::Result<Running> {
        let (ours, workers) = UnixStream::pair()?;
        let workers = workers.into_std()?;
        workers.set_nonblocking(false)?;
        let (mut command, mut control) = Control::of_shim(&self.shim)?;
        command.arg(&self.pool.program).args(&self.pool.arguments);
        command.stdout(OwnedFd::from(workers)).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let limited = limit(&child, self.pool.limits.memory_max)?;
        drop(command); // and with it the worker's end of the socket
        control.begin(Input::Output).await;
        let stderr = Tail::new(child.stderr.take());
        let (reader, writer) = ours.into_split();
        tracing::debug!(worker = self.alive.number, "worker started");
        Ok(Running {
            pool: self.pool,
            alive: self.alive,
            limited,
            child,
            control,
            reader,
            writer: Some(writer),
            stderr,
            jobs: VecDeque::new(),
            read: BytesMut::new(),
            unwritten: BytesMut::new(),
            job_deadline: Instant::now(),
            kill_at: None,
            fault: None,
        })
    }
}

impl Running {
    async fn run(mut self, mut inbox: mpsc::Receiver<Word>) {
        let how = self.serve(&mut inbox).await;
        // No more jobs from here on; those that came since are given back with the inbox.
        self.alive.close();
        inbox.close();
        self.read_last_answers().await;
        if let Err(error) = reap(&mut self.child, how).await {
            tracing::warn!(%error, "a worker's shim can't be waited for");
        }
        let _ = tokio::time::timeout(limits::OUTPUT_GRACE, self.stderr.read()).await;
        self.give_up_jobs(how);
    }

    /// Passes jobs and answers on until the process has ended.
    async fn serve(&mut self, inbox: &mut mpsc::Receiver<Word>) -> How {
        let mut takes_jobs = true;
        let mut is_readable = true;
        // Set for the first deadline there was, and moved when it rings: jobs that end in time, which are nearly
        // all, cost the timer nothing, because each job's deadline is later than the one before.
        let mut alarm = std::pin::pin!(sleep_until(Instant::now()));
        let mut rings_at = None;
        loop {
            if let Some(at) = self.next_deadline().filter(|at| rings_at.is_none_or(|set| *at < set)) {
                alarm.as_mut().reset(at);
                rings_at = Some(at);
            }
            let Running { reader, writer, read, unwritten, control, stderr, .. } = self;
            let can_write = !unwritten.is_empty() && writer.is_some();
            tokio::select! {
                biased;
                answered = reader.read_buf(read), if is_readable => {
                    is_readable = matches!(answered, Ok(1..));
                    if is_readable {
                        self.take_answers().await;
                    } else {
                        // Who closed its output can answer nothing more; mostly it has just ended.
                        self.kill_later();
                    }
                }
                word = inbox.recv(), if takes_jobs => match word {
                    Some(word) => {
                        self.hear(word).await;
                        // All there is, for one write.
                        while let Ok(word) = inbox.try_recv() {
                            self.hear(word).await;
                        }
                    }
                    None => {
                        takes_jobs = false;
                        self.retire();
                    }
                },
                written = write_some(writer, unwritten), if can_write => {
                    if written.is_err() {
                        self.writer = None;
                        self.kill_later();
                    }
                }
                message = control.next() => match message {
                    Some(Message::Started(_) | Message::Left) => {}
                    Some(message) => return How::from(message),
                    None => return How::ShimGone,
                },
                () = &mut alarm, if rings_at.is_some() => {
                    rings_at = None;
                    self.look_at_the_clock().await;
                }
                _ = stderr.read_some(), if stderr.is_open() => {}
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.kill_at.or_else(|| (!self.jobs.is_empty()).then_some(self.job_deadline))
    }

    async fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        match self.kill_at {
            Some(at) if at <= now => {
                self.control.order(Order::Kill).await;
                self.kill_at = Some(now + limits::KILL_AGAIN);
            }
            None if !self.jobs.is_empty() && self.job_deadline <= now => {
                self.end(Fault::TimedOut, Order::Terminate).await;
            }
            _ => {}
        }
    }

    async fn hear(&mut self, word: Word) {
        match word {
            Word::Job(Request { id, frame, reply }) => {
                self.unwritten.extend_from_slice(&frame);
                self.jobs.push_back(InHand { id, reply: Some(reply) });
                if self.jobs.len() == 1 {
                    self.begin_first();
                }
            }
            Word::Cancel { id, why } => match self.jobs.iter().position(|job| job.id == id) {
                Some(0) => {
                    let order = if why == Cancel::Now { Order::Kill } else { Order::Terminate };
                    self.end(Fault::Cancelled, order).await;
                }
                // It can't be taken out of the worker's input. Its answer will be nobody's.
                Some(at) => reply(&mut self.jobs[at], Outcome::Cancelled),
                None => {}
            },
        }
    }

    /// The worker turns to its next job.
    fn begin_first(&mut self) {
        self.job_deadline = Instant::now() + self.pool.limits.timeout;
        self.stderr.forget();
    }

    /// Settles the jobs whose answers were read.
    async fn take_answers(&mut self) {
        while !matches!(self.fault, Some(Fault::Broken(_))) {
            let broken = match frame::take_answer(&mut self.read) {
                Ok(None) => return,
                Ok(Some(answer)) if self.jobs.front().is_some_and(|job| job.id == answer.id) => {
                    self.settle(answer.outcome).await;
                    continue;
                }
                Ok(Some(answer)) => {
                    format!("the worker broke the framing: an answer to {}, whose turn it is not", answer.id)
                }
                Err(Broken(error)) => error,
            };
            tracing::warn!(worker = self.alive.number, error = broken, "a worker is killed");
            self.fault = None; // what it says can't be relied on any more, also if it was told to end before
            self.end(Fault::Broken(broken), Order::Kill).await;
        }
        self.read.clear();
    }

    /// Passes the answer to the first job on.
    async fn settle(&mut self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Failed(text) if text.trim().is_empty() => Outcome::Failed(self.words_on_stderr().await),
            Outcome::Hopeless(text) if text.trim().is_empty() => {
                Outcome::Hopeless(self.words_on_stderr().await)
            }
            other => other,
        };
        if let Some(mut job) = self.jobs.pop_front() {
            reply(&mut job, outcome);
            self.alive.answered();
        }
        if self.fault.is_some() {
            self.fault = Some(Fault::Answered);
        }
        if !self.jobs.is_empty() {
            self.begin_first();
        }
    }

    /// What the worker has written to stderr since the job began.
    async fn words_on_stderr(&mut self) -> String {
        let mut is_more = true;
        while is_more {
            tokio::select! {
                biased;
                more = self.stderr.read_some() => is_more = more,
                () = std::future::ready(()) => is_more = false,
            }
        }
        self.stderr.last_words().unwrap_or_else(|| "the worker did not say why".to_owned())
    }

    /// Ends the worker; its first job is at fault, or was cancelled.
    async fn end(&mut self, fault: Fault, order: Order) {
        self.control.order(order).await;
        if self.fault.is_none() {
            self.fault = Some(fault);
            self.alive.close();
            self.kill_later();
        }
    }

    /// No more jobs will come: the end of its input lets the worker go.
    fn retire(&mut self) {
        self.writer = None;
        self.kill_later();
    }

    /// A worker that is still there when its grace is over is killed.
    fn kill_later(&mut self) {
        self.kill_at.get_or_insert_with(|| Instant::now() + self.pool.limits.kill_after);
    }

    /// What a worker answered before it ended counts.
    async fn read_last_answers(&mut self) {
        let reading = async { while let Ok(1..) = self.reader.read_buf(&mut self.read).await {} };
        let _ = tokio::time::timeout(limits::OUTPUT_GRACE, reading).await;
        self.take_answers().await;
    }

    /// The worker is gone: its first job failed with it, the others were not begun.
    fn give_up_jobs(&mut self, how: How) {
        let number = self.alive.number;
        let words = self.stderr.last_words();
        let over_limit = self.limited.as_ref().and_then(JobGroup::over_limit);
        tracing::info!(worker = number, %how, jobs_in_hand = self.jobs.len(), "worker ended");
        let mut others = Outcome::Release { after: Some(Duration::ZERO) };
        let first = match (self.fault.take(), how) {
            (Some(Fault::Answered), _) => others.clone(),
            (Some(Fault::Cancelled), _) => Outcome::Cancelled,
            (Some(Fault::TimedOut), _) => Outcome::Failed(timed_out(self.pool.limits.timeout, words)),
            (Some(Fault::Broken(error)), _) => Outcome::Failed(error),
            (None, How::NotStarted(errno)) => {
                // Not the job's fault, so no attempt is used: a wrong path must not burn a whole queue.
                let error = io::Error::from_raw_os_error(errno);
                tracing::error!(program = self.pool.program, %error, "the dispatcher's program can't be started");
                others = Outcome::Release { after: None };
                others.clone()
            }
            (None, _) if over_limit.is_some() => {
                Outcome::Failed(with_words(over_limit.unwrap_or_default(), words))
            }
            (None, _) => {
                Outcome::Failed(words.unwrap_or_else(|| format!("the worker ended with the job: {how}")))
            }
        };
        let outcomes = std::iter::once(first).chain(std::iter::repeat(others));
        for (mut job, outcome) in self.jobs.drain(..).zip(outcomes) {
            reply(&mut job, outcome);
        }
    }
}

/// Tells whoever waits for the job, once.
fn reply(job: &mut InHand, outcome: Outcome) {
    if let Some(reply) = job.reply.take() {
        let _ = reply.send(outcome); // the runner is being dropped
    }
}

/// Writes what the worker takes now.
async fn write_some(writer: &mut Option<OwnedWriteHalf>, unwritten: &mut BytesMut) -> io::Result<()> {
    let Some(writer) = writer else { return std::future::pending().await };
    if writer.write_buf(unwritten).await? == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}
