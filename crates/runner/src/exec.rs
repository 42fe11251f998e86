//! `kind = "exec"`: one process per job.
//!
//! Exit code 0 is done, 75 (EX_TEMPFAIL) is given back, any other code or a signal is a failure with the end of
//! stderr as the reason. That holds also for a job that was told to end: one that handles SIGTERM must exit with
//! 0 only if it is done. A program that can't be started is not the job's fault: the job is given back.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stanchion_client::Job;
use tokio::sync::watch;

use crate::config::{Exec, ProcessLimits, Stdin};
use crate::limits;
use crate::outcome::{Cancel, Outcome};
use crate::process::shims::Shims;
use crate::process::{Ended, How, Launch};
use crate::shim::{self, Input};
use crate::template::Field;

/// "Try again later", from sysexits.h.
pub(crate) const EX_TEMPFAIL: i32 = 75;

/// Runs jobs as processes.
#[derive(Debug, Clone)]
pub struct ExecDispatcher {
    exec: Exec,
    shims: Arc<Shims>,
}

impl ExecDispatcher {
    /// A dispatcher whose shim is this very executable, even when a deployment has replaced it on disk. Its
    /// `main` calls [`shim::run_if_called`].
    #[must_use]
    pub fn new(exec: Exec) -> ExecDispatcher {
        ExecDispatcher { exec, shims: Arc::new(Shims::new(PathBuf::from(shim::THIS_EXECUTABLE))) }
    }

    /// The same with another executable as the shim.
    #[must_use]
    pub fn with_shim(mut self, executable: PathBuf) -> ExecDispatcher {
        self.shims = Arc::new(Shims::new(executable));
        self
    }

    /// A job and all that it started are gone after this long.
    pub(crate) fn time_max(&self) -> Duration {
        let ProcessLimits { timeout, kill_after, .. } = self.exec.limits;
        timeout.saturating_add(kill_after).saturating_add(limits::OUTPUT_GRACE)
    }

    /// Runs the job to its end.
    pub async fn run(&self, job: &Job, cancel: watch::Receiver<Cancel>) -> Outcome {
        // A C string ends at NUL: the process would be told about another job than this one.
        for (field, name, _) in Field::ALL {
            if field.bytes(job).contains(&0) {
                return Outcome::Hopeless(format!("NUL in the job's {name}: no process can be told it"));
            }
        }
        match self.launch(job).run(&self.shims, cancel.clone()).await {
            Ok(ended) => self.judge(&ended, *cancel.borrow()),
            Err(error) => {
                tracing::warn!(%error, "no process can be started for a job: out of processes, memory or descriptors?");
                Outcome::Release { after: None }
            }
        }
    }

    /// The job's process, with its fields in the environment.
    fn launch<'a>(&'a self, job: &'a Job) -> Launch<'a> {
        let variable = |(field, _, name): (Field, _, _)| (name, OsString::from_vec(field.bytes(job)));
        Launch {
            program: &self.exec.program,
            arguments: self.exec.arguments.iter().map(|argument| argument.fill(job)).collect(),
            environment: Field::ALL.into_iter().map(variable).collect(),
            input: match self.exec.stdin {
                Stdin::Payload => Input::Payload(&job.payload),
                Stdin::None => Input::Nothing,
            },
            limits: self.exec.limits,
        }
    }

    fn judge(&self, ended: &Ended, cancel: Cancel) -> Outcome {
        match ended.how {
            How::Exited(0) => Outcome::Done,
            How::Exited(EX_TEMPFAIL) if !ended.timed_out => Outcome::Release { after: None },
            _ if cancel != Cancel::No => Outcome::Cancelled,
            How::NotStarted(errno) => {
                // Not the job's fault, so no attempt is used: a wrong path must not burn a whole queue.
                let error = io::Error::from_raw_os_error(errno);
                tracing::error!(program = self.exec.program, %error, "the dispatcher's program can't be started");
                Outcome::Release { after: None }
            }
            _ => Outcome::Failed(ended.reason(self.exec.limits.timeout)),
        }
    }
}
