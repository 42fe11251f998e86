//! QCONFIG.

use stanchion_protocol::command::{Count, State};

use crate::SettingsPatch;
use crate::limits::STEP_JOBS_MAX;
use crate::tests::rig::Rig;
use crate::tests::script::{START_MS, check};

#[test]
fn a_setting_has_a_value_and_a_source() {
    check(&[
        "0 QCONFIG SET q lease 90s attempts 5 -> OK",
        "0 QCONFIG GET q attempts -> attempts=5:queue",
        "0 QCONFIG GET q -> attempts=5:queue concurrency=0:default order=fifo:default",
        "0 QCONFIG UNSET q attempts -> OK",
        "0 QCONFIG GET q attempts -> attempts=3:default",
    ]);
}

#[test]
fn a_queue_that_does_not_exist_has_the_defaults() {
    check(&["0 QCONFIG GET q attempts -> attempts=3:default", "0 exists q -> 0"]);
}

#[test]
fn a_wrong_setting_or_value_changes_nothing() {
    check(&[
        "0 QCONFIG SET q attempts 5 leese 5 -> ERR leese",
        "0 QCONFIG SET q attempts 5 lease soon -> ERR soon",
        "0 QCONFIG SET q order random -> ERR random",
        "0 QCONFIG SET q rate 5 -> ERR rate",
        "0 QCONFIG SET q rate 0/1s -> ERR rate",
        "0 QCONFIG SET q attempts -1 -> ERR -1",
        "0 QCONFIG UNSET q leese -> ERR leese",
        "0 QCONFIG GET q leese -> ERR leese",
        "0 exists q -> 0",
        "0 QCONFIG GET q attempts -> attempts=3:default",
    ]);
}

#[test]
fn every_setting_of_the_contract_is_known() {
    for (name, value) in [
        ("lease", "1h"),
        ("attempts", "3"),
        ("backoff", "10s"),
        ("backoff-factor", "4"),
        ("backoff-max", "1h"),
        ("backoff-jitter", "0.2"),
        ("dead-retention", "7d"),
        ("dead-max", "100000"),
        ("root-retention", "28d"),
        ("run-max", "0"),
        ("max-jobs", "0"),
        ("max-bytes", "0"),
        ("concurrency", "0"),
        ("group-concurrency", "0"),
        ("rate", "0"),
        ("order", "fifo"),
    ] {
        let mut rig = Rig::new(START_MS, SettingsPatch::default());
        let found = rig.shard.config_get(b"q", Some(name.as_bytes())).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].1, value, "{name}: the default, as one writes it");
        assert_eq!(rig.config_set(b"q", name, value), Ok(()), "{name} {value}");
    }
    for (name, value) in [("durability", "always"), ("durability", "1s"), ("rate", "50/1s")] {
        let mut rig = Rig::new(START_MS, SettingsPatch::default());
        assert_eq!(rig.config_set(b"q", name, value), Ok(()), "{name} {value}");
        let found = rig.shard.config_get(b"q", Some(name.as_bytes())).unwrap();
        assert_eq!(found[0].1, value, "{name}");
    }
}

#[test]
fn settings_survive_a_restart() {
    check(&[
        "0 QCONFIG SET q attempts 1 rate 1/1s order lifo",
        "0 QMPUSH q a NEXT b",
        "1000 QCLAIM q -> #2.1=b",
        "1500 restart",
        "1500 QCLAIM q -> nothing",
        "1500 QCONFIG GET q attempts -> attempts=1:queue",
        "2000 QCLAIM q -> #1.1=a",
        "2000 QNACK q #1.1 -> dead",
    ]);
}

#[test]
fn the_files_settings_stand_between_queue_and_default() {
    let mut file = SettingsPatch::default();
    file.set("attempts", "1").unwrap();
    let mut rig = Rig::new(START_MS, file);
    let get = |rig: &Rig| rig.shard.config_get(b"q", Some(b"attempts")).unwrap()[0].clone();
    assert_eq!(get(&rig), ("attempts", "1".to_owned(), crate::Source::File));
    rig.config_set(b"q", "attempts", "2").unwrap();
    assert_eq!(get(&rig), ("attempts", "2".to_owned(), crate::Source::Queue));
    rig.hold(|shard, now, log| shard.config_unset(now, b"q", &[b"attempts"], log)).unwrap();
    rig.push(b"q", b"", b"a");
    let receipt = rig.claim(b"q", 1)[0].receipt;
    assert_eq!(rig.nack(b"q", receipt), crate::Nacked::Dead, "the file allows one attempt");
    rig.check_replay().unwrap();
}

#[test]
fn a_lower_limit_of_dead_jobs_is_reached_in_steps_also_after_a_restart() {
    let jobs = 5 * STEP_JOBS_MAX;
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    for _ in 0..jobs {
        rig.push(b"q", b"", b"");
    }
    for job in rig.claim(b"q", jobs as u32) {
        rig.kill(b"q", job.receipt);
    }
    let dead = |rig: &Rig| rig.shard.len(b"q", Count::State(State::Dead), None) as usize;
    rig.config_set(b"q", "dead-max", "1").unwrap();
    assert_eq!(dead(&rig), jobs - STEP_JOBS_MAX, "all in one hold would hold up everybody else");
    assert!(rig.hold(|shard, now, log| shard.tick(now, log)), "there is more");
    assert_eq!(dead(&rig), jobs - 2 * STEP_JOBS_MAX);
    rig.check_replay().unwrap();
    rig.restart(1);
    rig.tick();
    assert_eq!(dead(&rig), 1);
    rig.check_replay().unwrap();
}
