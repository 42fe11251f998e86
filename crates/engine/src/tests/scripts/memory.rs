//! MEMORY USAGE.

use stanchion_protocol::command::{Dedupe, Nack, NewJob, Retry, RootTag, Until};
use stanchion_protocol::id::JobId;

use crate::job::Job;
use crate::tests::rig::{Rig, plain};
use crate::tests::script::START_MS;

/// A queue of so many jobs of all kinds.
fn mixed(count: u64) -> Rig {
    let mut rig = Rig::new(START_MS, Default::default());
    let payload = [b'x'; 700];
    for n in 0..count {
        let (key, group) = (format!("key {n}"), format!("group {}", n % 97));
        let dedupe = Dedupe { key: key.as_bytes(), until: Until::Done, window_ms: 0, replace: false };
        let root = RootTag { signature: key.as_bytes(), timestamp: n };
        let job = NewJob {
            payload: &payload[..(n as usize * 37) % 700],
            group: group.as_bytes(),
            dedupe: (n % 3 == 0).then_some(dedupe),
            root: (n % 7 == 0).then_some(root),
            ttl_ms: (n % 5 == 0).then_some(1_000_000),
            priority: (n % 10) as u8,
            ..plain()
        };
        rig.hold(|shard, now, log| shard.push(now, b"q", &[job], log, &mut Vec::new())).unwrap();
    }
    let error = [b'e'; 300];
    for job in rig.claim(b"q", (count / 10) as u32) {
        let nack = Nack { queue: b"q", receipt: job.receipt, retry: Retry::Dead, error: Some(&error) };
        rig.hold(|shard, now, log| shard.nack(now, &nack, log));
    }
    rig
}

#[test]
fn a_sample_tells_about_as_much_as_all_jobs_do() {
    let rig = mixed(9_000);
    let queue = &rig.shard.queues[0];
    let exact = queue.memory_bytes(usize::MAX);
    let told = rig.shard.memory_usage(b"q").unwrap();
    assert!(told.abs_diff(exact) * 100 < exact * 2, "{told} is not within 2 % of {exact}");
    let total = rig.shard.memory_bytes();
    assert!(total.abs_diff(exact) * 100 < exact * 10, "{total} is not within 10 % of {exact}");
    assert!(exact > queue.bytes + 9_000 * size_of::<Job>() as u64);
}

#[test]
fn what_is_pushed_is_counted_and_what_is_deleted_is_not() {
    let mut rig = Rig::new(START_MS, Default::default());
    assert_eq!((rig.shard.memory_usage(b"q"), rig.shard.memory_bytes()), (None, 0));
    let id = rig.push(b"q", b"", b"");
    let small = rig.shard.memory_usage(b"q").unwrap();
    rig.push(b"q", b"", &[0; 100_000]);
    let large = rig.shard.memory_usage(b"q").unwrap();
    assert!((100_000..130_000).contains(&(large - small)), "{small}, then {large}");
    rig.hold(|shard, now, log| shard.delete(now, b"q", &[JobId(id.0 + 1)], log));
    assert!(rig.shard.memory_usage(b"q").unwrap() < small + 1_000);
    rig.hold(|shard, now, log| shard.delete_queue(now, b"q", log));
    assert_eq!(rig.shard.memory_usage(b"q"), None);
    assert!(rig.shard.memory_bytes() >= small, "it is not freed yet");
    rig.sweep();
    assert_eq!(rig.shard.memory_bytes(), 0);
}
