//! Pauses between attempts to reach a server that is away: doubling, capped, and jittered, so that a thousand
//! runners don't come back in the same millisecond.

use std::time::Duration;

/// First pause, before jitter.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause, before jitter.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The pauses of one outage.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { next: PAUSE_MIN }
    }
}

impl Backoff {
    /// The next pause: between half and the whole of 50 ms, 100 ms, … 5 s.
    pub fn next_pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(PAUSE_MAX);
        whole / 2 + (whole / 2).mul_f64(random_fraction())
    }

    /// The outage is over.
    pub fn reset(&mut self) {
        *self = Backoff::default();
    }
}

/// A number from 0 to 1. A machine without randomness gets the longest pause, which is safe.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_stay_within_their_jitter() {
        let mut backoff = Backoff::default();
        let mut whole = PAUSE_MIN;
        for _ in 0..20 {
            let pause = backoff.next_pause();
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            whole = (whole * 2).min(PAUSE_MAX);
        }
        backoff.reset();
        assert!(backoff.next_pause() <= PAUSE_MIN);
    }
}
