//! Latencies of a queue in 128 logarithmic buckets: 512 bytes, four buckets to each doubling.
//!
//! A percentile is the upper end of its bucket, so at most a quarter too high; the maximum is exact.

use crate::{Latency, SPREAD_ENDS_MS, Spread};

const BUCKETS: usize = 128;
/// Buckets to each doubling, as a power of two.
const FINE_BITS: u32 = 2;

#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [u32; BUCKETS],
    total: u64,
    sum_ms: u64,
    max_ms: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; BUCKETS], total: 0, sum_ms: 0, max_ms: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, ms: u64) {
        let count = &mut self.counts[bucket(ms)];
        *count = count.saturating_add(1);
        self.total += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
        self.max_ms = self.max_ms.max(ms);
    }

    pub(crate) fn latency(&self) -> Latency {
        if self.total == 0 {
            return Latency::default();
        }
        Latency {
            p50_ms: Some(self.quantile(50)),
            p99_ms: Some(self.quantile(99)),
            max_ms: Some(self.max_ms),
        }
    }

    /// How many there were between the ends that monitoring shows, each of which is the end of a bucket.
    pub(crate) fn spread(&self) -> Spread {
        let mut spread = Spread { sum_ms: self.sum_ms, ..Spread::default() };
        for (bucket, &count) in self.counts.iter().enumerate() {
            let place = SPREAD_ENDS_MS.partition_point(|&end| end < upper_end(bucket));
            spread.counts[place] += u64::from(count);
        }
        spread
    }

    fn quantile(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return upper_end(bucket).min(self.max_ms);
            }
        }
        self.max_ms
    }
}

fn bucket(ms: u64) -> usize {
    if ms < 1 << FINE_BITS {
        return ms as usize;
    }
    let doubling = ms.ilog2() - FINE_BITS;
    let fine = (ms >> doubling) as usize & ((1 << FINE_BITS) - 1);
    (((doubling as usize + 1) << FINE_BITS) + fine).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    if bucket < 1 << FINE_BITS {
        return bucket as u64;
    }
    let doubling = (bucket >> FINE_BITS) as u32 - 1;
    let fine = (bucket & ((1 << FINE_BITS) - 1)) as u64;
    (((1 << FINE_BITS) + fine + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_ends_where_the_next_begins() {
        for ms in 0..100_000 {
            let b = bucket(ms);
            assert!(
                upper_end(b) >= ms && upper_end(b) <= ms + ms / 4,
                "{ms} is in bucket {b} to {}",
                upper_end(b)
            );
            assert!(b == 0 || upper_end(b - 1) < ms, "{ms} belongs to an earlier bucket than {b}");
        }
    }

    #[test]
    fn a_spread_counts_exactly() {
        assert!(SPREAD_ENDS_MS.iter().all(|&end| upper_end(bucket(end)) == end));
        let mut histogram = Histogram::default();
        [0, 3, 4, 15, 16, 4_194_303, 4_194_304, u64::MAX / 2].into_iter().for_each(|ms| histogram.record(ms));
        let spread = histogram.spread();
        assert_eq!(spread.counts, [2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(spread.sum_ms, 8_388_645 + u64::MAX / 2);
    }

    #[test]
    fn percentiles_are_within_a_quarter() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|ms| histogram.record(ms));
        let latency = histogram.latency();
        assert!((500..=625).contains(&latency.p50_ms.unwrap()));
        assert!((990..=1_000).contains(&latency.p99_ms.unwrap()));
        assert_eq!(latency.max_ms, Some(1_000));
    }
}
