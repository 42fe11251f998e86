//! A process behind a shim, from its start to its end: what the dispatchers that start processes share.
//!
//! It has a session of its own. SIGTERM goes to its group when its time is over or it is cancelled, SIGKILL a
//! while later or when nobody has the time to wait. When its first process has ended the shim kills whatever is
//! left of it; when the shim itself was killed, this does. Output is read all the time, so that a talkative
//! process never waits for the runner, and its end is kept.

pub(crate) mod cgroup;
pub(crate) mod control;
pub(crate) mod output;
pub(crate) mod shims;

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::config::ProcessLimits;
use crate::limits;
use crate::outcome::{Cancel, more_urgent};
use crate::procfs;
use crate::shim::{Input, Message, Order};
use cgroup::JobGroup;
use control::Control;
use shims::Shims;

/// What is started, and within which limits.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a str,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
    pub(crate) input: Input<'a>,
    pub(crate) limits: ProcessLimits,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// SIGTERM was sent because its time was over.
    pub(crate) timed_out: bool,
    /// It was killed for its memory; the limit in words.
    over_limit: Option<String>,
    /// What it said last.
    words: Option<String>,
}

/// What was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It ended by itself, with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It could not be started; the system's error number.
    NotStarted(i32),
    /// The shim was killed, and so it was.
    ShimGone,
}

impl Launch<'_> {
    /// Runs it to its end. An error means that not even a shim could be started.
    pub(crate) async fn run(&self, shims: &Shims, cancel: watch::Receiver<Cancel>) -> io::Result<Ended> {
        // Under a limit a shim is the job's alone.
        let mut shim = if self.limits.memory_max.is_some() { shims.start()? } else { shims.take()? };
        let limited = limit(&shim.child, self.limits.memory_max)?;
        let mut supervisor =
            Supervisor { launch: self, control: &mut shim.control, cancel, timed_out: false, left: false };
        let how = {
            let mut reading = std::pin::pin!(shim.output.read());
            let mut ended = std::pin::pin!(supervisor.watch());
            tokio::select! {
                how = &mut ended => how,
                () = &mut reading => ended.await,
            }
        };
        let (timed_out, left) = (supervisor.timed_out, supervisor.left);
        if how == How::ShimGone {
            shim.end(how).await?;
            // Only what left its session, or belongs to another user, can still hold the output open.
            let _ = tokio::time::timeout(limits::OUTPUT_GRACE, shim.output.read()).await;
        }
        shim.output.read_available();
        let words = shim.output.last_words();
        let over_limit = limited.as_ref().and_then(JobGroup::over_limit);
        if limited.is_some() || left {
            shim.end(how).await?;
        } else if how != How::ShimGone {
            shims.put_back(shim);
        }
        Ok(Ended { how, timed_out, over_limit, words })
    }
}

/// Puts a shim, which starts its process only when it is told to begin, under a memory limit.
pub(crate) fn limit(shim: &Child, memory_max: Option<u64>) -> io::Result<Option<JobGroup>> {
    let Some(memory_max) = memory_max else { return Ok(None) };
    let delegated = cgroup::delegated().map_err(io::Error::other)?;
    let process = shim.id().ok_or_else(|| io::Error::other("the shim has ended"))?;
    delegated.job(memory_max, process).map(Some)
}

/// Waits for a shim's end. Does its last work for one that was killed: the job has the shim's session, so it is
/// found even if the shim could not say any more that it had started it.
pub(crate) async fn reap(shim: &mut Child, how: How) -> io::Result<()> {
    let pid = shim.id().and_then(|pid| i32::try_from(pid).ok());
    if let (How::ShimGone, Some(pid)) = (how, pid) {
        procfs::end_session(pid);
    }
    shim.wait().await.map(drop)
}

/// One running process, seen from the runner.
struct Supervisor<'a> {
    launch: &'a Launch<'a>,
    control: &'a mut Control,
    cancel: watch::Receiver<Cancel>,
    timed_out: bool,
    /// Something could not be ended.
    left: bool,
}

impl Supervisor<'_> {
    /// Feeds the shim, and tells it to end the process when its time is over or it is cancelled.
    async fn watch(&mut self) -> How {
        let Launch { program, arguments, environment, input, .. } = self.launch;
        self.control.begin_command(program, arguments, environment, *input).await;
        let mut deadline = Instant::now() + self.launch.limits.timeout;
        let mut terminated = false;
        let mut seen = Cancel::No;
        loop {
            tokio::select! {
                message = self.control.next() => match message {
                    Some(Message::Started(_)) => {}
                    Some(Message::Left) => self.left = true,
                    Some(message) => return How::from(message),
                    None => return How::ShimGone,
                },
                () = sleep_until(deadline) => {
                    self.timed_out |= !terminated;
                    let order = if terminated { Order::Kill } else { Order::Terminate };
                    self.control.order(order).await;
                    terminated = true;
                    deadline = Instant::now() + self.launch.limits.kill_after;
                }
                cancel = more_urgent(&mut self.cancel, seen) => {
                    seen = cancel;
                    if cancel == Cancel::Now {
                        self.control.order(Order::Kill).await;
                    } else if !terminated {
                        self.control.order(Order::Terminate).await;
                        deadline = Instant::now() + self.launch.limits.kill_after;
                    }
                    terminated = true;
                }
            }
        }
    }
}

impl Ended {
    /// What to tell about a process that failed: what it said last, else how it ended.
    pub(crate) fn reason(&self, timeout: Duration) -> String {
        let words = self.words.clone();
        match &self.over_limit {
            Some(limit) => with_words(limit.clone(), words),
            None if self.timed_out => timed_out(timeout, words),
            None => words.unwrap_or_else(|| self.how.to_string()),
        }
    }
}

/// The reason of a job whose time was over, with what it said last.
pub(crate) fn timed_out(timeout: Duration, last_words: Option<String>) -> String {
    with_words(format!("timed out after {timeout:?}"), last_words)
}

/// What happened, and what was said last.
pub(crate) fn with_words(what: String, last_words: Option<String>) -> String {
    match last_words {
        Some(words) => format!("{what}: {words}"),
        None => what,
    }
}

impl From<Message> for How {
    fn from(message: Message) -> How {
        match message {
            Message::Exited(code) => How::Exited(code),
            Message::Signalled(signal) => How::Signalled(signal),
            Message::NotStarted(errno) => How::NotStarted(errno),
            Message::Started(_) | Message::Left => How::ShimGone, // these are no ends: this is no shim
        }
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            How::Exited(code) => write!(f, "exit code {code}"),
            How::Signalled(signal) => write!(f, "killed by signal {signal}"),
            How::NotStarted(errno) => io::Error::from_raw_os_error(*errno).fmt(f),
            How::ShimGone => f.write_str("its shim was killed"),
        }
    }
}
