//! A connection without a network: two pipes in memory, as narrow as a simulation likes.
//!
//! A peer that goes away is seen as over a socket: what was written is still read, then comes the end, and writing
//! to it fails.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use crate::limits::READ_BYTES_MIN;

/// One end of a connection. Dropping it closes both directions.
pub struct MemoryStream {
    input: Arc<Mutex<Pipe>>,
    output: Arc<Mutex<Pipe>>,
}

/// One direction.
struct Pipe {
    bytes: Vec<u8>,
    /// How many bytes it takes.
    window: usize,
    /// Nothing more is written.
    has_ended: bool,
    /// Nothing more is read.
    is_broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new(window: usize) -> Arc<Mutex<Pipe>> {
        let bytes = Vec::with_capacity(window);
        let pipe = Pipe { bytes, window, has_ended: false, is_broken: false, reader: None, writer: None };
        Arc::new(Mutex::new(pipe))
    }

    fn wake(waker: &mut Option<Waker>) {
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }
}

impl MemoryStream {
    /// Two ends of one connection, each direction of which holds `window` bytes.
    pub(crate) fn pair(window: usize) -> (MemoryStream, MemoryStream) {
        let (one, other) = (Pipe::new(window), Pipe::new(window));
        let server = MemoryStream { input: Arc::clone(&one), output: Arc::clone(&other) };
        (server, MemoryStream { input: other, output: one })
    }

    /// Writes what there is room for.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.output.lock();
        if pipe.is_broken || pipe.has_ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(pipe.window - pipe.bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.bytes.extend_from_slice(&bytes[..count]);
        Pipe::wake(&mut pipe.reader);
        Ok(count)
    }

    /// Waits until there is room, or nobody to read.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipe = self.output.lock();
        if pipe.is_broken || pipe.bytes.len() < pipe.window {
            return Poll::Ready(());
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Tells the peer that nothing more comes.
    pub fn end(&mut self) {
        let mut pipe = self.output.lock();
        pipe.has_ended = true;
        Pipe::wake(&mut pipe.reader);
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the peer is gone.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll_fn(|cx| self.poll_writable(cx)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there behind what `buffer` holds; waits for something. 0 at the end.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> usize {
        poll_fn(|cx| self.poll_take(cx, usize::MAX, |bytes| buffer.extend_from_slice(bytes))).await
    }

    /// The same without waiting; `None` when nothing is there.
    pub fn try_read(&mut self, buffer: &mut Vec<u8>) -> Option<usize> {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.poll_take(cx, usize::MAX, |bytes| buffer.extend_from_slice(bytes)) {
            Poll::Ready(count) => Some(count),
            Poll::Pending => None,
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, most: usize, take: impl FnOnce(&[u8])) -> Poll<usize> {
        let mut pipe = self.input.lock();
        if pipe.bytes.is_empty() && !pipe.has_ended {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = pipe.bytes.len().min(most);
        take(&pipe.bytes[..count]);
        pipe.bytes.drain(..count);
        Pipe::wake(&mut pipe.writer);
        Poll::Ready(count)
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.end();
        let mut pipe = self.input.lock();
        pipe.is_broken = true;
        Pipe::wake(&mut pipe.writer);
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // No more than any buffer has room for, or how much is read would depend on buffers that the thread kept.
        let most = buffer.remaining().min(READ_BYTES_MIN);
        self.poll_take(cx, most, |bytes| buffer.put_slice(bytes)).map(|_| Ok(()))
    }
}
