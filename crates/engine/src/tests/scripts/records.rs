//! Commands of a hold share a record, and those about one queue in a row its part there.

use crate::event::{Decoded, events, split_part};
use crate::tests::rig::{plain, shard};
use crate::{Now, Shard};

const AT: Now = Now { ms: 1_000, entropy: 1 };

fn push(shard: &mut Shard, queue: &str, now: Now, log: &mut Vec<u8>) {
    shard.push(now, queue.as_bytes(), &[plain()], log, &mut Vec::new()).unwrap();
}

/// The parts of a record: their queues, and how many events each has.
fn parts(mut body: &[u8]) -> Vec<(String, usize)> {
    let mut parts = Vec::new();
    while !body.is_empty() {
        let (part, _, rest) = split_part(body).unwrap();
        let Decoded::Queue { queue, events: bytes, .. } = part else { panic!("{part:?}") };
        assert!(events(bytes).all(|event| event.is_ok()));
        parts.push((String::from_utf8(queue.to_vec()).unwrap(), events(bytes).count()));
        body = rest;
    }
    parts
}

fn named(parts: &[(&str, usize)]) -> Vec<(String, usize)> {
    parts.iter().map(|(queue, count)| (queue.to_string(), *count)).collect()
}

#[test]
fn commands_about_a_queue_in_a_row_share_a_part() {
    let (mut shard, mut log) = (shard(), Vec::new());
    shard.begin(1);
    push(&mut shard, "q", AT, &mut log);
    assert_eq!(shard.ack(AT, b"missing", &[], &mut log), 0);
    push(&mut shard, "q", AT, &mut log);
    push(&mut shard, "r", AT, &mut log);
    push(&mut shard, "q", AT, &mut log);
    assert_eq!(parts(&log), named(&[("q", 2), ("r", 1), ("q", 1)]));
}

#[test]
fn a_part_is_of_one_instant_and_of_one_hold() {
    let (mut shard, mut log) = (shard(), Vec::new());
    shard.begin(1);
    push(&mut shard, "q", AT, &mut log);
    push(&mut shard, "q", Now { ms: 1_001, ..AT }, &mut log);
    shard.begin(2);
    push(&mut shard, "q", Now { ms: 1_001, ..AT }, &mut log);
    assert_eq!(parts(&log), named(&[("q", 1), ("q", 1), ("q", 1)]));
}

#[test]
fn what_another_shard_adds_to_the_record_ends_a_part() {
    let (mut one, mut other, mut log) = (shard(), shard(), Vec::new());
    one.begin(1);
    other.begin(1);
    push(&mut one, "q", AT, &mut log);
    push(&mut other, "r", AT, &mut log);
    push(&mut one, "q", AT, &mut log);
    push(&mut one, "q", AT, &mut log);
    assert_eq!(parts(&log), named(&[("q", 1), ("r", 1), ("q", 2)]));
}

#[test]
fn a_queue_in_the_place_of_a_deleted_one_has_a_part_of_its_own() {
    let (mut shard, mut log) = (shard(), Vec::new());
    shard.begin(1);
    push(&mut shard, "q", AT, &mut log);
    assert!(shard.delete_queue(AT, b"q", &mut log));
    push(&mut shard, "r", AT, &mut log);
    assert_eq!(parts(&log), named(&[("q", 1), ("q", 1), ("r", 1)]));
}
