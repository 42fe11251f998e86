//! A connection that sends pipelines of any length: it reads answers while it writes. Who writes all first waits for a
//! server that waits for its answers to be read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

/// One system call moves so much at most. A kernel that does not preempt lets it finish before anybody else runs on its
/// core: it must not hold up those who measure the server.
const PIECE_BYTES: usize = 64 * 1024;

/// One pipeline at a time.
pub(crate) struct Pipeline {
    stream: TcpStream,
    /// What is sent next.
    pub(crate) out: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that hold answers not yet heard.
    filled: usize,
}

impl Pipeline {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) fn connect(address: SocketAddr) -> Result<Pipeline> {
        let stream = TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Pipeline { stream, out: Vec::new(), input: vec![0; PIECE_BYTES], filled: 0 })
    }

    /// Sends what is in `out` and hears so many answers to it. `hear` is told which one is next, gets what was received,
    /// and says how long the first answer is once it is whole.
    ///
    /// # Errors
    /// `hear` refuses an answer, or the server goes away.
    pub(crate) fn exchange(
        &mut self,
        answers: usize,
        mut hear: impl FnMut(usize, &[u8]) -> Result<Option<usize>>,
    ) -> Result<()> {
        let (mut sent, mut heard) = (0, 0);
        while heard < answers {
            let all_sent = sent == self.out.len();
            let wanted = if all_sent { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            let mut polled = [PollFd::new(&self.stream, wanted)];
            retry_on_intr(|| poll(&mut polled, None))?;
            let ready = polled[0].revents();
            if ready.contains(PollFlags::OUT) {
                let piece = &self.out[sent..self.out.len().min(sent + PIECE_BYTES)];
                sent += may_block(self.stream.write(piece))?.unwrap_or(0);
            }
            // Also when it is closed or broken: reading tells which.
            if !(ready - PollFlags::OUT).is_empty() {
                heard += self.receive(heard, &mut hear)?;
            }
        }
        ensure!(self.filled == 0, "the server answered more than it was asked");
        self.out.clear();
        Ok(())
    }

    /// Reads once; how many answers are whole.
    fn receive(
        &mut self,
        first: usize,
        hear: &mut impl FnMut(usize, &[u8]) -> Result<Option<usize>>,
    ) -> Result<usize> {
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
        let room = self.filled..self.input.len().min(self.filled + PIECE_BYTES);
        let Some(length) = may_block(self.stream.read(&mut self.input[room]))? else {
            return Ok(0);
        };
        ensure!(length > 0, "the server closed a connection");
        self.filled += length;
        let (mut read, mut heard) = (0, 0);
        while read < self.filled
            && let Some(length) = hear(first + heard, &self.input[read..self.filled])?
        {
            read += length;
            heard += 1;
        }
        self.input.copy_within(read..self.filled, 0);
        self.filled -= read;
        Ok(heard)
    }
}

/// Nothing where the socket is not ready after all.
fn may_block(result: std::io::Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error).context("the connection is broken"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// Answers each line with a line twice as long, and reads none before its answers are taken.
    fn serve(listener: &TcpListener) {
        let (stream, _) = listener.accept().expect("a connection");
        let input = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut output = stream;
        for line in input.lines() {
            let line = line.expect("a line");
            if output.write_all(format!("{line}{line}\n").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn line(bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1)
    }

    #[test]
    fn a_pipeline_may_be_longer_than_all_buffers_together() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&listener));
            let mut pipeline = Pipeline::connect(address).unwrap();
            for repeated in [100, 20_000] {
                for number in 0..repeated {
                    writeln!(pipeline.out, "{number:01000}").unwrap();
                }
                let mut heard = 0;
                pipeline
                    .exchange(repeated, |nth, bytes| {
                        let Some(length) = line(bytes) else { return Ok(None) };
                        assert_eq!(length, 2_001);
                        assert_eq!(std::str::from_utf8(&bytes[..1_000])?.parse::<usize>()?, nth);
                        heard += 1;
                        Ok(Some(length))
                    })
                    .unwrap();
                assert_eq!(heard, repeated);
            }
        });
    }

    #[test]
    fn a_server_that_goes_away_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut pipeline = Pipeline::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        pipeline.out.extend_from_slice(b"1\n");
        assert!(pipeline.exchange(1, |_, bytes| Ok(line(bytes))).is_err());
    }
}
