//! One blocking connection for what is not measured: loading scripts, counting what is left, waiting for a start.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::resp::{self, Reply, Scanner};

/// No reply of a set-up command takes this long, unless the server hangs.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(20);

/// A connection that has at most one request under way.
pub(crate) struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    scanner: Scanner,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
        Ok(Client { stream, out: Vec::new(), input: Vec::new(), scanner: Scanner::default() })
    }

    /// Sends one command and reads its reply with `read`.
    pub(crate) fn call<T>(
        &mut self,
        words: &[&[u8]],
        read: impl FnOnce(Reply<'_>) -> Result<T>,
    ) -> Result<T> {
        self.send(words)?;
        self.receive(read).with_context(|| format!("the answer to {}", show(words)))
    }

    /// Sends one command, whose reply [`Client::receive`] reads.
    pub(crate) fn send(&mut self, words: &[&[u8]]) -> Result<()> {
        self.out.clear();
        resp::request(&mut self.out, words);
        self.stream.write_all(&self.out).with_context(|| format!("sending {}", show(words)))
    }

    /// Sends commands that are encoded already.
    pub(crate) fn send_encoded(&mut self, commands: &[u8]) -> Result<()> {
        self.stream.write_all(commands).context("sending commands")
    }

    /// Reads one reply.
    pub(crate) fn receive<T>(&mut self, read: impl FnOnce(Reply<'_>) -> Result<T>) -> Result<T> {
        loop {
            if let Some((reply, length)) = self.scanner.next(&self.input)? {
                let value = read(reply)?;
                self.input.drain(..length);
                return Ok(value);
            }
            let mut chunk = [0; 16 * 1024];
            let length = self.stream.read(&mut chunk)?;
            ensure!(length > 0, "the server closed the connection");
            self.input.extend_from_slice(&chunk[..length]);
        }
    }

    /// An integer reply.
    pub(crate) fn integer(&mut self, words: &[&[u8]]) -> Result<i64> {
        self.call(words, |reply| reply.integer())
    }
}

fn show(words: &[&[u8]]) -> String {
    let words: Vec<_> = words.iter().take(6).map(|word| word.escape_ascii().to_string()).collect();
    words.join(" ")
}
