//! Replies, of which no more is understood than it takes to know that they are complete and to ack what was claimed.

use std::fmt;

use anyhow::{Context, Result, ensure};
use stanchion_server::simulation::MemoryStream;

/// The replies to what was sent last.
#[derive(Default)]
pub(crate) struct Replies {
    bytes: Vec<u8>,
}

impl Replies {
    /// Lines of a claimed job: its array's head, queue, receipt and payload with their lengths, and the attempt.
    pub(crate) const JOB_LINES: u64 = 8;

    /// The line of them that is the receipt.
    const RECEIPT: usize = 4;

    /// Waits for so many lines.
    pub(crate) async fn read(&mut self, stream: &mut MemoryStream, lines: u64) -> Result<()> {
        self.bytes.clear();
        let mut seen = 0;
        while seen < lines {
            let before = self.bytes.len();
            ensure!(stream.read(&mut self.bytes).await > 0, "the server ended the connection after {self}");
            ensure!(!self.bytes.starts_with(b"-"), "the server answered {self}");
            seen += memchr::memchr_iter(b'\n', &self.bytes[before..]).count() as u64;
        }
        ensure!(seen == lines, "{lines} lines were expected, not {seen}: {self}");
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The receipts of claims of `batch` jobs each.
    pub(crate) fn receipts(&self, batch: u64) -> Result<Vec<&[u8]>> {
        let mut lines = memchr::memchr_iter(b'\n', &self.bytes);
        let mut receipts = Vec::new();
        while lines.next().is_some() {
            for _ in 0..batch {
                let before = lines.nth(Self::RECEIPT - 1).context("a claimed job has more lines")?;
                let end = lines.next().context("a receipt ends its line")?;
                receipts.push(&self.bytes[before + 1..end - 1]);
                lines.nth(Self::JOB_LINES as usize - Self::RECEIPT - 2);
            }
        }
        Ok(receipts)
    }
}

impl fmt::Display for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes[..self.bytes.len().min(200)].escape_ascii())
    }
}
