//! What became of the records of a sink.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a record was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Loss {
    /// It came faster than it could be written.
    QueueFull,
    /// The sink could not be written.
    WriteFailed,
    /// There was no room for it on the disk either.
    SpillFull,
    /// The collector did not want it.
    Rejected,
    /// The collector had not said that it has it when the service ended. It may have it.
    Unacknowledged,
    /// The log was closed already.
    Closed,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::QueueFull,
        Self::WriteFailed,
        Self::SpillFull,
        Self::Rejected,
        Self::Unacknowledged,
        Self::Closed,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WriteFailed => "write_failed",
            Self::SpillFull => "spill_full",
            Self::Rejected => "rejected",
            Self::Unacknowledged => "unacknowledged",
            Self::Closed => "closed",
        }
    }
}

/// What became of the records of a sink.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    spilled: AtomicU64,
    lost: [AtomicU64; 6],
    depth: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    /// Records written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records that wait on disk.
    #[must_use]
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    /// Records lost for a reason.
    #[must_use]
    pub fn lost(&self, reason: Loss) -> u64 {
        self.lost.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Records lost.
    #[must_use]
    pub fn all_lost(&self) -> u64 {
        Loss::ALL.into_iter().map(|reason| self.lost(reason)).sum()
    }

    /// Records that wait in memory.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth.load(Ordering::Relaxed)
    }

    /// Bytes that wait in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add_written(&self, count: u64) {
        self.written.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_lost(&self, reason: Loss, count: u64) {
        if let Some(lost) = self.lost.get(reason as usize) {
            lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn set_spilled(&self, count: u64) {
        self.spilled.store(count, Ordering::Relaxed);
    }

    /// One more waits in memory; gives how many records and bytes do now.
    pub(super) fn entered(&self, bytes: usize) -> (u64, u64) {
        let bytes = bytes as u64;
        let records = self.depth.fetch_add(1, Ordering::Relaxed) + 1;
        (records, self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }

    pub(super) fn left(&self, bytes: usize) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}
