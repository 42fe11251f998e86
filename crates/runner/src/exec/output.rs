//! A process's output, read as it comes; only the end of it is kept.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::limits::ERROR_BYTES_MAX;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// Both streams of a process.
pub(super) struct Output {
    stdout: Tail<ChildStdout>,
    stderr: Tail<ChildStderr>,
}

impl Output {
    /// Takes the streams of a process that was started with pipes.
    pub(super) fn of(child: &mut Child) -> Output {
        Output { stdout: Tail::new(child.stdout.take()), stderr: Tail::new(child.stderr.take()) }
    }

    /// Reads both to their ends. What was read stays when this is dropped.
    pub(super) async fn read(&mut self) {
        tokio::join!(self.stdout.read(), self.stderr.read());
    }

    /// The end of stderr; of stdout when there is none, because PHP for one writes its errors there.
    pub(super) fn last_words(&self) -> Option<String> {
        [&self.stderr.kept, &self.stdout.kept]
            .into_iter()
            .map(|kept| text(kept))
            .find(|text| !text.is_empty())
    }
}

/// The end of a stream.
struct Tail<R> {
    stream: Option<R>,
    kept: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Tail<R> {
    fn new(stream: Option<R>) -> Tail<R> {
        Tail { stream, kept: Vec::new() }
    }

    async fn read(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut buffer = Vec::with_capacity(READ_BYTES);
        while let Ok(1..) = stream.read_buf(&mut buffer).await {
            keep_end(&mut self.kept, &buffer);
            buffer.clear();
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
fn text(kept: &[u8]) -> String {
    let start = kept.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    String::from_utf8_lossy(&kept[start..]).trim().to_owned()
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
        assert!(text(&kept).chars().all(|c| c == 'é'));
        assert_eq!(text(b"  boom\n\n"), "boom");
    }
}
