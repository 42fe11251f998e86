//! Shims that stay: each runs one job after the other, so that a job costs no start of a shim.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use tokio::process::Child;

use super::control::Control;
use super::output::Output;
use super::{How, reap};

/// The shims of a dispatcher that have no job. There are never more than it had jobs at once.
#[derive(Debug)]
pub(crate) struct Shims {
    executable: PathBuf,
    idle: Mutex<Vec<Shim>>,
}

/// A shim, with or without a job.
#[derive(Debug)]
pub(crate) struct Shim {
    pub(super) child: Child,
    pub(super) control: Control,
    pub(super) output: Output,
}

impl Shims {
    pub(crate) fn new(executable: PathBuf) -> Shims {
        Shims { executable, idle: Mutex::default() }
    }

    /// One that is idle, else a new one.
    pub(super) fn take(&self) -> io::Result<Shim> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut shim) = idle else { return self.start() };
            // Somebody may have killed it meanwhile.
            if matches!(shim.child.try_wait(), Ok(None)) {
                return Ok(shim);
            }
        }
    }

    /// A new one.
    pub(super) fn start(&self) -> io::Result<Shim> {
        let (mut command, control) = Control::of_shim(&self.executable)?;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        drop(command); // and with it the shim's end of the socket, so that its death shows
        let output = Output::of(&mut child);
        Ok(Shim { child, control, output })
    }

    /// Its job has ended, and nothing is left of it.
    pub(super) fn put_back(&self, mut shim: Shim) {
        shim.output.forget();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(shim);
    }
}

impl Shim {
    /// Has it end, and waits for that.
    pub(super) async fn end(&mut self, how: How) -> io::Result<()> {
        self.control.close().await;
        reap(&mut self.child, how).await
    }
}
