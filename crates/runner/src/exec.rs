//! `kind = "exec"`: one process per job, behind a shim.
//!
//! Exit code 0 is done, 75 (EX_TEMPFAIL) is given back, any other code or a signal is a failure with the end of
//! stderr as the reason. That holds also for a job that was told to end: one that handles SIGTERM must exit with
//! 0 only if it is done. A program that can't be started is not the job's fault: the job is given back. Output is
//! read all the time, so that a talkative job never waits for the runner.

mod output;

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use stanchion_client::Job;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::config::{Exec, Stdin};
use crate::limits;
use crate::outcome::{Cancel, Outcome};
use crate::shim::{self, MESSAGE_BYTES, Message, Order};
use crate::template::Field;
use output::Output;

/// "Try again later", from sysexits.h.
const EX_TEMPFAIL: i32 = 75;

/// Runs jobs as processes.
#[derive(Debug, Clone)]
pub struct ExecDispatcher {
    exec: Exec,
    shim: PathBuf,
}

impl ExecDispatcher {
    /// A dispatcher whose shim is this very executable, even when a deployment has replaced it on disk. Its `main` calls [`shim::run_if_called`].
    #[must_use]
    pub fn new(exec: Exec) -> ExecDispatcher {
        ExecDispatcher { exec, shim: PathBuf::from("/proc/self/exe") }
    }

    /// The same with another executable as the shim.
    #[must_use]
    pub fn with_shim(mut self, executable: PathBuf) -> ExecDispatcher {
        self.shim = executable;
        self
    }

    /// A job and all that it started are gone after this long.
    pub(crate) fn time_max(&self) -> Duration {
        self.exec.timeout.saturating_add(self.exec.kill_after).saturating_add(limits::OUTPUT_GRACE)
    }

    /// Runs the job to its end.
    pub async fn run(&self, job: &Job, cancel: watch::Receiver<Cancel>) -> Outcome {
        // A C string ends at NUL: the process would be told about another job than this one.
        for (field, name, _) in Field::ALL {
            if field.bytes(job).contains(&0) {
                return Outcome::Hopeless(format!("NUL in the job's {name}: no process can be told it"));
            }
        }
        match self.supervise(job, cancel).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(%error, "no process can be started for a job: out of processes, memory or descriptors?");
                Outcome::Release { after: None }
            }
        }
    }

    async fn supervise(&self, job: &Job, cancel: watch::Receiver<Cancel>) -> io::Result<Outcome> {
        let (ours, shims) = UnixStream::pair()?;
        let shims = shims.into_std()?;
        shims.set_nonblocking(false)?;
        let mut child = self.command(job, shims.into())?.spawn()?;
        let mut output = Output::of(&mut child);
        let mut supervisor = Supervisor { exec: &self.exec, shim: ours, cancel, pid: None, timed_out: false };
        let ended = {
            let mut reading = std::pin::pin!(output.read());
            let mut read_all = false;
            let ended = {
                let mut ended = std::pin::pin!(supervisor.watch(job));
                tokio::select! {
                    ended = &mut ended => ended,
                    () = &mut reading => {
                        read_all = true;
                        ended.await
                    }
                }
            };
            child.wait().await?;
            // The group is gone; only a process that left it can still hold the output open.
            if !read_all {
                let _ = tokio::time::timeout(limits::OUTPUT_GRACE, reading).await;
            }
            ended
        };
        Ok(supervisor.judge(ended, output))
    }

    /// The shim's command line: the job's, with its fields in the environment.
    fn command(&self, job: &Job, socket: std::os::fd::OwnedFd) -> io::Result<Command> {
        let mut command = Command::new(&self.shim);
        command.arg0(shim::ARG0).arg(&self.exec.program);
        command.args(self.exec.arguments.iter().map(|argument| argument.fill(job)));
        for (field, _, variable) in Field::ALL {
            use std::os::unix::ffi::OsStringExt;
            command.env(variable, std::ffi::OsString::from_vec(field.bytes(job)));
        }
        command.stdin(Stdio::from(socket)).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that Ctrl-C at a terminal reaches the runner and not the shim.
        command.process_group(0);
        Ok(command)
    }
}

/// How the shim says a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Message(Message),
    /// The shim itself was killed.
    ShimGone,
}

