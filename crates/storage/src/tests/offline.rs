//! Damage anywhere: found by the same rule as at a start, read around, written off, and never more lost than said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::harness::{copy_of, open, segment_files, small, with};
use crate::offline::{Damage, End, Inspection, Loss, OfflineLog, Place, SegmentState};
use crate::segment::Name;
use crate::{Durability, Lsn, OpenError};

/// A directory in memory where there is one: these tests sync often.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A log with several segments of three boots and a torn tail, and its records.
struct Sample {
    files: BTreeMap<PathBuf, Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    /// Everything up to here was durable.
    durable: Lsn,
    dir: tempfile::TempDir,
}

fn body(number: usize) -> Vec<u8> {
    let length = [3, 40, 700, 1, 200, 1100][number % 6];
    (0..length).map(|index| (number * 31 + index) as u8).collect()
}

fn sample() -> Sample {
    let dir = directory();
    let mut bodies = Vec::new();
    let mut commit = |log: &super::harness::Opened, count: usize| {
        for _ in 0..count {
            bodies.push(body(bodies.len()));
            log.commit(bodies.last().unwrap());
        }
    };
    let log = open(small(dir.path())).unwrap();
    commit(&log, 12);
    log.log.close().unwrap();
    drop(log);
    let log = open(small(dir.path())).unwrap();
    commit(&log, 3);
    drop(log);
    let log = open(with(Durability::Never, small(dir.path()))).unwrap();
    commit(&log, 4);
    // Several records in one batch, one of which is torn, and nobody was told that they are durable.
    let durable = log.log.durable();
    for number in 19..22 {
        log.stage(&body(number));
        bodies.push(body(number));
    }
    log.events.wait_written(22);
    let end = log.log.bytes() - log.log.sealed().iter().map(|segment| segment.bytes).sum::<u64>();
    let newest = segment_files(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    log.log.close().unwrap();
    drop(log);
    bytes[end as usize - 10..].fill(0);
    std::fs::write(&newest, bytes).unwrap();
    bodies.pop();
    let files = read_files(dir.path());
    Sample { files, bodies, durable, dir }
}

fn read_files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    segment_files(dir).into_iter().map(|file| (file.clone(), std::fs::read(&file).unwrap())).collect()
}

fn inspect(dir: &Path) -> Result<(Inspection, BTreeMap<Lsn, Vec<u8>>), OpenError> {
    let mut records = BTreeMap::new();
    let found = OfflineLog::open(dir)?.inspect(&mut |located| {
        assert!(records.insert(located.record.lsn, located.record.body.to_vec()).is_none());
        Ok(())
    })?;
    Ok((found, records))
}

