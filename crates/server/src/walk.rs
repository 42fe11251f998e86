//! Looks at all queues for those who run beside commands: shard by shard and in steps, each under the shard's lock for
//! a moment only.

use stanchion_engine::Shard;

use crate::lane::Lane;

/// `look` looks at some queues of a shard from a cursor on, and gives the next cursor, 0 at the shard's end.
pub(crate) async fn for_each_step(lane: &Lane, mut look: impl FnMut(&Shard, u32) -> u32) {
    for index in 0..lane.shard_count() {
        let mut cursor = 0;
        loop {
            cursor = look(&lane.shard(index).state.lock().engine, cursor);
            if cursor == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
