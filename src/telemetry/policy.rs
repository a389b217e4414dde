//! What is told of the policy set: its revision, its age, how reloads went. Whoever loads it says how
//! to read that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the policy set is.
#[derive(Clone, Debug)]
pub struct PolicyFacts {
    /// The revision of the set that answers.
    pub revision: Arc<str>,
    /// Where it came from: `source`, or `last_good` for the copy of it.
    pub origin: &'static str,
    /// How many objects of each kind it has.
    pub objects: Vec<(&'static str, u64)>,
    /// Sets that were taken over, the first included.
    pub succeeded: u64,
    /// Sets that were refused, and attempts to read one that failed.
    pub failed: u64,
    /// When it was last seen that this is what the source holds, since the epoch.
    pub last_success: Duration,
}

/// Reads how the policy set is.
type Read = Box<dyn Fn() -> PolicyFacts + Send + Sync>;

/// Where to read how the policy set is.
#[derive(Default)]
pub(super) struct PolicySource(Mutex<Option<Read>>);

impl std::fmt::Debug for PolicySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PolicySource")
    }
}

impl PolicySource {
    pub(super) fn set(&self, read: Read) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
    }

    pub(super) fn read(&self) -> Option<PolicyFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|read| read())
    }
}