/// What a start would say, from a copy.
fn start(dir: &Path) -> Result<BTreeMap<Lsn, Vec<u8>>, OpenError> {
    let copy = directory();
    for file in segment_files(dir) {
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let log = open(small(copy.path()))?;
    Ok(log.replayed.iter().map(|record| (record.lsn, record.body.clone())).collect())
}

/// The records that the damages say are lost.
fn lost(damages: &[Damage], last: Lsn) -> Vec<Lsn> {
    let of = |damage: &Damage| match damage.loss {
        Loss::Nothing => 0..0,
        Loss::Records { first, last } => first..last + 1,
        Loss::UpTo(to) => 1..to + 1,
        Loss::From(from) => from..last + 1,
    };
    damages.iter().flat_map(of).collect()
}

/// Checks what was found in a broken log against what was in it.
fn judge(sample: &Sample, what: &str) {
    let dir = sample.dir.path();
    let (found, records) = match inspect(dir) {
        Ok(found) => found,
        Err(error) => panic!("{what}: {error}"),
    };
    let last = sample.bodies.len() as Lsn;
    let lost = lost(&found.damages, last);
    for (index, body) in sample.bodies.iter().enumerate() {
        let lsn = index as Lsn + 1;
        match records.get(&lsn) {
            Some(found) => assert_eq!(found, body, "{what}: record {lsn}"),
            None => {
                let is_tail = lsn > sample.durable;
                assert!(is_tail || lost.contains(&lsn), "{what}: record {lsn} is lost without a word");
            }
        }
    }
    assert!(records.keys().all(|&lsn| lsn <= last), "{what}: a record that never was");
    if found.damages.is_empty() {
        assert_eq!(start(dir).unwrap(), records, "{what}: opened otherwise than inspected");
        return;
    }
    let damage = &found.damages[0];
    match start(dir) {
        Err(OpenError::Corrupt { file, offset, .. }) => {
            // A start looks at all headers first.
            let is_named = |damage: &Damage| {
                damage.file.file_name() == file.file_name() && (damage.offset..=damage.end).contains(&offset)
            };
            assert!(found.damages.iter().any(is_named), "{what}: {} {offset}, {damage:?}", file.display());
        }
        other => panic!("{what}: inspected as {damage:?}, opened as {other:?}"),
    }
    // Written off, the log opens with everything that could be read.
    let log = OfflineLog::open_for_repair(dir).unwrap();
    let plan = log.plan_skip(&found, None).unwrap();
    let backup = directory();
    let originals = read_files(dir);
    log.apply(&plan, &backup.path().join("backup")).unwrap();
    let (mended, again) = inspect(dir).unwrap();
    assert!(mended.damages.is_empty(), "{what}: still {:?}", mended.damages);
    assert_eq!(again, records, "{what}: a repair changed what could be read");
    assert_eq!(start(dir).unwrap(), records, "{what}");
    for file in std::fs::read_dir(backup.path().join("backup")).unwrap() {
        let file = file.unwrap().path();
        if let Some(original) = originals.get(&dir.join(file.file_name().unwrap())) {
            assert!(&std::fs::read(&file).unwrap() == original, "{what}: the original was not kept");
        }
    }
}

fn restore(sample: &Sample) {
    for file in segment_files(sample.dir.path()) {
        std::fs::remove_file(file).unwrap();
    }
    for (path, bytes) in &sample.files {
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_flip_of_any_byte_is_found_and_costs_no_more_than_said() {
    let sample = sample();
    let (found, records) = inspect(sample.dir.path()).unwrap();
    assert!(found.damages.is_empty() && matches!(found.end, End::Torn(_)), "{found:?}");
    assert_eq!((found.segments.len(), records.len()), (4, sample.bodies.len()));
    for (path, bytes) in &sample.files {
        for at in 0..bytes.len() {
            // Behind the last record nothing counts, and one byte of a body is like another: some of them will do.
            let around = &bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())];
            let is_in_large_body = around.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]);
            if (around.iter().all(|&byte| byte == 0) || is_in_large_body) && at % 16 != 0 {
                continue;
            }
            let mut broken = bytes.clone();
            broken[at] ^= 1 << (at % 8);
            std::fs::write(path, &broken).unwrap();
            judge(&sample, &format!("{} at {at}", path.display()));
            restore(&sample);
        }
    }
}

#[test]
fn a_file_of_any_length_is_found_and_costs_no_more_than_said() {
    let sample = sample();
    for (path, bytes) in &sample.files {
        for length in (0..bytes.len()).filter(|length| length % 7 == 0 || length % 512 > 508) {
            std::fs::write(path, &bytes[..length]).unwrap();
            judge(&sample, &format!("{} cut to {length}", path.display()));
            restore(&sample);
        }
    }
}

#[test]
fn a_newest_file_of_any_length_without_its_header_costs_no_more_than_said() {
    let sample = sample();
    let (path, bytes) = sample.files.iter().next_back().unwrap();
    for length in (0..bytes.len()).filter(|length| length % 7 == 0 || length % 512 > 508) {
        let mut cut = bytes[..length].to_vec();
        cut.iter_mut().skip(20).take(1).for_each(|byte| *byte ^= 1);
        std::fs::write(path, cut).unwrap();
        judge(&sample, &format!("{} cut to {length}, without its header", path.display()));
        restore(&sample);
    }
}

