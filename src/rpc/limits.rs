//! How much may be in the house at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tonic::{Code, Status};

use super::status;

/// What one process takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, of all listeners for questions and operators together. More wait.
    pub connections: usize,
    /// Calls at once; more are refused.
    pub calls: usize,
    /// Calls at once on one connection; a client keeps more to itself.
    pub streams: u32,
    /// Bytes of a request message.
    pub message_bytes: usize,
    /// After so long a connection is asked to end, so that clients spread anew; zero: never.
    pub connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            calls: 4096,
            streams: 1024,
            message_bytes: 4 * 1024 * 1024,
            connection_age: Duration::from_secs(3600),
        }
    }
}

/// Calls that are being answered, counted against the limit.
#[derive(Clone, Debug)]
pub(super) struct Busy(Arc<Count>);

#[derive(Debug)]
struct Count {
    most: usize,
    now: AtomicUsize,
    shed: Arc<AtomicU64>,
}

impl Busy {
    /// At most so many; `shed` counts those that were refused.
    pub(super) fn new(most: usize, shed: Arc<AtomicU64>) -> Self {
        Self(Arc::new(Count { most, now: AtomicUsize::new(0), shed }))
    }

    /// Begins a call, which lasts until what is given back is dropped.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED`: there are too many.
    pub(super) fn begin(&self) -> Result<Begun, Status> {
        let begun = Begun(Arc::clone(&self.0));
        if self.0.now.fetch_add(1, Ordering::AcqRel) < self.0.most {
            return Ok(begun);
        }
        self.0.shed.fetch_add(1, Ordering::Relaxed);
        Err(status::refused(
            Code::ResourceExhausted,
            "OVERLOADED",
            "too many calls at once; refuse the operation, or ask again later",
        ))
    }
}

/// A call that counts.
#[derive(Debug)]
pub(super) struct Begun(Arc<Count>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tonic::Code;

    use super::Busy;

    #[test]
    fn one_too_many_is_refused_and_counted_and_makes_no_room() {
        let shed = Arc::new(AtomicU64::new(0));
        let busy = Busy::new(2, Arc::clone(&shed));
        let first = busy.begin().unwrap();
        let _second = busy.begin().unwrap();
        for _ in 0..3 {
            assert_eq!(busy.begin().unwrap_err().code(), Code::ResourceExhausted);
        }
        assert_eq!(shed.load(Ordering::Relaxed), 3);
        drop(first);
        assert!(busy.begin().is_ok());
    }
}
