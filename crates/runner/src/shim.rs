//! The small process between the runner and each job, so that nothing is left behind when the runner dies.
//!
//! The runner may be killed at any moment, and then nothing of it can run any more. So each job has a shim,
//! which holds one end of a socket whose other end is the runner's. The kernel closes that one whatever
//! happens to the runner; the shim sees the end of file and kills the job. (PR_SET_PDEATHSIG would reach only the
//! direct child, and fires when the thread that forked it ends.)
//!
//! A job is more than one process. Those of its process group get its signals. Those that left the group, as
//! daemons do, become children of the shim when their parents end, because it is their subreaper; it kills them
//! at the job's end. And all but those have the shim's session, whose number is the shim's own: the runner knows
//! it before there is a job, and looks there if somebody kills the shim.
//!
//! The shim is the runner's own executable under another name ([`ARG0`]), so that it is always there and always
//! of the same version. It starts no threads and no runtime: it costs one exec, and one that is told the command
//! over its socket stays for the next job, so that most jobs cost no more than themselves. The socket is its standard
//! input, because the three standard streams are the only descriptors that a program can hand on without
//! `unsafe`; standard output and standard error are the job's.

mod request;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, setsid, wait,
};

use crate::procfs;
use request::Request;
pub(crate) use request::{Input, command_header};

/// The name that an executable is started under to be a shim.
pub const ARG0: &str = "stanchion-shim";

/// The executable of this process, even when a deployment has replaced it on disk.
pub(crate) const THIS_EXECUTABLE: &str = "/proc/self/exe";

/// Afterwards each byte from the runner is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM to the job's process group.
    Terminate,
    /// SIGKILL to it.
    Kill,
}

/// What the shim sends: one tag byte and one number, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// The job runs; its process id, which is also its process group's.
    Started(i32),
    /// It ended by itself, with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It could not be started; the system's error number.
    NotStarted(i32),
    /// Something of it can't be ended, and may still hold its output open. How it ended follows.
    Left,
}

/// Bytes of a [`Message`].
pub(crate) const MESSAGE_BYTES: usize = 5;

impl Order {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Order::Terminate => b't',
            Order::Kill => b'k',
        }
    }

    fn signal(byte: u8) -> Option<Signal> {
        match byte {
            b't' => Some(Signal::TERM),
            b'k' => Some(Signal::KILL),
            _ => None,
        }
    }
}

impl Message {
    pub(crate) fn bytes(self) -> [u8; MESSAGE_BYTES] {
        let (tag, number) = match self {
            Message::Started(pid) => (b's', pid),
            Message::Exited(code) => (b'x', code),
            Message::Signalled(signal) => (b'g', signal),
            Message::NotStarted(errno) => (b'n', errno),
            Message::Left => (b'l', 0),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [tag, a, b, c, d]
    }

    pub(crate) fn read([tag, a, b, c, d]: [u8; MESSAGE_BYTES]) -> Option<Message> {
        let number = i32::from_le_bytes([a, b, c, d]);
        match tag {
            b's' => Some(Message::Started(number)),
            b'x' => Some(Message::Exited(number)),
            b'g' => Some(Message::Signalled(number)),
            b'n' => Some(Message::NotStarted(number)),
            b'l' => Some(Message::Left),
            _ => None,
        }
    }
}

/// Every `main` of an executable that runs exec dispatchers calls this before anything else: if the process was
/// started as a shim it is one until it exits, and this returns its exit code.
#[must_use]
pub fn run_if_called() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()? != ARG0 {
        return None;
    }
    Some(match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE, // the runner sees that no message came, and says so
    })
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    // Also, Ctrl-C at a terminal then reaches the runner alone.
    let _ = setsid(); // who leads a group already, in a test, stays in its session
    let _ = set_child_subreaper(Some(getpid())); // without it a process that leaves the group goes its way
    // Not standard input itself: the duplicate closes on exec, so that the job does not hold the socket.
    let mut runner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    while let Some(Request { mut command, stays }) = Request::read(&mut runner, &mut arguments)? {
        run_one(&mut runner, &mut command)?;
        if !stays {
            break;
        }
    }
    Ok(())
}

/// Runs one job to its end, and says how it ended.
fn run_one(runner: &mut UnixStream, command: &mut Command) -> io::Result<()> {
    let mut child = match command.process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
            return runner.write_all(&Message::NotStarted(errno).bytes());
        }
    };
    let pid = Pid::from_child(&child);
    // A runner that is gone by now shows as end of file below.
    let _ = runner.write_all(&Message::Started(pid.as_raw_nonzero().get()).bytes());
    wait_for_end(runner, pid)?;
    // Before the child is reaped, because until then its process id, and so the group's, can't be anybody else's.
    let _ = kill_process_group(pid, Signal::KILL);
    let ended = reap(&mut child)?;
    if !end_descendants() {
        let _ = runner.write_all(&Message::Left.bytes());
    }
    let _ = runner.write_all(&ended.bytes());
    Ok(())
}

/// Returns when the job's first process has ended. Meanwhile passes the runner's orders on, and kills the job's
/// group when the runner is gone.
fn wait_for_end(runner: &mut UnixStream, pid: Pid) -> io::Result<()> {
    let ended: OwnedFd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut runner_is_there = true;
    loop {
        let mut waiting = [PollFd::new(&ended, PollFlags::IN), PollFd::new(runner, PollFlags::IN)];
        let count = if runner_is_there { 2 } else { 1 };
        match poll(&mut waiting[..count], None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !waiting[0].revents().is_empty() {
            return Ok(());
        }
        let mut order = [0];
        let signal = match runner.read(&mut order) {
            Ok(1) => Order::signal(order[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            _ => {
                runner_is_there = false;
                Some(Signal::KILL)
            }
        };
        if let Some(signal) = signal {
            let _ = kill_process_group(pid, signal); // gone already: the next poll says so
        }
    }
}

fn reap(child: &mut Child) -> io::Result<Message> {
    let status = child.wait()?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Message::Exited(code),
        (None, signal) => Message::Signalled(signal.unwrap_or(0)),
    })
}

/// Kills what is left of the job: with its first process reaped, the eldest of what left its group are children
/// of this process, and theirs will be. Whether nothing is left.
fn end_descendants() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(_) => return true, // there are none
        }
        let me = getpid().as_raw_nonzero().get();
        let children = procfs::processes().into_iter().filter(|process| process.parent == me);
        let killed = children
            .filter_map(|process| Pid::from_raw(process.pid))
            .filter(|pid| kill_process(*pid, Signal::KILL).is_ok())
            .count();
        // Another user's can't be killed, and must not be waited for.
        if killed == 0 || wait(WaitOptions::empty()).is_err() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        for message in [
            Message::Started(4711),
            Message::Exited(255),
            Message::Signalled(9),
            Message::NotStarted(2),
            Message::Left,
        ] {
            assert_eq!(Message::read(message.bytes()), Some(message));
        }
        assert_eq!(Message::read([b'?', 0, 0, 0, 0]), None);
    }

    #[test]
    fn orders_are_signals() {
        assert_eq!(Order::signal(Order::Terminate.byte()), Some(Signal::TERM));
        assert_eq!(Order::signal(Order::Kill.byte()), Some(Signal::KILL));
        assert_eq!(Order::signal(0), None);
    }
}
