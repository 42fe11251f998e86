//! Writing a checkpoint: under a draft's name, which it loses when it is whole and synced.

use std::io;
use std::sync::Arc;

use super::format::{CheckpointHeader, End};
use super::{CheckpointStart, WrittenCheckpoint};
use crate::disk::{Disk, DiskFile};
use crate::limits::{
    CHECKPOINT_GROW_BYTES, CHECKPOINT_UNSYNCED_BYTES, CHECKPOINT_WRITE_BYTES, RECORD_BODY_BYTES_MAX,
};
use crate::record::{Header, seal};
use crate::segment::Name;
use crate::shared::Shared;
use crate::{Lsn, RecordKind};

/// A checkpoint that is being written. Dropped before its end, it is deleted.
pub struct CheckpointWriter {
    disk: Arc<dyn Disk>,
    log: Arc<Shared>,
    /// `None` once it is whole.
    file: Option<Box<dyn DiskFile>>,
    header: CheckpointHeader,
    buffer: Vec<u8>,
    /// Where the buffer goes.
    offset: u64,
    /// How much space the file has.
    capacity_bytes: u64,
    unsynced_bytes: u64,
    frames: u64,
    newest_lsn: Lsn,
}

impl CheckpointWriter {
    /// Creates the draft.
    pub(crate) fn begin(disk: Arc<dyn Disk>, log: Arc<Shared>, start: CheckpointStart) -> io::Result<Self> {
        let (header, bytes) = CheckpointHeader::new(start);
        let draft = Name::CheckpointDraft(start.from);
        let capacity_bytes = CHECKPOINT_WRITE_BYTES as u64;
        take_space(&log, capacity_bytes)?;
        let file = disk.create(draft, capacity_bytes);
        let file = file.inspect_err(|_| log.budget.give_back(capacity_bytes))?;
        Ok(Self {
            disk,
            log,
            file: Some(file),
            header,
            buffer: bytes.to_vec(),
            offset: 0,
            capacity_bytes,
            unsynced_bytes: 0,
            frames: 0,
            newest_lsn: start.from,
        })
    }

    /// Appends a frame. It is handed over before the record `lsn`, and after all records below it.
    ///
    /// # Panics
    /// If it is older than the frame before, or its body is larger than a record's.
    pub fn frame(&mut self, lsn: Lsn, shard: u16, kind: RecordKind, body: &[u8]) -> io::Result<()> {
        assert!(lsn >= self.newest_lsn, "frames are in the order of their lsns");
        assert!((1..=RECORD_BODY_BYTES_MAX).contains(&body.len()), "a frame of {} bytes", body.len());
        let start = self.buffer.len();
        let mut header = Header::unnumbered(shard, kind);
        header.body_bytes = body.len();
        self.buffer.extend_from_slice(&header.to_bytes());
        self.buffer.extend_from_slice(body);
        seal(&mut self.buffer[start..], lsn, self.header.frame_seed(self.frames));
        self.frames += 1;
        self.newest_lsn = lsn;
        if self.buffer.len() >= CHECKPOINT_WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// How large the file is so far.
    pub fn bytes(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Ends the checkpoint, gives it its name and deletes older ones. `through` is a record that was staged after
    /// the last frame and ends with the nonce.
    ///
    /// # Panics
    /// If the log is not durable that far: a crash would leave a checkpoint of what never was.
    pub fn finish(mut self, through: Lsn) -> io::Result<WrittenCheckpoint> {
        assert!(through >= self.newest_lsn, "the closing record follows the last frame");
        assert!(through <= self.log.durable(), "a checkpoint is whole once its log is durable");
        let end = End { through, frames: self.frames, offset: self.bytes() };
        self.buffer.extend_from_slice(&end.to_bytes(&self.header));
        self.write()?;
        let file = self.file.take().expect("it is written until it is finished");
        let from = self.header.start.from;
        let (draft, name) = (Name::CheckpointDraft(from), Name::Checkpoint(from));
        let publish = || {
            file.truncate(self.offset)?;
            // Before it gets its name: who finds the name finds a whole file.
            file.sync()?;
            self.disk.rename(draft, name)
        };
        if let Err(error) = publish() {
            self.file = Some(file);
            return Err(error);
        }
        self.log.budget.give_back(self.capacity_bytes - self.offset);
        // Before older ones go, so that there is always one.
        self.disk.sync_directory_beside()?;
        for older in self.disk.list()?.iter().filter_map(|entry| Name::parse(entry)) {
            if matches!(older, Name::Checkpoint(number) if number < from) {
                let bytes = self.disk.file_bytes(older)?;
                self.disk.remove(older)?;
                self.log.budget.give_back(bytes);
            }
        }
        Ok(WrittenCheckpoint { from, bytes: self.offset })
    }

    /// Writes what is gathered. It is synced every now and then: a sync of everything at the end would hold up
    /// those of the log.
    fn write(&mut self) -> io::Result<()> {
        let file = self.file.as_ref().expect("it is written until it is finished");
        let end = self.offset + self.buffer.len() as u64;
        if end > self.capacity_bytes {
            let bytes = end.next_multiple_of(CHECKPOINT_GROW_BYTES);
            let more = bytes - self.capacity_bytes;
            take_space(&self.log, more)?;
            file.grow(bytes).inspect_err(|_| self.log.budget.give_back(more))?;
            self.capacity_bytes = bytes;
        }
        file.write_at(&self.buffer, self.offset)?;
        self.unsynced_bytes += self.buffer.len() as u64;
        if self.unsynced_bytes >= CHECKPOINT_UNSYNCED_BYTES {
            file.sync()?;
            self.unsynced_bytes = 0;
        }
        self.offset = end;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If that fails, the next start deletes it.
            if self.disk.remove(Name::CheckpointDraft(self.header.start.from)).is_ok() {
                self.log.budget.give_back(self.capacity_bytes);
            }
        }
    }
}

/// Takes space of the log's budget, but none of its reserve.
fn take_space(log: &Shared, bytes: u64) -> io::Result<()> {
    log.budget.take(bytes, log.room().reserve_bytes)
}

impl std::fmt::Debug for CheckpointWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointWriter").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
