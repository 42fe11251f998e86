//! A server under measurement: a real process on a free port and a fresh directory, gone when dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use crate::usage::Usage;

/// How long a server may take from its start to its first PONG.
const START_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long it may take to exit after SIGTERM.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two looks at a server that starts or stops.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long it may take on the data of millions of jobs.
const RECOVERY_WAIT_MAX: Duration = Duration::from_secs(3_600);

/// By how many percent Redis's log grows before it is rewritten.
const REWRITE: &str = "--auto-aof-rewrite-percentage";

/// What Redis and Stanchion answer once they serve.
const PING: (&[u8], &[u8]) = (b"PING\r\n", b"+PONG\r\n");

/// By default beanstalkd takes no job of 64 KiB.
const JOB_BYTES_MAX: &str = "2000000";

/// More than any bench connects.
const CLIENTS_MAX: &str = "20000";

/// What Redis does for durability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// No log, no snapshots.
    None,
    /// `appendonly yes`, `appendfsync always`.
    Always,
    /// The same, and the log is rewritten when it has doubled, as Redis does by default.
    Rewritten,
    /// `appendonly yes`, `appendfsync everysec`.
    EverySecond,
}

/// A running server.
pub struct Process {
    child: Child,
    address: SocketAddr,
    launch: Launch,
    /// Holds the server's data and its output.
    directory: TempDir,
}

/// How a server is started, also a second time on the same data.
struct Launch {
    /// Its command for a port and a directory of data.
    command: Box<Compose>,
    /// What to ask it, and what it answers once it serves.
    greeting: (&'static [u8], &'static [u8]),
    /// How it ends when it is told to.
    farewell: Farewell,
}

/// How a server ends after SIGTERM when all is well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Farewell {
    /// With the code 0.
    Success,
    /// By the signal itself: it has no handler.
    Signal,
    /// With the code 1, as nats-server of Debian 12 does.
    One,
}

impl Farewell {
    fn is(self, status: ExitStatus) -> bool {
        match self {
            Farewell::Success => status.success(),
            Farewell::Signal => status.signal() == Some(Signal::TERM.as_raw()),
            Farewell::One => status.code() == Some(1),
        }
    }
}

type Compose = dyn Fn(u16, &Path) -> Command + Send;

/// How a server is ended before it is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// `kill -9`.
    Killed,
    /// SIGTERM, and time to write down what it wants to.
    Told,
}

