//! Whose directory it is, and who may use it.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::harness::{open, segment_files, small};
use crate::OpenError;
use crate::offline::OfflineLog;
use crate::segment::{Name, SEGMENT_HEADER_BYTES};

#[test]
fn a_missing_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lanes").join("default");
    open(small(&path)).unwrap().commit(b"one");
    assert_eq!(open(small(&path)).unwrap().recovered.last_lsn, 1);
}

#[test]
fn a_second_opener_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    let error = open(small(dir.path())).unwrap_err();
    let OpenError::Locked { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(pid, &std::process::id().to_string());
    assert!(error.to_string().contains("in use by process"), "{error}");
    log.commit(b"the first one goes on");
    drop(log);
    assert_eq!(open(small(dir.path())).unwrap().recovered.last_lsn, 1);
}

#[test]
fn who_deletes_the_lock_file_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    std::fs::remove_file(dir.path().join("LOCK")).unwrap();
    let is_unknown = |error: &OpenError| matches!(error, OpenError::Locked { pid, .. } if pid == "unknown");
    // The second one finds the file that the first one made.
    for error in
        [OfflineLog::open(dir.path()).unwrap_err(), OfflineLog::open_for_repair(dir.path()).unwrap_err()]
    {
        assert!(is_unknown(&error), "{error}");
    }
    for _ in 0..2 {
        let error = open(small(dir.path())).unwrap_err();
        assert!(is_unknown(&error), "{error}");
    }
    log.commit(b"the first one goes on");
    drop(log);
    assert_eq!(open(small(dir.path())).unwrap().recovered.last_lsn, 1);
}

/// All entries with their contents.
fn contents(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap_or_default()))
        .collect();
    entries.sort();
    entries
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    for foreign in ["dump.rdb", "1.seg", "00000000000000000001.log", "+0000000000000000001.seg", "LOCK2"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(foreign), b"theirs").unwrap();
        let before = contents(dir.path());
        let error = open(small(dir.path())).unwrap_err();
        assert!(matches!(&error, OpenError::Foreign { name, .. } if name == Path::new(foreign)), "{error}");
        assert!(error.to_string().contains(&format!("it contains {foreign}")), "{error}");
        assert_eq!(contents(dir.path()), before);
    }
}

#[test]
fn a_disk_of_its_own_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lost+found")).unwrap();
    open(small(dir.path())).unwrap().commit(b"one");
    open(small(dir.path())).unwrap();
}

#[test]
fn spare_files_of_a_crashed_run_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    open(small(dir.path())).unwrap().commit(b"one");
    let spares = [Name::Spare(0), Name::Spare(7)].map(|name| dir.path().join(name.to_string()));
    for spare in &spares {
        std::fs::copy(&segment_files(dir.path())[0], spare).unwrap();
    }
    let log = open(small(dir.path())).unwrap();
    assert_eq!(log.recovered.last_lsn, 1);
    assert!(spares.iter().all(|spare| !spare.exists()));
}

#[test]
fn a_file_is_no_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(small(file.path())).unwrap_err();
    assert!(matches!(&error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().starts_with("cannot open the directory"), "{error}");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    open(small(dir.path())).unwrap().commit(b"one");
    let file = segment_files(dir.path()).pop().unwrap();
    let mut header = std::fs::read(&file).unwrap();
    header.truncate(SEGMENT_HEADER_BYTES);
    header[8..12].copy_from_slice(&3_u32.to_le_bytes());
    let segment = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    segment.write_all_at(&header, 0).unwrap();
    // A version that does not fit its checksum is damage, not a newer version.
    let error = open(small(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { offset: 0, .. }), "{error}");

    let crc = crc32fast::hash(&header[..SEGMENT_HEADER_BYTES - 4]);
    segment.write_all_at(&crc.to_le_bytes(), SEGMENT_HEADER_BYTES as u64 - 4).unwrap();
    let before = contents(dir.path());
    let error = open(small(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found: 3, supported: 2, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(file.to_str().unwrap()) && text.contains("version 3"), "{text}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn names_sort_as_numbers_and_read_back() {
    let names = [Name::Lock, Name::Segment(9), Name::Segment(10), Name::Segment(u64::MAX), Name::Spare(0)];
    for name in names {
        assert_eq!(Name::parse(name.to_string().as_ref()), Some(name));
    }
    assert!(Name::Segment(9).to_string() < Name::Segment(10).to_string());
    assert_eq!(Name::Segment(1).to_string(), "00000000000000000001.seg");
}
