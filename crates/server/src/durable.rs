//! Who waits for the disk: connections in the order of the records that they wait for.
//!
//! The log's writer publishes how far it has come, and exactly those are woken whose replies may go out. One
//! shared notification would wake every waiting connection at every sync. But to wake a task from another thread is a
//! system call, and the writer syncs nothing meanwhile: so it wakes one task on each thread that connections live on,
//! which wakes the others there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;
use stanchion_storage::Lsn;
use tokio::sync::Notify;

use crate::threads;

/// The durable watermark and those who wait for it to rise.
pub(crate) struct DurableWaits {
    durable: AtomicU64,
    /// Those who wait on each thread of connections; at 0 all others.
    homes: Box<[CachePadded<Home>]>,
}

/// Those who wait on one thread.
#[derive(Default)]
struct Home {
    waits: Mutex<BinaryHeap<Reverse<Wait>>>,
    /// Rung when some of them are to be woken.
    bell: Notify,
}

/// Somebody who waits for a record.
struct Wait {
    lsn: Lsn,
    wake: Arc<Notify>,
}

impl DurableWaits {
    /// For so many threads of connections, each of which has to [`relay`](DurableWaits::relay).
    pub(crate) fn new(threads: usize) -> DurableWaits {
        DurableWaits {
            durable: AtomicU64::default(),
            homes: (0..=threads).map(|_| CachePadded::default()).collect(),
        }
    }

    /// Everything up to here is on the disk.
    #[inline]
    pub(crate) fn durable(&self) -> Lsn {
        self.durable.load(Ordering::Acquire)
    }

    /// The log's writer has come so far: those are woken whose records are on the disk.
    pub(crate) fn publish(&self, durable: Lsn) {
        // Before the lists are looked at, because `wait` looks at the watermark under the same lock.
        self.durable.fetch_max(durable, Ordering::AcqRel);
        let [elsewhere, homes @ ..] = &*self.homes else { unreachable!("there is one for all others") };
        elsewhere.wake(durable);
        for home in homes {
            if home.waits.lock().peek().is_some_and(|Reverse(wait)| wait.lsn <= durable) {
                home.bell.notify_one();
            }
        }
    }

    /// Passes on to those who wait on this thread what is published; without end.
    pub(crate) async fn relay(&self) {
        let home = self.home();
        loop {
            home.bell.notified().await;
            home.wake(self.durable());
        }
    }

    /// Wakes `wake`, for which a task of this thread waits, once `lsn` is on the disk; false when it is there already.
    pub(crate) fn wait(&self, lsn: Lsn, wake: &Arc<Notify>) -> bool {
        let mut waits = self.home().waits.lock();
        if lsn <= self.durable() {
            return false;
        }
        waits.push(Reverse(Wait { lsn, wake: Arc::clone(wake) }));
        true
    }

    /// Wakes everybody: the log has failed, and nobody waits for it any more.
    pub(crate) fn wake_all(&self) {
        self.homes.iter().for_each(|home| home.wake(Lsn::MAX));
    }

    fn home(&self) -> &Home {
        &self.homes[threads::here()]
    }
}

impl Home {
    fn wake(&self, durable: Lsn) {
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
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::threads::Threads;

    fn is_woken(wake: &Notify) -> bool {
        pin!(wake.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn only_those_are_woken_whose_records_are_on_the_disk() {
        let waits = DurableWaits::new(0);
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

    #[test]
    fn those_who_wait_on_a_thread_of_connections_are_woken_there() {
        let waits = Arc::new(DurableWaits::new(1));
        let threads = Threads::start(1).unwrap();
        let there = threads.each().next().unwrap();
        let (tell, told) = mpsc::channel();
        let waiting = Arc::clone(&waits);
        there.spawn(async move {
            let wake = Arc::new(Notify::new());
            tell.send(waiting.wait(3, &wake)).unwrap();
            wake.notified().await;
            tell.send(!waiting.wait(3, &wake)).unwrap();
        });
        assert_eq!(told.recv(), Ok(true));
        waits.publish(3);
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty), "nobody relays yet");
        there.spawn(async move { waits.relay().await });
        assert_eq!(told.recv(), Ok(true));
    }
}
