//! Who goes first on a machine of few cores: first whoever measures, then the server, then everybody else.
//!
//! Threads that take only spare time ([`crate::spare_time`]) are not enough: a Linux that preempts lazily wakes a thread on a
//! core where one of them runs, and does not interrupt that before the next tick, 4 ms later. So it waits as long as many
//! commands of a busy server do, for nothing that a server could do anything about. Who has a real-time policy runs at once.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Of the server's threads; those of one priority take turns as they please.
const SERVER: &str = "1";
/// Of the thread that measures: it works for some microseconds at a time.
const MEASURER: &str = "2";

/// The calling thread goes first, until this is dropped.
pub(crate) struct Precedence {
    thread: String,
}

impl Precedence {
    /// The calling thread goes first (`SCHED_FIFO`), and then a server with all of its threads (`SCHED_RR`). Threads that
    /// the calling one starts are as all others.
    ///
    /// # Errors
    /// It is not allowed, as it is to root, or there is no `chrt`.
    pub(crate) fn take(server: u32) -> Result<Precedence> {
        chrt(&["--all-tasks", "--rr", "--pid", SERVER, &server.to_string()])?;
        let thread = this_thread();
        chrt(&["--reset-on-fork", "--fifo", "--pid", MEASURER, &thread])?;
        Ok(Precedence { thread })
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        // Who was allowed to rise is allowed to step back.
        _ = chrt(&["--other", "--pid", "0", &self.thread]);
    }
}

/// The calling thread, as `chrt` wants it.
pub(crate) fn this_thread() -> String {
    rustix::thread::gettid().as_raw_nonzero().to_string()
}

/// Runs `chrt`, which sets how threads are scheduled.
///
/// # Errors
/// There is no `chrt`, which is in util-linux, or it is not allowed.
pub(crate) fn chrt(args: &[&str]) -> Result<()> {
    let output = Command::new("chrt").args(args).output();
    let output = output.context("running chrt (Debian: apt install util-linux)")?;
    let (said, args) = (String::from_utf8_lossy(&output.stderr), args.join(" "));
    ensure!(output.status.success(), "chrt {args} ended with {}: {}", output.status, said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> u32 {
        crate::spare_time::policy()
    }

    /// `SCHED_OTHER` and `SCHED_FIFO` of `linux/sched.h`.
    const OTHER: u32 = 0;
    const FIFO: u32 = 1;

    #[test]
    fn precedence_ends_and_is_not_handed_down() {
        std::thread::spawn(|| {
            let mut server = Command::new("sleep").arg("60").spawn().unwrap();
            let taken = Precedence::take(server.id());
            server.kill().unwrap();
            server.wait().unwrap();
            match taken {
                Ok(precedence) => {
                    assert_eq!(policy(), FIFO);
                    assert_eq!(std::thread::spawn(policy).join().unwrap(), OTHER);
                    drop(precedence);
                }
                // Not everybody may.
                Err(why) => assert!(why.to_string().contains("chrt"), "{why}"),
            }
            assert_eq!(policy(), OTHER);
        })
        .join()
        .unwrap();
    }
}
