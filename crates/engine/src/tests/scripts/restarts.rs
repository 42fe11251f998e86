//! What a restart keeps, and what it must never do again.

use std::sync::Arc;

use stanchion_protocol::command::Take;
use stanchion_protocol::slot;

use crate::tests::pair::one;
use crate::tests::rig::{Rig, plain};
use crate::tests::script::{START_MS, Script, check};
use crate::{Claimed, Now, SettingsPatch, Shard, ShardConfig};

#[test]
fn everything_but_the_order_of_turns_is_kept() {
    check(&[
        "0 QCONFIG SET q backoff 100 backoff-jitter 0",
        "0 QMPUSH q a PRIORITY 3 NEXT b DELAY 500 DEDUPE k UNTIL DONE WINDOW 900 NEXT c ROOT s 5 TTL 5000",
        "0 QCLAIM q WORKER w -> #1.1=a",
        "1 QNACK q #1.1 ERROR boom -> retry",
        "2 QCLAIM q LEASE 200000 WORKER w -> #3.1=c",
        "3 restart",
        "3 QJOB q #1 -> state=delayed ready-at=101 attempts=1 failures=1 last-error=boom priority=3",
        "3 QJOB q #2 -> state=delayed ready-at=500 dedupe=k",
        "3 QJOB q #3 -> state=claimed lease-until=200002 worker=w root=s@5 expires-at=5000",
        "3 QPUSH q d DEDUPE k -> duplicate #2",
        "3 QPUSH q d ROOT s 4 -> superseded",
        "3 QSTATS q -> pushed=3 claims=2 nacked=1",
        "4 QACK q #3.1 -> 1",
    ]);
}

#[test]
fn leases_end_a_minute_after_the_start_at_least() {
    check(&[
        "0 QMPUSH q a NEXT b",
        "0 QCLAIM q LEASE 100 -> #1.1=a",
        "0 QCLAIM q LEASE 900000 -> #2.1=b",
        "500 restart",
        "500 QJOB q #1 -> state=claimed lease-until=60500",
        "500 QJOB q #2 -> lease-until=900000",
        "60499 QACK q #1.1 -> 1",
    ]);
}

#[test]
fn a_grace_beyond_all_instants_ends() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    rig.claim(b"q", 1);
    let queue = &mut rig.shard.queues[0];
    queue.grant_grace(u64::MAX);
    assert_eq!(queue.first_lease().map(|((at, _), _)| at), Some((1 << 48) - 1));
}

#[test]
fn what_fell_due_while_the_server_was_down_fires_at_its_start() {
    check(&[
        "0 QPUSH q a DELAY 100",
        "0 QPUSH q b TTL 100",
        "500 restart",
        "500 QLEN q -> 1",
        "500 QJOB q #1 -> state=ready ready-at=100",
        "500 QSTATS q -> expired=1",
    ]);
}

#[test]
fn receipts_from_before_a_restart_hold_until_the_next_claim() {
    check(&[
        "0 QPUSH q a",
        "0 QCLAIM q LEASE 10 -> #1.1=a",
        "0 restart",
        "60000 QCLAIM q -> #1.2=a",
        "60000 QACK q #1.1 -> 0",
        "60000 QACK q #1.2 -> 1",
    ]);
}

#[test]
fn a_claim_that_a_crash_lost_is_not_issued_again() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    let lost = rig.claim(b"q", 1)[0].receipt;
    rig.records.pop_back();
    rig.restart(0);
    let receipt = rig.claim(b"q", 1)[0].receipt;
    assert_eq!(receipt.id, lost.id);
    assert!(receipt.epoch > lost.epoch, "{receipt} after {lost}");
    assert_eq!(rig.ack(b"q", lost), 0);
}

#[test]
fn an_id_that_a_crash_lost_is_not_issued_again() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    let first = rig.push(b"q", b"", b"a");
    let lost = rig.push(b"q", b"", b"b");
    rig.records.pop_back();
    rig.restart(0);
    let next = rig.push(b"q", b"", b"c");
    assert!(next > lost && lost > first, "{first} {lost} {next}");
}

#[test]
fn replaying_twice_over_many_boots_keeps_the_log_small() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    for _ in 0..20 {
        rig.restart(1_000);
        rig.reclaim();
        rig.check_replay().unwrap();
    }
    assert!(rig.records.len() < 20, "{} records for one job", rig.records.len());
    assert_eq!(rig.claim(b"q", 9).len(), 1);
}

#[test]
fn a_gone_queue_and_a_gone_job_stay_gone_after_reclaiming() {
    check(&[
        "0 QMPUSH q a NEXT b",
        "0 QPUSH r c",
        "0 QDEL q #1",
        "0 del r",
        "0 reclaim",
        "1 restart",
        "1 QLEN q ALL -> 1",
        "1 exists r -> 0",
    ]);
}

#[test]
fn totals_stay_right_when_an_acked_jobs_push_is_reclaimed() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.push(b"q", b"", b"a");
    rig.reclaim();
    rig.push(b"q", b"", b"b");
    let newest = rig.next_lsn();
    let receipt = rig.claim(b"q", 2)[1].receipt;
    rig.ack(b"q", receipt);
    while rig.reclaim_a_little(200, rig.next_lsn() - newest) {}
    rig.check_replay().unwrap();
}

