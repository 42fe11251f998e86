//! The caller's side of recovery: who takes the records of a log that is being opened.

use crate::{Lsn, RecordView};

/// Takes the records of a log that is being opened, in order.
///
/// It may take its time: a record that it returned from need not be applied yet, and what is wrong with one may be
/// said at a later one. In [`Replay::finish`] it comes to an end. A closure from records is one that does all at once.
pub trait Replay {
    /// Takes a record.
    fn record(&mut self, record: RecordView<'_>) -> Result<(), Refused>;

    /// Hears how far the reading is.
    fn progress(&mut self, _progress: Progress) {}

    /// All records were shown, and nothing on the disk has changed yet: applies what it has not applied so far.
    fn finish(&mut self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Why a record can't be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The record, which may be an earlier one than the last that was shown.
    pub lsn: Lsn,
    /// What is wrong with it.
    pub reason: String,
}

/// How far the reading of a log is, and of its checkpoint.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes were read.
    pub read_bytes: u64,
    /// How many there are. Space that is only reserved counts, until its segment was read.
    pub total_bytes: u64,
    /// How many records of the log were shown.
    pub records: u64,
}

impl<F: FnMut(RecordView<'_>) -> Result<(), String>> Replay for F {
    fn record(&mut self, record: RecordView<'_>) -> Result<(), Refused> {
        let lsn = record.lsn;
        self(record).map_err(|reason| Refused { lsn, reason })
    }
}
