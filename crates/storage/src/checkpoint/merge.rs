//! The log and a checkpoint as one row of records: what recovery asks for at each record of the log.

use std::path::{Path, PathBuf};

use super::{CheckpointReader, Fault, RefusedCheckpoint, UsedCheckpoint};
use crate::disk::Disk;
use crate::segment::Name;
use crate::{Lsn, OpenError, RecordView, Refused, Replay};

/// A checkpoint on its way into a recovery, or none.
pub(crate) struct Merge {
    chosen: Option<Chosen>,
}

struct Chosen {
    file: PathBuf,
    reader: CheckpointReader,
}

impl Merge {
    /// No checkpoint: every record of the log is handed over.
    pub(crate) fn none() -> Self {
        Self { chosen: None }
    }

    /// Chooses the newest checkpoint that fits a log which goes back to `first_lsn`, and tells of the others.
    pub(crate) fn choose(disk: &dyn Disk, names: &[Name], first_lsn: Lsn) -> (Self, Vec<RefusedCheckpoint>) {
        let mut refused = Vec::new();
        let mut chosen = None;
        let mut checkpoints: Vec<Name> =
            names.iter().copied().filter(|name| matches!(name, Name::Checkpoint(_))).collect();
        checkpoints.sort_unstable();
        while let (None, Some(name)) = (&chosen, checkpoints.pop()) {
            let file = disk.path(name);
            match CheckpointReader::open(disk, name) {
                Ok(reader) if reader.header().start.from < first_lsn => {
                    let reason = format!(
                        "it needs the log from record {} on, and that begins with {first_lsn}",
                        reader.header().start.from
                    );
                    refused.push(RefusedCheckpoint { file, reason });
                }
                Ok(reader) => chosen = Some(Chosen { file, reader }),
                Err(fault) => refused.push(RefusedCheckpoint { file, reason: fault.to_string() }),
            }
        }
        (Self { chosen }, refused)
    }

    /// The log is needed from this record on; `None`: all of it.
    pub(crate) fn from(&self) -> Option<Lsn> {
        self.chosen.as_ref().map(|chosen| chosen.reader.header().start.from)
    }

    /// Whether a name is that of the chosen checkpoint, which stays.
    pub(crate) fn keeps(&self, name: Name) -> bool {
        self.from().is_some_and(|from| name == Name::Checkpoint(from))
    }

    /// Hands over the frames that come before this record. Whether it is itself to be handed over.
    pub(crate) fn before(
        &mut self,
        record: RecordView<'_>,
        replay: &mut dyn Replay,
    ) -> Result<bool, OpenError> {
        let Some(Chosen { file, reader }) = &mut self.chosen else { return Ok(true) };
        let (start, through) = (reader.header().start, reader.end().through);
        if record.lsn < start.from || record.lsn > through {
            return Ok(record.lsn >= start.from);
        }
        let is_mark = record.lsn == start.from || record.lsn == through;
        if is_mark && !record.body.ends_with(&start.nonce) {
            return Err(refuse(file, "it is the checkpoint of another log"));
        }
        while let Some(frame) = reader.next_due(record.lsn).map_err(|fault| fault_of(file, fault))? {
            replay.record(frame).map_err(|refused| refuse_frame(file, &refused))?;
        }
        Ok(true)
    }

    /// What it means that this can't be replayed: while there are frames among the records, it may be one of them.
    pub(crate) fn refusal(&self, refused: &Refused) -> Option<OpenError> {
        let Chosen { file, reader } = self.chosen.as_ref()?;
        (refused.lsn <= reader.end().through).then(|| refuse_frame(file, refused))
    }

    /// After the last record: all of the checkpoint must have been handed over.
    pub(crate) fn end(self, last_lsn: Lsn, skipped_bytes: u64) -> Result<Option<UsedCheckpoint>, OpenError> {
        let Some(Chosen { file, mut reader }) = self.chosen else { return Ok(None) };
        let (start, end) = (reader.header().start, reader.end());
        if last_lsn < end.through {
            let through = end.through;
            return Err(refuse(
                &file,
                format!("it knows of record {through}, and the log ends at {last_lsn}"),
            ));
        }
        // That there is none is seen by looking for one.
        if reader.next_due(Lsn::MAX).map_err(|fault| fault_of(&file, fault))?.is_some() {
            return Err(refuse(&file, "frames follow the last one"));
        }
        let (bytes, frames) = (reader.file_bytes(), end.frames);
        Ok(Some(UsedCheckpoint { file, bytes, frames, from: start.from, skipped_bytes }))
    }
}

fn refuse(file: &Path, reason: impl Into<String>) -> OpenError {
    OpenError::Checkpoint { file: file.to_owned(), reason: reason.into() }
}

fn refuse_frame(file: &Path, Refused { lsn, reason }: &Refused) -> OpenError {
    refuse(file, format!("a frame, or record {lsn} itself, cannot be replayed: {reason}"))
}

fn fault_of(file: &Path, fault: Fault) -> OpenError {
    refuse(file, fault.to_string())
}
