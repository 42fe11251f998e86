//! The time of a simulated machine: that of a paused runtime, from an instant of the simulation's choice.

use std::time::Instant;

/// A clock that stands still while anything runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedTime {
    start: Instant,
    start_us: u64,
    /// How fast it runs; 1 unless it is to be wrong.
    pace: u32,
}

impl SimulatedTime {
    /// Now is `start_ms`, in Unix milliseconds.
    pub(crate) fn new(start_ms: u64, pace: u32) -> SimulatedTime {
        SimulatedTime { start: tokio::time::Instant::now().into_std(), start_us: start_ms * 1_000, pace }
    }

    /// Monotonic time.
    pub(crate) fn monotonic(&self) -> Instant {
        self.start + self.passed()
    }

    /// The wall clock in Unix microseconds.
    pub(crate) fn wall_us(&self) -> u64 {
        self.start_us + self.passed().as_micros() as u64
    }

    fn passed(&self) -> std::time::Duration {
        tokio::time::Instant::now().into_std().saturating_duration_since(self.start) * self.pace
    }
}
