//! A server under measurement: a real process on a free port and a fresh directory, gone when dropped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use crate::client::Client;

/// How long a server may take from its start to its first PONG.
const START_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long it may take to exit after SIGTERM.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two looks at a server that starts or stops.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// More than any bench connects.
const CLIENTS_MAX: &str = "20000";

/// What Redis does for durability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Persistence {
    /// No log, no snapshots.
    None,
    /// `appendonly yes`, `appendfsync always`.
    Always,
}

/// A running server.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    /// Holds the server's data and its output.
    directory: TempDir,
}

/// CPU time, as the kernel splits it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Cpu {
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    pub(crate) fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

impl Process {
    /// Debian's redis-server, with its default configuration but for persistence.
    pub(crate) fn redis(base: &Path, persistence: Persistence) -> Result<Process> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--maxclients", CLIENTS_MAX]);
        match persistence {
            Persistence::None => command.args(["--appendonly", "no"]),
            // Rewriting the log forks a second process, whose cost nobody asked for.
            Persistence::Always => command.args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--auto-aof-rewrite-percentage",
                "0",
            ]),
        };
        Process::start(command, base)
            .context("redis-server does not start (Debian: apt install redis-server)")
    }

    /// The real Stanchion server.
    pub(crate) fn stanchion(binary: &Path, base: &Path, durability: &str) -> Result<Process> {
        let mut command = Command::new(binary);
        command.args(["server", "--bind", "127.0.0.1", "--durability", durability]);
        command.env("STANCHION_CLIENTS_MAX", CLIENTS_MAX);
        Process::start(command, base).with_context(|| format!("{} does not start", binary.display()))
    }

    fn start(mut command: Command, base: &Path) -> Result<Process> {
        let directory = tempfile::Builder::new().prefix("stanchion-bench-").tempdir_in(base)?;
        let data = directory.path().join("data");
        fs::create_dir(&data)?;
        let output = fs::File::create(directory.path().join("output"))?;
        let address = free_address()?;
        let child = command
            .args(["--port", &address.port().to_string(), "--dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("running {}", command.get_program().display()))?;
        let mut process = Process { child, address, directory };
        process.wait_ready()?;
        Ok(process)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU of all threads since the start, in ticks of 10 ms.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat =
            fs::read_to_string(&path).with_context(|| format!("reading {path}: has the server died?"))?;
        // The name, the second field, may hold spaces; utime and stime are fields 14 and 15.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let tick = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second())?;
        let mut ticks = fields.split_ascii_whitespace().skip(11).map(str::parse::<u32>);
        let (Some(Ok(user)), Some(Ok(system))) = (ticks.next(), ticks.next()) else {
            bail!("{path} is not as proc(5) describes it: {stat}")
        };
        Ok(Cpu { user: tick * user, system: tick * system })
    }

    /// Its memory that is in RAM.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kib.with_context(|| format!("{path} has no VmRSS"))?.trim().parse::<u64>()? << 10)
    }

    /// Ends the server as an operator would and checks that it went well.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + STOP_WAIT_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}; it wrote:\n{}", self.output());
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

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WAIT_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}; it wrote:\n{}", self.output());
            }
            let pong =
                Client::connect(self.address).and_then(|mut client| client.call(&[b"PING"], |_| Ok(())));
            match pong {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("it does not answer PING"));
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

/// Where this run's server binary is: the given one, or this workspace's, built now so that it is not a stale one.
pub(crate) fn stanchion_binary(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        ensure!(given.is_file(), "there is no server at {}", given.display());
        return Ok(given.to_owned());
    }
    let own = std::env::current_exe()?;
    let built = own.parent().context("the bench has no directory")?;
    let target = built
        .parent()
        .context("the bench is not in cargo's target directory; name a server with --server")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--package", "stanchion-cli", "--bin", "stanchion", "--target-dir"])
        .arg(target);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if built.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().context("running cargo to build the server; name one with --server")?;
    ensure!(status.success(), "the server does not build ({status}); name one with --server");
    Ok(built.join("stanchion"))
}

/// An address that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Raises the limit on open files, which the server inherits.
pub(crate) fn allow_files(wanted: u64) -> Result<()> {
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
