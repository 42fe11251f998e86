//! Where shards leave records and the writer takes them: one lock, held for one copy.

use crate::batch::Buffer;
use crate::{Lsn, Records};

/// What is behind the staging lock.
#[derive(Debug)]
pub(crate) struct Staging {
    buffer: Buffer,
    next_lsn: Lsn,
    /// Whether nobody will write any more: the log is closed or poisoned.
    is_stopped: bool,
}

impl Staging {
    pub(crate) fn new(next_lsn: Lsn) -> Self {
        Self { buffer: Buffer::new(), next_lsn, is_stopped: false }
    }

    /// Numbers the records and takes them. Returns the lsn of the first one.
    pub(crate) fn stage(&mut self, records: &Records) -> Lsn {
        let first = self.next_lsn;
        self.next_lsn += records.count();
        if !self.is_stopped {
            self.buffer.append(records.framed());
        }
        first
    }

    pub(crate) fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    /// How many bytes wait for the writer.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Hands everything to the writer for an empty buffer.
    pub(crate) fn swap(&mut self, empty: &mut Buffer) {
        debug_assert!(empty.is_empty(), "the writer has written what it took");
        std::mem::swap(&mut self.buffer, empty);
    }

    /// From here on records are numbered and dropped; nobody is ever told that they are durable.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        self.buffer.clear(0);
    }
}
