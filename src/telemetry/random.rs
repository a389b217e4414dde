//! Numbers for sampling: fast, and not for secrets.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// The next number of this thread (SplitMix64, Steele, Lea and Flood 2014).
pub(super) fn next() -> u64 {
    STATE.with(|state| {
        if state.get() == 0 {
            state.set(seed());
        }
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes) | 1,
        // Sampling is then the same in every process: no secret hangs on it.
        Err(_) => 1,
    }
}

/// The next number from 0 to 1 of this thread.
pub(super) fn unit() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let numerator = (next() >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_fill_the_unit_evenly() {
        let below = (0..10_000).filter(|_| super::unit() < 0.25).count();
        assert!((2_000..3_000).contains(&below), "{below}");
        assert!((0..1000).map(|_| super::unit()).all(|number| (0.0..1.0).contains(&number)));
    }
}