#[test]
fn a_newest_file_that_goes_on_behind_its_records_was_not_cut() {
    for closes in [true, false] {
        let dir = directory();
        let log = open(small(dir.path())).unwrap();
        log.commit(b"one");
        let killed = copy_of(dir.path());
        drop(log);
        let dir = if closes { dir } else { killed };
        let newest = segment_files(dir.path()).pop().unwrap();
        let mut bytes = std::fs::read(&newest).unwrap();
        let end = inspect(dir.path()).unwrap().0.segments[0].used_bytes as usize;
        bytes[20] ^= 1;
        for (length, want) in [
            (bytes.len(), Loss::Nothing),
            (end + crate::record::RECORD_HEADER_BYTES, Loss::Nothing),
            (end, if closes { Loss::Nothing } else { Loss::From(2) }),
        ] {
            std::fs::write(&newest, &bytes[..length]).unwrap();
            let (found, records) = inspect(dir.path()).unwrap();
            let losses: Vec<Loss> = found.damages.iter().map(|damage| damage.loss).collect();
            assert_eq!((losses, records.len()), (vec![want], 1), "{length} bytes, closed: {closes}");
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_found_and_costs_no_more_than_said() {
    let sample = sample();
    let files: Vec<&PathBuf> = sample.files.keys().collect();
    // Of the oldest and the newest nothing tells that they were there.
    for gone in [&files[1..2], &files[2..3], &files[1..3]] {
        for file in gone {
            std::fs::remove_file(file).unwrap();
        }
        judge(&sample, &format!("without {gone:?}"));
        restore(&sample);
    }
    // One in the place of another, the oldest and the newest as well.
    for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 3), (3, 2), (0, 3), (3, 0)] {
        std::fs::copy(files[from], files[to]).unwrap();
        judge(&sample, &format!("{from} in the place of {to}"));
        restore(&sample);
    }
    // Nothing but noise, and not even that.
    for file in &files {
        for noise in [vec![0xa5; 4096], Vec::new()] {
            std::fs::write(file, noise).unwrap();
            judge(&sample, &format!("noise in {}", file.display()));
            restore(&sample);
        }
    }
}

#[test]
fn damage_in_several_places_is_found_everywhere() {
    let mut sample = sample();
    // With what is durable, what says so may be broken: then it can't be told from a tear. Only a segment that
    // follows says it of all before.
    sample.durable = inspect(sample.dir.path()).unwrap().0.segments[3].lsns.start - 1;
    let mut random = crate::simulation::Random(7);
    for round in 0..150 {
        for _ in 0..1 + random.below(4) {
            let index = random.below(sample.files.len() as u64) as usize;
            let path = sample.files.keys().nth(index).unwrap();
            let mut bytes = std::fs::read(path).unwrap();
            let at = random.below(bytes.len() as u64) as usize;
            // A bit, or some of a sector.
            for byte in bytes.iter_mut().skip(at).take(if random.below(2) == 0 { 1 } else { 90 }) {
                *byte ^= (random.below(255) + 1) as u8;
            }
            std::fs::write(path, &bytes).unwrap();
        }
        judge(&sample, &format!("round {round}"));
        restore(&sample);
    }
}

#[test]
fn a_log_of_which_no_segment_can_be_read_is_not_repaired() {
    let sample = sample();
    for file in sample.files.keys() {
        std::fs::write(file, b"").unwrap();
    }
    let (found, records) = inspect(sample.dir.path()).unwrap();
    assert!(records.is_empty());
    assert!(found.segments.iter().all(|segment| segment.state == SegmentState::Unreadable));
    let log = OfflineLog::open_for_repair(sample.dir.path()).unwrap();
    let error = log.plan_skip(&found, None).unwrap_err().to_string();
    assert!(error.contains("can't be skipped: no segment of the log can be read"), "{error}");
}

#[test]
fn a_file_with_a_strange_number_is_named_and_the_log_is_well_without_it() {
    let sample = sample();
    let dir = sample.dir.path();
    let newest = sample.files.keys().next_back().unwrap();
    for number in [9_999, 1 << 40, u64::MAX] {
        let stray = dir.join(Name::Segment(number).to_string());
        std::fs::copy(newest, &stray).unwrap();
        let log = OfflineLog::open(dir).unwrap();
        let found = log.inspect(&mut |_| Ok(())).unwrap();
        let skipped = log.plan_skip(&found, None).map(|_| ());
        let place = Place { segment: 1, offset: 64 };
        for refused in [skipped, log.plan_cut(place, &mut |_| Ok(())).map(|_| ())] {
            let error = refused.unwrap_err().to_string();
            assert!(
                error.contains("segments are missing between") && error.contains("move it out"),
                "{error}"
            );
            assert!(error.contains(&format!("{} and {}", newest.display(), stray.display())), "{error}");
        }
        std::fs::remove_file(stray).unwrap();
        assert!(inspect(dir).unwrap().0.damages.is_empty());
    }
}

#[test]
fn a_record_in_a_payload_is_not_taken_for_one() {
    use crate::record::{Header, seal};
    let dir = directory();
    let log = open(small(dir.path())).unwrap();
    log.commit(b"one");
    // Records that would fit in the place of what comes after the damage.
    let forged = |lsn: Lsn| {
        let mut bytes = Header { body_bytes: 3, lsn, shard: 0, kind: 1 }.to_bytes().to_vec();
        bytes.extend_from_slice(b"bad");
        seal(&mut bytes, lsn, 1);
        bytes
    };
    let offset = log.log.bytes() as usize + 36;
    log.commit(&[[7; 60].to_vec(), forged(3), forged(4)].concat());
    log.commit(b"three");
    log.commit(b"four");
    drop(log);
    let path = segment_files(dir.path()).pop().unwrap();
    let intact = std::fs::read(&path).unwrap();
    // The length, the lsn, and a byte of the body.
    for at in [offset + 5, offset + 8, offset + 25] {
        let mut bytes = intact.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (found, records) = inspect(dir.path()).unwrap();
        assert_eq!(found.damages[0].loss, Loss::Records { first: 2, last: 2 }, "at {at}");
        let bodies: Vec<&[u8]> = records.values().map(Vec::as_slice).collect();
        assert_eq!(bodies, [&b"one"[..], b"three", b"four"], "at {at}");
    }
}

#[test]
fn a_record_that_cannot_be_used_is_written_off_like_a_broken_one() {
    let sample = sample();
    let dir = sample.dir.path();
    let log = OfflineLog::open_for_repair(dir).unwrap();
    let refuse = |lsn: Lsn| if lsn == 5 { Err("strange".to_owned()) } else { Ok(()) };
    let found = log.inspect(&mut |located| refuse(located.record.lsn)).unwrap();
    assert_eq!(found.damages.len(), 1);
    assert!(found.damages[0].reason.contains("record 5 is intact and can't be applied: strange"));
    let plan = log.plan_skip(&found, None).unwrap();
    log.apply(&plan, &directory().path().join("backup")).unwrap();
    let (found, records) = inspect(dir).unwrap();
    assert_eq!((found.damages.len(), found.lost_records), (0, 1));
    assert_eq!(records.len(), sample.bodies.len() - 1);
    assert!(!records.contains_key(&5));
    assert_eq!(start(dir).unwrap(), records);
}

#[test]
fn a_cut_at_any_frame_leaves_what_was_before_it() {
    let sample = sample();
    let dir = sample.dir.path();
    let mut places = Vec::new();
    let note = |located: crate::offline::Located<'_>, places: &mut Vec<(Lsn, Place)>| {
        let place = Place { segment: located.segment, offset: located.offset };
        places.push((located.record.lsn, place));
        Ok(())
    };
    let whole = OfflineLog::open(dir).unwrap().inspect(&mut |located| note(located, &mut places)).unwrap();
    let boot = whole.segments.last().unwrap().boot;
    for (lsn, place) in places {
        let log = OfflineLog::open_for_repair(dir).unwrap();
        let (plan, _) = log.plan_cut(place, &mut |_| Ok(())).unwrap();
        let cut = plan.cut.unwrap();
        assert_eq!((cut.lsn, cut.records), (lsn, whole.last_lsn + 1 - lsn));
        log.apply(&plan, &directory().path().join("backup")).unwrap();
        let (found, records) = inspect(dir).unwrap();
        assert!(found.damages.is_empty(), "cut at {place:?}: {:?}", found.damages);
        assert_eq!(found.segments.last().unwrap().boot, boot, "a boot number would be used twice");
        assert_eq!((records.len() as Lsn, found.lost_records), (lsn - 1, 1));
        assert!(records.iter().all(|(&lsn, body)| &sample.bodies[lsn as usize - 1] == body));
        assert_eq!(start(dir).unwrap(), records);
        restore(&sample);
    }
    let log = OfflineLog::open(dir).unwrap();
    let error = log.plan_cut(Place { segment: 1, offset: 70 }, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.ends_with("the log can be cut at 64 or 100"), "{error}");
    let error = log.plan_cut(Place { segment: 9, offset: 64 }, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("has no segment 00000000000000000009.seg that can be read"), "{error}");
}

