//! What recovery and the one who takes the records say to each other.

use std::path::Path;
use std::sync::Arc;

use super::harness::{KIND, open_on, small};
use crate::limits::PROGRESS_BYTES;
use crate::simulation::SimulatedDisk;
use crate::{CheckpointStart, Log, Lsn, NONCE_BYTES, OpenError, Progress, RecordView, Refused, Replay};

/// Takes records, and says of one of them that it can't, some records later or at the end.
#[derive(Default)]
struct Late {
    refuses: Lsn,
    says_at: Option<Lsn>,
    seen: Vec<Lsn>,
    progress: Vec<Progress>,
    has_finished: bool,
}

impl Late {
    fn refused(&self) -> Refused {
        Refused { lsn: self.refuses, reason: "too strange".into() }
    }
}

impl Replay for Late {
    fn record(&mut self, record: RecordView<'_>) -> Result<(), Refused> {
        self.seen.push(record.lsn);
        if self.says_at == Some(record.lsn) { Err(self.refused()) } else { Ok(()) }
    }

    fn progress(&mut self, progress: Progress) {
        self.progress.push(progress);
    }

    fn finish(&mut self) -> Result<(), Refused> {
        assert!(!self.has_finished);
        self.has_finished = true;
        if self.refuses > 0 { Err(self.refused()) } else { Ok(()) }
    }
}

fn open_late(disk: &SimulatedDisk, late: &mut Late) -> Result<(), OpenError> {
    let config = small(Path::new("simulated"));
    Log::open_on(Arc::new(disk.clone()), config, None, late, Arc::new(|_| {})).map(|_| ())
}

#[test]
fn a_record_that_is_refused_late_is_named_with_its_place() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let mut places = Vec::new();
    for lsn in 1..=40 {
        let segments = log.log.sealed().len();
        let before = log.log.bytes();
        log.commit(&[lsn as u8; 500]);
        // Behind what was there, or first in a new segment; and behind the record of its batch.
        let is_same = segments == log.log.sealed().len();
        let sealed: u64 = log.log.sealed().iter().map(|segment| segment.bytes).sum();
        let offset = if is_same { before - sealed } else { 64 };
        places.push((log.log.sealed().len() + 1, offset + 36));
    }
    log.log.close().unwrap();
    let files = disk.files();
    for says_at in [Some(35), None] {
        for refuses in 1..=35 {
            let mut late = Late { refuses, says_at, ..Late::default() };
            let error = open_late(&disk, &mut late).unwrap_err();
            let OpenError::Replay { file, offset, lsn, reason } = error else { panic!("{error}") };
            let (segment, place) = places[refuses as usize - 1];
            assert_eq!((lsn, reason.as_str(), offset), (refuses, "too strange", place));
            assert!(file.ends_with(format!("{segment:020}.seg")), "{refuses}: {}", file.display());
            assert_eq!(late.has_finished, says_at.is_none());
        }
    }
    assert!(disk.files() == files, "a refused log is left alone");
    let mut late = Late::default();
    open_late(&disk, &mut late).unwrap();
    assert!(late.has_finished);
    assert_eq!(late.seen, (1..=40).collect::<Vec<_>>());
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    (0..40).for_each(|byte| {
        log.commit(&[byte; 500]);
    });
    drop(log);
    let mut late = Late::default();
    open_late(&disk, &mut late).unwrap();
    let all = &late.progress;
    let (first, last) = (all[0], all[all.len() - 1]);
    assert_eq!((first.read_bytes > 100, first.records), (false, 0));
    assert_eq!((last.read_bytes, last.records), (last.total_bytes, 40));
    for pair in all.windows(2) {
        assert!(pair[0].read_bytes <= pair[1].read_bytes && pair[0].records <= pair[1].records, "{pair:?}");
        assert!(pair[0].read_bytes <= pair[0].total_bytes, "{pair:?}");
    }
}

#[test]
fn progress_goes_on_while_a_checkpoint_is_read() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let nonce = [7; NONCE_BYTES];
    let from = log.commit(&nonce);
    let mut writer = log.log.begin_checkpoint(CheckpointStart { from, shards: 1, nonce }).unwrap();
    let (frames, frame_bytes) = (40, PROGRESS_BYTES / 4);
    for _ in 0..frames {
        writer.frame(from + 1, 0, KIND, &vec![7; frame_bytes as usize]).unwrap();
    }
    let written = writer.finish(log.commit(&nonce)).unwrap();
    drop(log);
    let mut late = Late::default();
    open_late(&disk, &mut late).unwrap();
    assert_eq!(late.seen.len(), frames + 2);
    let all = &late.progress;
    for pair in all.windows(2) {
        let step = pair[1].read_bytes.checked_sub(pair[0].read_bytes).expect("it goes on");
        assert!(step <= PROGRESS_BYTES + 2 * frame_bytes, "{pair:?}");
    }
    let last = all[all.len() - 1];
    assert_eq!((last.read_bytes, last.records), (last.total_bytes, 2), "records of the log");
    assert!(last.total_bytes > written.bytes && all[0].total_bytes >= last.total_bytes, "{all:?}");
}
