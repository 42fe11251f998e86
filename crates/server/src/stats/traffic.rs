//! Bytes that came and went, and how often the system was asked for them.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

/// Connections share their counters with a fraction of the others, so that they rarely meet.
const STRIPES: usize = 8;

/// The counters of all connections.
#[derive(Default)]
pub(crate) struct Traffic {
    stripes: [CachePadded<Stripe>; STRIPES],
}

#[derive(Default)]
struct Stripe {
    read: AtomicU64,
    reads: AtomicU64,
    written: AtomicU64,
    writes: AtomicU64,
}

/// Sums over all connections.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct TrafficTotals {
    /// Bytes read.
    pub(crate) read: u64,
    /// How often something was read.
    pub(crate) reads: u64,
    /// Bytes written.
    pub(crate) written: u64,
    /// How often something was written.
    pub(crate) writes: u64,
}

impl Traffic {
    /// Client `id` has sent so much.
    #[inline]
    pub(crate) fn read(&self, id: u64, bytes: usize) {
        let stripe = &self.stripes[id as usize % STRIPES];
        stripe.read.fetch_add(bytes as u64, Ordering::Relaxed);
        stripe.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Client `id` was sent so much.
    #[inline]
    pub(crate) fn wrote(&self, id: u64, bytes: usize) {
        let stripe = &self.stripes[id as usize % STRIPES];
        stripe.written.fetch_add(bytes as u64, Ordering::Relaxed);
        stripe.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything so far.
    pub(crate) fn totals(&self) -> TrafficTotals {
        let mut totals = TrafficTotals::default();
        for stripe in &self.stripes {
            totals.read += stripe.read.load(Ordering::Relaxed);
            totals.reads += stripe.reads.load(Ordering::Relaxed);
            totals.written += stripe.written.load(Ordering::Relaxed);
            totals.writes += stripe.writes.load(Ordering::Relaxed);
        }
        totals
    }

    /// Starts all over.
    pub(crate) fn reset(&self) {
        for stripe in &self.stripes {
            for counter in [&stripe.read, &stripe.reads, &stripe.written, &stripe.writes] {
                counter.store(0, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_add_up() {
        let traffic = Traffic::default();
        traffic.read(1, 10);
        traffic.read(9, 5);
        traffic.wrote(2, 7);
        let want = TrafficTotals { read: 15, reads: 2, written: 7, writes: 1 };
        assert_eq!(traffic.totals(), want);
        traffic.reset();
        assert_eq!(traffic.totals(), TrafficTotals::default());
    }
}
