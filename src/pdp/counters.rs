//! How a cache is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;

/// How a cache is doing, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheCounts {
    /// Questions whose answer was there.
    pub hits: u64,
    /// Questions whose answer had to be made, those that could not be kept too.
    pub misses: u64,
    /// Entries that were given up for want of room.
    pub evictions: u64,
    /// Entries that are kept.
    pub entries: u64,
}

/// Counts what a cache does.
#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Arc<AtomicU64>,
}

impl Counters {
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// What the cache is to tell of entries that are gone.
    pub(super) fn evictions<K, V>(
        &self,
    ) -> impl Fn(Arc<K>, V, RemovalCause) + Send + Sync + 'static {
        let evicted = Arc::clone(&self.evictions);
        move |_, _, cause| {
            // Not the one of two equal entries that arrived at the same time.
            if cause == RemovalCause::Size {
                evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn counts(&self, entries: u64) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries,
        }
    }
}
