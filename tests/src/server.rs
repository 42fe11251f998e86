//! The servers under test: ours, and the Redis that says how a Redis answers.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use crate::{Connection, PATIENCE, Process, Session, Value, binary};

/// A running `stanchion server`, killed when it is dropped.
pub struct Server {
    process: Process,
    address: SocketAddr,
    directory: Arc<TempDir>,
}

/// How a server is started. The data directory outlives its servers, so that one can be started on it again.
#[derive(Clone)]
pub struct Options {
    directory: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
}

impl Options {
    /// A fresh directory, any free port, and defaults for everything else.
    pub fn new() -> Options {
        let directory = TempDir::with_prefix("stanchion-e2e-").expect("a temporary directory");
        Options {
            directory: Arc::new(directory),
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// The same with more arguments.
    pub fn arguments(mut self, arguments: &[&str]) -> Options {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// The same with a configuration file of this content, kept outside the data directory.
    pub fn configuration(self, toml: &str) -> Options {
        let path = self.file("stanchion.toml", toml);
        self.arguments(&["--config", path.to_str().expect("a path in UTF-8")])
    }

    /// The same with an environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Options {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same under another program, such as strace.
    pub fn wrapper(mut self, words: &[&str]) -> Options {
        self.wrapper = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A file beside the data directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).expect("the temporary directory can be written");
        path
    }

    /// Where the server keeps its data.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The command that starts the server.
    pub fn command(&self) -> Command {
        let server = binary("stanchion");
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, rest)) => {
                let mut command = Command::new(wrapper);
                command.args(rest).arg(server);
                command
            }
            None => Command::new(server),
        };
        // What a developer has set must not decide what a test sees.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STANCHION_"))
        {
            command.env_remove(name);
        }
        command.arg("server").arg("--dir").arg(self.data());
        if !self.arguments.iter().any(|argument| argument == "--port") {
            command.args(["--port", "0"]);
        }
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }

    /// Starts the process without waiting for anything.
    pub fn spawn(&self) -> Process {
        Process::start(&mut self.command())
    }

    /// Starts the server and waits until it answers.
    #[track_caller]
    pub fn start(&self) -> Server {
        let process = self.spawn();
        let address = process.wait_line("where it listens", listening_address);
        let server = Server { process, address, directory: Arc::clone(&self.directory) };
        server.wait_ready();
        server
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Server {
    /// A server with the defaults on a fresh directory.
    #[track_caller]
    pub fn start() -> Server {
        Options::new().start()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The temporary directory, which holds the data and what a test has put beside it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::tcp(self.address).expect("the server accepts a connection")
    }

    /// A new session for scripts.
    pub fn session(&self) -> Session {
        Session::new(self.address)
    }

    /// Runs one script in a session of its own.
    #[track_caller]
    pub fn check(&self, script: &str) {
        self.session().check(script);
    }

    /// The process, whose exit is now the test's to wait for.
    pub fn into_process(self) -> Process {
        self.process
    }

    /// Redis sends `-LOADING` until it has recovered; so does this server.
    #[track_caller]
    fn wait_ready(&self) {
        let mut connection = self.connect();
        let started = Instant::now();
        loop {
            match connection.call(&["PING"]) {
                Value::Simple(pong) if pong == b"PONG" => return,
                reply if reply.is_error("NOAUTH") => return,
                reply => assert!(
                    started.elapsed() < PATIENCE && reply.is_error("LOADING"),
                    "PING was answered {reply}"
                ),
            }
        }
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// `… listening on 127.0.0.1:7379 …`
fn listening_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Debian's redis-server on a Unix socket: the measure for everything that Redis has too.
pub struct RedisServer {
    socket: PathBuf,
    _process: Process,
    _directory: TempDir,
}

impl RedisServer {
    /// Starts one without persistence.
    #[track_caller]
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// The same with more arguments.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> RedisServer {
        let directory = TempDir::with_prefix("redis-e2e-").expect("a temporary directory");
        let socket = directory.path().join("redis.sock");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(directory.path())
            .args(arguments);
        let process = Process::start(&mut command);
        process.wait_line("that it listens", |line| line.contains("The server is now ready").then_some(()));
        RedisServer { socket, _process: process, _directory: directory }
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::unix(&self.socket).expect("redis-server accepts a connection")
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_line_of_either_format() {
        let port = |line| listening_address(line).map(|address| address.port());
        assert_eq!(
            port("2026-11-21T22:00:00Z  INFO server: listening on 127.0.0.1:4711 dir=/tmp"),
            Some(4711)
        );
        assert_eq!(port(r#"{"level":"INFO","message":"listening on [::1]:4712","dir":"/tmp"}"#), Some(4712));
        assert_eq!(port("listening on a socket"), None);
    }
}
