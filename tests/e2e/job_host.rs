//! What tests of runners share: a runner with its configuration, and what its jobs and a test wait for.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use stanchion_tests::{PATIENCE, Process, Server, Value, binary};

/// What a runner is configured with, besides its server and the script that does the jobs.
pub(crate) struct Setup<'a> {
    pub(crate) settings: &'a str,
    pub(crate) group: &'a str,
    pub(crate) dispatcher: &'a str,
}

pub(crate) const PLAIN: Setup<'static> = Setup {
    settings: "lease = \"30s\"",
    group: "slots = 4\ninclude = [\"*\"]",
    dispatcher: "timeout = \"10m\"\nkill-after = \"10m\"",
};

/// Starts a runner whose jobs are done by this shell script; `$1` is the server's temporary directory.
pub(crate) fn runner(server: &Server, setup: &Setup<'_>, script: &str) -> Process {
    let file = configure(server, setup, script);
    Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file))
}

/// Writes, or writes again, the configuration of such a runner.
pub(crate) fn configure(server: &Server, setup: &Setup<'_>, script: &str) -> PathBuf {
    let directory = server.directory().display().to_string();
    let toml = format!(
        "[server]\nurl = \"redis://{}\"\n[runner]\nname = \"tested\"\n{}\n\
         [groups.all]\ndispatcher = \"script\"\n{}\n\
         [dispatchers.script]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", {script:?}, \"sh\", {directory:?}]\n{}\n",
        server.address(),
        setup.settings,
        setup.group,
        setup.dispatcher,
    );
    let file = server.directory().join("runner.toml");
    std::fs::write(&file, toml).expect("the configuration is written");
    file
}

/// Waits for a log line with all these words.
#[track_caller]
pub(crate) fn wait_for(runner: &Process, words: &[&str]) -> String {
    let find = |line: &str| words.iter().all(|word| line.contains(word)).then(|| line.to_owned());
    runner.wait_line(&words.join(" "), find)
}

pub(crate) fn push(server: &Server, words: &[&str]) -> String {
    server.connect().call(&[&["QPUSH"], words].concat()).text()
}

/// A field of QJOB or QSTATS; nil when there is no job.
pub(crate) fn field(reply: &Value, name: &str) -> Value {
    reply.field(name).unwrap_or_else(|| panic!("no {name} in {reply:?}")).clone()
}

pub(crate) fn stat(server: &Server, queue: &str, name: &str) -> i64 {
    field(&server.connect().call(&["QSTATS", queue]), name).integer()
}

/// The job is handed out again, for its second attempt.
#[track_caller]
pub(crate) fn came_back(server: &Server, id: &str) {
    let jobs = server.connect().call(&["QCLAIM", "q", "BLOCK", "30000"]);
    let [job] = jobs.array() else { panic!("the job did not come back: {jobs:?}") };
    assert!(job.array()[1].text().starts_with(id));
    assert_eq!(job.array()[3].integer(), 2, "the second attempt");
}

#[track_caller]
pub(crate) fn stopped(runner: &mut Process) {
    assert!(runner.wait().success(), "{}", runner.output());
}

fn fifo(server: &Server, name: &str) -> PathBuf {
    let path = server.directory().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo starts").success());
    path
}

/// A fifo that the processes of a job hold open: it says what they write, and when the last of them is gone.
pub(crate) struct Witness {
    file: File,
    said: String,
}

impl Witness {
    pub(crate) fn new(server: &Server) -> Witness {
        let path = fifo(server, "witness");
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).expect("the fifo opens");
        Witness { file, said: String::new() }
    }

    /// Waits until somebody has written this line.
    #[track_caller]
    pub(crate) fn wait_line(&mut self, line: &str) {
        while !self.said.lines().any(|said| said == line) {
            assert!(self.read(), "all are gone and nobody wrote {line}; they wrote: {}", self.said);
        }
    }

    /// Waits until nobody holds it any more.
    #[track_caller]
    pub(crate) fn wait_gone(&mut self) {
        while self.read() {}
    }

    /// Waits for what is written next; false when nobody is left who could write.
    #[track_caller]
    fn read(&mut self) -> bool {
        let mut buffer = [0; 1024];
        loop {
            let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
            let mut waiting = [PollFd::new(&self.file, PollFlags::IN)];
            let ready = poll(&mut waiting, Some(&patience)).expect("a fifo can be waited for");
            assert_ne!(ready, 0, "somebody holds the fifo and says nothing more than: {}", self.said);
            match self.file.read(&mut buffer) {
                Ok(0) => return false,
                Ok(n) => {
                    self.said.push_str(&String::from_utf8_lossy(&buffer[..n]));
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("the fifo can't be read: {error}"),
            }
        }
    }
}

/// A fifo that jobs wait at (`read go <"$1/gate"`) until they are let through.
pub(crate) struct Gate {
    file: File,
}

impl Gate {
    pub(crate) fn new(server: &Server) -> Gate {
        let path = fifo(server, "gate");
        // For both, so that neither opening it here nor in a job waits for the other.
        Gate { file: OpenOptions::new().read(true).write(true).open(path).expect("the fifo opens") }
    }

    pub(crate) fn let_through(&mut self) {
        self.file.write_all(b"go\n").expect("the fifo takes a line");
    }
}

pub(crate) fn write_minimal(file: &Path, url: &str) {
    let toml = format!(
        "[server]\nurl = \"{url}\"\n[groups.all]\nslots = 1\ninclude = [\"*\"]\ndispatcher = \"d\"\n\
         [dispatchers.d]\nkind = \"exec\"\ncommand = [\"true\"]\n"
    );
    std::fs::write(file, toml).expect("the configuration is written");
}
