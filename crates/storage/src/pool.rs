//! Files for the next segments: reserved ahead, so that a full disk is known before a segment is needed, and
//! recycled, so that a log in balance reserves nothing.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::limits::SPARE_SEGMENTS_MAX;
use crate::segment::Name;

/// The spare files, all of the ordinary size.
pub(crate) struct Pool {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    spares: Vec<Name>,
    /// The number in the name of the next spare file; it means nothing else.
    next_number: u64,
}

/// A file to become a segment.
pub(crate) struct Spare {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) name: Name,
    pub(crate) bytes: u64,
}

impl Pool {
    /// An empty pool in a directory without spare files.
    pub(crate) fn new(disk: Arc<dyn Disk>, segment_bytes: u64) -> Self {
        Self { disk, segment_bytes, spares: Vec::new(), next_number: 1 }
    }

    /// Takes a file of at least `bytes`. Nothing has changed if that fails.
    pub(crate) fn take(&mut self, bytes: u64) -> io::Result<Spare> {
        if bytes <= self.segment_bytes
            && let Some(&name) = self.spares.last()
        {
            let file = self.disk.open(name)?;
            self.spares.pop();
            return Ok(Spare { file, name, bytes: self.segment_bytes });
        }
        let bytes = bytes.max(self.segment_bytes);
        let name = self.next_name();
        Ok(Spare { file: self.disk.create(name, bytes)?, name, bytes })
    }

    pub(crate) fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Sees to it that there is a spare file.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        if self.spares.is_empty() {
            let name = self.next_name();
            self.disk.create(name, self.segment_bytes)?;
            self.spares.push(name);
        }
        Ok(())
    }

    /// Takes the oldest segment out of the log, for good: the directory is synced before the next one may go,
    /// so that no crash brings back an old segment without the ones after it.
    pub(crate) fn recycle(&mut self, segment: Name) -> io::Result<()> {
        let is_ordinary = self.disk.open(segment)?.bytes()? == self.segment_bytes;
        if is_ordinary && self.spares.len() < SPARE_SEGMENTS_MAX {
            let name = self.next_name();
            self.disk.rename(segment, name)?;
            self.spares.push(name);
        } else {
            self.disk.remove(segment)?;
        }
        self.disk.sync_directory()
    }

    fn next_name(&mut self) -> Name {
        let name = Name::Spare(self.next_number);
        self.next_number += 1;
        name
    }
}
