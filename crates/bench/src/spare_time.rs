//! Threads that take only the time that nobody else wants. On a machine of few cores clients that would be elsewhere otherwise
//! take time from the server and from what is measured, for which the server can't do anything.

use anyhow::Result;

use crate::precedence::{chrt, this_thread};

/// From now on the calling thread runs only while a core has nothing else to do (`SCHED_IDLE`): it gives way at once to
/// whoever wakes up, which a low priority does not do.
///
/// # Errors
/// There is no `chrt`, which is in util-linux, or it is not allowed.
pub(crate) fn take_only_spare_time() -> Result<()> {
    chrt(&["--idle", "--pid", "0", &this_thread()])
}

/// How the calling thread is scheduled, as a number of `linux/sched.h`.
#[cfg(test)]
pub(crate) fn policy() -> u32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    // The policy is field 41, the first behind the name is field 3.
    fields.split_ascii_whitespace().nth(41 - 3).unwrap().parse().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SCHED_IDLE` of `linux/sched.h`.
    const IDLE: u32 = 5;

    #[test]
    fn the_calling_thread_alone_gives_way() {
        let before = policy();
        let idle = std::thread::spawn(|| take_only_spare_time().map(|()| policy())).join().unwrap();
        assert_eq!(idle.unwrap(), IDLE);
        assert_eq!(policy(), before);
    }
}
