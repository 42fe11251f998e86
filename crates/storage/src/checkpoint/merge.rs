//! The log and a checkpoint as one row of records: what recovery asks for at each record of the log.

use std::path::{Path, PathBuf};

use super::{CheckpointReader, Fault, RefusedCheckpoint, UsedCheckpoint};
use crate::disk::Disk;
use crate::limits::PROGRESS_BYTES;
use crate::segment::Name;
use crate::{CheckpointUse, Lsn, OpenError, Progress, RecordView, Refused, Replay};

/// A checkpoint on its way into a recovery, or none.
pub(crate) struct Merge {
    chosen: Option<Chosen>,
    /// Checkpoints that the system could not read. Nothing is known of them, so they stay.
    unread: Vec<Name>,
}

struct Chosen {
    file: PathBuf,
    reader: CheckpointReader,
    /// So much of it has to be read before that is said again.
    progress_at: u64,
}

impl Merge {
    /// No checkpoint: every record of the log is handed over.
    pub(crate) fn none() -> Self {
        Self { chosen: None, unread: Vec::new() }
    }

    /// Chooses the newest checkpoint that fits a log which goes back to `first_lsn`, and tells of the others.
    pub(crate) fn choose(disk: &dyn Disk, names: &[Name], first_lsn: Lsn) -> (Self, Vec<RefusedCheckpoint>) {
        let mut refused = Vec::new();
        let mut chosen = None;
        let mut unread = Vec::new();
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
                Ok(reader) => chosen = Some(Chosen { file, reader, progress_at: PROGRESS_BYTES }),
                Err(fault) => {
                    let reason = match fault {
                        Fault::Io(_) => {
                            unread.push(name);
                            format!("{fault}; it stays")
                        }
                        Fault::Unusable(reason) => reason,
                    };
                    refused.push(RefusedCheckpoint { file, reason });
                }
            }
        }
        (Self { chosen, unread }, refused)
    }

    /// The log is needed from this record on; `None`: all of it.
    pub(crate) fn from(&self) -> Option<Lsn> {
        self.chosen.as_ref().map(|chosen| chosen.reader.header().start.from)
    }

    /// Whether a name is that of a checkpoint which stays: the chosen one, and those of which nothing is known.
    pub(crate) fn keeps(&self, name: Name) -> bool {
        self.from().is_some_and(|from| name == Name::Checkpoint(from)) || self.unread.contains(&name)
    }

    /// How far the reading of both is, when that of the log is so far.
    pub(crate) fn progress(&self, log: Progress) -> Progress {
        self.chosen.as_ref().map_or(log, |chosen| chosen.progress(log))
    }

    /// Hands over the frames that come before this record, and says how far that is beside the log, as there may be
    /// gigabytes of them between two records. Whether the record is itself to be handed over.
    pub(crate) fn before(
        &mut self,
        record: RecordView<'_>,
        log: Progress,
        replay: &mut dyn Replay,
    ) -> Result<bool, OpenError> {
        let Some(chosen) = &mut self.chosen else { return Ok(true) };
        let Chosen { file, reader, .. } = chosen;
        let (start, through) = (reader.header().start, reader.end().through);
        if record.lsn < start.from || record.lsn > through {
            return Ok(record.lsn >= start.from);
        }
        let is_mark = record.lsn == start.from || record.lsn == through;
        if is_mark && !record.body.ends_with(&start.nonce) {
            return Err(refuse(file, "it is the checkpoint of another log"));
        }
        while let Some(frame) =
            chosen.reader.next_due(record.lsn).map_err(|fault| fault_of(&chosen.file, fault))?
        {
            replay.record(frame).map_err(|refused| refuse_frame(&chosen.file, &refused))?;
            let read_bytes = chosen.reader.read_bytes();
            if read_bytes >= chosen.progress_at {
                replay.progress(chosen.progress(log));
                chosen.progress_at = read_bytes + PROGRESS_BYTES;
            }
        }
        Ok(true)
    }

    /// What it means that this can't be replayed: while there are frames among the records, it may be one of them.
    pub(crate) fn refusal(&self, refused: &Refused) -> Option<OpenError> {
        let Chosen { file, reader, .. } = self.chosen.as_ref()?;
        (refused.lsn <= reader.end().through).then(|| refuse_frame(file, refused))
    }

    /// After the last record: all of the checkpoint must have been handed over.
    pub(crate) fn end(self, last_lsn: Lsn, skipped_bytes: u64) -> Result<Option<UsedCheckpoint>, OpenError> {
        let Some(Chosen { file, mut reader, .. }) = self.chosen else { return Ok(None) };
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

impl Chosen {
    fn progress(&self, log: Progress) -> Progress {
        Progress {
            read_bytes: log.read_bytes + self.reader.read_bytes(),
            total_bytes: log.total_bytes + self.reader.file_bytes(),
            records: log.records,
        }
    }
}

fn refuse(file: &Path, reason: impl Into<String>) -> OpenError {
    OpenError::Checkpoint { file: file.to_owned(), reason: reason.into(), instead: CheckpointUse::Delete }
}

fn refuse_frame(file: &Path, Refused { lsn, reason }: &Refused) -> OpenError {
    refuse(file, format!("a frame, or record {lsn} itself, cannot be replayed: {reason}"))
}

fn fault_of(file: &Path, fault: Fault) -> OpenError {
    match fault {
        Fault::Io(_) => OpenError::Checkpoint {
            file: file.to_owned(),
            reason: format!("{fault}; it stays"),
            instead: CheckpointUse::Leave,
        },
        Fault::Unusable(reason) => refuse(file, reason),
    }
}
