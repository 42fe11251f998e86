//! Damage below the durable watermark is refused; above it is cut. Nothing in between, whatever is broken.

use std::collections::BTreeMap;

use super::harness::{Opened, copy_of, open, open_on, segment_files, small};
use crate::segment::Name;
use crate::simulation::SimulatedDisk;
use crate::{Lsn, OpenError};

/// Commits one by one, so that each commit is a batch that says what was durable before it.
fn commit_all(log: &Opened, bodies: &[Vec<u8>]) {
    for body in bodies {
        log.commit(body);
    }
}

fn bodies(count: u8) -> Vec<Vec<u8>> {
    (1..=count).map(|byte| vec![byte; 10 + usize::from(byte)]).collect()
}

/// What the surviving part of a log must satisfy: it is a prefix, and nothing that was durable is missing.
fn assert_prefix(log: &Opened, all: &[Vec<u8>], durable: Lsn) {
    let found = log.bodies();
    assert!(found.len() as Lsn >= durable, "{} records, {durable} were durable", found.len());
    assert_eq!(found, all[..found.len()]);
}

#[test]
fn a_tear_at_any_byte_of_the_last_record_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    let all = bodies(4);
    commit_all(&log, &all[..3]);
    let before = log.log.bytes();
    commit_all(&log, &all[3..]);
    let after = log.log.bytes();
    for end in before..=after {
        let killed = copy_of(dir.path());
        let newest = segment_files(killed.path()).pop().unwrap();
        let mut bytes = std::fs::read(&newest).unwrap();
        // What is torn shows once its lsn is there, and no longer when only zeros are missing.
        let batch_end = before + 36;
        let is_torn = [(before, batch_end), (batch_end, after)].iter().any(|&(from, to)| {
            end > from + 8 && end < to && bytes[end as usize..to as usize].iter().any(|&byte| byte != 0)
        });
        bytes[end as usize..].fill(0);
        std::fs::write(&newest, bytes).unwrap();
        let again = open(small(killed.path())).unwrap();
        let survived = if end == after { 4 } else { 3 };
        assert_eq!(again.bodies(), all[..survived], "cut at {end}");
        assert_eq!(again.recovered.torn.is_some(), is_torn, "cut at {end}");
        if let Some(torn) = &again.recovered.torn {
            assert_eq!((&torn.file, torn.lsn), (&newest, 4));
            assert!(torn.offset >= before && torn.offset < end);
        }
        assert!(!again.recovered.clean);
        assert_eq!(again.commit(b"goes on"), survived as Lsn + 1);
        drop(again);
        let third = open(small(killed.path())).unwrap();
        assert_eq!(third.recovered.last_lsn, survived as Lsn + 1);
        assert_eq!(third.recovered.torn, None);
    }
}

#[test]
fn a_hole_below_the_watermark_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    commit_all(&log, &bodies(4));
    log.log.close().unwrap();
    // The clean end says that all four are durable.
    let newest = segment_files(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = 64 + 36 + (36 + 20 + 11);
    bytes[middle..middle + 80].fill(0);
    std::fs::write(&newest, &bytes).unwrap();
    let error = open(small(dir.path())).unwrap_err();
    let OpenError::Corrupt { file, offset, reason } = &error else { panic!("{error}") };
    assert_eq!((file, *offset), (&newest, middle as u64));
    assert_eq!(reason, "record 2 is missing, and all up to 4 was synced");
    assert_eq!(std::fs::read(&newest).unwrap(), bytes, "nothing was changed");
}

#[test]
fn a_file_that_was_cut_is_refused_at_any_length() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let all: Vec<_> = (0..7).map(|byte| vec![byte; 1200]).collect();
    commit_all(&log, &all);
    let sealed = log.log.sealed();
    drop(log);
    let mut files = disk.files();
    files.retain(|name, _| matches!(name, Name::Segment(_)));
    assert_eq!(files.len(), 3);
    for (&name, bytes) in &files {
        for length in 0..bytes.len() {
            let mut cut = files.clone();
            cut.get_mut(&name).unwrap().truncate(length);
            let disk = SimulatedDisk::with_files(&cut);
            match open_on(&disk) {
                // Space behind the last record of an older segment is given back anyway.
                Ok(log) => {
                    let older = sealed.iter().find(|segment| Name::Segment(segment.number) == name);
                    let used = older.unwrap_or_else(|| panic!("{name} cut to {length} was opened")).bytes;
                    assert!(length as u64 >= used, "{name} cut to {length} of {used}");
                    assert_eq!(log.bodies(), all, "{name} cut to {length}");
                }
                Err(OpenError::Corrupt { file, offset, .. }) => {
                    assert!(file.ends_with(name.to_string()) && offset <= length as u64);
                    assert!(disk.files() == cut, "a refused log is left alone");
                }
                Err(error) => panic!("{name} cut to {length}: {error}"),
            }
        }
    }
}

/// Flips each byte of each file in some ways and opens the result.
fn flip_everything(
    files: &BTreeMap<Name, Vec<u8>>,
    mut check: impl FnMut(Name, usize, Result<Opened, OpenError>),
) {
    for (&name, bytes) in files {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut broken = files.clone();
                broken.get_mut(&name).unwrap()[at] ^= mask;
                let disk = SimulatedDisk::with_files(&broken);
                let result = open_on(&disk);
                if result.is_err() {
                    assert!(disk.files() == broken, "a refused log is left alone");
                }
                check(name, at, result);
            }
        }
    }
}

