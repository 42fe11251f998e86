//! Reading records of an open log, beside its writer and beside the freeing of segments.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::harness::{Opened, open, open_configured, open_on, segment_files, small, with};
use crate::disk::{Disk, DiskFile};
use crate::segment::Name;
use crate::simulation::{Random, SimulatedDisk};
use crate::{Durability, Log, LogConfig, LogEvent, Lsn, ReadError, Segment};

/// Everything from a record on, by number and body.
fn read(log: &Log, from: Lsn) -> Result<Vec<(Lsn, Vec<u8>)>, ReadError> {
    let mut found = Vec::new();
    log.read_from(from, &mut |record| {
        found.push((record.lsn, record.body.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// What is in record `lsn` of these tests.
fn body(lsn: Lsn) -> Vec<u8> {
    vec![lsn as u8; 200 + lsn as usize % 400]
}

fn expected(lsns: std::ops::RangeInclusive<Lsn>) -> Vec<(Lsn, Vec<u8>)> {
    lsns.map(|lsn| (lsn, body(lsn))).collect()
}

fn fill(log: &Opened, lsns: std::ops::RangeInclusive<Lsn>) {
    for lsn in lsns {
        assert_eq!(log.commit(&body(lsn)), lsn);
    }
}

fn free(log: &Opened, through: u64) {
    log.log.free_through(through, log.log.durable());
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(freed) if *freed >= through));
}

#[test]
fn every_record_can_be_read_from_before_and_after_a_restart() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    assert_eq!(read(&log.log, 1).unwrap(), [], "an empty log has nothing to read");
    fill(&log, 1..=60);
    let check = |log: &Opened, last: Lsn| {
        assert!(log.log.sealed().len() > 3);
        for from in 1..=last + 2 {
            assert_eq!(read(&log.log, from).unwrap(), expected(from..=last), "from {from}");
        }
    };
    check(&log, 60);
    drop(log);
    let again = open_on(&disk).unwrap();
    check(&again, 60);
    fill(&again, 61..=80);
    check(&again, 80);
}

#[test]
fn a_reader_that_has_enough_is_not_shown_more() {
    let log = open_on(&SimulatedDisk::new()).unwrap();
    fill(&log, 1..=40);
    let mut seen = Vec::new();
    let until_30 = &mut |record: crate::RecordView<'_>| {
        seen.push(record.lsn);
        if record.lsn == 30 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    log.log.read_from(5, until_30).unwrap();
    assert_eq!(seen, (5..=30).collect::<Vec<_>>());
}

#[test]
fn what_is_written_can_be_read_before_it_is_synced() {
    let disk = SimulatedDisk::new();
    let config = with(Durability::Never, LogConfig { segment_bytes: 1 << 20, ..LogConfig::new("simulated") });
    let log = open_configured(&disk, config.clone()).unwrap();
    for lsn in 1..=100 {
        log.stage(&body(lsn));
    }
    log.events.wait_written(100);
    assert_eq!(log.log.durable(), 0);
    assert_eq!(read(&log.log, 1).unwrap(), expected(1..=100));
    // The next run writes it again, to a segment that takes the place of this one, and reads it there.
    let again = open_configured(&disk.after_kill(), config).unwrap();
    assert_eq!(again.log.sealed(), []);
    assert_eq!(read(&again.log, 1).unwrap(), expected(1..=100));
}

#[test]
fn records_of_a_freed_segment_are_gone() {
    let log = open_on(&SimulatedDisk::new()).unwrap();
    fill(&log, 1..=60);
    // A handle of it is kept from here on.
    read(&log.log, 1).unwrap();
    let [first, second, ..] = log.log.sealed()[..] else { panic!("two segments") };
    free(&log, second.number);
    for from in [0, first.first_lsn, first.last_lsn, second.last_lsn] {
        let error = read(&log.log, from).unwrap_err();
        assert!(matches!(error, ReadError::Gone { lsn } if lsn == from), "{error}");
    }
    let kept = second.last_lsn + 1;
    assert_eq!(read(&log.log, kept).unwrap(), expected(kept..=60));
}

#[test]
fn a_segment_that_is_recycled_under_a_reader_is_gone_and_not_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(LogConfig { segment_bytes: 1 << 20, ..LogConfig::new(dir.path()) }).unwrap();
    // As long as the first record of each piece that is read, so that old ones lie where new ones are expected.
    let stage = |lsn: Lsn| assert_eq!(log.commit(&vec![lsn as u8; 10_000]), lsn);
    (1..=250).for_each(stage);
    let first = log.log.sealed()[0];
    let mut seen = 0;
    let error = log.log.read_from(1, &mut |record| {
        assert_eq!((record.lsn, record.body), (seen + 1, &vec![record.lsn as u8; 10_000][..]));
        seen += 1;
        if seen == 1 {
            free(&log, first.number);
            // Until the recycled file holds other records.
            (251..=600).for_each(stage);
        }
        ControlFlow::Continue(())
    });
    let error = error.unwrap_err();
    assert!(matches!(error, ReadError::Gone { lsn } if lsn == seen + 1), "{error}");
    assert!(seen < first.last_lsn);
}

#[test]
fn damage_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    fill(&log, 1..=60);
    let file = segment_files(dir.path())[1].clone();
    let second = log.log.sealed()[1];
    let mut bytes = std::fs::read(&file).unwrap();
    let used = second.bytes as usize;
    bytes[used - 1] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    let last = second.last_lsn;
    let error = read(&log.log, 1).unwrap_err();
    assert!(
        matches!(&error, ReadError::Damaged { file: named, lsn, .. } if *named == file && *lsn == last),
        "{error}"
    );
    assert_eq!(read(&log.log, last + 1).unwrap(), expected(last + 1..=60), "what is behind it is whole");
}

