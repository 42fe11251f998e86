//! Which processes there are, as /proc shows them: for finding what a job left behind.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One line of /proc/PID/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// It has ended, and nobody has asked for its exit code yet.
    pub(crate) is_zombie: bool,
}

/// How often a hunt looks again for what was started meanwhile. Killed processes need a moment to go.
const ROUNDS_MAX: usize = 10_000;

/// All processes that this one may see.
pub(crate) fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| process(name.parse().ok()?)).collect()
}

/// One process, if it is there.
fn process(pid: i32) -> Option<Process> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Process> {
    // The second field is the program's name in parentheses, and may hold anything, parentheses too.
    let (pid, rest) = stat.split_once(' ')?;
    let (_, rest) = rest.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Process { pid: pid.parse().ok()?, parent, session, is_zombie })
}

/// Kills every process of a session but its leader. The leader must not be reaped yet: until then its number,
/// which is the session's, can't be another's.
pub(crate) fn end_session(session: i32) {
    let is_member =
        |process: &Process| process.session == session && process.pid != session && !process.is_zombie;
    for _ in 0..ROUNDS_MAX {
        let members: Vec<Process> = processes().into_iter().filter(is_member).collect();
        if members.is_empty() {
            return;
        }
        for member in members {
            kill_if(member.pid, is_member);
        }
    }
}

/// Kills a process if it is still who it was: the descriptor names the process and not just its number.
fn kill_if(pid: i32, is_meant: impl Fn(&Process) -> bool) {
    let Some(number) = Pid::from_raw(pid) else { return };
    let Ok(descriptor) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if process(pid).is_some_and(|process| is_meant(&process)) {
        let _ = pidfd_send_signal(&descriptor, Signal::KILL); // it ended meanwhile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_may_hold_anything() {
        let stat = "4711 (a) Z 1 (b) S 17 4711 42 0 -1 4194304 100";
        let expected = Process { pid: 4711, parent: 17, session: 42, is_zombie: false };
        assert_eq!(parse(stat), Some(expected));
        assert!(parse("1 (x) Z 0 1 1 0").unwrap().is_zombie);
        assert_eq!(parse("1 (x"), None);
    }

    #[test]
    fn this_process_is_among_them() {
        let me = i32::try_from(std::process::id()).unwrap();
        let found: Vec<Process> = processes().into_iter().filter(|process| process.pid == me).collect();
        let [this] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(this.parent, rustix::process::getppid().unwrap().as_raw_nonzero().get());
    }
}