/// One running job, seen from the runner.
struct Supervisor<'a> {
    exec: &'a Exec,
    shim: UnixStream,
    cancel: watch::Receiver<Cancel>,
    /// The job's process group, once it runs.
    pid: Option<i32>,
    timed_out: bool,
}

impl Supervisor<'_> {
    /// Feeds the shim, and tells it to end the job when its time is over or it is cancelled.
    async fn watch(&mut self, job: &Job) -> End {
        let payload = (self.exec.stdin == Stdin::Payload).then_some(job.payload.as_slice());
        // A shim that is gone already shows below, as the end of its messages.
        let fed = async {
            self.shim.write_all(&shim::header(payload)).await?;
            self.shim.write_all(payload.unwrap_or_default()).await
        };
        let _: io::Result<()> = fed.await;
        let mut deadline = Instant::now() + self.exec.timeout;
        let mut terminated = false;
        let mut seen = Cancel::No;
        let mut buffer = [0; MESSAGE_BYTES];
        let mut filled = 0;
        loop {
            tokio::select! {
                read = self.shim.read(&mut buffer[filled..]) => {
                    match read {
                        Ok(0) | Err(_) => return self.shim_gone(),
                        Ok(n) => filled += n,
                    }
                    if filled < MESSAGE_BYTES {
                        continue;
                    }
                    filled = 0;
                    match Message::read(buffer) {
                        Some(Message::Started(pid)) => self.pid = Some(pid),
                        Some(message) => return End::Message(message),
                        None => return self.shim_gone(),
                    }
                }
                () = sleep_until(deadline) => {
                    self.timed_out |= !terminated;
                    let order = if terminated { Order::Kill } else { Order::Terminate };
                    self.order(order).await;
                    terminated = true;
                    deadline = Instant::now() + self.exec.kill_after;
                }
                cancel = changed(&mut self.cancel, seen) => {
                    seen = cancel;
                    if cancel == Cancel::Now {
                        self.order(Order::Kill).await;
                    } else if !terminated {
                        self.order(Order::Terminate).await;
                        deadline = Instant::now() + self.exec.kill_after;
                    }
                    terminated = true;
                }
            }
        }
    }

    async fn order(&mut self, order: Order) {
        let _ = self.shim.write_all(&[order.byte()]).await; // gone: the next read says so
    }

    /// Somebody killed the shim: do its last work for it.
    fn shim_gone(&self) -> End {
        if let Some(pid) = self.pid.and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        End::ShimGone
    }

    fn judge(&self, end: End, output: Output) -> Outcome {
        let cancelled = *self.cancel.borrow() != Cancel::No;
        let how = match end {
            End::Message(Message::Exited(0)) => return Outcome::Done,
            End::Message(Message::Exited(EX_TEMPFAIL)) if !self.timed_out => {
                return Outcome::Release { after: None };
            }
            _ if cancelled => return Outcome::Cancelled,
            End::Message(Message::NotStarted(errno)) => {
                // Not the job's fault, so no attempt is used: a wrong path must not burn a whole queue.
                let error = io::Error::from_raw_os_error(errno);
                tracing::error!(program = self.exec.program, %error, "the dispatcher's program can't be started");
                return Outcome::Release { after: None };
            }
            _ if self.timed_out => return Outcome::Failed(timed_out(self.exec.timeout, &output)),
            End::Message(Message::Exited(code)) => format!("exit code {code}"),
            End::Message(Message::Signalled(signal)) => format!("killed by signal {signal}"),
            End::Message(Message::Started(_)) | End::ShimGone => "its shim was killed".to_owned(),
        };
        Outcome::Failed(output.last_words().unwrap_or(how))
    }
}

/// The reason of a job whose time was over, with what it said last.
fn timed_out(timeout: Duration, output: &Output) -> String {
    let what = format!("timed out after {timeout:?}");
    output.last_words().map_or_else(|| what.clone(), |words| format!("{what}: {words}"))
}

/// The next cancellation that is more urgent than what was seen; pends when there can be none.
async fn changed(cancel: &mut watch::Receiver<Cancel>, seen: Cancel) -> Cancel {
    let next = cancel.wait_for(|now| *now > seen).await.map(|now| *now);
    match next {
        Ok(now) => now,
        Err(_) => std::future::pending().await,
    }
}
