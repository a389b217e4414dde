//! Ids of decisions: UUIDs of version 7.
//!
//! `Uuid::now_v7` asks the operating system for randomness every time, which costs as much as a
//! decision. Here each thread asks once and goes on from there: ids have to be unique, not secret.
//!
//! Source: RFC 9562, section 5.7.

use std::cell::Cell;

use uuid::{Builder, Uuid};

use crate::engine::term::time::Timestamp;

thread_local! {
    static STATE: Cell<Option<[u64; 2]>> = const { Cell::new(None) };
}

/// A new id, for a decision at the instant `now`.
pub(super) fn next(now: Timestamp) -> Uuid {
    let Some(state) = STATE.get().or_else(seed) else { return Uuid::now_v7() };
    // Two sequences of Weyl, mixed as in SplitMix64 (Steele, Lea and Flood 2014).
    let [a, b] = state;
    let state = [a.wrapping_add(0x9e37_79b9_7f4a_7c15), b.wrapping_add(0xd1b5_4a32_d192_ed03)];
    STATE.set(Some(state));
    let mut random = [0; 16];
    for (bytes, word) in random.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *bytes = mixed(word).to_le_bytes();
    }
    let [random @ .., _, _, _, _, _, _] = random;
    let milliseconds = u64::try_from(now.milliseconds()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
}

fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn seed() -> Option<[u64; 2]> {
    let mut state = [0; 2];
    for word in &mut state {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).ok()?;
        *word = u64::from_le_bytes(bytes);
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::next;
    use crate::engine::term::time::Timestamp;

    #[test]
    fn ids_are_of_version_7_carry_the_instant_and_never_repeat() {
        let now = Timestamp::parse("2026-01-01T12:00:00.25Z").unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(move || (0..5_000).map(|_| next(now)).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 20_000);
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
            assert_eq!(Timestamp::new(seconds as i64, nanoseconds), now);
        }
    }
}
