//! Threads that take only the time that nobody else wants. On a machine of few cores clients that would be elsewhere otherwise
//! take time from the server and from what is measured, for which the server can't do anything.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// From now on the calling thread runs only while a core has nothing else to do (`SCHED_IDLE`): it gives way at once to
/// whoever wakes up, which a low priority does not do.
///
/// # Errors
/// There is no `chrt`, which is in util-linux, or it is not allowed.
pub(crate) fn take_only_spare_time() -> Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut chrt = Command::new("chrt");
    let status = chrt.args(["--idle", "--pid", "0", &thread]).status();
    let status = status.context("running chrt (Debian: apt install util-linux)")?;
    ensure!(status.success(), "chrt --idle --pid 0 {thread} ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SCHED_IDLE` of `linux/sched.h`.
    const IDLE: &str = "5";

    fn policy() -> String {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        // The policy is field 41, the first behind the name is field 3.
        fields.split_ascii_whitespace().nth(41 - 3).unwrap().to_owned()
    }

    #[test]
    fn the_calling_thread_alone_gives_way() {
        let before = policy();
        let idle = std::thread::spawn(|| take_only_spare_time().map(|()| policy())).join().unwrap();
        assert_eq!(idle.unwrap(), IDLE);
        assert_eq!(policy(), before);
    }
}
