//! The threads that connections live on: one runtime each, and a connection stays where it began.
//!
//! A work-stealing runtime wakes a second thread whenever a poll finds several connections ready, and that one
//! takes half of them away: two system calls and a cold cache for a few microseconds of work. Connections are
//! many and short of work, so they are dealt out in turns instead. docs/adr/0006 has the measurement.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// Which of these threads this is, from 1 on; 0 for any other.
pub(crate) fn here() -> usize {
    HERE.get()
}

/// The threads; they end, with what still runs on them, soon after this is dropped. Nobody waits for them: one
/// that hangs in a system call must not keep a failed server alive.
pub(crate) struct Threads {
    threads: Vec<Thread>,
    /// Whose turn it is.
    next: AtomicUsize,
}

struct Thread {
    runtime: Handle,
    stop: Arc<Notify>,
}

impl Threads {
    /// Starts so many threads.
    ///
    /// # Errors
    /// When the system has no more threads or descriptors.
    pub(crate) fn start(count: usize) -> io::Result<Threads> {
        let threads = (1..=count).map(Thread::start).collect::<io::Result<_>>()?;
        Ok(Threads { threads, next: AtomicUsize::new(0) })
    }

    /// All of them.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Handle> {
        self.threads.iter().map(|thread| &thread.runtime)
    }

    /// Where connections are accepted: on the thread that the first of them live on, since waking another one takes
    /// longer than answering a newcomer.
    pub(crate) fn door(&self) -> &Handle {
        &self.threads[0].runtime
    }

    /// Where the next connection lives; `None` when that is where it was accepted.
    pub(crate) fn next(&self) -> Option<&Handle> {
        match self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len() {
            0 => None,
            index => Some(&self.threads[index].runtime),
        }
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Thread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name(format!("connections-{number}")).spawn(move || {
            HERE.set(number);
            runtime.block_on(stopped.notified());
        })?;
        Ok(Thread { runtime: handle, stop })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.stop.notify_one());
    }
}