#[test]
fn damage_before_what_is_wanted_is_passed_by() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    fill(&log, 1..=60);
    let second = log.log.sealed()[1];
    let damaged = second.first_lsn + 2;
    let file = segment_files(dir.path())[1].clone();
    let mut bytes = std::fs::read(&file).unwrap();
    let wanted = body(damaged);
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    for from in [second.first_lsn, damaged] {
        let error = read(&log.log, from).unwrap_err();
        assert!(matches!(error, ReadError::Damaged { lsn, .. } if lsn == damaged), "{error}");
    }
    assert_eq!(log.log.start_near(damaged + 1), second.first_lsn);
    assert_eq!(read(&log.log, damaged + 1).unwrap(), expected(damaged + 1..=60));
}

#[test]
fn a_file_that_somebody_removed_is_an_error_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    fill(&log, 1..=20);
    std::fs::remove_file(&segment_files(dir.path())[0]).unwrap();
    let error = read(&log.log, 1).unwrap_err();
    assert!(matches!(error, ReadError::Io { .. }) && !error.may_pass(), "{error}");
}

#[test]
fn what_the_disk_can_t_read_takes_only_what_it_is_in() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    fill(&log, 1..=60);
    let Segment { number, first_lsn, last_lsn, .. } = log.log.sealed()[1];
    let name = Name::Segment(number);
    let bad = first_lsn + 3;
    let at = disk.files()[&name].windows(200).position(|window| window == &body(bad)[..200]).unwrap() as u64;
    disk.set_unreadable(Some((name, at + 20..at + 50)));
    let mut seen = Vec::new();
    let error = log.log.read_from(first_lsn, &mut |record| {
        seen.push(record.lsn);
        ControlFlow::Continue(())
    });
    assert_eq!(seen, (first_lsn..bad).collect::<Vec<_>>());
    assert!(matches!(error, Err(ReadError::Io { .. })), "{error:?}");
    assert!(last_lsn > bad + 1);
    for from in [bad + 1, last_lsn] {
        assert_eq!(log.log.start_near(from), first_lsn, "it is read past what is unreadable");
        assert_eq!(read(&log.log, from).unwrap(), expected(from..=60));
    }
    disk.set_unreadable(None);
    assert_eq!(read(&log.log, bad).unwrap(), expected(bad..=60));
}

#[test]
fn what_the_process_lacks_says_nothing_of_the_file() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    fill(&log, 1..=20);
    disk.limit_descriptors(Some(0));
    let error = read(&log.log, 1).unwrap_err();
    assert!(matches!(error, ReadError::Io { .. }) && error.may_pass(), "{error}");
    disk.limit_descriptors(None);
    assert_eq!(read(&log.log, 1).unwrap(), expected(1..=20));
}

