//! Payloads that are only in the log: nobody sees a difference, until one can't be read.

use crate::Lsn;
use crate::tests::script::{Script, check};

/// Payloads of 33 bytes, the shortest that need not stay in memory.
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// The same with `A` and `B` in place of those.
fn check_long(lines: &[&str]) {
    let long = |line: &&str| {
        let words = line.split(' ').map(|word| match word {
            "A" => A.to_owned(),
            "B" => B.to_owned(),
            word => word.replace("=A", &format!("={A}")).replace("=B", &format!("={B}")),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = lines.iter().map(long).collect();
    check(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn beyond_the_limit_only_the_log_has_them() {
    check_long(&[
        "0 keep 33",
        "0 QPUSH q A",
        "0 payloads -> here=33 logged=0",
        "0 QPUSH q B",
        "0 QPUSH q short",
        "0 payloads -> here=38 logged=33",
        "0 QSTATS q -> bytes=71",
        "0 QJOB q #2 -> payload=B",
        "1 QCLAIM q COUNT 3 -> #1.1=A #2.1=B #3.1=short",
        "2 QACK q #2.1 -> 1",
        "2 payloads -> here=38 logged=0",
        "2 QACK q #1.1 #3.1 -> 2",
        "2 payloads -> here=0 logged=0",
    ]);
}

#[test]
fn a_queue_that_is_short_keeps_its_own() {
    check_long(&[
        "0 keep 33",
        "0 QPUSH q A",
        "0 QPUSH r A",
        "0 payloads -> here=66 logged=0",
        "0 QPUSH r B",
        "0 payloads -> here=66 logged=33",
        "1 del r -> 1",
        "1 payloads -> here=33 logged=0",
    ]);
}

#[test]
fn they_survive_restarts_and_reclaiming() {
    check_long(&[
        "0 keep 0",
        "0 QMPUSH q A NEXT B DEDUPE k UNTIL DONE WINDOW 90000 NEXT A ROOT s 4",
        "0 payloads -> here=0 logged=99",
        "1 QCLAIM q WORKER w -> #1.1=A",
        "2 reclaim",
        "2 restart",
        "3 payloads -> here=0 logged=99",
        "3 reclaim",
        "4 QNACK q #1.1 DEAD ERROR boom -> dead",
        "5 QCLAIM q COUNT 5 -> #2.1=B #3.1=A",
        "6 restart",
        "6 QPEEK q dead COUNT 1 -> #1",
        "6 QJOB q #1 -> payload=A last-error=boom",
        "7 reclaim",
        "7 QREQUEUE q #1 -> 1",
        "7 QCLAIM q -> #1.2=A",
    ]);
}

#[test]
fn what_is_in_memory_can_be_given_up_at_any_time() {
    check_long(&[
        "0 QMPUSH q A NEXT B NEXT short",
        "0 payloads -> here=71 logged=0",
        "0 keep 38",
        "0 spill",
        "0 payloads -> here=38 logged=33",
        "1 keep 0",
        "1 spill",
        "1 payloads -> here=5 logged=66",
        "2 QCLAIM q COUNT 3 -> #1.1=A #2.1=B #3.1=short",
        "2 restart",
        "2 payloads -> here=5 logged=66",
    ]);
}

#[test]
fn a_replacement_in_the_same_record_is_not_taken_for_what_it_replaced() {
    check_long(&[
        "0 keep 0",
        "0 QMPUSH q A DEDUPE k NEXT B DEDUPE k REPLACE NEXT short",
        "0 payloads -> here=38 logged=0",
        "0 spill",
        "0 payloads -> here=38 logged=0",
        "1 QJOB q #1 -> payload=B",
        "1 restart",
        "1 payloads -> here=38 logged=0",
        // Its snapshot is the only record of its hold.
        "2 reclaim",
        "2 spill",
        "2 payloads -> here=5 logged=33",
        "3 QJOB q #1 -> payload=B",
        "4 QPUSH q A DEDUPE k REPLACE",
        "4 payloads -> here=5 logged=33",
        "5 QCLAIM q COUNT 2 -> #1.1=A #2.1=short",
    ]);
}

#[test]
fn a_checkpoint_leaves_them_to_the_log() {
    check_long(&[
        "0 QMPUSH q A DEDUPE k NEXT B DEDUPE k REPLACE NEXT A NEXT short",
        "0 payloads -> here=71 logged=0",
        "1 checkpoint",
        "2 restart",
        // The first one's base has two.
        "2 payloads -> here=38 logged=33",
        "2 spill",
        "2 payloads -> here=38 logged=33",
        "3 QCLAIM q COUNT 3 -> #1.1=B #2.1=A #3.1=short",
        "4 reclaim",
        "4 keep 0",
        "4 spill",
        "4 payloads -> here=5 logged=66",
    ]);
}

#[test]
fn one_that_cannot_be_read_makes_its_job_dead() {
    check_long(&[
        "0 keep 0",
        "0 QPUSH q A DEDUPE k UNTIL DONE",
        "0 QPUSH q B DELAY 9000",
        "0 QPUSH q A",
        "1 QCLAIM q WORKER w -> #1.1=A",
        "2 lose q #1 gone",
        "2 QJOB q #1 -> state=dead last-error=gone payload= attempts=1 failures=0 !worker !lease-until",
        "2 QSTATS q -> died=1 dead=1 claimed=0 bytes=66 nacked=0",
        "3 QACK q #1.1 -> 0",
        "3 QPUSH q short DEDUPE k -> ready #4",
        "4 lose q #2 gone",
        "4 lose q #3 gone",
        "4 QSTATS q -> died=3 dead=3 ready=1 bytes=5",
        "5 restart",
        "5 QJOB q #2 -> state=dead last-error=gone payload=",
        "6 QREQUEUE q #1 -> 1",
        "6 QJOB q #1 -> state=ready payload= attempts=0",
    ]);
}

#[test]
fn a_dead_one_that_cannot_be_read_stays_dead_since_it_died() {
    check_long(&[
        "0 keep 0",
        "0 QPUSH q A",
        "0 QCLAIM q -> #1.1=A",
        "1 QNACK q #1.1 DEAD ERROR boom -> dead",
        "7 lose q #1 gone",
        "8 QJOB q #1 -> state=dead last-error=gone payload=",
        "8 QSTATS q -> died=1 dead=1 bytes=0",
    ]);
}

#[test]
fn one_that_is_not_lost_is_left_alone() {
    check_long(&["0 keep 33", "0 QPUSH q A", "0 lose q #1 gone", "0 QJOB q #1 -> state=ready payload=A"]);
}

#[test]
fn no_more_is_read_for_a_step_of_reclaiming_than_it_writes() {
    let mut script = Script::new();
    let large = "x".repeat(5_000);
    let mut run = |line: &str| script.line(line).unwrap();
    run("0 keep 0");
    for _ in 0..100 {
        run("0 QPUSH q short");
    }
    for _ in 0..10 {
        run(&format!("0 QPUSH q {large}"));
    }
    run("0 payloads -> here=500 logged=50000");
    let shard = &script.pair.rig.shard;
    let reads = |bytes| {
        let mut count = 0;
        shard.reclaim_reads(Lsn::MAX, bytes, &mut |_, _| count += 1);
        count
    };
    assert_eq!(reads(100), 0, "a step so short does not come to the large ones");
    assert_eq!(reads(20_000), 3);
    assert_eq!(reads(1_000_000), 10);
}
