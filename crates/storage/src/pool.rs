//! Files for the next segments: allocated ahead, so that a full disk is known before a segment is needed and the
//! reserve is there when it is; and recycled, so that a log in balance allocates nothing.

use std::io;
use std::sync::Arc;

use crate::OpenError;
use crate::budget::Budget;
use crate::disk::{Disk, DiskFile, is_asked_again, is_full, may_pass, write_zeros};
use crate::limits::{SEGMENT_BYTES_MIN, SPARE_SEGMENTS_MAX};
use crate::segment::Name;

/// The file that recovery makes its segment of. Only there can a file that is not a segment yet hold records, as
/// recovery writes the tail before it gives the file its name.
const FIRST: Name = Name::Spare(0);

/// The spare files, all of the ordinary size.
pub(crate) struct Pool {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    budget: Arc<Budget>,
    spares: Vec<Unused>,
    /// How many spare files there should be.
    wanted: usize,
    /// The number in the name of the next spare file; it means nothing else.
    next_number: u64,
    /// The size of all segments and spare files.
    file_bytes: u64,
    /// What the file system had left when it was asked last.
    free_bytes: u64,
    /// It refused a file since, whatever it says of its free space.
    is_refused: bool,
}

/// A spare file.
#[derive(Clone, Copy)]
struct Unused {
    name: Name,
    is_written: bool,
}

/// A file to become a segment.
pub(crate) struct Spare {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) name: Name,
    pub(crate) bytes: u64,
    /// All of it is known to have been written before, so the file system need not note that when it is again.
    pub(crate) is_written: bool,
}

impl Pool {
    /// The spare files that earlier runs left. They are worth keeping: on a full disk there are no others.
    pub(crate) fn recover(
        disk: Arc<dyn Disk>,
        names: &[Name],
        segment_bytes: u64,
        budget_bytes: Option<u64>,
    ) -> Result<Self, OpenError> {
        let mut pool = Self {
            disk,
            segment_bytes,
            budget: Arc::new(Budget::new(budget_bytes)),
            spares: Vec::new(),
            wanted: 0,
            next_number: 1,
            file_bytes: 0,
            free_bytes: u64::MAX,
            is_refused: false,
        };
        for &name in names {
            let Name::Spare(number) = name else { continue };
            let path = pool.disk.path(name);
            if pool.disk.file_bytes(name).map_err(OpenError::io("open", &path))? != segment_bytes {
                pool.disk.remove(name).map_err(OpenError::io("remove", &path))?;
            } else if name != FIRST {
                pool.spares.push(Unused { name, is_written: false });
                pool.next_number = number + 1;
            }
        }
        Ok(pool)
    }

