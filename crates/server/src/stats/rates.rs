//! How much was done a second lately, without a timer: an idle server must do nothing at all.
//!
//! Time is cut into slices; whoever did something adds it to the slice that it was done in, and whoever asks sums the
//! newest complete slices.

use std::time::Duration;

/// How many slices a second has, as in Redis.
const SLICES_PER_SECOND: u64 = 10;

/// How many slices are kept, the one that is being filled among them.
const SLICES: u64 = 17;

/// What was done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Amounts {
    /// Commands that ran.
    pub(crate) commands: u64,
    /// Bytes that were read.
    pub(crate) read: u64,
    /// Bytes that were written.
    pub(crate) written: u64,
}

/// What was done a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct PerSecond {
    /// Commands.
    pub(crate) commands: f64,
    /// Bytes read.
    pub(crate) read: f64,
    /// Bytes written.
    pub(crate) written: f64,
}

/// The newest slices.
#[derive(Default)]
pub(super) struct Rates {
    slices: [(u64, Amounts); SLICES as usize],
}

impl Rates {
    /// Something was done at `now`, counted from the start of the server.
    pub(super) fn add(&mut self, now: Duration, amounts: Amounts) {
        let number = slice_of(now);
        let slice = &mut self.slices[(number % SLICES) as usize];
        if slice.0 != number {
            *slice = (number, Amounts::default());
        }
        slice.1.add(amounts);
    }

    /// What was done in the newest complete slices.
    pub(super) fn recent(&self, now: Duration) -> Amounts {
        let current = slice_of(now);
        let mut sum = Amounts::default();
        for (number, amounts) in &self.slices {
            if *number < current && current - number < SLICES {
                sum.add(*amounts);
            }
        }
        sum
    }
}

impl Amounts {
    /// Both together.
    pub(crate) fn add(&mut self, other: Amounts) {
        self.commands += other.commands;
        self.read += other.read;
        self.written += other.written;
    }
}

impl PerSecond {
    /// Of what the complete slices before `now` hold.
    pub(super) fn of(sum: Amounts, now: Duration) -> PerSecond {
        let seconds = slice_of(now).clamp(1, SLICES - 1) as f64 / SLICES_PER_SECOND as f64;
        let rate = |amount: u64| amount as f64 / seconds;
        PerSecond { commands: rate(sum.commands), read: rate(sum.read), written: rate(sum.written) }
    }
}

fn slice_of(now: Duration) -> u64 {
    now.as_secs() * SLICES_PER_SECOND + u64::from(now.subsec_millis()) / (1_000 / SLICES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_what_is_recent_counts() {
        let mut rates = Rates::default();
        let one = Amounts { commands: 1, read: 10, written: 100 };
        rates.add(ms(50), one);
        assert_eq!(rates.recent(ms(99)).commands, 0, "the slice is not complete");
        assert_eq!(rates.recent(ms(100)), one);
        rates.add(ms(120), one);
        rates.add(ms(130), one);
        assert_eq!(rates.recent(ms(250)).commands, 3);
        assert_eq!(rates.recent(ms(1_699)).commands, 3);
        assert_eq!(rates.recent(ms(1_700)).commands, 2, "the first is too old");
        assert_eq!(rates.recent(ms(60_000)).commands, 0);
        // The same place, many rounds later.
        rates.add(ms(120 + 1_700 * 9), one);
        assert_eq!(rates.recent(ms(250 + 1_700 * 9)), one);
    }

    #[test]
    fn a_rate_is_over_the_time_that_was_looked_at() {
        let sum = Amounts { commands: 160, read: 1_600, written: 0 };
        let rate = PerSecond::of(sum, ms(10_000));
        assert_eq!((rate.commands, rate.read, rate.written), (100.0, 1_000.0, 0.0));
        assert_eq!(PerSecond::of(sum, ms(200)).commands, 800.0, "a server that is two slices old");
    }
}
