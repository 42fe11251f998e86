//! Roots: what a newer event supersedes is never handed out, and dedupe never loses the last word.

use stanchion_protocol::command::RootTag;

use crate::Claimed;
use crate::limits::{CLAIM_DROPS_MAX, CLAIM_DROPS_RECORD_BYTES_MAX};
use crate::tests::pair::one;
use crate::tests::rig::Rig;
use crate::tests::script::{START_MS, check};

#[test]
fn strictly_older_is_superseded() {
    check(&[
        "0 QPUSH q a ROOT s 5 -> ready #1",
        "0 QPUSH q b ROOT s 5 -> ready #2",
        "0 QPUSH q c ROOT s 4 -> superseded",
        "0 QPUSH q d ROOT s 6 -> ready #3",
        "0 QCLAIM q COUNT 9 -> #3.1=d",
        "0 sweep",
        "0 QSTATS q -> superseded=3 ready=0 claimed=1 pushed=3",
    ]);
}

#[test]
fn roots_are_per_queue_group_and_signature() {
    check(&[
        "0 QROOT q s 9 -> 1",
        "0 QPUSH q a ROOT s 8 GROUP g -> ready #1",
        "0 QPUSH q a ROOT t 8 -> ready #2",
        "0 QPUSH r a ROOT s 8 -> ready #3",
        "0 QPUSH q a ROOT s 8 -> superseded",
        "0 QROOT q s 9 GROUP g -> 1",
        "0 QPUSH q a ROOT s 8 GROUP g -> superseded",
    ]);
}

#[test]
fn qroot_answers_whether_it_is_the_newest() {
    check(&[
        "0 QROOT q s 5 -> 1",
        "0 QROOT q s 5 -> 1",
        "0 QROOT q s 4 -> 0",
        "0 QROOT q s 6 -> 1",
        "0 exists q -> 1",
        "0 QPUSH q a ROOT s 5 -> superseded",
    ]);
}

#[test]
fn timestamps_are_numbers_of_up_to_19_digits() {
    check(&[
        "0 QROOT q s 9 -> 1",
        "0 QROOT q s 10 -> 1",
        "0 QROOT q s 20261121214631 -> 1",
        "0 QROOT q s 9999999999999999999 -> 1",
        "0 QPUSH q a ROOT s 9999999999999999998 -> superseded",
        "0 QPUSH q a ROOT s 9999999999999999999 -> ready #1",
        "0 QJOB q #1 -> root=s@9999999999999999999",
    ]);
}

#[test]
fn superseded_jobs_are_never_handed_out() {
    check(&[
        "0 QPUSH q a ROOT s 1 -> ready #1",
        "0 QPUSH q b ROOT s 1 DELAY 10 -> delayed #2",
        "0 QPUSH q c -> ready #3",
        "0 QROOT q s 2 -> 1",
        "10 QCLAIM q COUNT 9 -> #3.1=c",
        "10 QCLAIM q -> nothing",
        "10 sweep",
        "10 QLEN q ALL -> 1",
        "10 QSTATS q -> superseded=2",
    ]);
}

#[test]
fn a_superseded_job_with_a_worker_may_still_be_acked() {
    check(&[
        "0 QPUSH q a ROOT s 1 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QROOT q s 2",
        "0 sweep",
        "0 QLEN q CLAIMED -> 1",
        "0 QEXTEND q 50 #1.1 -> 1",
        "0 QACK q #1.1 -> 1",
        "0 QSTATS q -> superseded=0 acked=1",
    ]);
}

#[test]
fn nacked_a_superseded_job_is_dropped() {
    for how in ["QNACK q #1.1", "QNACK q #1.1 DEAD", "QNACK q #1.1 DELAY 5 ERROR boom"] {
        check(&[
            "0 QPUSH q a ROOT s 1 -> ready #1",
            "0 QCLAIM q -> #1.1=a",
            "0 QROOT q s 2",
            &format!("0 {how} -> superseded"),
            "0 QLEN q ALL -> 0",
            "0 QSTATS q -> superseded=1 died=0 nacked=1",
        ]);
    }
}

#[test]
fn released_or_lapsed_a_superseded_job_is_dropped() {
    check(&[
        "0 QPUSH q a ROOT s 1 -> ready #1",
        "0 QPUSH q b ROOT s 1 -> ready #2",
        "0 QCLAIM q COUNT 2 LEASE 10 -> #1.1=a #2.1=b",
        "0 QROOT q s 2",
        "0 QRELEASE q #1.1",
        "0 QLEN q ALL -> 1",
        "10 QLEN q ALL -> 0",
        "10 QSTATS q -> superseded=2 released=1 lapsed=1 died=0",
    ]);
}