#[test]
fn looking_changes_nothing_and_keeps_servers_out() {
    let sample = sample();
    let dir = sample.dir.path();
    let entries = || {
        let mut entries: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        entries.sort();
        entries
    };
    let before = (entries(), read_files(dir));
    let log = OfflineLog::open(dir).unwrap();
    log.inspect(&mut |_| Ok(())).unwrap();
    assert!(matches!(open(small(dir)).unwrap_err(), OpenError::Locked { .. }));
    // Others may look at the same time.
    OfflineLog::open(dir).unwrap();
    assert!(matches!(OfflineLog::open_for_repair(dir).unwrap_err(), OpenError::Locked { .. }));
    drop(log);
    assert_eq!((entries(), read_files(dir)), before);

    let log = open(small(dir)).unwrap();
    let OpenError::Locked { pid, .. } = OfflineLog::open(dir).unwrap_err() else { panic!("it is in use") };
    assert_eq!(pid, std::process::id().to_string());
    drop(log);
    OfflineLog::open(dir).unwrap();
}

#[test]
fn what_is_no_log_is_said() {
    let dir = directory();
    assert!(matches!(OfflineLog::open(dir.path()), Err(OpenError::Empty { .. })));
    assert!(matches!(OfflineLog::open(&dir.path().join("missing")), Err(OpenError::Io { .. })));
    std::fs::write(dir.path().join("dump.rdb"), b"theirs").unwrap();
    for result in [OfflineLog::open(dir.path()), OfflineLog::open_for_repair(dir.path())] {
        assert!(matches!(result, Err(OpenError::Foreign { .. })));
    }
    assert!(!dir.path().join(Name::Lock.to_string()).exists(), "it was left alone");
}

