//! The task that notices when a worker is heard no more. It sleeps until the first of them may be, and for ever when
//! there are none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Worker, Workers, tell_version};
use crate::lane::Lane;
use crate::limits::LIST_STEP;
use crate::server::Server;
use crate::walk;

/// Watches the workers for ever.
pub(crate) async fn watch(server: Arc<Server>) {
    let lane = server.lane().expect("tasks start after recovery");
    let workers = &server.workers;
    loop {
        let deadline = workers.registry.lock().next_deadline();
        let now_ms = lane.clock.now_ms();
        match deadline {
            None => workers.joined.notified().await,
            Some(deadline) if deadline > now_ms => {
                tokio::time::sleep(Duration::from_millis(deadline - now_ms)).await;
            }
            Some(_) => {
                let lost = workers.forget_unheard(lane, now_ms);
                let hands = in_hand(lane, &lost).await;
                report(&lost, &hands, now_ms);
            }
        }
    }
}

impl Workers {
    fn forget_unheard(&self, lane: &Lane, now_ms: u64) -> BTreeMap<Box<[u8]>, Worker> {
        let _telling = self.telling.lock();
        let lost = self.registry.lock().drop_unheard(now_ms);
        for name in lost.keys() {
            tell_version(lane, name, None);
        }
        self.lost.fetch_add(lost.len() as u64, Ordering::Relaxed);
        lost
    }
}

/// How many claimed jobs each of these workers has; each shard is let go every so many queues.
async fn in_hand<'a>(lane: &Lane, lost: &'a BTreeMap<Box<[u8]>, Worker>) -> BTreeMap<&'a [u8], u64> {
    let mut hands: BTreeMap<&[u8], u64> = lost.keys().map(|name| (&**name, 0)).collect();
    walk::for_each_step(lane, |engine, cursor| {
        engine.workers(cursor, LIST_STEP, &mut |name, jobs| {
            if let Some(sum) = hands.get_mut(name) {
                *sum += jobs;
            }
        })
    })
    .await;
    hands
}

/// One line each.
fn report(lost: &BTreeMap<Box<[u8]>, Worker>, hands: &BTreeMap<&[u8], u64>, now_ms: u64) {
    for (name, worker) in lost {
        let text = |bytes: &Option<Box<[u8]>>| bytes.as_ref().map(|bytes| bytes.escape_ascii().to_string());
        let version = worker.version.as_ref().map(|version| version.escape_ascii().to_string());
        tracing::warn!(
            worker = %name.escape_ascii(),
            version,
            host = text(&worker.host),
            pid = worker.pid,
            jobs_in_hand = hands.get(&**name).copied().unwrap_or(0),
            unheard_ms = now_ms.saturating_sub(worker.heard_ms),
            "a worker is heard no more; its jobs come back when their leases lapse, or at once after QWORKER BYE"
        );
    }
}
