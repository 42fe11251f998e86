//! Shards that many threads replay, and what is said of records that cannot be replayed.

use std::sync::Arc;

use stanchion_engine::{Now, SettingsPatch, ShardConfig};
use stanchion_protocol::command::{Dedupe, NewJob, Until, When};
use stanchion_storage::RecordKind;

use super::*;

const SHARDS: u16 = 5;

fn shard(index: u16, count: u16) -> Shard {
    let file = Arc::new(|_: &[u8]| SettingsPatch::default());
    Shard::new(ShardConfig { index, count, boot: 1, file })
}

fn shards() -> Vec<Shard> {
    (0..SHARDS).map(|index| shard(index, SHARDS)).collect()
}

/// A log of pushes into many queues, several queues in some records, and one record for all shards.
fn bodies() -> Vec<Vec<u8>> {
    let mut writer = shard(0, 1);
    let mut bodies = Vec::new();
    for step in 0..4_000_u64 {
        let mut body = Vec::new();
        for part in 0..1 + step % 3 {
            let queue = format!("queue {}", (step + part) % 37);
            let key = format!("{step} {part}");
            let job = NewJob {
                payload: &[step as u8; 100],
                when: When::Now,
                group: b"",
                priority: 5,
                dedupe: Some(Dedupe {
                    key: key.as_bytes(),
                    until: Until::Done,
                    window_ms: 0,
                    replace: false,
                }),
                root: None,
                ttl_ms: None,
                attempts_max: None,
            };
            let now = Now { ms: 1_000 + step, entropy: step };
            writer.push(now, queue.as_bytes(), &[job], &mut body, &mut Vec::new()).unwrap();
        }
        bodies.push(body);
        if step == 2_000 {
            let mut body = Vec::new();
            Shard::boot_event(Now { ms: 1_000_000, entropy: 0 }, 60_000, &mut body);
            bodies.push(body);
        }
    }
    bodies
}

fn view(lsn: Lsn, body: &[u8]) -> RecordView<'_> {
    RecordView { lsn, shard: 0, kind: EVENTS, body }
}

fn replay(replayer: &mut Replayer<'_>, bodies: &[Vec<u8>]) -> Result<(), Refused> {
    for (lsn, body) in (1..).zip(bodies) {
        replayer.record(view(lsn, body))?;
    }
    replayer.finish()
}

#[test]
fn with_any_number_of_threads_the_shards_become_the_same() {
    let loading = Loading::new();
    let bodies = bodies();
    assert!(bodies.iter().map(Vec::len).sum::<usize>() > 3 * REPLAY_CHUNK_BYTES, "several chunks");
    let books = |threads| {
        let mut replayer = Replayer::new(shards(), threads, &loading).unwrap();
        replay(&mut replayer, &bodies).unwrap();
        let shards = replayer.into_shards().unwrap();
        let books: Vec<_> =
            shards.iter().map(|shard| (shard.live_bytes(), shard.newest_id().0, shard.last_now())).collect();
        assert!(books.iter().all(|(live, _, now)| *live > 1_000 && *now == 1_000_000));
        books
    };
    let alone = books(0);
    for threads in [1, 2, 3, 5, 9] {
        assert_eq!(books(threads), alone, "{threads} threads");
    }
}

#[test]
fn the_first_record_that_cannot_be_replayed_is_named() {
    let loading = Loading::new();
    let good = bodies();
    for threads in [0, 2, 5] {
        for wrong in [1, 1_999, 4_001] {
            let mut bodies = good.clone();
            // The part is whole, and its last event is none.
            for lsn in [wrong, 4_001] {
                let body = &mut bodies[lsn - 1];
                let mut part = Vec::new();
                shard(0, 1).root(Now { ms: 1, entropy: 0 }, b"q", b"", root(), &mut part);
                let kind_at = 2 + 1 + 12;
                part[kind_at] = 250;
                body.extend(part);
            }
            let mut replayer = Replayer::new(shards(), threads, &loading).unwrap();
            let refused = replay(&mut replayer, &bodies).unwrap_err();
            assert_eq!(
                (refused.lsn, refused.reason.contains("unknown kind 250")),
                (wrong as Lsn, true),
                "{refused:?} with {threads} threads"
            );
        }
    }
}

fn root() -> stanchion_protocol::command::RootTag<'static> {
    stanchion_protocol::command::RootTag { signature: b"s", timestamp: 1 }
}

#[test]
fn a_record_of_another_kind_is_refused_at_once() {
    let loading = Loading::new();
    let mut replayer = Replayer::new(shards(), 2, &loading).unwrap();
    let record = RecordView { kind: RecordKind::new(9), ..view(7, b"x") };
    let refused = replayer.record(record).unwrap_err();
    assert_eq!(refused.lsn, 7);
    assert!(refused.reason.contains("its kind 9 is unknown"), "{refused:?}");
}
