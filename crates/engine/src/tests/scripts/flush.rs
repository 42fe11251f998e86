//! FLUSHALL in steps, and RANDOMKEY.

use std::collections::{BTreeMap, BTreeSet};

use stanchion_protocol::command::{Pause, RootTag};

use crate::tests::rig::Rig;
use crate::tests::script::START_MS;
use crate::{Flush, Step, WaitFor, WaiterId, limits};

fn rig() -> Rig {
    Rig::new(START_MS, Default::default())
}

/// Flushes to the end, with something else happening between the steps.
fn flush(rig: &mut Rig, mut between: impl FnMut(&mut Rig)) -> u64 {
    let mut flush = Flush::begin(&rig.shard);
    let mut deleted = 0;
    loop {
        match rig.hold(|shard, now, log| shard.flush(now, &mut flush, log)) {
            Step::More(count) => deleted += count,
            Step::Done(count) => return deleted + count,
        }
        rig.shard.check().unwrap();
        between(rig);
    }
}

#[test]
fn queues_of_all_kinds_are_deleted() {
    let mut rig = rig();
    rig.push(b"ready", b"", b"a");
    rig.push(b"claimed", b"", b"a");
    rig.claim(b"claimed", 1);
    rig.config_set(b"settings", "lease", "5s").unwrap();
    rig.hold(|shard, now, log| shard.pause(now, b"paused", Pause::All, None, log));
    let root = RootTag { signature: b"s", timestamp: 2 };
    rig.hold(|shard, now, log| shard.root(now, b"root", b"", root, log));
    rig.push_tagged(b"stale", RootTag { timestamp: 1, ..root });
    rig.hold(|shard, now, log| shard.root(now, b"stale", b"", root, log));
    assert_eq!(flush(&mut rig, |_| ()), 6);
    assert_eq!((rig.shard.queues(), rig.shard.next_deadline()), (0, None));
    rig.check_replay().unwrap();
    rig.sweep();
    assert!(rig.claim(b"ready", 1).is_empty());
    assert_eq!(flush(&mut rig, |_| ()), 0, "there is nothing left");
}

#[test]
fn a_flush_goes_in_bounded_steps_and_leaves_what_is_made_meanwhile() {
    let mut rig = rig();
    let count = 3 * limits::FLUSH_QUEUES_MAX as u64 + 5;
    for queue in 0..count {
        rig.push(format!("old {queue}").as_bytes(), b"", b"a");
    }
    let (mut steps, mut made) = (0, 0);
    let deleted = flush(&mut rig, |rig| {
        steps += 1;
        let records = rig.records.len();
        // One name that is new, one in a slot that is free again, one that comes back.
        for name in ["new", "free", "old 0"] {
            rig.push(name.as_bytes(), b"", format!("{steps}").as_bytes());
        }
        assert_eq!(rig.records.len(), records + 3);
        made += 3;
    });
    assert_eq!((deleted, steps), (count, 3));
    let mut left = BTreeSet::new();
    let (shard, now) = rig.shard_and_now();
    shard.list(now, 0, usize::MAX, &mut |line| {
        left.insert(String::from_utf8_lossy(line.queue).into_owned());
    });
    assert_eq!(left, BTreeSet::from(["free".into(), "new".into(), "old 0".into()]));
    assert_eq!(["new", "free", "old 0"].map(|name| rig.claim(name.as_bytes(), 9).len()), [3, 3, 3]);
    assert_eq!(made, 9);
    rig.check_replay().unwrap();
}

#[test]
fn one_that_was_deleted_and_made_again_meanwhile_stays() {
    let mut rig = rig();
    let last = limits::FLUSH_QUEUES_MAX;
    for queue in 0..=last {
        rig.push(format!("{queue}").as_bytes(), b"", b"a");
    }
    let name = format!("{last}");
    let deleted = flush(&mut rig, |rig| {
        rig.hold(|shard, now, log| shard.delete_queue(now, name.as_bytes(), log));
        rig.push(name.as_bytes(), b"", b"b");
    });
    assert_eq!(deleted, last as u64);
    assert_eq!(rig.claim(name.as_bytes(), 1)[0].payload, b"b");
}

#[test]
fn many_small_queues_are_freed_in_few_steps_and_a_large_one_in_several() {
    let mut rig = rig();
    for queue in 0..500 {
        rig.push(format!("{queue}").as_bytes(), b"", b"a");
    }
    for _ in 0..5 * limits::SWEEP_JOBS_MAX {
        rig.push(b"large", b"", b"a");
    }
    flush(&mut rig, |_| ());
    let mut steps = 1;
    while rig.sweep_a_little() {
        steps += 1;
    }
    assert!((10..20).contains(&steps), "{steps} steps");
    assert_eq!(rig.shard.memory_bytes(), 0);
}

#[test]
fn a_flushed_queue_keeps_its_waiters() {
    let mut rig = rig();
    rig.push(b"q", b"", b"a");
    rig.claim(b"q", 1);
    rig.shard.park(WaiterId(1), WaitFor::Queue(b"q"), None);
    rig.shard.park(WaiterId(2), WaitFor::Match { globs: &[b"*"], except: &[] }, None);
    assert_eq!(flush(&mut rig, |_| ()), 1);
    let now = rig.shard_and_now().1;
    assert_eq!(rig.shard.next_grant(now), None);
    rig.push(b"q", b"", b"b");
    assert_eq!(rig.shard.next_grant(now).map(|grant| grant.waiter), Some(WaiterId(1)));
}

#[test]
fn any_queue_may_be_drawn() {
    let mut rig = rig();
    assert_eq!(rig.shard.random_queue(5), None);
    for queue in 0..10u8 {
        rig.push(&[b'a' + queue], b"", b"x");
    }
    // Entropy is spread by the caller; here by a multiplier.
    let draw = |rig: &Rig| {
        let mut drawn: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for n in 1..=1_000u64 {
            let queue = rig.shard.random_queue(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
            *drawn.entry(queue.to_vec()).or_default() += 1;
        }
        drawn
    };
    let drawn = draw(&rig);
    assert!(drawn.len() == 10 && drawn.values().all(|&times| times > 50), "{drawn:?}");
    // Of many slots few are taken.
    for queue in 0..5_000 {
        rig.push(format!("gone {queue}").as_bytes(), b"", b"x");
    }
    for queue in 0..5_000 {
        let name = format!("gone {queue}");
        assert!(rig.hold(|shard, now, log| shard.delete_queue(now, name.as_bytes(), log)));
    }
    let drawn = draw(&rig);
    assert!(drawn.len() == 10 && drawn.values().all(|&times| times > 50), "{drawn:?}");
}