#[test]
fn a_superseded_job_does_not_come_back_when_its_root_is_reclaimed_later() {
    let mut script = Script::new();
    for line in ["0 QPUSH q a ROOT s 1 ATTEMPTS 1", "0 QCLAIM q LEASE 100", "0 QROOT q s 2"] {
        script.line(line).unwrap();
    }
    // The job is written again, the newer root is not yet.
    while script.pair.rig.reclaim_a_little(200, 1) {}
    script.line("100 QLEN q ALL -> 0").unwrap();
    // Now the root is: it stands behind the lapse that it decided.
    while script.pair.rig.reclaim_a_little(200, 2) {}
    script.pair.rig.check_replay().unwrap();
    script.line("200 restart").unwrap();
    script.line("200 QLEN q ALL -> 0").unwrap();
}

#[test]
fn a_key_that_was_requeued_away_from_a_superseded_job_leaves_no_window() {
    let mut script = Script::new();
    let run = |script: &mut Script, lines: &[&str]| {
        lines.iter().for_each(|line| script.line(line).unwrap_or_else(|why| panic!("{line}\n  {why}")));
    };
    run(
        &mut script,
        &[
            "0 QPUSH q a DEDUPE k UNTIL DONE -> ready #1",
            "0 QCLAIM q -> #1.1=a",
            "0 QNACK q #1.1 DEAD -> dead",
        ],
    );
    let below = script.pair.rig.next_lsn();
    run(
        &mut script,
        &[
            "0 QPUSH q b DEDUPE k WINDOW 9000 ROOT s 1 TTL 100 -> ready #2",
            "0 QROOT q s 2",
            // The superseded job is not in the way, and its window goes with its hold on the key.
            "0 QREQUEUE q #1 -> 1",
            "100 QCLAIM q -> #1.2=a",
            "100 QACK q #1.2 -> 1",
            "100 QSTATS q -> expired=1",
        ],
    );
    // Of the requeued job nothing is left, of the other one everything is.
    while script.pair.rig.reclaim_a_little(200, script.pair.rig.next_lsn() - below) {}
    script.pair.rig.check_replay().unwrap();
    run(&mut script, &["200 restart", "200 QPUSH q c DEDUPE k -> ready #3"]);
}

#[test]
fn a_slow_rates_debt_is_reclaimed_whatever_the_file_says() {
    let mut file = SettingsPatch::default();
    file.set("rate", "1/1s").unwrap();
    let mut rig = Rig::new(START_MS, file);
    rig.config_set(b"q", "rate", "1/1h").unwrap();
    rig.config_set(b"q", "attempts", "5").unwrap();
    rig.push(b"q", b"", b"a");
    assert_eq!(rig.claim(b"q", 9).len(), 1);
    rig.reclaim();
    rig.check_replay().unwrap();
}

#[test]
fn a_faster_rate_of_the_file_holds_after_a_restart() {
    let rate = |words| {
        let mut file = SettingsPatch::default();
        file.set("rate", words).unwrap();
        file
    };
    let mut rig = Rig::new(START_MS, rate("1/1h"));
    for _ in 0..3 {
        rig.push(b"q", b"", b"a");
    }
    assert_eq!(rig.claim(b"q", 9).len(), 1);
    rig.file = rate("1/1s");
    rig.restart(0);
    rig.shard.set_boot(2);
    assert_eq!(rig.claim(b"q", 9).len(), 0, "the bucket is empty");
    rig.now += 1_000;
    assert_eq!(rig.claim(b"q", 9).len(), 1, "but it owes no hour any more");
}

#[test]
fn a_job_that_was_replaced_needs_only_its_replacement() {
    check(&[
        "0 QPUSH q old DEDUPE k UNTIL DONE -> ready #1",
        "0 QPUSH r old DEDUPE k WINDOW 9000 -> ready #2",
        "1 reclaim",
        "2 QPUSH q new DEDUPE k UNTIL DONE REPLACE -> replaced #1",
        "2 QPUSH r new DEDUPE k WINDOW 9000 REPLACE ROOT s 5 -> replaced #2",
        "2 QCLAIM r -> #2.1=new",
        "2 QACK r #2.1",
        "3 reclaim",
        "4 restart",
        "4 QPUSH q x DEDUPE k -> duplicate #1",
        "4 QPUSH r x DEDUPE k -> duplicate #2",
        "4 QPUSH r x ROOT s 4 -> superseded",
        "4 QJOB q #1 -> payload=new pushed-at=0 ready-at=0",
    ]);
}

