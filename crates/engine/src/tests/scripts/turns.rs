//! Turns between groups, and between queues for a claim that matches several.

use crate::tests::script::{Script, check};

#[test]
fn groups_take_turns() {
    check(&[
        "0 QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT a3 GROUP a -> ready #1, ready #2, ready #3",
        "0 QPUSH q b1 GROUP b -> ready #4",
        "0 QMPUSH q n1 NEXT n2 -> ready #5, ready #6",
        "0 QCLAIM q COUNT 9 -> #1.1=a1 #4.1=b1 #5.1=n1 #2.1=a2 #6.1=n2 #3.1=a3",
    ]);
}

#[test]
fn a_group_with_its_first_job_joins_the_end() {
    check(&[
        "0 QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT b1 GROUP b NEXT b2 GROUP b",
        "0 QCLAIM q -> #1.1=a1",
        "0 QPUSH q c1 GROUP c -> ready #5",
        "0 QCLAIM q COUNT 9 -> #3.1=b1 #2.1=a2 #5.1=c1 #4.1=b2",
    ]);
}

#[test]
fn a_group_that_ran_dry_joins_the_end_again() {
    check(&[
        "0 QMPUSH q a1 GROUP a NEXT b1 GROUP b NEXT c1 GROUP c",
        "0 QCLAIM q -> #1.1=a1",
        "0 QPUSH q a2 GROUP a -> ready #4",
        "0 QCLAIM q COUNT 9 -> #2.1=b1 #3.1=c1 #4.1=a2",
    ]);
}

#[test]
fn priority_counts_within_a_group_only() {
    check(&[
        "0 QPUSH q a GROUP a -> ready #1",
        "0 QPUSH q b GROUP b PRIORITY 9 -> ready #2",
        "0 QCLAIM q COUNT 2 -> #1.1=a #2.1=b",
    ]);
}

#[test]
fn a_replaced_job_does_not_cost_its_group_the_turn() {
    check(&[
        "0 QPUSH q a GROUP a DEDUPE k",
        "0 QMPUSH q b1 GROUP b NEXT b2 GROUP b",
        "0 QPUSH q new GROUP a DEDUPE k REPLACE PRIORITY 2 -> replaced #1",
        "0 QCLAIM q COUNT 9 -> #1.1=new #2.1=b1 #3.1=b2",
    ]);
}

#[test]
fn a_claim_of_one_group_gets_only_its_jobs() {
    check(&[
        "0 QMPUSH q a GROUP a NEXT b GROUP b NEXT n",
        "0 QCLAIM q COUNT 9 GROUP b -> #2.1=b",
        "0 QCLAIM q COUNT 9 GROUP \"\" -> #3.1=n",
        "0 QCLAIM q GROUP c -> nothing",
        "0 QLEN q GROUP a -> 1",
    ]);
}

#[test]
fn a_tenants_backlog_does_not_starve_the_others() {
    let mut script = Script::new();
    let mut run = |line: &str| script.line(line).unwrap();
    for job in 0..50 {
        run(&format!("0 QPUSH q flood{job} GROUP big"));
    }
    run("0 QPUSH q one GROUP small");
    run("0 QCLAIM q COUNT 3 -> #1.1=flood0 #51.1=one #2.1=flood1");
}

#[test]
fn a_thousand_groups_are_served_once_each_before_any_is_served_twice() {
    let mut rig = crate::tests::rig::Rig::new(0, Default::default());
    for round in 0..2 {
        for group in 0..1_000u32 {
            rig.push(b"q", &group.to_be_bytes(), &[round]);
        }
    }
    for round in 0..2 {
        let jobs = rig.claim(b"q", 1_000);
        let groups: Vec<&[u8]> = jobs.iter().map(|job| &job.group[..]).collect();
        let names: Vec<[u8; 4]> = (0..1_000).map(u32::to_be_bytes).collect();
        assert_eq!(groups, names, "round {round}: in the order in which they came");
        assert!(jobs.iter().all(|job| job.payload == [round]), "round {round}: each group's oldest job");
    }
    assert!(rig.claim(b"q", 1).is_empty());
}

#[test]
fn a_claim_over_queues_takes_earlier_ones_first() {
    check(&[
        "0 QMPUSH q a NEXT b",
        "0 QMPUSH r c NEXT d",
        "0 QMCLAIM QUEUES 3 r none q COUNT 3 -> r/#3.1=c r/#4.1=d q/#1.1=a",
    ]);
}

#[test]
fn a_matching_claim_takes_job_by_job_in_turns() {
    check(&[
        "0 QMPUSH q a NEXT b NEXT c",
        "0 QMPUSH r d NEXT e",
        "0 QMPUSH s f",
        "0 QMCLAIM MATCH 1 * COUNT 4 -> q/#1.1=a r/#4.1=d s/#6.1=f q/#2.1=b",
        "0 QMCLAIM MATCH 1 * -> r/#5.1=e",
        "0 QMCLAIM MATCH 1 * COUNT 9 -> q/#3.1=c",
    ]);
}

#[test]
fn a_matching_claim_skips_what_is_excluded_paused_or_does_not_match() {
    check(&[
        "0 QPUSH mail:a 1",
        "0 QPUSH mail:b 2",
        "0 QPUSH mail:c 3",
        "0 QPUSH web 4",
        "0 QPAUSE mail:b",
        "0 QMCLAIM MATCH 1 mail:a -> mail:a/#1.1=1",
        "0 QMCLAIM MATCH 1 * EXCEPT 1 web COUNT 9 -> mail:c/#3.1=3",
        "0 QRESUME mail:b",
        "0 QMCLAIM MATCH 2 mail:b web COUNT 9 EXCEPT 1 none -> mail:b/#2.1=2 web/#4.1=4",
    ]);
}

#[test]
fn groups_take_turns_within_a_matching_claim() {
    check(&[
        "0 QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT b1 GROUP b",
        "0 QPUSH r c",
        "0 QMCLAIM MATCH 1 * COUNT 9 -> q/#1.1=a1 r/#4.1=c q/#3.1=b1 q/#2.1=a2",
    ]);
}

#[test]
fn a_deleted_queue_loses_its_place_in_the_turn() {
    check(&[
        "0 QPUSH q a",
        "0 QPUSH r b",
        "0 QMPUSH s c NEXT d",
        "0 del r -> 1",
        "0 QPUSH r e",
        "0 del q -> 1",
        "0 QMCLAIM MATCH 1 * COUNT 9 -> s/#3.1=c r/#5.1=e s/#4.1=d",
    ]);
}
