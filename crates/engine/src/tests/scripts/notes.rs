//! What is noted of jobs while the `notify` setting is on.

use stanchion_protocol::command::{NewJob, When};

use crate::tests::model::Model;
use crate::tests::rig::{Rig, plain};
use crate::tests::script::{START_MS, check};
use crate::{Notes, SettingsPatch, limits};

#[test]
fn the_life_of_a_job_is_noted() {
    check(&[
        "0 QCONFIG SET q notify on attempts 2 -> OK",
        "0 QPUSH q a -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DELAY 5 -> retry",
        "5 QCLAIM q -> #1.2=a",
        "5 QNACK q #1.2 -> dead",
        "5 QREQUEUE q #1 -> 1",
        "5 QCLAIM q -> #1.3=a",
        "5 QRELEASE q #1.3 -> 1",
        "5 QCLAIM q -> #1.4=a",
        "5 QEXTEND q 100 #1.4 -> 1",
        "5 QACK q #1.4 -> 1",
        "5 notes -> pushed #1, claimed #1, retried #1, claimed #1, died #1, requeued #1, claimed #1, released #1, \
         claimed #1, acked #1",
    ]);
}

#[test]
fn nothing_is_noted_while_it_is_off() {
    check(&[
        "0 QPUSH q a",
        "0 QCONFIG SET q notify on",
        "0 QCLAIM q -> #1.1=a",
        "0 QCONFIG SET q notify off",
        "0 QACK q #1.1 -> 1",
        "0 notes -> claimed #1",
        "0 QCONFIG SET q notify on",
        "0 QPUSH q b -> ready #2",
        "0 QCONFIG UNSET q notify",
        "0 QDEL q #2 -> 1",
        "0 QPUSH r c",
        "0 notes -> pushed #2",
    ]);
}

#[test]
fn a_delayed_push_is_noted_at_once_and_not_again_when_it_is_due() {
    check(&[
        "0 QCONFIG SET q notify on",
        "0 QPUSH q a DELAY 10 -> delayed #1",
        "0 notes -> pushed #1",
        "10 QLEN q -> 1",
        "10 notes -> nothing",
    ]);
}

#[test]
fn a_replace_is_noted_and_a_duplicate_is_not() {
    check(&[
        "0 QCONFIG SET q notify on",
        "0 QPUSH q a DEDUPE k -> ready #1",
        "0 QPUSH q b DEDUPE k STATUS -> duplicate #1",
        "0 QPUSH q c DEDUPE k REPLACE STATUS -> replaced #1",
        "0 notes -> pushed #1, replaced #1",
    ]);
}

#[test]
fn a_lapse_is_noted_with_what_it_led_to() {
    check(&[
        "0 QCONFIG SET q notify on attempts 2",
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 10 -> #1.1=a",
        "0 notes -> pushed #1, claimed #1",
        "10 QCLAIM q LEASE 10 -> #1.2=a",
        "10 notes -> lapsed #1, claimed #1",
        "20 notes -> lapsed #1, died #1",
        "20 QPUSH q b ROOT s 1 -> ready #2",
        "20 QCLAIM q -> #2.1=b",
        "20 QROOT q s 2 -> 1",
        "20 lapse q #2.1 -> 1",
        "20 notes -> pushed #2, claimed #2, lapsed #2, superseded #2",
    ]);
}

#[test]
fn what_drops_a_job_is_noted() {
    check(&[
        "0 QCONFIG SET q notify on dead-max 1 attempts 1 dead-retention 1h",
        "0 QPUSH q a TTL 10",
        "10 notes -> pushed #1, expired #1",
        "10 QMPUSH q b ROOT s 1 NEXT c NEXT d",
        "10 QDEL q #3 -> 1",
        "10 QROOT q s 2 -> 1",
        "10 QPURGE q STATE READY",
        "10 notes -> pushed #2, pushed #3, pushed #4, deleted #3, deleted #2, deleted #4",
        "10 QPUSH q e ROOT s 2",
        "10 QROOT q s 3",
        "10 sweep",
        "10 notes -> pushed #5, superseded #5",
        "10 QMPUSH q f NEXT g",
        "10 QCLAIM q COUNT 2 -> #6.1=f #7.1=g",
        "10 QNACK q #6.1 -> dead",
        "11 QNACK q #7.1 -> dead",
        "11 notes -> pushed #6, pushed #7, claimed #6, claimed #7, died #6, died #7, forgotten #6",
        "3600011 notes -> forgotten #7",
    ]);
}