#[test]
fn a_flipped_byte_is_refused_or_cut_where_that_is_legal() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    let all = bodies(5);
    commit_all(&log, &all);
    let used = log.log.bytes() as usize;
    // Not closed: the batch of the fifth record says that four are durable.
    let (mut refused, mut cut) = (0, 0);
    flip_everything(&disk.after_kill().files(), |_, at, result| match result {
        Ok(log) => {
            assert_prefix(&log, &all, 4);
            assert_eq!(log.bodies().len() < 5, at < used, "at {at}");
            cut += usize::from(at < used);
        }
        Err(OpenError::Corrupt { offset, .. }) => {
            assert!(offset <= at as u64 && at < used, "byte {at}, reported at {offset}");
            refused += 1;
        }
        Err(error) => panic!("byte {at}: {error}"),
    });
    // Everything up to the last batch is refused; its batch record and its record are cut.
    let last_batch = 36 + 20 + all[4].len();
    assert_eq!((refused, cut), (3 * (used - last_batch), 3 * last_batch));
}

#[test]
fn a_flipped_byte_in_a_closed_log_of_segments_is_never_a_loss() {
    let disk = SimulatedDisk::new();
    let all: Vec<_> = (0..7).map(|byte| vec![byte; 1200]).collect();
    let log = open_on(&disk).unwrap();
    commit_all(&log, &all);
    log.log.close().unwrap();
    let segments = log.log.sealed().len() as u64 + 1;
    assert_eq!(segments, 3);
    let newest_bytes = log.log.bytes() - log.log.sealed().iter().map(|segment| segment.bytes).sum::<u64>();
    drop(log);
    let files = disk.files().into_iter().filter(|(name, _)| matches!(name, Name::Segment(_))).collect();
    flip_everything(&files, |name, at, result| match result {
        Ok(log) => {
            assert_eq!(log.bodies(), all, "{name} at {at}");
            // Only the mark of the clean end and what is behind the last record may be broken unnoticed.
            let is_newest = name == Name::Segment(segments);
            assert!(!is_newest || at as u64 >= newest_bytes, "{name} at {at}");
        }
        Err(OpenError::Corrupt { file, offset, .. }) => {
            assert!(file.ends_with(name.to_string()));
            assert!(offset <= at as u64);
        }
        Err(error) => panic!("{name} at {at}: {error}"),
    });
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    for byte in 0..10 {
        log.commit(&[byte; 1200]);
    }
    drop(log);
    let mut files = disk.files();
    files.remove(&Name::Segment(2));
    let error = open_on(&SimulatedDisk::with_files(&files)).unwrap_err();
    assert!(
        matches!(&error, OpenError::Corrupt { file, .. } if file.ends_with(Name::Segment(2).to_string()))
    );
    assert!(error.to_string().contains("this segment is missing"), "{error}");
}

#[test]
fn segments_in_each_others_place_are_refused() {
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    for byte in 0..10 {
        log.commit(&[byte; 1200]);
    }
    drop(log);
    let mut files = disk.files();
    let two = files[&Name::Segment(2)].clone();
    files.insert(Name::Segment(3), two);
    let error = open_on(&SimulatedDisk::with_files(&files)).unwrap_err();
    assert!(error.to_string().contains("its header says that it is segment 2"), "{error}");
}

#[test]
fn a_payload_that_looks_like_a_batch_does_not_make_a_tear_damage() {
    use crate::record::{Batch, Mark};
    let disk = SimulatedDisk::new();
    let log = open_on(&disk).unwrap();
    log.commit(b"kept");
    let forged = Batch { next_lsn: 1000, durable: 999, offset: 4, mark: Mark::Open };
    let offset = log.log.bytes();
    log.commit(&forged.to_bytes(crate::segment::seed(1)));
    drop(log);
    let mut files = disk.files();
    files.get_mut(&Name::Segment(1)).unwrap()[offset as usize] ^= 1;
    // The clean end is behind the tear and says that both are durable; without it there is only the forgery.
    let end = offset as usize + 36 + 20 + 36;
    files.get_mut(&Name::Segment(1)).unwrap()[end..].fill(0);
    let again = open_on(&SimulatedDisk::with_files(&files)).unwrap();
    assert_eq!(again.bodies(), [b"kept".to_vec()]);
}

#[test]
fn a_record_that_the_caller_refuses_is_named() {
    let disk = SimulatedDisk::new();
    open_on(&disk).unwrap().commit(b"strange");
    let files = disk.files();
    let error = crate::Log::open_on(
        std::sync::Arc::new(disk.clone()),
        small(std::path::Path::new("simulated")),
        None,
        &mut |record: crate::RecordView<'_>| Err(format!("unknown event {:?}", record.body[0])),
        std::sync::Arc::new(|_| {}),
    )
    .unwrap_err();
    assert!(matches!(error, OpenError::Replay { lsn: 1, .. }), "{error}");
    assert!(error.to_string().contains("unknown event 115"), "{error}");
    assert!(disk.files() == files, "a refused log is left alone");
}
