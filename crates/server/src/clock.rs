//! What time it is, for the engine: near the wall clock, and never going back.
//!
//! The wall clock can jump, and leases and due times must not jump with it. So now is the wall clock at the
//! start plus monotonic time, run up to 5 % faster or slower until it meets the wall clock again. After a
//! restart it is never below the newest instant in the log, even if the wall clock is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::limits::{CLOCK_COMPARE, CLOCK_SLEW_PER_MILLE};

/// The server's clock.
pub(crate) struct Clock {
    source: Source,
    start: Instant,
    slew: Mutex<Slew>,
}

/// Where monotonic time and the wall clock come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The system.
    System,
    /// A simulation.
    #[cfg(feature = "simulation")]
    Simulated(crate::simulation::SimulatedTime),
}

impl Clock {
    /// Whether it is a simulation's.
    #[cfg(feature = "simulation")]
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self.source, Source::Simulated(_))
    }

    /// A clock that shows at least `floor_ms`.
    pub(crate) fn new(source: Source, floor_ms: u64) -> Clock {
        let slew = Slew::new(source.wall_us().max(floor_ms * 1_000));
        Clock { source, start: source.monotonic(), slew: Mutex::new(slew) }
    }

    /// How long it is since an instant of [`Clock::read`].
    #[inline]
    pub(crate) fn since(&self, monotonic: Instant) -> Duration {
        self.source.monotonic().saturating_duration_since(monotonic)
    }

    /// Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.read().1
    }

    /// Monotonic time, and Unix milliseconds, of one reading.
    #[inline]
    pub(crate) fn read(&self) -> (Instant, u64) {
        let monotonic = self.source.monotonic();
        let elapsed = monotonic.saturating_duration_since(self.start);
        let shown_us = self.slew.lock().read(elapsed, || self.source.wall_us());
        (monotonic, shown_us / 1_000)
    }
}

impl Source {
    #[inline]
    fn monotonic(self) -> Instant {
        match self {
            Source::System => Instant::now(),
            #[cfg(feature = "simulation")]
            Source::Simulated(time) => time.monotonic(),
        }
    }

    /// The wall clock in Unix microseconds.
    fn wall_us(self) -> u64 {
        match self {
            Source::System => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
            }
            #[cfg(feature = "simulation")]
            Source::Simulated(time) => time.wall_us(),
        }
    }
}

/// The clock without its sources: a line through an anchor, bent a little at each comparison.
struct Slew {
    /// Monotonic time of the anchor.
    anchor: Duration,
    /// What the clock showed there.
    shown_us: u64,
    /// How fast it runs: 1,000 is real time.
    pace_per_mille: u64,
}

impl Slew {
    fn new(shown_us: u64) -> Slew {
        Slew { anchor: Duration::ZERO, shown_us, pace_per_mille: 1_000 }
    }

    /// The time at monotonic time `elapsed`, which never goes back; asks `wall` for the wall clock now and then.
    fn read(&mut self, elapsed: Duration, wall: impl FnOnce() -> u64) -> u64 {
        let since = elapsed.saturating_sub(self.anchor);
        // The pace is right until the comparison is due. An idle server makes it later, and runs in real time until then.
        let bent = since.min(CLOCK_COMPARE);
        let bent_us = bent.as_micros() as u64 * self.pace_per_mille / 1_000;
        let shown_us = self.shown_us + bent_us + (since - bent).as_micros() as u64;
        if since >= CLOCK_COMPARE {
            *self = Slew { anchor: elapsed, shown_us, pace_per_mille: pace(shown_us, wall()) };
        }
        shown_us
    }
}

/// How fast to run until the next comparison, so as to meet the wall clock there or come nearer to it.
fn pace(shown_us: u64, wall_us: u64) -> u64 {
    let compare_us = CLOCK_COMPARE.as_micros() as u64;
    let bend = (wall_us.abs_diff(shown_us) * 1_000 / compare_us).min(CLOCK_SLEW_PER_MILLE);
    if wall_us >= shown_us { 1_000 + bend } else { 1_000 - bend }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads every 100 ms for `seconds` while the wall clock differs from real time by `offset_us`.
    fn run(seconds: u64, offset_us: i64) -> Vec<u64> {
        let start_us = 1_000_000_000;
        let mut slew = Slew::new(start_us);
        (1..=seconds * 10)
            .map(|tick| {
                let real_us = tick * 100_000;
                slew.read(Duration::from_micros(real_us), || {
                    (start_us + real_us).saturating_add_signed(offset_us)
                }) - start_us
            })
            .collect()
    }

    #[test]
    fn it_runs_with_the_wall_clock() {
        assert_eq!(run(2, 0).last(), Some(&2_000_000));
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_met_slowly_and_never_backwards() {
        for offset_us in [400_000, -400_000] {
            let shown = run(60, offset_us);
            for pair in shown.windows(2) {
                let step = pair[1] - pair[0];
                assert!((95_000..=105_000).contains(&step), "a step of {step} us");
            }
            let last = *shown.last().unwrap() as i64;
            assert!((last - 60_000_000 - offset_us).abs() < 1_000, "{last} after a jump of {offset_us}");
        }
    }

    #[test]
    fn an_idle_time_after_a_jump_is_as_long_as_it_is() {
        let hour = Duration::from_secs(3_600);
        for offset_us in [5_000, -5_000] {
            let wall_us =
                |elapsed: Duration| (elapsed.as_micros() as u64 + 1_000_000).saturating_add_signed(offset_us);
            let mut slew = Slew::new(1_000_000);
            let before = slew.read(CLOCK_COMPARE, || wall_us(CLOCK_COMPARE));
            let after = slew.read(CLOCK_COMPARE + hour, || wall_us(CLOCK_COMPARE + hour));
            let off = (after - before) as i64 - hour.as_micros() as i64;
            assert_eq!(off, offset_us, "what the wall clock was off is made up for, and no more");
        }
    }

    #[test]
    fn it_starts_no_lower_than_its_floor() {
        let floor_ms = Source::System.wall_us() / 1_000 + 3_600_000;
        let clock = Clock::new(Source::System, floor_ms);
        let first = clock.now_ms();
        assert!(first >= floor_ms);
        assert!(clock.now_ms() >= first);
    }
}