#[test]
fn windows_roots_and_pauses_are_reclaimed_too() {
    check(&[
        "0 QPUSH q a DEDUPE k WINDOW 5000 ROOT s 5 -> ready #1",
        "0 QCLAIM q -> #1.1=a",
        "0 QACK q #1.1",
        "0 QPAUSE q FOR 3000",
        "0 QCONFIG SET q attempts 7",
        "1 reclaim",
        "2 restart",
        "2 QPUSH q b DEDUPE k -> duplicate #1",
        "2 QPUSH q b ROOT s 4 -> superseded",
        "2 QSTATS q -> claim-paused=1 pushed=1 acked=1",
        "2 QCONFIG GET q attempts -> attempts=7:queue",
        "3000 QSTATS q -> claim-paused=0",
        "5000 QPUSH q b DEDUPE k -> ready #2",
    ]);
}

#[test]
fn the_number_of_shards_may_change() {
    let start = |count: u16, boot: u32| -> Vec<Shard> {
        let config = |index| ShardConfig { index, count, boot, file: Arc::new(|_| SettingsPatch::default()) };
        (0..count).map(|index| Shard::new(config(index))).collect()
    };
    let replay = |shards: &mut [Shard], records: &[Vec<u8>]| {
        for (lsn, body) in records.iter().enumerate() {
            for part in Shard::parts(body) {
                let (queue, events) = part.unwrap();
                match queue {
                    Some(queue) => {
                        let home = slot::shard(slot::slot(queue), shards.len());
                        shards[home].replay(lsn as u64 + 1, events).unwrap();
                    }
                    None => shards.iter_mut().for_each(|shard| shard.replay(lsn as u64 + 1, events).unwrap()),
                }
            }
        }
    };
    let names: Vec<String> = (0..20).map(|queue| format!("queue{queue}")).collect();
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut ids = Vec::new();
    for (boot, count) in [(1, 1u16), (2, 4), (3, 3)] {
        let mut shards = start(count, boot);
        replay(&mut shards, &records);
        let now = Now { ms: START_MS + u64::from(boot), entropy: 0 };
        let mut body = Vec::new();
        Shard::boot_event(now, 60_000, &mut body);
        replay(&mut shards, std::slice::from_ref(&body));
        records.push(body);
        for name in &names {
            let shard = &mut shards[slot::shard(slot::slot(name.as_bytes()), usize::from(count))];
            let (mut body, mut out) = (Vec::new(), Vec::new());
            shard.begin(records.len() as u64 + 1);
            shard.push(now, name.as_bytes(), &[plain()], &mut body, &mut out).unwrap();
            records.push(body);
            ids.extend(out);
        }
    }
    let issued = ids.len();
    ids.sort_by_key(|pushed| format!("{pushed:?}"));
    ids.dedup();
    assert_eq!(ids.len(), issued, "an id is issued once over all shards");
    let mut shards = start(7, 4);
    replay(&mut shards, &records);
    let now = Now { ms: START_MS + 99, entropy: 0 };
    for name in &names {
        let shard = &mut shards[slot::shard(slot::slot(name.as_bytes()), 7)];
        let mut claimed = Claimed::default();
        let take = Take { count: 9, ..one() };
        shard.claim(now, name.as_bytes(), &take, &mut Vec::new(), &mut claimed);
        assert_eq!(claimed.len(), 3, "{name}");
        shard.check().unwrap();
    }
}

#[test]
fn one_record_holds_the_commands_of_several_queues() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    let records = rig.records.len();
    rig.hold(|shard, now, log| {
        let (mut out, mut claimed) = (Vec::new(), Claimed::default());
        for queue in [&b"q"[..], b"r", b"q"] {
            shard.push(now, queue, &[plain()], log, &mut out).unwrap();
        }
        shard.claim(now, b"q", &one(), log, &mut claimed);
        let receipt = shard.view(claimed.jobs()[0]).receipt;
        assert_eq!(shard.ack(now, b"q", &[receipt], log), 1);
    });
    assert_eq!(rig.records.len(), records + 1);
    let (_, body) = rig.records.back().unwrap();
    let queues: Vec<Option<&[u8]>> = Shard::parts(body).map(|part| part.unwrap().0).collect();
    assert!(queues.contains(&Some(b"q")) && queues.contains(&Some(b"r")), "{queues:?}");
    rig.check_replay().unwrap();
}

#[test]
fn a_record_that_is_cut_short_is_refused() {
    let mut rig = Rig::new(START_MS, SettingsPatch::default());
    rig.config_set(b"q", "attempts", "1").unwrap();
    rig.push_delayed(b"q", 10);
    rig.now += 10;
    rig.tick();
    let receipt = rig.claim(b"q", 1)[0].receipt;
    assert_eq!(rig.nack(b"q", receipt), crate::Nacked::Dead);
    rig.reclaim();
    for (lsn, body) in &rig.records {
        for length in 1..body.len() {
            let mut shard = rig.replayed(0);
            let mut parts = Shard::parts(&body[..length]);
            let refused = parts.any(|part| part.and_then(|(_, events)| shard.replay(*lsn, events)).is_err());
            // A cut between two parts is a shorter record; storage has its length.
            let whole = Shard::parts(body).scan(0, |end, part| {
                *end += part.unwrap().1.len();
                Some(*end)
            });
            assert!(refused || whole.collect::<Vec<_>>().contains(&length), "{length} bytes of record {lsn}");
        }
    }
}
