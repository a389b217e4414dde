//! The living thing: which snapshot answers now.

pub mod load;

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::engine::snapshot::Snapshot;

/// Answers from one snapshot at a time. There is always one.
#[derive(Debug)]
pub struct Pdp {
    live: ArcSwap<Snapshot>,
}

/// The state of the grants while all of them come from documents: usable as `at_least_as_fresh`.
pub const CONSISTENCY_TOKEN: &str = "documents.0";

impl Pdp {
    /// Answers from `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { live: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot that answers now. Whoever holds it sees one moment, whatever is installed.
    #[must_use]
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.live.load()
    }

    /// Answers from `snapshot` from now on.
    pub fn install(&self, snapshot: Snapshot) {
        self.live.store(Arc::new(snapshot));
    }
}
