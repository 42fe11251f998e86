//! What operators want to know about each command as it runs: nothing, most of the time.
//!
//! This is all that the hot path looks at: one byte before a command, and one number after a lap.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::latency::Latency;
use crate::limits::TIMED_ALONE_BELOW;

/// Each command is timed by itself.
const TIMED: u8 = 1;

/// Somebody listens by MONITOR.
const MONITORED: u8 = 2;

/// What is wanted.
pub(crate) struct Attention {
    bits: AtomicU8,
    /// What took so many nanoseconds is worth a closer look.
    long_ns: AtomicU64,
    /// `slowlog-log-slower-than`; negative: never.
    slow_us: AtomicI64,
    latency: Arc<Latency>,
}

/// What is wanted of one command.
#[derive(Clone, Copy)]
pub(crate) struct Wanted(u8);

impl Attention {
    /// With the thresholds of the configuration.
    pub(crate) fn new(slow_us: i64, latency: Arc<Latency>) -> Attention {
        let attention = Attention {
            bits: AtomicU8::new(0),
            long_ns: AtomicU64::new(u64::MAX),
            slow_us: AtomicI64::new(slow_us),
            latency,
        };
        attention.follow();
        attention
    }

    /// What is wanted now.
    #[inline]
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted(self.bits.load(Ordering::Relaxed))
    }

    /// Whether something that took so long is worth a closer look.
    #[inline]
    pub(crate) fn is_long(&self, length: Duration) -> bool {
        length.as_nanos() as u64 >= self.long_ns.load(Ordering::Relaxed)
    }

    /// Whether it belongs into the slow log.
    pub(crate) fn is_slow(&self, length: Duration) -> bool {
        u128::try_from(self.slow_us()).is_ok_and(|threshold| length.as_micros() >= threshold)
    }

    /// `slowlog-log-slower-than` in microseconds.
    pub(crate) fn slow_us(&self) -> i64 {
        self.slow_us.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub(crate) fn set_slow_us(&self, us: i64) {
        self.slow_us.store(us, Ordering::Relaxed);
        self.follow();
    }

    /// Changes `latency-monitor-threshold`.
    pub(crate) fn set_latency_ms(&self, ms: u64) {
        self.latency.set_threshold_ms(ms);
        self.follow();
    }

    /// Somebody listens by MONITOR, or nobody any more.
    pub(crate) fn set_monitored(&self, monitored: bool) {
        self.set(MONITORED, monitored);
    }

    /// What follows from the thresholds.
    fn follow(&self) {
        let slow_ns = u64::try_from(self.slow_us()).map_or(u64::MAX, |us| us.saturating_mul(1_000));
        let latency_ns = match self.latency.threshold_ms() {
            0 => u64::MAX,
            ms => ms.saturating_mul(1_000_000),
        };
        self.long_ns.store(slow_ns.min(latency_ns), Ordering::Relaxed);
        self.set(TIMED, u128::from(slow_ns) < TIMED_ALONE_BELOW.as_nanos());
    }

    fn set(&self, bit: u8, on: bool) {
        if on {
            self.bits.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.bits.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

impl Wanted {
    /// Each command is timed by itself.
    #[inline]
    pub(crate) fn is_timed(self) -> bool {
        self.0 & TIMED != 0
    }

    /// Somebody listens by MONITOR.
    #[inline]
    pub(crate) fn is_monitored(self) -> bool {
        self.0 & MONITORED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attention(slow_us: i64) -> Attention {
        Attention::new(slow_us, Arc::new(Latency::new(0)))
    }

    #[test]
    fn the_smaller_threshold_decides_what_is_looked_at() {
        let ms = Duration::from_millis;
        let attention = attention(10_000);
        assert!(!attention.is_long(ms(9)) && attention.is_long(ms(10)));
        assert!(attention.is_slow(ms(10)));
        attention.set_latency_ms(5);
        assert!(attention.is_long(ms(5)) && !attention.is_slow(ms(5)));
        attention.set_slow_us(-1);
        attention.set_latency_ms(0);
        assert!(!attention.is_long(ms(1_000_000)) && !attention.is_slow(ms(1_000_000)));
    }

    #[test]
    fn a_low_threshold_has_each_command_timed_by_itself() {
        let attention = attention(1_000);
        assert!(!attention.wanted().is_timed());
        attention.set_monitored(true);
        attention.set_slow_us(0);
        assert!(attention.wanted().is_timed() && attention.wanted().is_monitored());
        attention.set_slow_us(-1);
        assert!(!attention.wanted().is_timed() && attention.wanted().is_monitored());
    }
}
