//! The runner's end of a shim's socket.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::shim::{self, Input, MESSAGE_BYTES, Message, Order};
use crate::systemd;

/// Orders to a shim, and its messages.
#[derive(Debug)]
pub(crate) struct Control {
    socket: UnixStream,
    buffer: [u8; MESSAGE_BYTES],
    filled: usize,
}

impl Control {
    /// The command of a shim without its arguments, and this end of its socket. Where its output goes is up to
    /// the caller.
    pub(crate) fn of_shim(shim: &Path) -> io::Result<(Command, Control)> {
        let (ours, shims) = UnixStream::pair()?;
        let shims = shims.into_std()?;
        shims.set_nonblocking(false)?;
        let mut command = Command::new(shim);
        command.arg0(shim::ARG0).stdin(OwnedFd::from(shims));
        for variable in systemd::VARIABLES {
            command.env_remove(variable);
        }
        Ok((command, Control { socket: ours, buffer: [0; MESSAGE_BYTES], filled: 0 }))
    }

    /// Says what the process reads; with this it starts. A shim that is gone shows in the next message.
    pub(crate) async fn begin(&mut self, input: Input<'_>) {
        let fed = async {
            self.socket.write_all(&input.header()).await?;
            self.socket.write_all(input.payload()).await
        };
        let _: io::Result<()> = fed.await;
    }

    /// Says what is started by a shim that stays; with this it starts.
    pub(crate) async fn begin_command(
        &mut self,
        program: &str,
        arguments: &[OsString],
        environment: &[(&'static str, OsString)],
        input: Input<'_>,
    ) {
        let mut request = shim::command_header(program, arguments, environment);
        request.extend_from_slice(&input.header());
        let fed = async {
            self.socket.write_all(&request).await?;
            self.socket.write_all(input.payload()).await
        };
        let _: io::Result<()> = fed.await;
    }

    /// Lets the shim end.
    pub(crate) async fn close(&mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Gives an order; a shim that is gone shows in the next message.
    pub(crate) async fn order(&mut self, order: Order) {
        let _ = self.socket.write_all(&[order.byte()]).await;
    }

    /// The shim's next message; none when it is gone. What was read of one stays when this is dropped.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        while self.filled < MESSAGE_BYTES {
            match self.socket.read(&mut self.buffer[self.filled..]).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.filled += n,
            }
        }
        self.filled = 0;
        Message::read(self.buffer)
    }
}