#[test]
fn a_superseded_job_that_waits_holds_no_key_and_no_window() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE WINDOW 1000 ROOT s 1 -> ready #1",
        "0 QPUSH q b DEDUPE l DELAY 50 ROOT s 1 -> delayed #2",
        "0 QROOT q s 2",
        "0 QPUSH q c DEDUPE k -> ready #3",
        "0 QPUSH q d DEDUPE l REPLACE -> ready #4",
        "0 QCLAIM q COUNT 9 -> #3.1=c #4.1=d",
    ]);
}

#[test]
fn a_superseded_job_with_a_worker_holds_its_key() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE ROOT s 1 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QROOT q s 2",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "0 QRELEASE q #1.1",
        "0 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn a_duplicate_raises_the_root_of_its_holder() {
    check(&[
        "0 QPUSH q a DEDUPE k ROOT s 1 -> ready #1",
        "0 QPUSH q b DEDUPE k ROOT s 2 -> duplicate #1",
        "0 QJOB q #1 -> root=s@2 payload=a",
        "0 QCLAIM q -> #1.1=a",
    ]);
    check(&[
        "0 QPUSH q a DEDUPE k ROOT s 1 DELAY 10 -> delayed #1",
        "0 QPUSH q b DEDUPE k ROOT s 2 -> duplicate #1",
        "0 sweep",
        "10 QCLAIM q -> #1.1=a",
    ]);
}

#[test]
fn a_duplicate_raises_the_root_of_a_claimed_holder_too() {
    check(&[
        "0 QPUSH q a DEDUPE k UNTIL DONE ROOT s 1 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QROOT q s 2",
        "0 QPUSH q b DEDUPE k ROOT s 2 -> duplicate #1",
        "0 QRELEASE q #1.1 -> 1",
        "0 QCLAIM q -> #1.2=a",
    ]);
}

#[test]
fn a_duplicate_with_another_signature_raises_nothing() {
    check(&[
        "0 QPUSH q a DEDUPE k ROOT s 1 -> ready #1",
        "0 QPUSH q b DEDUPE k ROOT t 2 -> duplicate #1",
        "0 QPUSH q b DEDUPE k -> duplicate #1",
        "0 QJOB q #1 -> root=s@1",
        "0 QROOT q t 1 -> 0",
    ]);
}

#[test]
fn a_push_that_raises_one_job_supersedes_its_siblings() {
    check(&[
        "0 QPUSH q a DEDUPE k ROOT s 1 -> ready #1",
        "0 QPUSH q b DEDUPE l ROOT s 1 -> ready #2",
        "0 QPUSH q c DEDUPE k ROOT s 2 -> duplicate #1",
        "0 QCLAIM q COUNT 9 -> #1.1=a",
        "0 QPUSH q d DEDUPE l ROOT s 2 -> ready #3",
    ]);
}

#[test]
fn a_superseded_push_is_dropped_before_its_key_is_looked_at() {
    check(&[
        "0 QROOT q s 5",
        "0 QPUSH q a DEDUPE k -> ready #1",
        "0 QPUSH q b DEDUPE k ROOT s 4 REPLACE -> superseded",
        "0 QJOB q #1 -> payload=a !root",
        "0 QSTATS q -> superseded=1 duplicates=0 replaced=0",
    ]);
}

#[test]
fn replace_takes_the_root_of_the_push() {
    check(&[
        "0 QPUSH q a DEDUPE k ROOT s 1 -> ready #1",
        "0 QPUSH q b DEDUPE k REPLACE ROOT s 3 -> replaced #1",
        "0 QCLAIM q -> #1.1=b",
        "0 QPUSH q c DEDUPE l ROOT s 3 -> ready #2",
        "0 QPUSH q d DEDUPE l REPLACE -> replaced #2",
        "0 QROOT q s 9",
        "0 QCLAIM q -> #2.1=d",
    ]);
}

#[test]
fn a_refused_push_registers_no_root() {
    check(&[
        "0 QCONFIG SET q max-jobs 1",
        "0 QPUSH q a -> ready #1",
        "0 QPUSH q b ROOT s 5 -> FULL jobs",
        "0 QPAUSE q PUSH",
        "0 QPUSH q b ROOT s 5 -> PAUSED",
        "0 QRESUME q",
        "0 QROOT q s 1 -> 1",
    ]);
}