#[test]
fn readers_keep_up_with_a_writer_that_frees_behind_itself() {
    const LAST: Lsn = 3000;
    let log = open_on(&SimulatedDisk::new()).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut from = 1;
                loop {
                    let was_done = is_done.load(Relaxed);
                    let mut next = from;
                    let outcome = log.log.read_from(from, &mut |record| {
                        assert_eq!((record.lsn, record.body), (next, &body(next)[..]));
                        next += 1;
                        ControlFlow::Continue(())
                    });
                    match outcome {
                        // It starts over at what is there now, a little behind the end.
                        Err(ReadError::Gone { .. }) => from = log.log.written().saturating_sub(5).max(next),
                        outcome => {
                            outcome.unwrap();
                            from = next.saturating_sub(10).max(1);
                        }
                    }
                    if was_done && next > LAST {
                        return;
                    }
                }
            });
        }
        for lsn in 1..=LAST {
            log.commit_in_turn(lsn);
        }
        is_done.store(true, Relaxed);
    });
}

impl Opened {
    /// Commits the next record, and frees what is more than two segments behind.
    fn commit_in_turn(&self, lsn: Lsn) {
        assert_eq!(self.stage(&body(lsn)).last, lsn);
        if lsn.is_multiple_of(20) {
            self.events.wait_durable(lsn);
            if let [.., third, _, _] = self.log.sealed()[..] {
                self.log.free_through(third.number, self.log.durable());
            }
        }
    }
}

/// A disk that counts what is read from it.
struct Counting {
    disk: SimulatedDisk,
    read: Arc<AtomicU64>,
}

struct CountingFile {
    file: Box<dyn DiskFile>,
    read: Arc<AtomicU64>,
}

impl Counting {
    fn count(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(CountingFile { file, read: Arc::clone(&self.read) })
    }
}

impl Disk for Counting {
    fn path(&self, name: Name) -> PathBuf {
        self.disk.path(name)
    }

    fn list(&self) -> io::Result<Vec<OsString>> {
        self.disk.list()
    }

    fn file_bytes(&self, name: Name) -> io::Result<u64> {
        self.disk.file_bytes(name)
    }

    fn open(&self, name: Name) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(name).map(|file| self.count(file))
    }

    fn create(&self, name: Name, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name, bytes).map(|file| self.count(file))
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: Name) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}

impl DiskFile for CountingFile {
    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.read.fetch_add(read as u64, Relaxed);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.file.grow(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

#[test]
fn one_record_takes_a_few_pieces_to_find_wherever_it_is() {
    let config = LogConfig { segment_bytes: 4 << 20, ..LogConfig::new(Path::new("simulated")) };
    let disk = SimulatedDisk::new();
    for boot in 1..=2 {
        let read = Arc::new(AtomicU64::new(0));
        let counting = Counting { disk: disk.clone(), read: Arc::clone(&read) };
        let (log, recovered) = Log::open_on(
            Arc::new(counting),
            config.clone(),
            None,
            &mut |_: crate::RecordView<'_>| Ok(()),
            Arc::new(|_| {}),
        )
        .unwrap();
        assert_eq!(recovered.boot, boot);
        if boot == 1 {
            let mut records = crate::Records::new();
            for lsn in 1..=20_000 {
                records.begin(0, super::harness::KIND).extend_from_slice(&body(lsn));
                records.end();
                log.stage(&mut records);
            }
            log.close().unwrap();
            assert!(log.bytes() > 8 << 20);
        }
        let mut random = Random(boot.into());
        for _ in 0..300 {
            let wanted = 1 + random.below(20_000);
            let before = read.load(Relaxed);
            let mut found = None;
            log.read_from(wanted, &mut |record| {
                found = Some((record.lsn, record.body.to_vec()));
                ControlFlow::Break(())
            })
            .unwrap();
            assert_eq!(found, Some((wanted, body(wanted))));
            let taken = read.load(Relaxed) - before;
            // A milestone is at most a record more than its spacing away; a second piece is twice the first.
            assert!(taken <= 3 * 64 * 1024, "record {wanted} took {taken} bytes");
        }
    }
}
