//! A seeded source of numbers, so that a failing round can be run again.

/// SplitMix64: enough to choose what a test does next.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A source that always says the same for one seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The seed in `E2E_SEED`, or one from the clock; a test prints it.
    pub fn seed_from_environment() -> u64 {
        if let Ok(seed) = std::env::var("E2E_SEED") {
            return seed.parse().expect("E2E_SEED is a number");
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(now.expect("the clock is after 1970").as_nanos() & u128::from(u64::MAX))
            .expect("masked")
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).expect("below a usize")
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
