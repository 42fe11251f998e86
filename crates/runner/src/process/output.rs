//! A process's output, read as it comes; only the end of it is kept.

use std::os::fd::AsFd;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::limits::ERROR_BYTES_MAX;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;
/// How often that is done without waiting: a pipe holds 64 KiB, or up to 1 MiB when somebody has asked for that.
const READS_MAX: usize = 128;

/// Both streams of a process.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: Tail<ChildStdout>,
    stderr: Tail<ChildStderr>,
}

impl Output {
    /// Takes the streams of a process that was started with pipes.
    pub(crate) fn of(child: &mut Child) -> Output {
        Output { stdout: Tail::new(child.stdout.take()), stderr: Tail::new(child.stderr.take()) }
    }

    /// Reads both to their ends. What was read stays when this is dropped.
    pub(crate) async fn read(&mut self) {
        tokio::join!(self.stdout.read(), self.stderr.read());
    }

    /// Reads what is there now: all, when nobody is left who could write.
    pub(crate) fn read_available(&mut self) {
        self.stdout.read_available();
        self.stderr.read_available();
    }

    /// Forgets what was kept.
    pub(crate) fn forget(&mut self) {
        self.stdout.forget();
        self.stderr.forget();
    }

    /// The end of stderr; of stdout when there is none, because PHP for one writes its errors there.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.stderr.last_words().or_else(|| self.stdout.last_words())
    }
}

/// The end of a stream.
#[derive(Debug)]
pub(crate) struct Tail<R> {
    stream: Option<R>,
    buffer: Vec<u8>,
    kept: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Tail<R> {
    pub(crate) fn new(stream: Option<R>) -> Tail<R> {
        Tail { stream, buffer: Vec::new(), kept: Vec::new() }
    }

    /// Reads to the end. What was read stays when this is dropped.
    pub(crate) async fn read(&mut self) {
        while self.read_some().await {}
    }

    /// Reads what there is, and waits when that is nothing; false at the end.
    pub(crate) async fn read_some(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        self.buffer.reserve(READ_BYTES);
        let is_more = matches!(stream.read_buf(&mut self.buffer).await, Ok(1..));
        keep_end(&mut self.kept, &self.buffer);
        self.buffer.clear();
        if !is_more {
            self.stream = None;
        }
        is_more
    }

    /// Whether the end was not reached yet.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// What was kept, as text; none when that is nothing.
    pub(crate) fn last_words(&self) -> Option<String> {
        text(&self.kept)
    }

    /// Forgets what was kept.
    pub(crate) fn forget(&mut self) {
        self.kept.clear();
    }
}

impl<R: AsFd> Tail<R> {
    /// Reads what is there without waiting, past the runtime, which may not have heard of it yet.
    fn read_available(&mut self) {
        let Some(stream) = &self.stream else { return };
        let mut buffer = [0; READ_BYTES];
        for _ in 0..READS_MAX {
            match rustix::io::read(stream.as_fd(), &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return,
                Ok(bytes) => keep_end(&mut self.kept, &buffer[..bytes]),
                Err(_) => {}
            }
        }
    }
}

/// Appends, and keeps the last [`ERROR_BYTES_MAX`] bytes.
fn keep_end(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let surplus = kept.len().saturating_sub(ERROR_BYTES_MAX);
    kept.drain(..surplus);
}

/// As text, from the first whole character on.
fn text(kept: &[u8]) -> Option<String> {
    let start = kept.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    let text = String::from_utf8_lossy(&kept[start..]);
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut kept = Vec::new();
        for n in 0..3_000 {
            keep_end(&mut kept, format!("line {n}\n").as_bytes());
            assert!(kept.len() <= ERROR_BYTES_MAX);
        }
        assert!(kept.ends_with(b"line 2999\n"));
        assert_eq!(kept.len(), ERROR_BYTES_MAX);
    }

    #[test]
    fn a_cut_character_is_left_out() {
        let mut kept = Vec::new();
        keep_end(&mut kept, &"é".repeat(ERROR_BYTES_MAX).into_bytes());
        kept.remove(0);
        assert!(text(&kept).unwrap().chars().all(|c| c == 'é'));
        assert_eq!(text(b"  boom\n\n"), Some("boom".into()));
        assert_eq!(text(b" \n"), None);
    }
}