#[test]
fn a_nack_of_a_superseded_job_is_no_retry() {
    check(&[
        "0 QCONFIG SET q notify on",
        "0 QPUSH q a ROOT s 1",
        "0 QCLAIM q -> #1.1=a",
        "0 QROOT q s 2",
        "0 QNACK q #1.1 -> superseded",
        "0 notes -> pushed #1, claimed #1, superseded #1",
    ]);
}

#[test]
fn blocked_and_matching_claims_are_noted() {
    check(&[
        "0 QCONFIG SET q notify on",
        "0 park 1 q",
        "0 QPUSH q a",
        "0 grants -> 1 #1.1=a",
        "0 QPUSH q b",
        "0 QMCLAIM MATCH 1 * -> q/#2.1=b",
        "0 QCLAIM q ACK 2 #1.1 #2.1 -> nothing",
        "0 notes -> pushed #1, claimed #1, pushed #2, claimed #2, acked #1, acked #2",
    ]);
}

#[test]
fn a_deleted_queue_notes_nothing_of_its_jobs() {
    check(&["0 QCONFIG SET q notify on", "0 QPUSH q a", "0 del q -> 1", "0 notes -> pushed #1"]);
}

#[test]
fn a_restart_notes_nothing_again_and_goes_on() {
    check(&[
        "0 QCONFIG SET q notify on",
        "0 QPUSH q a",
        "0 notes -> pushed #1",
        "5 restart",
        "5 notes -> nothing",
        "5 QCLAIM q -> #1.1=a",
        "5 notes -> claimed #1",
        "5 reclaim",
        "6 restart",
        "6 QACK q #1.1 -> 1",
        "6 notes -> acked #1",
    ]);
}

#[test]
fn the_file_may_turn_it_on() {
    let mut file = SettingsPatch::default();
    file.set("notify", "on").unwrap();
    let mut rig = Rig::new(START_MS, file);
    let id = rig.push(b"q", b"wiki", b"a");
    assert_eq!(rig.notes.len(), 1);
    assert_eq!((rig.notes[0].id, &rig.notes[0].group[..]), (id, &b"wiki"[..]));
    rig.config_set(b"q", "notify", "off").unwrap();
    rig.push(b"q", b"", b"b");
    assert_eq!(rig.notes.len(), 1);
}

#[test]
fn more_than_the_bound_is_lost_and_counted() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.config_set(b"q", "notify", "on").unwrap();
    let job = NewJob { when: When::Delay(1), ..plain() };
    let jobs = vec![job; 10_000];
    let notes = rig.hold(|shard, now, log| {
        for _ in 0..2 {
            shard.push(now, b"q", &jobs, log, &mut Vec::new()).unwrap();
        }
        let mut notes = Notes::default();
        shard.take_notes(&mut notes);
        notes
    });
    assert_eq!(notes.len(), limits::NOTES_MAX);
    assert_eq!(notes.dropped(), 20_000 - limits::NOTES_MAX as u64);
    assert!(!rig.shard.has_notes());
}

#[test]
fn a_note_too_many_or_too_few_is_noticed() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.config_set(b"q", "notify", "on").unwrap();
    rig.push(b"q", b"", b"a");
    let noted = std::mem::take(&mut rig.notes);
    assert!(Model::new(1).compare_notes(noted).is_err(), "nothing has happened in the model");
}
