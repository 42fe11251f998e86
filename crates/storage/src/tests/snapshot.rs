//! Prefixes of an open log: what they hold back, and copies of them.

use std::collections::BTreeMap;

use super::harness::{Opened, open_on};
use crate::segment::Name;
use crate::simulation::SimulatedDisk;
use crate::{CopyFault, CopyVerifier, LogEvent, Lsn, ReadError, Segment, Snapshot, closing_segment};

fn fill(log: &Opened, lsns: std::ops::RangeInclusive<Lsn>) {
    for lsn in lsns {
        assert_eq!(log.commit(&[lsn as u8; 300]), lsn);
    }
}

/// The bytes of each segment, read in pieces.
fn read(snapshot: &Snapshot, piece: usize) -> Result<Vec<(Segment, Vec<u8>)>, ReadError> {
    let mut segments = Vec::new();
    for &segment in snapshot.segments() {
        let mut bytes = Vec::new();
        loop {
            let more = snapshot.read(segment.number, bytes.len() as u64, piece)?.expect("it is in it");
            if more.is_empty() {
                break;
            }
            bytes.extend(more);
        }
        segments.push((segment, bytes));
    }
    Ok(segments)
}

fn verify(segments: &[(Segment, Vec<u8>)], piece: usize) -> Result<CopyVerifier, CopyFault> {
    let mut verifier = CopyVerifier::new();
    for (segment, bytes) in segments {
        verifier.begin(*segment);
        bytes.chunks(piece).try_for_each(|bytes| verifier.take(bytes))?;
        verifier.end()?;
    }
    Ok(verifier)
}

/// A disk with the copy on it.
fn disk_of(segments: &[(Segment, Vec<u8>)]) -> SimulatedDisk {
    verify(segments, 1000).unwrap();
    let mut files: BTreeMap<Name, Vec<u8>> =
        segments.iter().map(|(segment, bytes)| (Name::Segment(segment.number), bytes.clone())).collect();
    let (newest, bytes) = segments.last().expect("a copy has a segment");
    let (number, bytes) = closing_segment(newest, &bytes[..64]).unwrap();
    files.insert(Name::Segment(number), bytes);
    SimulatedDisk::with_files(&files)
}

#[test]
fn a_copy_has_what_was_written_when_it_began_whatever_comes_later() {
    let disk = SimulatedDisk::new();
    // Two runs, so that there is a segment with a tail that was written again.
    fill(&open_on(&disk).unwrap(), 1..=30);
    let log = open_on(&disk.after_kill()).unwrap();
    fill(&log, 31..=50);
    for piece in [1, 100, 1 << 20] {
        let last = log.log.written();
        let snapshot = log.log.snapshot();
        assert_eq!(snapshot.last_lsn(), last);
        let first_half = snapshot.read(snapshot.segments()[0].number, 0, 50).unwrap();
        fill(&log, last + 1..=last + 20);
        let segments = read(&snapshot, piece).unwrap();
        assert_eq!(first_half.as_deref(), Some(&segments[0].1[..50]));
        let copied: u64 = segments.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!(copied, snapshot.bytes());
        let verifier = verify(&segments, piece).unwrap();
        assert_eq!((verifier.records(), verifier.last_lsn()), (last, last));
        let copy = open_on(&disk_of(&segments)).unwrap();
        assert_eq!((copy.recovered.last_lsn, copy.recovered.torn.as_ref()), (last, None));
        assert_eq!(copy.bodies(), (1..=last).map(|lsn| vec![lsn as u8; 300]).collect::<Vec<_>>());
        assert!(snapshot.read(99, 0, 10).unwrap().is_none(), "a segment that is not in it");
    }
}

#[test]
fn segments_are_held_back_while_they_are_copied() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    fill(&log, 1..=60);
    let sealed = log.log.sealed();
    let (snapshot, other) = (log.log.snapshot(), log.log.snapshot());
    log.log.free_through(sealed[2].number, log.log.durable());
    // Each is a turn of the writer, which would free.
    fill(&log, 61..=70);
    assert_eq!(log.log.oldest_sealed(), Some(sealed[0]));
    verify(&read(&snapshot, 4096).unwrap(), 4096).unwrap();
    drop(snapshot);
    fill(&log, 71..=75);
    assert_eq!(log.log.oldest_sealed(), Some(sealed[0]), "the other one still holds it");
    drop(other);
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(number) if *number == sealed[2].number));
    assert_eq!(log.log.oldest_sealed(), Some(sealed[3]));
}

#[test]
fn on_a_full_disk_nothing_is_held_back() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    fill(&log, 1..=60);
    let sealed = log.log.sealed();
    let snapshot = log.log.snapshot();
    log.log.free_through(sealed[2].number, log.log.durable());
    disk.set_full(true);
    // Whatever waits for space gets that of the segments.
    for _ in 0..30 {
        log.stage(&[7; 300]);
    }
    log.events.wait("freed", |event| matches!(event, LogEvent::Freed(number) if *number == sealed[2].number));
    let error = snapshot.read(sealed[0].number, 0, 100).unwrap_err();
    assert!(matches!(error, ReadError::Gone { lsn } if lsn == sealed[0].first_lsn), "{error}");
    assert!(snapshot.read(sealed[3].number, 0, 100).unwrap().is_some());
    disk.set_full(false);
}

#[test]
fn a_flip_of_any_byte_of_a_copy_is_seen_while_it_is_made() {
    let log = open_on(&SimulatedDisk::new()).unwrap();
    fill(&log, 1..=25);
    let segments = read(&log.log.snapshot(), 4096).unwrap();
    assert!(segments.len() > 2);
    for index in 0..segments.len() {
        for at in 0..segments[index].1.len() {
            let mut broken = segments.clone();
            broken[index].1[at] ^= 0x10;
            let fault = verify(&broken, 700).map(|_| ());
            // Behind the last record of a sealed segment there is nothing, here.
            let fault = fault.expect_err("a flip goes unseen");
            assert_eq!(fault.number, segments[index].0.number);
            assert!(fault.offset <= at as u64, "{fault}");
        }
        let mut short = segments.clone();
        short[index].1.pop();
        assert!(verify(&short, 700).is_err());
    }
    let mut missing = segments.clone();
    missing.remove(1);
    let fault = verify(&missing, 700).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("it comes after segment 1"), "{fault}");
}

#[test]
fn a_copy_that_is_not_complete_is_refused() {
    let log = open_on(&SimulatedDisk::new()).unwrap();
    fill(&log, 1..=60);
    let segments = read(&log.log.snapshot(), 4096).unwrap();
    let whole = disk_of(&segments).files();
    let closing = *whole.last_key_value().expect("there are some").0;
    // In the order in which a copy is written, and any byte may be the last.
    let mut written = BTreeMap::from([(closing, whole[&closing].clone())]);
    for (segment, bytes) in &segments {
        for kept in (0..bytes.len()).step_by(97) {
            written.insert(Name::Segment(segment.number), bytes[..kept].to_vec());
            open_on(&SimulatedDisk::with_files(&written)).unwrap_err();
        }
        written.insert(Name::Segment(segment.number), bytes.clone());
        let is_whole = written.len() == whole.len();
        assert_eq!(open_on(&SimulatedDisk::with_files(&written)).is_ok(), is_whole);
    }
}
