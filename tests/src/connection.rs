//! A raw RESP connection: what is sent and what comes back, byte for byte, with a limit on every wait.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::{PATIENCE, Value};

/// One client connection.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    read: usize,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Connects to a server on TCP.
    pub fn tcp(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: Stream::Tcp(stream), buffer: Vec::new(), read: 0 })
    }

    /// Connects to a server on a Unix socket.
    pub fn unix(path: &Path) -> io::Result<Connection> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream: Stream::Unix(stream), buffer: Vec::new(), read: 0 })
    }

    /// Connects to a server with TLS and shakes hands. That the server wants another certificate may show only when
    /// the first reply is read.
    pub fn tls(address: SocketAddr, client: ClientConnection) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(client, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Connection { stream: Stream::Tls(Box::new(stream)), buffer: Vec::new(), read: 0 })
    }

    /// The certificate that the server has shown.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let Stream::Tls(stream) = &self.stream else { return None };
        stream.conn.peer_certificates()?.first().map(|certificate| certificate.to_vec())
    }

    /// Sends a command and reads its reply; a connection that ends panics.
    #[track_caller]
    pub fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        match self.try_call(words) {
            Ok(value) => value,
            Err(error) => panic!("no reply to {}: {error}", command_text(words)),
        }
    }

    /// Sends a command and reads its reply.
    pub fn try_call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Value> {
        self.send(words)?;
        self.receive()
    }

    /// Sends a command without reading anything.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        self.send_bytes(&bytes)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
        }
    }

    /// Everything until the server closes the connection, or resets it because it would not read the rest.
    pub fn receive_to_end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                        return Ok(self.buffer.split_off(self.read));
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Reads one reply.
    pub fn receive(&mut self) -> io::Result<Value> {
        let line = self.line()?;
        let Some((&kind, rest)) = line.split_first() else {
            return Err(malformed("an empty line", &line));
        };
        let text = || String::from_utf8_lossy(rest).into_owned();
        match kind {
            b'+' => Ok(Value::Simple(rest.to_vec())),
            b'-' => Ok(Value::Error(rest.to_vec())),
            b':' => Ok(Value::Integer(number(&line)?)),
            b'$' => Ok(self.bulk(&line)?.map_or(Value::Nil, Value::Bulk)),
            b'=' => {
                let bytes = self.bulk(&line)?.ok_or_else(|| malformed("a verbatim nil", &line))?;
                Ok(Value::Verbatim(bytes.get(4..).unwrap_or_default().to_vec()))
            }
            b'_' if rest.is_empty() => Ok(Value::Nil),
            b'*' if rest == b"-1" => Ok(Value::NilArray),
            b'*' => Ok(Value::Array(self.elements(&line, 1)?)),
            b'~' => Ok(Value::Set(self.elements(&line, 1)?)),
            b'>' => Ok(Value::Push(self.elements(&line, 1)?)),
            b'%' => {
                let mut flat = self.elements(&line, 2)?.into_iter();
                let mut pairs = Vec::new();
                while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
                    pairs.push((key, value));
                }
                Ok(Value::Map(pairs))
            }
            b',' => Ok(Value::Double(text())),
            b'#' => Ok(Value::Boolean(rest == b"t")),
            _ => Err(malformed("an unknown type", &line)),
        }
    }

    fn elements(&mut self, line: &[u8], each: i64) -> io::Result<Vec<Value>> {
        let count = number(line)? * each;
        (0..count).map(|_| self.receive()).collect()
    }

    fn bulk(&mut self, line: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let length = number(line)?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| malformed("a negative length", line))?;
        while self.buffer.len() - self.read < length + 2 {
            self.fill()?;
        }
        let end = self.read + length;
        let bytes = self.buffer[self.read..end].to_vec();
        if &self.buffer[end..end + 2] != b"\r\n" {
            return Err(malformed("a bulk string without its end", line));
        }
        self.read = end + 2;
        Ok(Some(bytes))
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut searched = self.read;
        loop {
            if let Some(at) = self.buffer[searched..].windows(2).position(|pair| pair == b"\r\n") {
                let end = searched + at;
                let line = self.buffer[self.read..end].to_vec();
                self.read = end + 2;
                return Ok(line);
            }
            searched = self.buffer.len().saturating_sub(1).max(self.read);
            let before = self.read;
            self.fill()?;
            searched -= before - self.read;
        }
    }

    /// Reads what has come, at least one byte.
    fn fill(&mut self) -> io::Result<()> {
        if self.read > 0 && self.read == self.buffer.len() {
            self.buffer.clear();
            self.read = 0;
        }
        let mut chunk = [0; 64 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            length => {
                self.buffer.extend_from_slice(&chunk[..length]);
                Ok(())
            }
        }
    }
}

impl Stream {
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(chunk),
            Stream::Unix(stream) => stream.read(chunk),
            Stream::Tls(stream) => stream.read(chunk),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }
}

/// Appends a command in RESP, as every client sends it.
pub(crate) fn encode<W: AsRef<[u8]>>(bytes: &mut Vec<u8>, words: &[W]) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}

/// A command as it reads in a failure, long words cut.
pub(crate) fn command_text<W: AsRef<[u8]>>(words: &[W]) -> String {
    let word = |word: &W| word.as_ref()[..word.as_ref().len().min(80)].escape_ascii().to_string();
    words.iter().take(20).map(word).collect::<Vec<_>>().join(" ")
}

fn number(line: &[u8]) -> io::Result<i64> {
    let digits = std::str::from_utf8(&line[1..]).ok();
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| malformed("no number", line))
}

fn malformed(what: &str, line: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the reply has {what}: {}", line.escape_ascii()))
}
