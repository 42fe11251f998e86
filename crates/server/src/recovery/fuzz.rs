//! Hostile record bodies: the entry of a fuzz target.

use std::sync::Arc;

use stanchion_engine::{SettingsPatch, Shard, ShardConfig};

/// Replays the body of a record whose checksum was right: another version, or a bug, may have written it. It may be
/// refused, but must not panic.
pub fn fuzz_events(data: &[u8]) {
    let file = Arc::new(|_: &[u8]| SettingsPatch::default());
    let mut shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file });
    for part in Shard::parts(data) {
        let Ok((_, part)) = part else { return };
        if shard.replay(1, part).is_err() {
            return;
        }
    }
}