#[test]
fn a_checkpoint_is_verified_and_never_missed() {
    let (disk, from) = super::checkpoint::disk_with_checkpoint();
    let dir = directory();
    let mut checkpoint = None;
    for (name, bytes) in disk.files() {
        let path = dir.path().join(name.to_string());
        if matches!(name, Name::Checkpoint(_)) {
            checkpoint = Some((path.clone(), bytes.clone()));
        }
        std::fs::write(path, bytes).unwrap();
    }
    let (path, bytes) = checkpoint.expect("it has a checkpoint");
    let look = || {
        let (found, records) = inspect(dir.path()).unwrap();
        assert!(found.damages.is_empty() && records.len() as Lsn == from + 3, "{found:?}");
        found.checkpoints.into_iter().next().expect("the checkpoint is there")
    };
    let report = look();
    assert_eq!((report.fault, report.from, report.frames), (None, Some(from), 3));
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1 << (at % 8);
        std::fs::write(&path, broken).unwrap();
        assert!(look().fault.is_some(), "byte {at} was changed");
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(look().fault.unwrap().contains("no end mark"));
    std::fs::write(&path, &bytes).unwrap();

    // A cut before what it knows of.
    let log = OfflineLog::open_for_repair(dir.path()).unwrap();
    let mut place = None;
    log.inspect(&mut |located| {
        if located.record.lsn == from + 1 {
            place = Some(Place { segment: located.segment, offset: located.offset });
        }
        Ok(())
    })
    .unwrap();
    let (plan, _) = log.plan_cut(place.unwrap(), &mut |_| Ok(())).unwrap();
    log.apply(&plan, &directory().path().join("backup")).unwrap();
    let (found, _) = inspect(dir.path()).unwrap();
    assert!(found.checkpoints[0].fault.as_deref().unwrap().starts_with("it knows of record"));
}