    /// Takes a file for the segment that recovery begins, of `bytes_min` at least: it reads as zeros, or as records
    /// of segments that are long gone. On a full disk it may be smaller than an ordinary one. It has a name that
    /// tells a next try to recover not to trust what is in it.
    pub(crate) fn take_first(&mut self, bytes_min: u64) -> io::Result<Spare> {
        let is_ordinary = bytes_min <= self.segment_bytes;
        let spare = |file, bytes, is_written| Spare { file, name: FIRST, bytes, is_written };
        if is_ordinary && let Some(Unused { name, is_written }) = self.spares.pop() {
            self.disk.rename(name, FIRST)?;
            // Before anything is written, or a crash would bring back the name of a file that may be trusted.
            self.disk.sync_directory()?;
            return Ok(spare(self.disk.open(FIRST)?, self.segment_bytes, is_written));
        }
        if let Ok(file) = self.disk.open(FIRST) {
            if is_ordinary && file.bytes()? == self.segment_bytes {
                // What a try to recover wrote would pass for ours: it had the same segment number.
                write_zeros(&*file, 0, self.segment_bytes)?;
                return Ok(spare(file, self.segment_bytes, true));
            }
            self.disk.remove(FIRST)?;
        }
        let mut bytes = bytes_min.max(self.segment_bytes);
        loop {
            match self.disk.create(FIRST, bytes) {
                Ok(file) => return Ok(spare(file, bytes, false)),
                Err(error) if is_full(&error) => {
                    if let Some(Unused { name, .. }) = self.spares.pop() {
                        self.disk.remove(name)?;
                    } else if bytes > bytes_min.max(SEGMENT_BYTES_MIN) {
                        bytes = (bytes / 2).max(bytes_min).max(SEGMENT_BYTES_MIN);
                    } else {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Measures all files, after recovery is done with them.
    pub(crate) fn measure(&mut self) -> io::Result<()> {
        let (mut file_bytes, mut checkpoint_bytes) = (0, 0);
        for name in self.disk.list()?.iter().filter_map(|name| Name::parse(name)) {
            let sum = match name {
                Name::Segment(_) | Name::Spare(_) => &mut file_bytes,
                Name::Checkpoint(_) | Name::CheckpointDraft(_) => &mut checkpoint_bytes,
                Name::Lock | Name::LostAndFound => continue,
            };
            *sum += self.disk.file_bytes(name)?;
        }
        self.file_bytes = file_bytes;
        self.budget.measured(file_bytes + checkpoint_bytes);
        self.look();
        Ok(())
    }

    /// Asks the file system for its free space.
    pub(crate) fn look(&mut self) {
        // One that can't tell will say so when it has none.
        self.free_bytes = self.disk.free_bytes().unwrap_or(u64::MAX);
    }

    /// Takes a file of at least `bytes`.
    pub(crate) fn take(&mut self, bytes: u64) -> io::Result<Spare> {
        if bytes <= self.segment_bytes {
            if self.spares.is_empty() {
                self.prepare()?;
            }
            let Unused { name, is_written } = *self.spares.last().expect("one was prepared");
            let file = self.disk.open(name).map_err(|error| self.refused(error))?;
            self.spares.pop();
            return Ok(Spare { file, name, bytes: self.segment_bytes, is_written });
        }
        loop {
            let name = self.next_name();
            match self.create(name, bytes) {
                Ok(file) => return Ok(Spare { file, name, bytes, is_written: false }),
                // Spare files that are too small for what waits are worth less than it.
                Err(error) if is_full(&error) && !self.spares.is_empty() => self.drop_spare()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// How many spare files are kept from now on, and are missing. After a refusal one more is: only a file that is
    /// made tells that there is room again, and segments that were freed may have filled the gap.
    pub(crate) fn want(&mut self, wanted: usize) -> usize {
        self.wanted = wanted;
        wanted.saturating_sub(self.spares.len()).max(usize::from(self.is_refused))
    }

    /// Allocates one more spare file.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        let name = self.next_name();
        self.create(name, self.segment_bytes)?;
        self.spares.push(Unused { name, is_written: false });
        Ok(())
    }

    /// Takes the oldest segment out of the log, for good: the directory is synced before the next one may go,
    /// so that no crash brings back an old segment without the ones after it.
    pub(crate) fn recycle(&mut self, segment: Name) -> io::Result<()> {
        let bytes = self.disk.file_bytes(segment)?;
        let is_wanted = self.spares.len() < SPARE_SEGMENTS_MAX.max(self.wanted);
        if bytes == self.segment_bytes && is_wanted && !self.budget.is_exceeded() {
            let name = self.next_name();
            self.disk.rename(segment, name)?;
            self.spares.push(Unused { name, is_written: true });
        } else {
            self.disk.remove(segment)?;
            self.forget_file(bytes);
        }
        self.disk.sync_directory()
    }

    /// The size of an ordinary segment.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// What spare files have.
    pub(crate) fn spare_bytes(&self) -> u64 {
        self.spares.len() as u64 * self.segment_bytes
    }

    /// What all files of the log may take, checkpoints included.
    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// The size of all segments and spare files.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What further spare files would have.
    pub(crate) fn obtainable_bytes(&self) -> u64 {
        if self.is_refused {
            return 0;
        }
        let bytes = self.free_bytes.min(self.budget.left_bytes());
        bytes / self.segment_bytes * self.segment_bytes
    }

    fn create(&mut self, name: Name, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        self.budget.take(bytes, 0)?;
        match self.disk.create(name, bytes) {
            Ok(file) => {
                self.is_refused = false;
                self.file_bytes += bytes;
                self.free_bytes = self.free_bytes.saturating_sub(bytes);
                Ok(file)
            }
            Err(error) => {
                self.budget.give_back(bytes);
                Err(self.refused(error))
            }
        }
    }

    /// Notes that there is no file for now. That a disk is full is told by whoever sees how much room is left.
    fn refused(&mut self, error: io::Error) -> io::Error {
        if !self.is_refused && may_pass(&error) {
            tracing::warn!(%error, "no file for the next segment; it is asked for again twice a second");
        }
        self.is_refused |= is_asked_again(&error);
        error
    }

    fn drop_spare(&mut self) -> io::Result<()> {
        if let Some(Unused { name, .. }) = self.spares.pop() {
            self.disk.remove(name)?;
            self.forget_file(self.segment_bytes);
        }
        Ok(())
    }

    fn forget_file(&mut self, bytes: u64) {
        self.budget.give_back(bytes);
        self.file_bytes = self.file_bytes.saturating_sub(bytes);
        self.free_bytes = self.free_bytes.saturating_add(bytes);
        self.is_refused = false;
    }

    fn next_name(&mut self) -> Name {
        let name = Name::Spare(self.next_number);
        self.next_number += 1;
        name
    }
}
