//! A child process whose lines can be waited for, that is never left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

use crate::PATIENCE;

/// A process with its output collected line by line.
pub struct Process {
    child: Child,
    status: Option<ExitStatus>,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    printed_read: usize,
}

#[derive(Default)]
struct Lines {
    state: Mutex<LinesState>,
    changed: Condvar,
}

#[derive(Default)]
struct LinesState {
    /// Of both outputs, in the order in which they came.
    lines: Vec<String>,
    /// Of standard output alone.
    printed: Vec<String>,
    pipes_closed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Pipe {
    Output,
    Error,
}

/// Standard output and standard error.
const PIPES: usize = 2;

impl Process {
    /// Starts a command; both of its outputs are collected together.
    pub fn start(command: &mut Command) -> Process {
        Process::spawn(command.stdin(Stdio::null()))
    }

    /// The same for a program that is told things while it runs, with `write_line`.
    pub fn start_with_input(command: &mut Command) -> Process {
        Process::spawn(command.stdin(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{command:?} does not start; `cargo xtask tools` installs what is missing: {error}")
        });
        let lines = Arc::new(Lines::default());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = vec![
            collect(stdout, Pipe::Output, Arc::clone(&lines)),
            collect(stderr, Pipe::Error, Arc::clone(&lines)),
        ];
        Process { child, status: None, lines, readers, printed_read: 0 }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that `find` finds something in; a process that ends or takes too long panics with what
    /// it said.
    #[track_caller]
    pub fn wait_line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lines.lock();
        loop {
            if let Some(found) = state.lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.pipes_closed == PIPES {
                panic!("the process never said {what}; it said:\n{}", state.lines.join("\n"));
            }
            state = self.lines.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The line of standard output after those that this has returned before; nil when there will be no more.
    #[track_caller]
    pub fn next_line(&mut self) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lines.lock();
        loop {
            if let Some(line) = state.printed.get(self.printed_read) {
                self.printed_read += 1;
                return Some(line.clone());
            }
            if state.pipes_closed == PIPES {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the process says nothing more; it said:\n{}", state.lines.join("\n"));
            state = self.lines.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a line to a process that was started with input.
    pub fn write_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("the process was started with input");
        // A process that has ended reads nothing more: whoever waits for what it says then learns why it ended.
        drop(input.write_all(format!("{line}\n").as_bytes()));
    }

    /// What the process has said so far.
    pub fn output(&self) -> String {
        self.lines.lock().lines.join("\n")
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal to the process, which is still there or not yet waited for.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill_process(Pid::from_raw(id).expect("a process id"), signal).expect("the process can be signalled");
    }

    /// Kills the process as `kill -9` does and waits until it is gone.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            self.child.kill().expect("the process can be killed");
            self.status = Some(self.child.wait().expect("the process can be waited for"));
        }
    }

    /// Waits until the process has ended by itself; too long a wait panics.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        match self.wait_for(PATIENCE) {
            Some(status) => status,
            None => panic!("the process does not end; it said:\n{}", self.output()),
        }
    }

    /// Waits so long for the process to end; nil when it still runs.
    pub fn wait_for(&mut self, patience: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            // A process that ends closes its pipes: that wakes this wait, so that nothing is polled.
            let deadline = Instant::now() + patience;
            let mut state = self.lines.lock();
            while state.pipes_closed < PIPES {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                state =
                    self.lines.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            drop(state);
            self.status = Some(self.child.wait().expect("the process can be waited for"));
        }
        self.status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        for reader in self.readers.drain(..) {
            // The reader ends with its pipe; one that panicked has nothing more to tell.
            drop(reader.join());
        }
        if std::thread::panicking() {
            let output = self.output();
            let shown: Vec<&str> = output.lines().rev().take(40).collect();
            let shown: Vec<&str> = shown.into_iter().rev().collect();
            // Through the panic's own channel, which the test runner captures.
            #[expect(clippy::print_stderr, reason = "a failed test shows what its server said")]
            {
                eprintln!("--- the last lines of process {} ---\n{}", self.child.id(), shown.join("\n"));
            }
        }
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, LinesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn collect(reader: impl Read + Send + 'static, pipe: Pipe, lines: Arc<Lines>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut state = lines.lock();
            if pipe == Pipe::Output {
                state.printed.push(line.clone());
            }
            state.lines.push(line);
            drop(state);
            lines.changed.notify_all();
        }
        lines.lock().pipes_closed += 1;
        lines.changed.notify_all();
    })
}

/// Clock ticks, of which Linux counts 100 a second, that a process has spent on the processors.
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process is there");
    // The name in parentheses may hold anything; user and system time are the 12th and 13th fields after it.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
}

/// How much memory of a process is in the machine's memory now.
pub fn resident_bytes(process: u32) -> usize {
    status_bytes(process, "VmRSS:")
}

/// The most that this ever was.
pub fn resident_bytes_peak(process: u32) -> usize {
    status_bytes(process, "VmHWM:")
}

/// The same as [`resident_bytes`] without the pages of files: heap and stacks.
pub fn anonymous_bytes(process: u32) -> usize {
    status_bytes(process, "RssAnon:")
}

fn status_bytes(process: u32, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
    kib.unwrap_or_else(|| panic!("{field} has no number of KiB")) * 1024
}

/// Lets this process have so many open files.
pub fn allow_open_files(wanted: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(wanted);
    setrlimit(Resource::Nofile, limit).expect("the hard limit of open files (ulimit -Hn) allows them");
}

/// Every file under a directory with its length and the checksum of its content, to see that nothing has changed.
pub fn snapshot(directory: &Path) -> Vec<(PathBuf, usize, u32)> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("the directory can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files.push((path.clone(), 0, 0));
                directories.push(path);
            } else {
                let content = std::fs::read(&path).expect("the file can be read");
                files.push((path, content.len(), crc32fast::hash(&content)));
            }
        }
    }
    files.sort();
    files
}
