//! What monitoring is told of all queues.

use crate::tests::rig::Rig;
use crate::tests::script::START_MS;
use crate::{Counts, SPREAD_ENDS_MS, Shard, Totals};

/// What matters here of a queue.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    queue: Vec<u8>,
    counts: Counts,
    bytes: u64,
    workers: u64,
    totals: Totals,
    waits: u64,
    runs: u64,
}

fn survey(rig: &Rig, shard: &Shard, step: usize) -> Vec<Seen> {
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        let (_, now) = rig.shard_and_now();
        cursor = shard.survey(now, cursor, step, &mut |queue| {
            assert!(queue.memory > 0, "a queue takes memory");
            seen.push(Seen {
                queue: queue.line.queue.to_vec(),
                counts: queue.line.counts,
                bytes: queue.bytes,
                workers: queue.workers,
                totals: queue.totals,
                waits: queue.wait.counts.iter().sum(),
                runs: queue.run.counts.iter().sum(),
            });
        });
        if cursor == 0 {
            return seen;
        }
    }
}

#[test]
fn queues_are_seen_once_whatever_the_steps() {
    let mut rig = Rig::new(START_MS, Default::default());
    for queue in [b"a", b"b", b"c"] {
        rig.push(queue, b"", b"four");
    }
    for step in 1..5 {
        let names: Vec<_> = survey(&rig, &rig.shard, step).into_iter().map(|seen| seen.queue).collect();
        assert_eq!(names, [b"a", b"b", b"c"], "in steps of {step}");
    }
}

#[test]
fn what_happened_counts_from_the_start_of_the_run() {
    let mut rig = Rig::new(START_MS, Default::default());
    for _ in 0..3 {
        rig.push(b"q", b"", b"four");
    }
    rig.now += SPREAD_ENDS_MS[2];
    let jobs = rig.claim(b"q", 2);
    rig.ack(b"q", jobs[0].receipt);
    let mut seen = Seen {
        queue: b"q".to_vec(),
        counts: Counts { ready: 1, claimed: 1, ..Counts::default() },
        bytes: 8,
        workers: 0,
        totals: Totals { pushed: 3, claims: 2, acked: 1, ..Totals::default() },
        waits: 2,
        runs: 1,
    };
    assert_eq!(survey(&rig, &rig.shard, 9), [seen]);
    rig.shard_and_now().0.survey(rig.shard_and_now().1, 0, 1, &mut |queue| {
        assert_eq!((queue.wait.counts[2], queue.wait.sum_ms), (2, 2 * SPREAD_ENDS_MS[2]));
    });

    let mut shard = rig.replayed(rig.records.len());
    shard.set_boot(7);
    seen = Seen {
        queue: b"q".to_vec(),
        counts: Counts { ready: 1, claimed: 1, ..Counts::default() },
        bytes: 8,
        workers: 0,
        totals: Totals::default(),
        waits: 0,
        runs: 0,
    };
    assert_eq!(survey(&rig, &shard, 9), [seen]);
    assert_eq!(shard.stats(rig.shard_and_now().1, b"q").unwrap().totals.claims, 2, "QSTATS counts all");
}
