//! Timers: nothing is late, millions are no burden, and an empty queue goes after an hour.

use stanchion_protocol::command::Take;

use crate::tests::pair::{claim, one};
use crate::tests::rig::Rig;
use crate::tests::script::{START_MS, check};

#[test]
fn the_shard_says_when_it_must_be_woken() {
    check(&[
        "0 deadline -> none",
        "0 QPUSH q a",
        "0 deadline -> none",
        "0 QPUSH q b DELAY 500 -> delayed #2",
        "0 deadline -> 500",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "0 deadline -> 100",
        "50 QACK q #1.1",
        "50 QPUSH q c TTL 60",
        "50 deadline -> 110",
        "110 deadline -> 500",
    ]);
}

#[test]
fn an_extended_lease_does_not_lapse_at_its_old_end() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "50 QEXTEND q 1000 #1.1",
        "100 QLEN q CLAIMED -> 1",
        "1050 QLEN q CLAIMED -> 0",
    ]);
}

#[test]
fn leases_of_any_length_end_in_their_order() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c NEXT d NEXT e",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "0 QCLAIM q LEASE 50 -> #2.1=b",
        "0 QCLAIM q LEASE 200 -> #3.1=c",
        "0 QCLAIM q LEASE 200 -> #4.1=d",
        "0 QCLAIM q LEASE 100 -> #5.1=e",
        "0 QPEEK q CLAIMED COUNT 9 -> #2 #1 #5 #3 #4",
        "0 deadline -> 50",
        "49 QLEN q CLAIMED -> 5",
        "50 QPEEK q CLAIMED COUNT 9 -> #1 #5 #3 #4",
        "99 QACK q #5.1 -> 1",
        "100 QPEEK q CLAIMED COUNT 9 -> #3 #4",
        "200 QLEN q CLAIMED -> 0",
        "200 QSTATS q -> lapsed=4 acked=1",
    ]);
}

#[test]
fn an_extend_moves_a_leases_end_either_way() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c NEXT d",
        "0 QCLAIM q LEASE 100 COUNT 3 -> #1.1=a #2.1=b #3.1=c",
        "0 QCLAIM q LEASE 50 -> #4.1=d",
        "10 QEXTEND q 30 #2.1 -> 1",
        "10 QPEEK q CLAIMED COUNT 9 -> #2 #4 #1 #3",
        "10 deadline -> 40",
        "20 QEXTEND q 10 #3.1 -> 1",
        "20 deadline -> 30",
        "20 QEXTEND q 400 #4.1 #1.1 -> 2",
        "20 QEXTEND q 30 #3.1 -> 1",
        "20 QPEEK q CLAIMED COUNT 9 -> #2 #3 #1 #4",
        "39 QLEN q CLAIMED -> 4",
        "40 QPEEK q CLAIMED COUNT 9 -> #3 #1 #4",
        "50 QPEEK q CLAIMED COUNT 9 -> #1 #4",
        "60 restart",
        "60 QPEEK q CLAIMED COUNT 9 -> #1 #4",
        "60 deadline -> 60060",
        "60060 QLEN q CLAIMED -> 0",
    ]);
}

#[test]
fn a_job_that_was_deleted_does_not_fall_due() {
    check(&[
        "0 QPUSH q a DELAY 10",
        "0 QPUSH q b DELAY 10",
        "0 QDEL q #1",
        "10 QLEN q -> 1",
        "10 QSCAN q 0 -> #2",
    ]);
}

#[test]
fn an_empty_queue_is_gone_after_an_hour() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q -> #1.1=a",
        "1000 QACK q #1.1",
        "3600999 exists q -> 1",
        "3600999 QSTATS q -> acked=1",
        "3601000 exists q -> 0",
        "3601000 deadline -> none",
    ]);
}

#[test]
fn a_root_a_window_a_setting_or_a_pause_keeps_a_queue() {
    for keep in ["QROOT q s 1", "QCONFIG SET q attempts 1", "QPAUSE q", "QPUSH q b DEAD"] {
        let keep = if keep.ends_with("DEAD") { "QPUSH q a DEDUPE k WINDOW 9000000 TTL 1" } else { keep };
        check(&[&format!("0 {keep}"), "8000000 exists q -> 1"]);
    }
    check(&[
        "0 QPAUSE q FOR 1000",
        "1000 tick",
        "3600999 exists q -> 1",
        "3601000 exists q -> 0",
        "3601000 QCONFIG SET r attempts 1",
        "3601000 QCONFIG UNSET r attempts",
        "7300000 exists r -> 0",
    ]);
}

#[test]
fn a_queue_that_is_used_again_starts_its_hour_again() {
    check(&[
        "0 QPUSH q a",
        "0 QDEL q #1",
        "3599999 QPUSH q b TTL 1",
        "3600001 exists q -> 1",
        "7199999 exists q -> 1",
        "7200001 exists q -> 0",
    ]);
}

#[test]
fn many_due_jobs_are_few_records() {
    let mut rig = Rig::new(START_MS, Default::default());
    for job in 0..5_000u64 {
        rig.push_delayed(b"q", 1_000 + job);
    }
    let records = rig.records.len();
    rig.now += 60_000;
    let bytes: usize = {
        rig.tick();
        rig.records.iter().skip(records).map(|(_, body)| body.len()).sum()
    };
    let fired = rig.records.len() - records;
    assert!((5..50).contains(&fired), "5,000 jobs fell due in {fired} records: at most 1,000 each");
    assert!(bytes < 5_000, "{bytes} bytes: a batch event names an instant, not its jobs");
    assert_eq!(rig.claim(b"q", 5_000).len(), 5_000);
    rig.check_replay().unwrap();
}

#[test]
fn many_leases_of_many_lengths_end_in_few_records() {
    let mut rig = Rig::new(START_MS, Default::default());
    for job in 0..2_500 {
        rig.push(b"q", b"", b"");
        let take = Take { lease_ms: Some([9_000, 8_000, 5_000 + job % 100][job as usize % 3]), ..one() };
        rig.run(&claim(b"q", take));
        rig.now += job % 2;
    }
    let records = rig.records.len();
    rig.now += 60_000;
    rig.tick();
    let fired = rig.records.len() - records;
    assert!((1..20).contains(&fired), "2,500 leases ended in {fired} records: at most 1,000 each");
    rig.shard.check().unwrap();
    assert_eq!(rig.claim(b"q", 5_000).len(), 2_500);
    rig.check_replay().unwrap();
}

#[test]
fn nothing_is_logged_when_nothing_changes() {
    let mut rig = Rig::new(START_MS, Default::default());
    rig.push(b"q", b"", b"a");
    let receipt = rig.claim(b"q", 1)[0].receipt;
    rig.ack(b"q", receipt);
    let records = rig.records.len();
    assert!(rig.claim(b"q", 5).is_empty());
    assert_eq!(rig.ack(b"q", receipt), 0);
    rig.tick();
    rig.sweep();
    rig.hold(|shard, now, log| {
        assert_eq!(shard.delete(now, b"q", &[receipt.id], log), 0);
        assert!(!shard.delete_queue(now, b"none", log));
    });
    assert_eq!(rig.records.len(), records);
}
