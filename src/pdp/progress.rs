//! How far a load is, for whoever waits for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Told how many documents of how many were read, from several threads.
type Tell = dyn Fn(usize, usize) + Send + Sync;

/// Whom to tell how far a load is; nobody, by default.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Tell>>);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.0.is_some()).finish()
    }
}

impl Progress {
    /// Tells `tell`.
    #[must_use]
    pub fn new(tell: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Counts what is read of `all`.
    pub(super) fn count(&self, all: usize) -> impl Fn(usize) {
        let done = AtomicUsize::new(0);
        move |more| {
            if let Some(tell) = &self.0 {
                tell(done.fetch_add(more, Ordering::Relaxed) + more, all);
            }
        }
    }
}
