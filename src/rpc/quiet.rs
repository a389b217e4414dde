//! Warnings that whoever causes them cannot flood the log with.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Warnings a second.
const MOST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// At most ten warnings a second; the rest are counted.
#[derive(Debug)]
pub(super) struct Quiet {
    rate: DefaultDirectRateLimiter,
    skipped: AtomicU64,
}

impl Default for Quiet {
    fn default() -> Self {
        let rate = RateLimiter::direct(Quota::per_second(MOST));
        Self { rate, skipped: AtomicU64::new(0) }
    }
}

impl Quiet {
    /// Warns, unless there were many warnings just now. `say` hears how many were skipped before.
    pub(super) fn warn(&self, say: impl FnOnce(u64)) {
        if self.rate.check().is_ok() {
            say(self.skipped.swap(0, Ordering::Relaxed));
        } else {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Quiet;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let quiet = Quiet::default();
        let mut said = 0;
        for _ in 0..1000 {
            quiet.warn(|_| said += 1);
        }
        assert!((1..1000).contains(&said), "{said}");
    }
}
