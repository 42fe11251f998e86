//! The server and the runner, as processes of their own.

use std::fs::File;
use std::net::TcpListener;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::place::Place;

/// How long each may take to stop.
const STOP_MAX: Duration = Duration::from_secs(10);

/// What was started so far.
#[derive(Default)]
pub(super) struct Children {
    server: Option<Child>,
    runner: Option<Child>,
}

impl Children {
    pub(super) fn start_server(&mut self, place: &Place, port: u16) -> Result<()> {
        let mut command = own_executable(place, "server")?;
        command
            .args(["server", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
            .arg(place.data());
        self.server = Some(command.spawn().context("starting the server")?);
        Ok(())
    }

    pub(super) fn start_runner(&mut self, place: &Place) -> Result<()> {
        let mut command = own_executable(place, "runner")?;
        command.args(["runner", "--log-format", "json", "--config"]).arg(place.runner_file());
        self.runner = Some(command.spawn().context("starting the runner")?);
        Ok(())
    }

    /// Fails if one of them has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        for (name, child) in self.all() {
            if let Some(child) = child
                && let Some(status) = child.try_wait()?
            {
                bail!("the {name} has ended too early: {status}");
            }
        }
        Ok(())
    }

    /// Stops the runner, then the server, because the runner has things to say to it.
    pub(super) async fn stop(mut self) -> Result<()> {
        let mut result = Ok(());
        for (name, child) in self.all() {
            let Some(child) = child else { continue };
            let stopped = stop(child).await.with_context(|| format!("stopping the {name}"));
            result = result.and(stopped.and_then(|status| match status.success() {
                true => Ok(()),
                false => bail!("the {name} ended with {status}"),
            }));
        }
        result
    }

    fn all(&mut self) -> [(&'static str, Option<&mut Child>); 2] {
        [("runner", self.runner.as_mut()), ("server", self.server.as_mut())]
    }
}

/// This very executable as another process, with its log in a file. In a process group of its own: at a terminal
/// Ctrl-C goes to the demo alone, which ends the others in their order.
fn own_executable(place: &Place, log: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // Variables are for the user's servers, not for this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STANCHION_"))
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(place.log(log))?);
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

/// SIGTERM, and SIGKILL for one that does not end.
async fn stop(child: &mut Child) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        kill_process(pid, Signal::TERM)?;
    }
    match tokio::time::timeout(STOP_MAX, child.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            child.kill().await?;
            bail!("it did not end within {STOP_MAX:?} of SIGTERM");
        }
    }
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
