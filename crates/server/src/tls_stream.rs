//! A TLS connection whose bytes count as written once they are in the socket.
//!
//! A cipher has a buffer of its own. What lies there has not reached anybody, and a claimed job that has not
//! reached anybody has to be given back; so it is not reported as written until it left.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server;

/// A connection after its handshake.
pub(crate) struct TlsStream {
    stream: server::TlsStream<TcpStream>,
    /// Bytes that the cipher has taken and the socket has not.
    sealed: usize,
}

impl TlsStream {
    /// A connection that has shaken hands.
    pub(crate) fn new(stream: server::TlsStream<TcpStream>) -> TlsStream {
        TlsStream { stream, sealed: 0 }
    }

    /// Reads what is there.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }

    /// Writes what the socket takes now. After `WouldBlock` it must be called with the same bytes, and may be
    /// with more behind them.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(Waker::noop());
        if self.sealed == 0 {
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Ready(sealed) => self.sealed = sealed?,
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        match self.poll_flush(cx) {
            Poll::Ready(flushed) => flushed.map(|()| std::mem::take(&mut self.sealed)),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Waits until the socket has taken what the cipher had.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that nothing more comes.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