#[test]
fn roots_in_one_batch_count_for_the_jobs_behind() {
    check(&[
        "0 QMPUSH q a ROOT s 1 NEXT b ROOT s 2 NEXT c ROOT s 1 -> ready #1, ready #2, superseded",
        "0 QCLAIM q COUNT 9 -> #2.1=b",
    ]);
}

#[test]
fn a_dead_job_is_not_superseded_until_it_is_requeued() {
    check(&[
        "0 QPUSH q a ROOT s 1 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QNACK q #1.1 DEAD -> dead",
        "0 QROOT q s 2",
        "0 sweep",
        "0 QLEN q DEAD -> 1",
        "0 QREQUEUE q #1",
        "0 QCLAIM q -> nothing",
        "0 sweep",
        "0 QLEN q ALL -> 0",
    ]);
}

#[test]
fn a_root_is_forgotten_after_its_retention() {
    check(&[
        "0 QCONFIG SET q root-retention 1000",
        "0 QROOT q s 5 -> 1",
        "500 QROOT q s 5 -> 1",
        "1499 QROOT q s 4 -> 0",
        "1500 QROOT q s 4 -> 1",
    ]);
    check(&[
        "0 QCONFIG SET q root-retention 1000",
        "0 QROOT q s 5 -> 1",
        "500 QROOT q s 6 -> 1",
        "1499 QROOT q s 5 -> 0",
        "1500 QROOT q s 5 -> 1",
    ]);
}

#[test]
fn a_root_lasts_as_long_as_its_jobs() {
    check(&[
        "0 QCONFIG SET q root-retention 1000",
        "0 QPUSH q a ROOT s 5 DELAY 5000 -> delayed #1",
        "2000 QROOT q s 4 -> 0",
        "5000 QCLAIM q -> #1.1=a",
        "5001 QACK q #1.1 -> 1",
        "5002 QROOT q s 4 -> 1",
    ]);
}

#[test]
fn a_root_counts_for_28_days() {
    check(&["0 QROOT q s 5 -> 1", "2419199999 QROOT q s 4 -> 0", "2419200001 QROOT q s 4 -> 1"]);
}

#[test]
fn superseded_jobs_stand_in_the_way_of_no_other_group() {
    let [older, newer] = [1, 2].map(|timestamp| RootTag { signature: b"s", timestamp });
    let mut rig = Rig::new(START_MS, Default::default());
    let mut superseded = 0;
    for _ in 0..=CLAIM_DROPS_MAX {
        rig.push_tagged(b"q", older);
    }
    rig.hold(|shard, now, log| shard.root(now, b"q", b"", newer, log));
    let mut claim = |rig: &mut Rig| {
        let claimed = rig.claim(b"q", 9).len();
        let (shard, now) = rig.shard_and_now();
        let before = std::mem::replace(&mut superseded, shard.stats(now, b"q").unwrap().totals.superseded);
        (claimed, superseded - before)
    };
    assert_eq!(claim(&mut rig), (0, 0), "there is no other job, so none is stepped over");
    rig.push(b"q", b"other", b"job");
    assert_eq!(claim(&mut rig), (1, 0));
    rig.push_tagged(b"q", newer);
    assert_eq!(claim(&mut rig), (0, CLAIM_DROPS_MAX as u64), "a job is behind them");
    assert_eq!(claim(&mut rig), (1, 1));
}

#[test]
fn one_record_tells_of_a_bounded_number_of_superseded_jobs() {
    let [older, newer] = [1, 2].map(|timestamp| RootTag { signature: b"s", timestamp });
    let mut rig = Rig::new(START_MS, Default::default());
    for _ in 0..40 * CLAIM_DROPS_MAX {
        rig.push_tagged(b"q", older);
    }
    rig.push_tagged(b"q", newer);
    // As a transaction has them.
    let (bytes, claimed) = rig.hold(|shard, now, log| {
        let mut claimed = Claimed::default();
        for _ in 0..100 {
            shard.claim(now, b"q", &one(), log, &mut claimed);
        }
        (log.len(), claimed)
    });
    assert!(bytes < CLAIM_DROPS_RECORD_BYTES_MAX + 50_000, "{bytes}");
    assert!(claimed.is_empty() && claimed.cut_short);
    while rig.claim(b"q", 1).is_empty() {}
    assert_eq!(rig.shard_and_now().0.live_jobs(), 1);
}
