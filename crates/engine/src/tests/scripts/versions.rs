//! What WATCH sees of a queue: every change, and nothing else.

use stanchion_protocol::command::{Count, Pause, State};

use crate::SettingsPatch;
use crate::tests::rig::Rig;
use crate::tests::script::START_MS;

/// A rig, and whether the version of `q` has changed since it was asked last.
struct Watch {
    rig: Rig,
    version: u64,
}

impl Watch {
    fn new() -> Watch {
        Watch { rig: Rig::new(START_MS, SettingsPatch::default()), version: 0 }
    }

    #[track_caller]
    fn sees(&mut self, what: &str, step: impl FnOnce(&mut Rig)) {
        self.changed();
        step(&mut self.rig);
        assert!(self.changed(), "{what} is not seen");
    }

    fn changed(&mut self) -> bool {
        let before = std::mem::replace(&mut self.version, self.rig.shard.version(b"q"));
        before != self.version
    }
}

#[test]
fn every_change_is_another_version() {
    let mut watch = Watch::new();
    watch.sees("a push makes it", |rig| {
        rig.push(b"q", b"", b"a");
    });
    watch.sees("a delayed push", |rig| {
        rig.push_delayed(b"q", 10);
    });
    watch.sees("a claim", |rig| assert_eq!(rig.claim(b"q", 1).len(), 1));
    watch.sees("a due job", |rig| {
        rig.now += 10;
        rig.tick();
    });
    watch.sees("a lapse", |rig| {
        rig.now += 3_600_000;
        rig.tick();
    });
    watch.sees("a setting", |rig| rig.config_set(b"q", "lease", "1h").unwrap());
    watch.sees("a pause", |rig| {
        rig.hold(|shard, now, log| shard.pause(now, b"q", Pause::All, Some(50), log));
    });
    watch.sees("the end of a pause", |rig| {
        rig.now += 50;
        rig.tick();
    });
    watch.sees("its end", |rig| {
        assert!(rig.hold(|shard, now, log| shard.delete_queue(now, b"q", log)));
    });
    watch.sees("a new one", |rig| {
        rig.push(b"q", b"", b"a");
    });
}

#[test]
fn what_changes_nothing_is_no_other_version() {
    let mut watch = Watch::new();
    assert!(!watch.changed(), "a missing queue");
    assert!(watch.rig.claim(b"q", 1).is_empty());
    assert!(!watch.changed(), "a claim from a missing queue");
    watch.rig.push(b"q", b"", b"a");
    let receipt = watch.rig.claim(b"q", 1)[0].receipt;
    watch.rig.ack(b"q", receipt);
    watch.changed();
    assert!(watch.rig.claim(b"q", 1).is_empty());
    assert_eq!(watch.rig.ack(b"q", receipt), 0);
    watch.rig.shard.len(b"q", Count::State(State::Ready), None);
    watch.rig.tick();
    watch.rig.sweep();
    watch.rig.push(b"r", b"", b"of another queue");
    watch.rig.hold(|shard, now, log| shard.delete_queue(now, b"r", log));
    watch.rig.reclaim();
    assert!(!watch.changed());
}

#[test]
fn one_that_was_made_and_deleted_in_between_is_noticed() {
    let mut watch = Watch::new();
    watch.changed();
    watch.rig.push(b"q", b"", b"a");
    watch.rig.hold(|shard, now, log| shard.delete_queue(now, b"q", log));
    assert!(watch.changed());
}
