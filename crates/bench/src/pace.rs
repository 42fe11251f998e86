//! When commands are due. A closed loop sends the next one when it has the answer to the last; an open loop sends as
//! a schedule says, whatever the server does, so that a server that stops is asked no less.

/// How commands arrive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// As fast as the connections get answers.
    Closed,
    /// By a schedule.
    Open {
        /// Pushes a second, of one batch each.
        pushes_per_second: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
}

/// How the arrivals of a schedule are spread over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// At equal intervals.
    Fixed,
    /// As of many clients that don't know each other: the gaps have an exponential distribution.
    Poisson {
        /// The same seed gives the same gaps.
        seed: u64,
    },
}

/// The due times of one run, in nanoseconds since its start.
pub(crate) enum Schedule {
    Closed,
    Open { next: u64, taken: u64, interval_ns: f64, gaps: Option<Gaps> },
}

impl Schedule {
    pub(crate) fn new(pace: Pace) -> Schedule {
        match pace {
            Pace::Closed => Schedule::Closed,
            Pace::Open { pushes_per_second, arrivals } => Schedule::Open {
                next: 0,
                taken: 0,
                interval_ns: 1e9 / pushes_per_second,
                gaps: match arrivals {
                    Arrivals::Fixed => None,
                    Arrivals::Poisson { seed } => Some(Gaps { state: seed, at_ns: 0.0 }),
                },
            },
        }
    }

    /// Takes the next arrival, if one is due; when it was due.
    pub(crate) fn take(&mut self, now: u64) -> Option<u64> {
        match self {
            Schedule::Closed => Some(now),
            Schedule::Open { next, .. } if *next > now => None,
            Schedule::Open { next, taken, interval_ns, gaps } => {
                let due = *next;
                *taken += 1;
                *next = match gaps {
                    // Multiplied, not added up: an hour of errors of rounding must not bend the rate.
                    None => (*taken as f64 * *interval_ns) as u64,
                    Some(gaps) => gaps.next(*interval_ns),
                };
                Some(due)
            }
        }
    }

    /// When the next arrival is due; a closed loop waits for none.
    pub(crate) fn next(&self) -> Option<u64> {
        match self {
            Schedule::Closed => None,
            Schedule::Open { next, .. } => Some(*next),
        }
    }
}

/// Gaps of a Poisson process, from a seed.
pub(crate) struct Gaps {
    state: u64,
    at_ns: f64,
}

impl Gaps {
    fn next(&mut self, mean_ns: f64) -> u64 {
        // SplitMix64: small, and good enough for gaps.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // 53 bits make a number in (0, 1].
        let share = ((bits >> 11) + 1) as f64 / (1u64 << 53) as f64;
        self.at_ns -= share.ln() * mean_ns;
        self.at_ns as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(pushes_per_second: f64, arrivals: Arrivals) -> Schedule {
        Schedule::new(Pace::Open { pushes_per_second, arrivals })
    }

    #[test]
    fn fixed_arrivals_are_due_at_equal_intervals() {
        let mut schedule = open(1_000.0, Arrivals::Fixed);
        assert_eq!(schedule.take(0), Some(0));
        assert_eq!(schedule.take(999_999), None, "not yet");
        assert_eq!(schedule.next(), Some(1_000_000));
        assert_eq!(schedule.take(1_000_000), Some(1_000_000));
    }

    #[test]
    fn arrivals_stay_due_while_nobody_takes_them() {
        let mut schedule = open(1_000.0, Arrivals::Fixed);
        // A stop of a second: all of it is still to be sent, and each arrival keeps the time at which it was due.
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take(1_000_000_000)).collect();
        assert_eq!(taken.len(), 1_001);
        assert!(taken.iter().enumerate().all(|(at, due)| *due == at as u64 * 1_000_000));
    }

    #[test]
    fn an_odd_rate_is_kept_for_hours() {
        let mut schedule = open(333.0, Arrivals::Fixed);
        let hour = 3_600_000_000_000;
        let taken = std::iter::from_fn(|| schedule.take(hour - 1)).count();
        assert_eq!(taken, 3_600 * 333);
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_vary() {
        let mut schedule = open(10_000.0, Arrivals::Poisson { seed: 7 });
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take(10_000_000_000)).collect();
        assert!((99_000..101_000).contains(&taken.len()), "{}", taken.len());
        let gaps: Vec<u64> = taken.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let short = gaps.iter().filter(|gap| **gap < 100_000).count() as f64 / gaps.len() as f64;
        // 1 - 1/e of the gaps are shorter than the mean.
        assert!((0.62..0.645).contains(&short), "{short}");
    }

    #[test]
    fn a_seed_gives_the_same_gaps_again() {
        let first = |seed| {
            let mut schedule = open(100.0, Arrivals::Poisson { seed });
            (0..50).map(|_| schedule.take(u64::MAX).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn a_closed_loop_is_always_due() {
        let mut schedule = Schedule::new(Pace::Closed);
        assert_eq!(schedule.take(17), Some(17));
        assert_eq!(schedule.next(), None);
    }
}
