//! What the thread of a sink shares with those who offer records, and when they wake it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::chain::Head;
use super::counts::Counts;
use super::ledger::Ledger;

/// Records written at once.
pub(super) const BATCH: usize = 512;

/// Bytes after which no more records are gathered to be written at once.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;

/// What a sink's thread shares with those who offer records.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) counts: Counts,
    pub(super) ledger: Option<Arc<Ledger>>,
    /// The service ends: nothing is tried for long any more.
    pub(super) closing: AtomicBool,
    /// So many records that wait are worth waking the thread while it lets more come.
    pub(super) enough: u64,
    pub(super) head: std::sync::Mutex<Head>,
}

impl Shared {
    /// Counts one more that waits; gives whether it just became enough to be written at once.
    pub(super) fn entered(&self, bytes: usize) -> bool {
        let (records, all) = self.counts.entered(bytes);
        let before = all.saturating_sub(bytes as u64);
        records == self.enough || (before < BATCH_BYTES as u64 && all >= BATCH_BYTES as u64)
    }

    /// Whether enough wait to be written at once.
    pub(super) fn has_enough(&self) -> bool {
        self.counts.depth() >= self.enough || self.counts.bytes() >= BATCH_BYTES as u64
    }
}

/// How many records are enough to be written at once, of a queue of so many.
pub(super) fn enough(capacity: usize) -> u64 {
    (capacity / 2).clamp(1, BATCH) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::{BATCH, BATCH_BYTES, Counts, Head, Shared, enough};

    fn shared(capacity: usize) -> Shared {
        Shared {
            name: "file".to_owned(),
            counts: Counts::default(),
            ledger: None,
            closing: AtomicBool::new(false),
            enough: enough(capacity),
            head: std::sync::Mutex::new(Head::default()),
        }
    }

    #[test]
    fn the_thread_is_woken_once_for_what_is_enough_and_then_does_not_pause() {
        for (capacity, at) in [(1, 1), (10, 5), (65_536, BATCH)] {
            let shared = shared(capacity);
            for waiting in 1..=2 * at {
                assert_eq!(shared.entered(1), waiting == at, "{waiting} of {capacity}");
                assert_eq!(shared.has_enough(), waiting >= at, "{waiting} of {capacity}");
            }
        }
        let shared = shared(65_536);
        let third = BATCH_BYTES / 3 + 1;
        let woken: Vec<bool> = (0..4).map(|_| shared.entered(third)).collect();
        assert_eq!(woken, [false, false, true, false]);
        assert!(shared.has_enough());
        shared.counts.left(third);
        shared.counts.left(third);
        assert!(!shared.has_enough());
    }
}
