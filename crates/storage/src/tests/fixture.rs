//! Logs of each format version, frozen: they are never written again, and must be read for ever.
//!
//! When the format changes, the version goes up, the old reader stays, the test that writes moves to the new
//! version's fixture, and the tests that read stay as they are.

use std::path::PathBuf;

use super::harness::{Opened, Replayed, copy_of, open, segment_files, small};
use crate::{RecordKind, Records};

fn fixture(version: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src", "tests", "fixtures", version].iter().collect()
}

/// What the fixtures hold: a run of three records, killed when the third was not known to be
/// durable, and a run that wrote the third again, added a fourth and closed.
const RECORDS: [(u64, u16, u8, &[u8]); 4] = [
    (1, 0, 1, b"the first record"),
    (2, 7, 2, b"another kind, another shard"),
    (3, 65_535, 255, b"not known to be durable"),
    (4, 0, 1, b"of the second run"),
];

#[test]
fn every_version_is_read() {
    for version in ["version-1", "version-2"] {
        let dir = copy_of(&fixture(version));
        let log = open(small(dir.path())).unwrap();
        let expected =
            RECORDS.map(|(lsn, shard, kind, body)| Replayed { lsn, shard, kind, body: body.to_vec() });
        assert_eq!(log.replayed, expected, "{version}");
        assert_eq!((log.recovered.boot, log.recovered.clean), (3, true), "{version}");
        let sealed: Vec<_> =
            log.log.sealed().iter().map(|segment| (segment.first_lsn, segment.last_lsn)).collect();
        assert_eq!(sealed, [(1, 2), (3, 4)], "{version}");
    }
}

#[test]
fn version_2_is_written_to_the_byte() {
    let commit = |log: &Opened, (lsn, shard, kind, body): (u64, u16, u8, &[u8])| {
        let mut records = Records::new();
        records.begin(shard, RecordKind::new(kind)).extend_from_slice(body);
        records.end();
        assert_eq!(log.log.stage(&mut records).last, lsn);
        log.events.wait_durable(lsn);
    };
    let dir = tempfile::tempdir().unwrap();
    let log = open(small(dir.path())).unwrap();
    RECORDS[..3].iter().for_each(|&record| commit(&log, record));
    let killed = copy_of(dir.path());
    let log = open(small(killed.path())).unwrap();
    commit(&log, RECORDS[3]);
    log.log.close().unwrap();

    let (written, frozen) = (segment_files(killed.path()), segment_files(&fixture("version-2")));
    assert_eq!((written.len(), frozen.len()), (2, 2));
    assert_eq!(written[1].metadata().unwrap().len(), frozen[1].metadata().unwrap().len());
    for (written, frozen) in written.iter().zip(&frozen) {
        assert_eq!(written.file_name(), frozen.file_name());
        let (written, frozen_bytes) = (std::fs::read(written).unwrap(), std::fs::read(frozen).unwrap());
        // When the fixture was written, so short an end of an older segment was not cut off.
        assert!(frozen_bytes.starts_with(&written), "{}", frozen.display());
    }
}
