//! The segments of an open log: which there are, how far they may be read, and the handles to read them with.
//!
//! The writer tells what it wrote and freed; readers ask where a record is. One lock, held for a look-up.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};
use crate::limits::READ_HANDLES_MAX;
use crate::milestones::{Milestone, Milestones};
use crate::segment::{Name, SEGMENT_HEADER_BYTES};
use crate::{Lsn, Segment};

/// A segment and where its records are.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub(crate) segment: Segment,
    pub(crate) milestones: Milestones,
}

/// All segments of a log.
pub(crate) struct Catalog {
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

struct State {
    /// Oldest first; the last one is being written.
    segments: VecDeque<Indexed>,
    /// Handles for reading, by segment number; the one that was used last is the last.
    handles: Vec<(u64, Arc<dyn DiskFile>)>,
}

/// Where to begin to read for a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location {
    /// As far as it is written.
    pub(crate) segment: Segment,
    /// A place at or before the record: a frame begins there, and `lsn` is due.
    pub(crate) milestone: Milestone,
}

/// What is known of a record's place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whereabouts {
    /// It is in a segment.
    Here(Location),
    /// It is not written yet.
    Ahead,
    /// It was in a segment that was freed.
    Gone,
}

impl Catalog {
    /// A catalog of what recovery found and the segment that it began.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        sealed: impl IntoIterator<Item = Indexed>,
        active: Indexed,
    ) -> Self {
        let segments = sealed.into_iter().chain([active]).collect();
        Self { disk, state: Mutex::new(State { segments, handles: Vec::new() }) }
    }

    /// The disk that it is on.
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    // For the writer.

    /// More was written to the newest segment.
    pub(crate) fn grew(&self, segment: Segment, fresh: &Milestones) {
        let mut state = self.state.lock();
        let active = state.segments.back_mut().expect("a segment is being written");
        debug_assert_eq!(active.segment.number, segment.number);
        active.segment = segment;
        active.milestones.learn(fresh);
    }

    /// The newest segment is sealed, and this one follows it.
    pub(crate) fn begin(&self, segment: Segment) {
        let mut state = self.state.lock();
        if let Some(sealed) = state.segments.back_mut() {
            sealed.milestones.shrink();
        }
        state.segments.push_back(Indexed { segment, milestones: Milestones::default() });
    }

    /// The oldest segment is about to go. From here on nobody is sent to it, so whoever finds something strange
    /// in it asks [`Catalog::has`] and learns why.
    pub(crate) fn forget_oldest(&self) {
        let mut state = self.state.lock();
        if let Some(gone) = state.segments.pop_front() {
            // An open handle would keep the space of a deleted file.
            state.handles.retain(|(number, _)| *number != gone.segment.number);
        }
    }

    // For all.

    /// The sealed segments, oldest first.
    pub(crate) fn sealed(&self) -> Vec<Segment> {
        let state = self.state.lock();
        state.segments.iter().take(state.segments.len() - 1).map(|indexed| indexed.segment).collect()
    }

    /// All segments, oldest first, as far as they are written.
    pub(crate) fn all(&self) -> Vec<Segment> {
        self.state.lock().segments.iter().map(|indexed| indexed.segment).collect()
    }

    /// How many sealed segments have less than `bytes` in use.
    pub(crate) fn sealed_below(&self, bytes: u64) -> usize {
        let state = self.state.lock();
        let sealed = state.segments.iter().take(state.segments.len() - 1);
        sealed.filter(|indexed| indexed.segment.bytes < bytes).count()
    }

    /// The oldest sealed segment.
    pub(crate) fn oldest_sealed(&self) -> Option<Segment> {
        let state = self.state.lock();
        state.segments.front().filter(|_| state.segments.len() > 1).map(|indexed| indexed.segment)
    }

    // For readers.

    /// Where a record is.
    pub(crate) fn locate(&self, lsn: Lsn) -> Whereabouts {
        let state = self.state.lock();
        // Of segments with the same first lsn all but the last are empty.
        let behind = state.segments.partition_point(|indexed| indexed.segment.first_lsn <= lsn);
        let Some(index) = behind.checked_sub(1) else { return Whereabouts::Gone };
        let Indexed { segment, milestones } = &state.segments[index];
        if lsn > segment.last_lsn {
            debug_assert_eq!(behind, state.segments.len(), "sealed segments follow each other");
            return Whereabouts::Ahead;
        }
        let start = Milestone { lsn: segment.first_lsn, offset: SEGMENT_HEADER_BYTES as u64 };
        Whereabouts::Here(Location { segment: *segment, milestone: milestones.before(lsn).unwrap_or(start) })
    }

    /// Whether a segment is still there.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.state.lock().segments.front().is_some_and(|oldest| oldest.segment.number <= number)
    }

    /// A reader has seen where records of a segment are.
    pub(crate) fn learn(&self, number: u64, milestones: &Milestones) {
        let mut state = self.state.lock();
        let index = state.segments.partition_point(|indexed| indexed.segment.number < number);
        if let Some(indexed) = state.segments.get_mut(index).filter(|found| found.segment.number == number) {
            indexed.milestones.learn(milestones);
        }
    }

    /// Where a segment is, for messages.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.disk.path(Name::Segment(number))
    }

    /// A handle to read a segment with.
    pub(crate) fn handle(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(handle) = self.state.lock().use_handle(number) {
            return Ok(handle);
        }
        // Not under the lock, for which the writer may be waiting.
        let opened: Arc<dyn DiskFile> = self.disk.open(Name::Segment(number))?.into();
        let mut state = self.state.lock();
        if let Some(handle) = state.use_handle(number) {
            return Ok(handle);
        }
        if state.segments.front().is_some_and(|oldest| oldest.segment.number <= number) {
            if state.handles.len() == READ_HANDLES_MAX {
                state.handles.remove(0);
            }
            state.handles.push((number, Arc::clone(&opened)));
        }
        Ok(opened)
    }
}

impl State {
    fn use_handle(&mut self, number: u64) -> Option<Arc<dyn DiskFile>> {
        let at = self.handles.iter().position(|(of, _)| *of == number)?;
        let used = self.handles.remove(at);
        let handle = Arc::clone(&used.1);
        self.handles.push(used);
        Some(handle)
    }
}
