//! `kind = "pool"`: workers that live on, so that a job costs no start of a program.
//!
//! A worker reads jobs as frames from its standard input and answers them as frames on its standard output, one
//! after the other and in their order. Each slot has a worker, or each `batch` slots: then that many jobs are
//! written to it ahead, many in one write, and wait in its input. Workers are started when there is a job and none
//! is free, and end when they have had `jobs-max` jobs, or with the runner.
//!
//! Only the first of a worker's jobs can be to blame for how the worker ends. The others were not begun and are
//! given back.

mod frame;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stanchion_client::Job;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{Pool, ProcessLimits};
use crate::limits;
use crate::outcome::{Cancel, Outcome, more_urgent};
use crate::shim;
use worker::{Request, Word, Worker};

/// What a job can be told besides the job itself: each kind of [`Cancel`] once.
const WORDS_PER_JOB: usize = 4;

/// Has jobs done by workers.
#[derive(Debug, Clone)]
pub struct PoolDispatcher {
    workers: Arc<Workers>,
}

/// The workers of a pool, and what they are started with.
#[derive(Debug)]
struct Workers {
    pool: Arc<Pool>,
    shim: PathBuf,
    state: Mutex<State>,
    /// Workers whose processes are not gone yet.
    alive: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    /// Jobs at once, in all workers.
    slots: u32,
    /// Workers that take jobs.
    open: Vec<Open>,
    /// Number of the next one.
    next: u64,
}

/// A worker that takes jobs.
#[derive(Debug)]
struct Open {
    number: u64,
    words: mpsc::Sender<Word>,
    /// Jobs without an answer.
    in_hand: usize,
    /// Jobs that it ever had.
    taken: u64,
}

impl PoolDispatcher {
    /// A dispatcher for this many jobs at once, whose shim is this very executable. Its `main` calls
    /// [`shim::run_if_called`].
    #[must_use]
    pub fn new(pool: Pool, slots: u32) -> PoolDispatcher {
        PoolDispatcher::with_shim(pool, slots, PathBuf::from(shim::THIS_EXECUTABLE))
    }

    /// The same with another executable as the shim.
    #[must_use]
    pub fn with_shim(pool: Pool, slots: u32, shim: PathBuf) -> PoolDispatcher {
        let workers = Workers {
            pool: Arc::new(pool),
            shim,
            state: Mutex::new(State { slots, open: Vec::new(), next: 0 }),
            alive: watch::Sender::new(0),
        };
        PoolDispatcher { workers: Arc::new(workers) }
    }

    /// A job has been answered or given up after this long, also one that all others of its worker are in front of.
    pub(crate) fn time_max(&self) -> Duration {
        let pool = &self.workers.pool;
        let ProcessLimits { timeout, kill_after, .. } = pool.limits;
        timeout.saturating_mul(pool.batch).saturating_add(kill_after).saturating_add(limits::OUTPUT_GRACE)
    }

    /// Has the job done.
    pub async fn run(&self, job: &Job, mut cancel: watch::Receiver<Cancel>) -> Outcome {
        let frame = match frame::of_job(job) {
            Ok(frame) => frame,
            Err(reason) => return Outcome::Hopeless(reason),
        };
        let id = job.receipt.id();
        let (reply, mut answer) = oneshot::channel();
        let request = Request { id: id.as_str().to_owned(), frame, reply };
        let Some(words) = self.workers.hand_over(request) else {
            return Outcome::Release { after: None };
        };
        let mut seen = Cancel::No;
        loop {
            tokio::select! {
                biased;
                outcome = &mut answer => {
                    // A worker that goes without a word has not begun the job.
                    return outcome.unwrap_or(Outcome::Release { after: None });
                }
                why = more_urgent(&mut cancel, seen) => {
                    seen = why;
                    let word = Word::Cancel { id: id.as_str().to_owned(), why };
                    // A worker that is gone has answered, or its reply shows that it has not.
                    let _ = words.try_send(word);
                }
            }
        }
    }

    /// The pool has another number of jobs at once. Workers that are too many end.
    pub fn resize(&self, slots: u32) {
        let mut state = self.workers.state();
        state.slots = slots;
        state.open.truncate(slots.div_ceil(self.workers.pool.batch) as usize);
    }

    /// Lets the workers end, and waits for that.
    pub async fn close(&self) {
        self.workers.state().open.clear();
        let _ = self.workers.alive.subscribe().wait_for(|alive| *alive == 0).await; // the sender is held by self
    }
}

impl Workers {
    /// Gives a job to a worker: to one that has none, else to a new one, else to the one that has the fewest.
    fn hand_over(self: &Arc<Workers>, request: Request) -> Option<mpsc::Sender<Word>> {
        let mut state = self.state();
        let idle = state.open.iter().position(|worker| worker.in_hand == 0);
        let at = match idle {
            Some(at) => at,
            None if state.open.len() < state.slots.div_ceil(self.pool.batch) as usize => {
                self.start(&mut state)
            }
            None => {
                let load = |(_, worker): &(usize, &Open)| worker.in_hand;
                state.open.iter().enumerate().min_by_key(load).map(|(at, _)| at)?
            }
        };
        let worker = &mut state.open[at];
        worker.in_hand += 1;
        worker.taken += 1;
        let words = worker.words.clone();
        if self.pool.jobs_max.is_some_and(|max| worker.taken >= max) {
            // Its inbox ends with the senders of its jobs, and with it the worker.
            state.open.swap_remove(at);
        }
        drop(state);
        // There is room for all that the jobs of all slots can be told.
        words.try_send(Word::Job(request)).ok()?;
        Some(words)
    }

    /// Starts a worker; where it stands among the open ones.
    fn start(self: &Arc<Workers>, state: &mut State) -> usize {
        let number = state.next;
        state.next += 1;
        let (words, inbox) = mpsc::channel(limits::SLOTS_MAX as usize * WORDS_PER_JOB);
        state.open.push(Open { number, words, in_hand: 0, taken: 0 });
        self.alive.send_modify(|alive| *alive += 1);
        let alive = Alive { workers: Arc::downgrade(self), number };
        tokio::spawn(Worker::new(Arc::clone(&self.pool), self.shim.clone(), alive).run(inbox));
        state.open.len() - 1
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's place in its pool; dropping it says that its process is gone.
#[derive(Debug)]
struct Alive {
    /// Not held: a pool that nobody has any more lets its workers go.
    workers: std::sync::Weak<Workers>,
    number: u64,
}

impl Alive {
    /// The worker can take one more job.
    fn answered(&self) {
        let Some(workers) = self.workers.upgrade() else { return };
        let mut state = workers.state();
        if let Some(worker) = state.open.iter_mut().find(|worker| worker.number == self.number) {
            worker.in_hand -= 1;
        }
    }

    /// The worker takes no more jobs.
    fn close(&self) {
        let Some(workers) = self.workers.upgrade() else { return };
        workers.state().open.retain(|worker| worker.number != self.number);
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.close();
        if let Some(workers) = self.workers.upgrade() {
            workers.alive.send_modify(|alive| *alive -= 1);
        }
    }
}