impl Process {
    /// Debian's redis-server, with its default configuration but for persistence.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn redis(base: &Path, persistence: Persistence) -> Result<Process> {
        let persistence = match persistence {
            Persistence::None => ["--appendonly", "no", "--appendfsync", "no", REWRITE, "0"],
            // Rewriting the log forks a second process, whose cost nobody asked for.
            Persistence::Always => ["--appendonly", "yes", "--appendfsync", "always", REWRITE, "0"],
            Persistence::Rewritten => ["--appendonly", "yes", "--appendfsync", "always", REWRITE, "100"],
            Persistence::EverySecond => ["--appendonly", "yes", "--appendfsync", "everysec", REWRITE, "0"],
        };
        let command = move |port: u16, data: &Path| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--save", "", "--maxclients", CLIENTS_MAX]);
            command.args(persistence).args(["--port", &port.to_string(), "--dir"]).arg(data);
            command
        };
        let farewell = Farewell::Success;
        Process::start(Launch { command: Box::new(command), greeting: PING, farewell }, base)
            .context("redis-server does not start (Debian: apt install redis-server)")
    }

    /// The real Stanchion server.
    ///
    /// # Errors
    /// It does not start.
    pub fn stanchion(binary: &Path, base: &Path, durability: &str) -> Result<Process> {
        Process::stanchion_with(binary, base, durability, &[])
    }

    /// The same with these variables.
    ///
    /// # Errors
    /// It does not start.
    pub fn stanchion_with(
        binary: &Path,
        base: &Path,
        durability: &str,
        variables: &'static [(&str, &str)],
    ) -> Result<Process> {
        let (program, durability) = (binary.to_owned(), durability.to_owned());
        let command = move |port: u16, data: &Path| {
            let mut command = Command::new(&program);
            command.args(["server", "--bind", "127.0.0.1", "--durability", &durability]);
            command.env("STANCHION_CLIENTS_MAX", CLIENTS_MAX).envs(variables.iter().copied());
            command.args(["--port", &port.to_string(), "--dir"]).arg(data);
            command
        };
        let farewell = Farewell::Success;
        Process::start(Launch { command: Box::new(command), greeting: PING, farewell }, base)
            .with_context(|| format!("{} does not start", binary.display()))
    }

    /// Stanchion's program as a server that has nothing but lists, or that keeps its jobs, too, in a file of this name.
    ///
    /// # Errors
    /// It does not start.
    pub fn floor(binary: &Path, base: &Path, keep: Option<&'static str>) -> Result<Process> {
        let program = binary.to_owned();
        let command = move |port: u16, data: &Path| {
            let mut command = Command::new(&program);
            command.args(["bench", "floor", "--port", &port.to_string()]);
            if let Some(file) = keep {
                command.arg("--keep").arg(data.join(file));
            }
            command
        };
        let farewell = Farewell::Signal;
        Process::start(Launch { command: Box::new(command), greeting: PING, farewell }, base)
            .with_context(|| format!("{} bench floor does not start", binary.display()))
    }

    /// Debian's beanstalkd with its binlog, synced as `sync` says: `-f0` at each write, `-F` never.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn beanstalkd(base: &Path, sync: &'static str) -> Result<Process> {
        let command = move |port: u16, data: &Path| {
            let mut command = Command::new("beanstalkd");
            command
                .args(["-l", "127.0.0.1", sync, "-z", JOB_BYTES_MAX, "-p", &port.to_string(), "-b"])
                .arg(data);
            command
        };
        let greeting: (&[u8], &[u8]) = (b"list-tube-used\r\n", b"USING default\r\n");
        let farewell = Farewell::Signal;
        Process::start(Launch { command: Box::new(command), greeting, farewell }, base)
            .context("beanstalkd does not start (Debian: apt install beanstalkd)")
    }

    /// Debian's nats-server with JetStream in files, which are synced every two minutes; that can't be set there.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn nats(base: &Path) -> Result<Process> {
        let command = move |port: u16, data: &Path| {
            let mut command = Command::new("nats-server");
            command.args(["--addr", "127.0.0.1", "--jetstream", "--port", &port.to_string(), "--store_dir"]);
            command.arg(data);
            command
        };
        // It speaks first.
        let greeting: (&[u8], &[u8]) = (b"", b"INFO ");
        let farewell = Farewell::One;
        Process::start(Launch { command: Box::new(command), greeting, farewell }, base)
            .context("nats-server does not start (Debian: apt install nats-server)")
    }

    fn start(launch: Launch, base: &Path) -> Result<Process> {
        let directory = tempfile::Builder::new().prefix("stanchion-bench-").tempdir_in(base)?;
        fs::create_dir(directory.path().join("data"))?;
        let address = free_address()?;
        let child = spawn(&launch, address, directory.path())?;
        let mut process = Process { child, address, launch, directory };
        process.wait_ready(START_WAIT_MAX)?;
        Ok(process)
    }

    /// Ends the server and starts it again on what it left; how long that took until its first answer.
    ///
    /// # Errors
    /// It does not end well, or does not start.
    pub fn restart(&mut self, end: End) -> Result<Duration> {
        match end {
            End::Killed => {
                self.child.kill()?;
                self.child.wait()?;
            }
            End::Told => {
                kill_process(Pid::from_child(&self.child), Signal::TERM)?;
                let status = self.child.wait()?;
                ensure!(self.launch.farewell.is(status), "the server ended with {status}");
            }
        }
        let begun = Instant::now();
        self.child = spawn(&self.launch, self.address, self.directory.path())?;
        self.wait_ready(RECOVERY_WAIT_MAX)?;
        Ok(begun.elapsed())
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it takes.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(self.id())
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server as an operator would and checks that it went well.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + STOP_WAIT_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let farewell = self.launch.farewell;
                ensure!(farewell.is(status), "the server ended with {status}; it wrote:\n{}", self.output());
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the server did not exit on SIGTERM; it wrote:\n{}",
                self.output()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn wait_ready(&mut self, wait_max: Duration) -> Result<()> {
        let deadline = Instant::now() + wait_max;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}; it wrote:\n{}", self.output());
            }
            match greet(self.address, self.launch.greeting, deadline) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("it does not answer"));
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(launch: &Launch, address: SocketAddr, directory: &Path) -> Result<Child> {
    let output = fs::File::options().create(true).append(true).open(directory.join("output"))?;
    let mut command = (launch.command)(address.port(), &directory.join("data"));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    command.spawn().with_context(|| format!("running {}", command.get_program().display()))
}

/// Asks a server whether it serves. Some listen before they do, and answer later; Redis says that it is loading.
fn greet(address: SocketAddr, (ask, want): (&'static [u8], &'static [u8]), deadline: Instant) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let patience = deadline.saturating_duration_since(Instant::now()).max(LOOK_EVERY);
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(ask)?;
    let mut answer = vec![0; want.len()];
    stream.read_exact(&mut answer)?;
    ensure!(answer == want, "it answers {}", answer.escape_ascii());
    Ok(())
}

/// An address that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Raises the limit on open files, which the server inherits.
///
/// # Errors
/// The hard limit is lower.
pub fn allow_files(wanted: u64) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    ensure!(
        getrlimit(Resource::Nofile).current.is_none_or(|current| current >= wanted),
        "this needs {wanted} open files; raise the hard limit (ulimit -Hn)"
    );
    Ok(())
}
