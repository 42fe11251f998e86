//! One blocking connection for what is not measured: loading scripts, counting what is left, waiting for a start.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::resp::{self, Reply, Scanner};

/// No reply of a set-up command takes this long, unless the server hangs.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(20);

/// A read takes at least this much.
const READ_BYTES: usize = 16 * 1024;

/// A connection that has at most one request under way.
pub struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    scanner: Scanner,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
        Ok(Client { stream, out: Vec::new(), input: Vec::new(), scanner: Scanner::default() })
    }

    /// Sends one command and reads its reply with `read`.
    ///
    /// # Errors
    /// The server says an error or goes away, or `read` refuses the reply.
    pub fn call<T>(&mut self, words: &[&[u8]], read: impl FnOnce(Reply<'_>) -> Result<T>) -> Result<T> {
        self.send(words)?;
        self.receive(read).with_context(|| format!("the answer to {}", show(words)))
    }

    /// Sends one command, whose reply [`Client::receive`] reads.
    ///
    /// # Errors
    /// The server went away.
    pub fn send(&mut self, words: &[&[u8]]) -> Result<()> {
        self.out.clear();
        resp::request(&mut self.out, words);
        self.stream.write_all(&self.out).with_context(|| format!("sending {}", show(words)))
    }

    /// Sends commands that are encoded already.
    ///
    /// # Errors
    /// The server went away.
    pub fn send_encoded(&mut self, commands: &[u8]) -> Result<()> {
        self.stream.write_all(commands).context("sending commands")
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// The server says an error or goes away, or `read` refuses the reply.
    pub fn receive<T>(&mut self, read: impl FnOnce(Reply<'_>) -> Result<T>) -> Result<T> {
        loop {
            if let Some((reply, length)) = self.scanner.next(&self.input)? {
                let value = read(reply)?;
                self.input.drain(..length);
                return Ok(value);
            }
            self.read_more()?;
        }
    }

    /// Reads what `find` finds at the beginning of what was received, with its length, whatever the protocol is.
    ///
    /// # Errors
    /// The server goes away, or `find` refuses what it says.
    pub fn find<T>(&mut self, mut find: impl FnMut(&[u8]) -> Result<Option<(T, usize)>>) -> Result<T> {
        loop {
            if let Some((value, length)) = find(&self.input)? {
                self.input.drain(..length);
                return Ok(value);
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<()> {
        let filled = self.input.len();
        // What is here is looked at from its beginning again after each read: large replies take few of them.
        self.input.resize(filled + filled.max(READ_BYTES), 0);
        let length = loop {
            match self.stream.read(&mut self.input[filled..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.input.truncate(filled + *length.as_ref().unwrap_or(&0));
        ensure!(length? > 0, "the server closed the connection");
        Ok(())
    }

    /// An integer reply.
    ///
    /// # Errors
    /// The reply is another one.
    pub fn integer(&mut self, words: &[&[u8]]) -> Result<i64> {
        self.call(words, |reply| reply.integer())
    }
}

fn show(words: &[&[u8]]) -> String {
    let words: Vec<_> = words.iter().take(6).map(|word| word.escape_ascii().to_string()).collect();
    words.join(" ")
}
