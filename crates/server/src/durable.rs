//! Who waits for the disk: connections in the order of the records that they wait for.
//!
//! The log's writer publishes how far it has come, and exactly those are woken whose replies may go out. One
//! shared notification would wake every waiting connection at every sync.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use stanchion_storage::Lsn;
use tokio::sync::Notify;

/// The durable watermark and those who wait for it to rise.
#[derive(Default)]
pub(crate) struct DurableWaits {
    durable: AtomicU64,
    waits: Mutex<BinaryHeap<Reverse<Wait>>>,
}

/// Somebody who waits for a record.
struct Wait {
    lsn: Lsn,
    wake: Arc<Notify>,
}

impl DurableWaits {
    /// Everything up to here is on the disk.
    #[inline]
    pub(crate) fn durable(&self) -> Lsn {
        self.durable.load(Ordering::Acquire)
    }

    /// The log's writer has come so far: wakes those whose records are on the disk.
    pub(crate) fn publish(&self, durable: Lsn) {
        // Before the list is looked at, because `wait` looks at the watermark under the same lock.
        self.durable.fetch_max(durable, Ordering::AcqRel);
        let mut woken = Vec::new();
        {
            let mut waits = self.waits.lock();
            while waits.peek().is_some_and(|Reverse(wait)| wait.lsn <= durable) {
                woken.extend(waits.pop());
            }
        }
        for Reverse(wait) in woken {
            wait.wake.notify_one();
        }
    }

    /// Wakes `wake` once `lsn` is on the disk; false when it is there already.
    pub(crate) fn wait(&self, lsn: Lsn, wake: &Arc<Notify>) -> bool {
        let mut waits = self.waits.lock();
        if lsn <= self.durable() {
            return false;
        }
        waits.push(Reverse(Wait { lsn, wake: Arc::clone(wake) }));
        true
    }

    /// Wakes everybody: the log has failed, and nobody waits for it any more.
    pub(crate) fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.waits.lock());
        for Reverse(wait) in woken {
            wait.wake.notify_one();
        }
    }
}

impl PartialEq for Wait {
    fn eq(&self, other: &Wait) -> bool {
        self.lsn == other.lsn
    }
}

impl Eq for Wait {}

impl PartialOrd for Wait {
    fn partial_cmp(&self, other: &Wait) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wait {
    fn cmp(&self, other: &Wait) -> std::cmp::Ordering {
        self.lsn.cmp(&other.lsn)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_woken(wake: &Notify) -> bool {
        pin!(wake.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn only_those_are_woken_whose_records_are_on_the_disk() {
        let waits = DurableWaits::default();
        let wakes: Vec<_> = (0..4).map(|_| Arc::new(Notify::new())).collect();
        for (wake, lsn) in wakes.iter().zip([7, 5, 9, 5]) {
            assert!(waits.wait(lsn, wake));
        }
        waits.publish(6);
        assert_eq!(wakes.iter().map(|wake| is_woken(wake)).collect::<Vec<_>>(), [false, true, false, true]);
        waits.publish(7);
        assert!(is_woken(&wakes[0]));
        assert!(!waits.wait(7, &wakes[0]), "it is on the disk already");
        waits.wake_all();
        assert!(is_woken(&wakes[2]));
    }
}
