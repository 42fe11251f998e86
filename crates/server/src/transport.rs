//! What bytes travel over: one small type, so that a connection does not care.
//!
//! Over TCP a round trip is one read and one write, and nothing else: a read that does not fill its buffer tells
//! the runtime that the socket is empty, and a write is tried before anybody waits for room.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::Tls;
use crate::tls_stream::TlsStream;

/// A connected socket.
pub(crate) enum Transport {
    /// Over the network.
    Tcp(TcpStream),
    /// Within the machine.
    Unix(UnixStream),
    /// Over the network, in secret.
    Tls(Box<TlsStream>),
    /// Within a simulation.
    #[cfg(feature = "simulation")]
    Memory(crate::simulation::MemoryStream),
}

/// What a client has to do before its first command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Security {
    /// Nothing.
    Plain,
    /// It shakes hands.
    Tls,
}

impl Transport {
    /// Hands a socket that another thread accepted to this one, which from here on is told what happens to it.
    pub(crate) fn adopt(self) -> io::Result<Transport> {
        Ok(match self {
            Transport::Tcp(stream) => Transport::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Transport::Unix(stream) => Transport::Unix(UnixStream::from_std(stream.into_std()?)?),
            tls @ Transport::Tls(_) => tls,
            #[cfg(feature = "simulation")]
            memory @ Transport::Memory(_) => memory,
        })
    }

    /// Does what the client has to do first.
    ///
    /// # Errors
    /// When the client does not shake hands as it should.
    pub(crate) async fn secure(self, security: Security, tls: &Tls) -> io::Result<Transport> {
        match (security, self) {
            (Security::Tls, Transport::Tcp(stream)) => {
                Ok(Transport::Tls(Box::new(tls.shake_hands(stream).await?)))
            }
            (_, transport) => Ok(transport),
        }
    }

    /// Reads what is there, behind what `buffer` holds already; 0 at the end.
    pub(crate) fn poll_read_behind(
        &mut self,
        buffer: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        std::pin::pin!(self.read_buf(buffer)).poll(cx)
    }

    /// Reads what is there without waiting for more.
    pub(crate) fn try_read_behind(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self.poll_read_behind(buffer, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what the socket takes now.
    #[inline]
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => stream.try_write(bytes),
            Transport::Unix(stream) => stream.try_write(bytes),
            Transport::Tls(stream) => stream.try_write(bytes),
            #[cfg(feature = "simulation")]
            Transport::Memory(stream) => stream.try_write(bytes),
        }
    }

    /// Waits until the socket takes more. That it failed is for the next write to say.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Transport::Tcp(stream) => stream.poll_write_ready(cx).map(drop),
            Transport::Unix(stream) => stream.poll_write_ready(cx).map(drop),
            Transport::Tls(stream) => stream.poll_flush(cx).map(drop),
            #[cfg(feature = "simulation")]
            Transport::Memory(stream) => stream.poll_writable(cx),
        }
    }

    /// Sends one last line to a peer that is not served, and closes. Nothing waits for it: a socket that has just
    /// been accepted takes a line, or it is gone.
    pub(crate) fn refuse(self, line: &[u8]) {
        _ = match self {
            Transport::Tcp(stream) => stream.into_std().and_then(|mut stream| stream.write(line)),
            Transport::Unix(stream) => stream.into_std().and_then(|mut stream| stream.write(line)),
            Transport::Tls(mut stream) => stream.try_write(line),
            #[cfg(feature = "simulation")]
            Transport::Memory(mut stream) => stream.try_write(line),
        };
    }

    /// Tells the peer that nothing more comes, without waiting for it.
    pub(crate) fn close(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        _ = match self {
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => stream.poll_shutdown(cx),
            #[cfg(feature = "simulation")]
            Transport::Memory(stream) => {
                stream.end();
                Poll::Ready(Ok(()))
            }
        };
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => stream.poll_read(cx, buffer),
            #[cfg(feature = "simulation")]
            Transport::Memory(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}
