//! Counters and histograms that cost one addition to a number of the thread's own shard.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Shards: more threads than this share.
const SHARDS: usize = 8;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The shard of this thread.
fn shard() -> usize {
    SHARD.with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        shard.get()
    })
}

/// Counters by index, registered when they are made.
#[derive(Debug)]
pub(super) struct Counters {
    shards: Vec<Box<[AtomicU64]>>,
}

impl Counters {
    /// So many counters, all zero.
    pub(super) fn new(count: usize) -> Self {
        let shard = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Adds to a counter.
    pub(super) fn add(&self, index: usize, count: u64) {
        let counter = self.shards.get(shard()).and_then(|shard| shard.get(index));
        if let Some(counter) = counter {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The value of a counter.
    pub(super) fn get(&self, index: usize) -> u64 {
        let counters = self.shards.iter().filter_map(|shard| shard.get(index));
        counters.map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// The upper bounds of the buckets of durations, in seconds.
pub(super) const BOUNDS: [f64; 18] = [
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
    0.1,
    0.5,
    1.0,
    5.0,
];

/// The same in nanoseconds.
const NANOSECONDS: [u64; 18] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
];

/// Numbers of one histogram: the buckets, the last without bound, and the sum in nanoseconds.
const WIDTH: usize = BOUNDS.len() + 2;

/// Histograms of durations by index.
#[derive(Debug)]
pub(super) struct Histograms(Counters);

/// What a histogram holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Distribution {
    /// Durations in each bucket, the last without bound.
    pub(super) buckets: Vec<u64>,
    /// The sum of the durations in seconds.
    pub(super) sum: f64,
}

impl Distribution {
    /// How many durations there are.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Histograms {
    /// So many histograms, all empty.
    pub(super) fn new(count: usize) -> Self {
        Self(Counters::new(count * WIDTH))
    }

    /// Puts a duration in.
    pub(super) fn record(&self, index: usize, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = NANOSECONDS.partition_point(|bound| *bound < nanoseconds);
        self.0.add(index * WIDTH + bucket, 1);
        self.0.add(index * WIDTH + WIDTH - 1, nanoseconds);
    }

    /// What is in a histogram.
    pub(super) fn get(&self, index: usize) -> Distribution {
        let buckets = (0..=BOUNDS.len()).map(|at| self.0.get(index * WIDTH + at)).collect();
        #[expect(clippy::cast_precision_loss, reason = "a sum of durations is not exact anyway")]
        let sum = self.0.get(index * WIDTH + WIDTH - 1) as f64 / 1e9;
        Distribution { buckets, sum }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Counters, Histograms, NANOSECONDS};

    #[test]
    fn what_many_threads_add_is_the_sum() {
        let counters = Counters::new(3);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..1000).for_each(|_| counters.add(1, 2)));
            }
        });
        assert_eq!([0, 1, 2].map(|index| counters.get(index)), [0, 40_000, 0]);
    }

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_they_do_not_pass() {
        for (seconds, nanoseconds) in BOUNDS.iter().zip(NANOSECONDS) {
            assert_eq!(Duration::from_secs_f64(*seconds), Duration::from_nanos(nanoseconds));
        }
        let histograms = Histograms::new(2);
        for nanoseconds in [0, 1_000, 1_001, 5_000_000_000, 5_000_000_001] {
            histograms.record(1, Duration::from_nanos(nanoseconds));
        }
        let found = histograms.get(1);
        assert_eq!((found.buckets[0], found.buckets[1]), (2, 1));
        assert_eq!((found.buckets[17], found.buckets[18], found.count()), (1, 1, 5));
        assert!((found.sum - 10.000_002_002).abs() < 1e-9);
        assert_eq!(histograms.get(0).count(), 0);
    }
}
