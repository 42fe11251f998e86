//! What is known of checkpoints: who asked for one, whether one is being written, and how the last one went.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use stanchion_storage::{Lsn, WrittenCheckpoint};
use tokio::sync::Notify;

/// The checkpoints of a lane.
pub(crate) struct Checkpoints {
    /// Wakes the task that writes them.
    pub(super) wanted: Notify,
    /// The server ends, and none is to be written for that.
    is_unwanted: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// Requests so far, and those that are answered by the one under way, or by one before.
    asked: u64,
    begun: u64,
    done: u64,
    /// Somebody waits for the answers to requests up to here.
    hurried: u64,
    /// When the one under way was begun.
    since: Option<Instant>,
    newest: Option<Newest>,
    /// Why the last one failed, if it did.
    failure: Option<String>,
    took: Option<Duration>,
    /// How many were written in this run.
    written: u64,
    /// When the last one was, or the start before there is one, in Unix seconds.
    saved_at: u64,
    waiting: Vec<Arc<Notify>>,
}

/// The newest checkpoint.
#[derive(Clone, Copy, Default)]
struct Newest {
    from: Lsn,
    bytes: u64,
    /// Bytes of its first segment that are before it; 0 if that is not known.
    before_bytes: u64,
}

/// What INFO tells.
#[derive(Default)]
pub(crate) struct Status {
    /// For how long one has been under way.
    pub(crate) running: Option<Duration>,
    /// Whether the last one could not be written.
    pub(crate) has_failed: bool,
    /// How long it took.
    pub(crate) took: Option<Duration>,
    /// How many were written in this run.
    pub(crate) written: u64,
    /// From where on the newest one needs the log; 0 if there is none.
    pub(crate) from: Lsn,
    /// How large its file is.
    pub(crate) bytes: u64,
}

impl Checkpoints {
    /// At the start, which may have begun from one, at this instant in Unix milliseconds.
    pub(crate) fn new(used: Option<WrittenCheckpoint>, now_ms: u64) -> Checkpoints {
        let newest = used.map(|used| Newest { from: used.from, bytes: used.bytes, before_bytes: 0 });
        let state = State {
            asked: 0,
            begun: 0,
            done: 0,
            hurried: 0,
            since: None,
            newest,
            failure: None,
            took: None,
            written: 0,
            saved_at: now_ms / 1_000,
            waiting: Vec::new(),
        };
        Checkpoints { wanted: Notify::new(), is_unwanted: AtomicBool::new(false), state: Mutex::new(state) }
    }

    // --- for those who want one

    /// More was staged, so one may be due.
    pub(crate) fn look(&self) {
        self.wanted.notify_one();
    }

    /// Asks for one that begins from now on; what [`Checkpoints::outcome`] is asked about.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = self.state.lock();
        state.asked += 1;
        let request = state.asked;
        drop(state);
        self.wanted.notify_one();
        request
    }

    /// Somebody waits for the answer to a request: there are no rests until then.
    pub(crate) fn hurry(&self, request: u64) {
        let mut state = self.state.lock();
        state.hurried = state.hurried.max(request);
    }

    /// What has come of a request; `None` while it is not answered.
    pub(crate) fn outcome(&self, request: u64) -> Option<Result<(), String>> {
        let state = self.state.lock();
        (state.done >= request).then(|| state.failure.clone().map_or(Ok(()), Err))
    }

    /// Wakes `wake` once a request is answered; false when it is already.
    pub(crate) fn wait(&self, request: u64, wake: &Arc<Notify>) -> bool {
        let mut state = self.state.lock();
        if state.done >= request {
            return false;
        }
        if !state.waiting.iter().any(|other| Arc::ptr_eq(other, wake)) {
            state.waiting.push(Arc::clone(wake));
        }
        true
    }

    /// None is to be written at the end.
    pub(crate) fn forgo(&self) {
        self.is_unwanted.store(true, Ordering::Relaxed);
    }

    // --- for those who want to know

    /// When the last one was written, or the start before there is one, in Unix seconds.
    pub(crate) fn saved_at(&self) -> u64 {
        self.state.lock().saved_at
    }

    /// What INFO tells.
    pub(crate) fn status(&self) -> Status {
        let state = self.state.lock();
        let newest = state.newest.unwrap_or_default();
        Status {
            running: state.since.map(|since| since.elapsed()),
            has_failed: state.failure.is_some(),
            took: state.took,
            written: state.written,
            from: newest.from,
            bytes: newest.bytes,
        }
    }

    // --- for the task

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        while !self.is_asked() {
            self.wanted.notified().await;
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        let state = self.state.lock();
        state.asked > state.done
    }

    pub(super) fn is_hurried(&self) -> bool {
        let state = self.state.lock();
        state.hurried > state.done
    }

    pub(super) fn is_unwanted(&self) -> bool {
        self.is_unwanted.load(Ordering::Relaxed)
    }

    /// Where the newest one begins, and how many bytes its first segment has before that; 0 if there is none.
    pub(super) fn newest(&self) -> (Lsn, u64) {
        let newest = self.state.lock().newest.unwrap_or_default();
        (newest.from, newest.before_bytes)
    }

    pub(super) fn newest_from(&self) -> Lsn {
        self.newest().0
    }

    pub(super) fn newest_bytes(&self) -> u64 {
        self.state.lock().newest.map_or(0, |newest| newest.bytes)
    }

    /// One begins, which answers what has been asked so far.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.begun = state.asked;
        state.since = Some(now);
        now
    }

    /// It is written, with so many bytes of its first segment before it, or not, and why; `now_ms` in Unix
    /// milliseconds.
    pub(super) fn end(&self, outcome: Result<(WrittenCheckpoint, u64), String>, took: Duration, now_ms: u64) {
        let waiting = {
            let mut state = self.state.lock();
            (state.done, state.since, state.took) = (state.begun, None, Some(took));
            match outcome {
                Ok((WrittenCheckpoint { from, bytes }, before_bytes)) => {
                    state.newest = Some(Newest { from, bytes, before_bytes });
                    state.failure = None;
                    state.written += 1;
                    state.saved_at = now_ms / 1_000;
                }
                Err(why) => state.failure = Some(why),
            }
            std::mem::take(&mut state.waiting)
        };
        waiting.iter().for_each(|wake| wake.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_by_a_checkpoint_that_begins_after_it() {
        let checkpoints = Checkpoints::new(None, 0);
        let written = |from| Ok((WrittenCheckpoint { from, bytes: 10 }, 0));
        assert!(!checkpoints.is_asked());
        let first = checkpoints.ask();
        checkpoints.begin();
        let second = checkpoints.ask();
        let wake = Arc::new(Notify::new());
        assert!(checkpoints.wait(first, &wake) && checkpoints.wait(second, &wake));
        checkpoints.end(written(5), Duration::ZERO, 9_000);
        assert_eq!((checkpoints.outcome(first), checkpoints.outcome(second)), (Some(Ok(())), None));
        assert!(checkpoints.is_asked() && !checkpoints.wait(first, &wake));
        checkpoints.begin();
        checkpoints.end(Err("the disk is full".into()), Duration::ZERO, 11_000);
        assert_eq!(checkpoints.outcome(second), Some(Err("the disk is full".into())));
        assert_eq!(checkpoints.saved_at(), 9);
        let status = checkpoints.status();
        assert_eq!((status.has_failed, status.written, status.from), (true, 1, 5));
    }
}
