//! One connection to one of the two servers, with what it has said so far cut into replies.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::frame::Frame;
use crate::PATIENCE;

/// A client's connection.
pub(super) struct Line {
    stream: Stream,
    buffer: Vec<u8>,
    /// Whether the server has closed it.
    pub(super) ended: bool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Line {
    /// Connects to a server on TCP.
    pub(super) fn tcp(address: SocketAddr) -> Line {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts a connection");
        stream.set_nodelay(true).expect("an option of every socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option of every socket");
        Line { stream: Stream::Tcp(stream), buffer: Vec::new(), ended: false }
    }

    /// Connects to a server on a Unix socket.
    pub(super) fn unix(path: &Path) -> Line {
        let stream = UnixStream::connect(path).expect("the server accepts a connection");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option of every socket");
        Line { stream: Stream::Unix(stream), buffer: Vec::new(), ended: false }
    }

    /// Sends bytes. A server that has closed the connection reads no more, which is not this line's to judge.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let sent = match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        };
        if let Err(error) = sent {
            let closed = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
            assert!(closed, "the server takes no bytes: {error}");
        }
    }

    /// Says that nothing more will be sent; one that is closed already can't be told.
    pub(super) fn finish(&self) {
        let told = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        if let Err(error) = told {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        }
    }

    /// Takes what is there, without waiting for more.
    pub(super) fn take(&mut self) {
        self.set_nonblocking(true);
        while !self.ended && self.fill() {}
        self.set_nonblocking(false);
    }

    /// Waits for the next reply; `None` when the server closes instead, or says nothing for so long.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<Option<Frame>, String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(frame) = self.frame()? {
                return Ok(Some(frame));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.ended || left.is_zero() {
                return Ok(None);
            }
            self.set_read_timeout(left);
            self.fill();
        }
    }

    /// Waits until the server closes, or says something instead, or does neither for so long.
    pub(super) fn wait_end(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.set_read_timeout(left);
            self.fill();
        }
        self.buffer.is_empty()
    }

    /// The next reply among what was taken.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, String> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let Some((frame, length)) = Frame::read(&self.buffer)? else { return Ok(None) };
        self.buffer.drain(..length);
        Ok(Some(frame))
    }

    /// What was taken and is no whole reply.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// Reads once; false when nothing came.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut chunk),
            Stream::Unix(stream) => stream.read(&mut chunk),
        };
        match read {
            Ok(0) => self.ended = true,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                return true;
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                ErrorKind::ConnectionReset => self.ended = true,
                ErrorKind::Interrupted => return true,
                _ => panic!("the connection failed: {error}"),
            },
        }
        false
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        let set = match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Stream::Unix(stream) => stream.set_nonblocking(nonblocking),
        };
        set.expect("an option of every socket");
    }

    fn set_read_timeout(&self, timeout: Duration) {
        let set = match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        };
        set.expect("an option of every socket");
    }
}
