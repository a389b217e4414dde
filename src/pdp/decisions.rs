//! What long policies said before. Only callers with very many statements gain by it: for all others
//! it is cheaper to decide than to look up.

use std::cell::Cell;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::DefaultHashBuilder;
use moka::sync::Cache;

use super::counters::{CacheCounts, Counters};
use crate::engine::decide::decision::Answer;
use crate::engine::decide::memory::{Findings, Grounds, Held, Memory};

/// Bytes that are kept at most.
const KEPT_BYTES: u64 = 32 * 1024 * 1024;

/// What an entry costs beside its grounds.
const OVERHEAD: usize = 384;

/// The effort of the caller's own policies from which on they are looked up. What comes again and again
/// is cheaper looked up from about 350 on, what is one of thousands from about 700 on (`decide` of the
/// benchmarks, case `cache`).
pub const WORTHWHILE: u32 = 500;

/// Questions that are known to have come once.
const ONCE: usize = 16 * 1024;

/// What policies said, by all that it depends on. An entry never becomes stale: whatever changes, an
/// answer is found by the grounds that it was made on and by no others.
///
/// To keep something is dear, and many questions come once alone: what is asked is kept when it comes
/// the second time.
#[derive(Debug)]
pub struct Decisions {
    kept: Cache<Held, Findings, DefaultHashBuilder>,
    worthwhile: u32,
    hasher: DefaultHashBuilder,
    /// Parts of the hashes of what came once. That two are the same means nothing but that something
    /// is kept sooner.
    once: Box<[AtomicU32]>,
    counters: Counters,
}

impl Default for Decisions {
    fn default() -> Self {
        Self::from(WORTHWHILE)
    }
}

impl Decisions {
    /// For callers whose own policies have this effort.
    #[must_use]
    pub fn from(worthwhile: u32) -> Self {
        let weight = |held: &Held, _: &Findings| {
            let entry = size_of::<Findings>() + OVERHEAD;
            u32::try_from(held.weight() + entry).unwrap_or(u32::MAX)
        };
        let (counters, hasher) = (Counters::default(), DefaultHashBuilder::default());
        let kept = Cache::builder()
            .max_capacity(KEPT_BYTES)
            .weigher(weight)
            .eviction_listener(counters.evictions())
            .build_with_hasher(hasher.clone());
        let once = (0..ONCE).map(|_| AtomicU32::new(0)).collect();
        Self { kept, worthwhile, hasher, once, counters }
    }

    /// The memory of one decision.
    #[must_use]
    pub fn recall(&self) -> Recall<'_> {
        Recall { decisions: self, found: Cell::new(0), missed: Cell::new(false) }
    }

    /// Whether it came before, as far as is known.
    fn came_before(&self, grounds: &Grounds<'_>) -> bool {
        let hash = self.hasher.hash_one(grounds);
        let (place, part) = (hash as usize % ONCE, (hash >> 32) as u32);
        self.once.get(place).is_some_and(|once| once.swap(part, Ordering::Relaxed) == part)
    }

    /// How the cache is doing.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        self.kept.run_pending_tasks();
        self.counters.counts(self.kept.entry_count())
    }
}

/// The memory of one decision: knows what it had to say.
#[derive(Debug)]
pub struct Recall<'d> {
    decisions: &'d Decisions,
    found: Cell<usize>,
    missed: Cell<bool>,
}

impl Recall<'_> {
    /// Whether all that policies say in an answer came from here.
    #[must_use]
    pub fn made(&self, answer: &Answer<'_>) -> bool {
        // Some legs are looked at again.
        self.found.get() >= answer.legs.len() && !self.missed.get()
    }
}

impl Memory for Recall<'_> {
    fn worthwhile(&self) -> u32 {
        self.decisions.worthwhile
    }

    fn recall(&self, grounds: &Grounds<'_>) -> Option<Findings> {
        let found = self.decisions.kept.get(grounds);
        match found {
            Some(_) => {
                self.found.set(self.found.get() + 1);
                self.decisions.counters.hit();
            }
            None => {
                self.missed.set(true);
                self.decisions.counters.missed();
            }
        }
        found
    }

    fn keep(&self, grounds: &Grounds<'_>, findings: Findings) {
        if self.decisions.came_before(grounds) {
            self.decisions.kept.insert(grounds.hold(), findings);
        }
    }
}
