//! How much may be in the house at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tonic::{Code, Status};

use super::status;
use crate::engine::term::request::Bound;

/// What one process takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, of all listeners for questions and operators together. More wait.
    pub connections: usize,
    /// Calls at once that wait for their answer; more are refused. So are all while there are
    /// sixteen times as many that are not over.
    pub calls: usize,
    /// Calls at once on one connection; a client keeps more to itself.
    pub streams: u32,
    /// Bytes of a request message.
    pub message_bytes: usize,
    /// A message has so long to come whole, and a plain call with it.
    pub message_time: Duration,
    /// Bytes of all messages that have not come whole, together.
    pub incoming_bytes: usize,
    /// After so long a connection is asked to end, so that clients spread anew; zero: never.
    pub connection_age: Duration,
    /// A connection that says nothing for so long is asked whether it is there, and is cut if nothing
    /// comes for as long again.
    pub keepalive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            calls: 4096,
            streams: 128,
            message_bytes: 4 * 1024 * 1024,
            message_time: Duration::from_secs(30),
            incoming_bytes: 256 * 1024 * 1024,
            connection_age: Duration::from_secs(3600),
            keepalive: Duration::from_secs(30),
        }
    }
}

/// Calls and connections that were refused or ended because of the limits, since the start.
#[derive(Debug, Default)]
pub struct Shed {
    /// There were too many.
    pub calls: AtomicU64,
    /// Too much had come of messages that were not whole.
    pub bytes: AtomicU64,
    /// The message did not come whole in time.
    pub slow: AtomicU64,
    /// The message was longer than is taken.
    pub long: AtomicU64,
    /// Connections that said nothing any more.
    pub silent: AtomicU64,
    batches: AtomicU64,
    encryption_contexts: AtomicU64,
    grant_tokens: AtomicU64,
    session_policies: AtomicU64,
}

impl Shed {
    /// Questions, and batches, that were beyond a bound.
    #[must_use]
    pub fn beyond(&self, bound: Bound) -> &AtomicU64 {
        match bound {
            Bound::Batch => &self.batches,
            Bound::EncryptionContext => &self.encryption_contexts,
            Bound::GrantTokens => &self.grant_tokens,
            Bound::SessionPolicies => &self.session_policies,
        }
    }
}

/// Calls that are not over, for each that may wait for its answer: conversations, and answers that
/// their clients do not take. Health has as much room again.
const ROOM: usize = 16;

/// Calls that are being answered, and those that are not over, counted against the limits.
#[derive(Clone, Debug)]
pub(super) struct Busy(Arc<Count>);

#[derive(Debug)]
struct Count {
    most: usize,
    now: AtomicUsize,
    unfinished: AtomicUsize,
    shed: Arc<Shed>,
}

impl Busy {
    /// At most so many; `shed` counts those that were refused.
    pub(super) fn new(most: usize, shed: Arc<Shed>) -> Self {
        let (now, unfinished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Count { most, now, unfinished, shed }))
    }

    /// Begins a call, which waits for its answer until what is given back is dropped.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED`: there are too many.
    pub(super) fn begin(&self) -> Result<Begun, Status> {
        let begun = Begun(Arc::clone(&self.0));
        if self.0.now.fetch_add(1, Ordering::AcqRel) < self.0.most && self.has_room(1) {
            return Ok(begun);
        }
        Err(self.refused())
    }

    /// Begins a call about health, which does not wait.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED`: there are far too many that are not over.
    pub(super) fn begin_health(&self) -> Result<(), Status> {
        if self.has_room(2) { Ok(()) } else { Err(self.refused()) }
    }

    /// A call is there.
    pub(super) fn unfinished(&self) -> Unfinished {
        self.0.unfinished.fetch_add(1, Ordering::AcqRel);
        Unfinished(Arc::clone(&self.0))
    }

    fn has_room(&self, times: usize) -> bool {
        let most = self.0.most.saturating_mul(ROOM).saturating_mul(times);
        self.0.unfinished.load(Ordering::Acquire) < most
    }

    fn refused(&self) -> Status {
        self.0.shed.calls.fetch_add(1, Ordering::Relaxed);
        status::refused(
            Code::ResourceExhausted,
            "OVERLOADED",
            "too many calls at once; refuse the operation, or ask again later",
        )
    }
}

/// A call that is not over, until it is dropped.
#[derive(Debug)]
pub(super) struct Unfinished(Arc<Count>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.unfinished.fetch_sub(1, Ordering::AcqRel);
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
    use std::sync::atomic::Ordering;

    use tonic::Code;

    use super::{Busy, Shed};

    #[test]
    fn one_too_many_is_refused_and_counted_and_makes_no_room() {
        let shed = Arc::new(Shed::default());
        let busy = Busy::new(2, Arc::clone(&shed));
        let first = busy.begin().unwrap();
        let _second = busy.begin().unwrap();
        for _ in 0..3 {
            assert_eq!(busy.begin().unwrap_err().code(), Code::ResourceExhausted);
        }
        assert_eq!(shed.calls.load(Ordering::Relaxed), 3);
        drop(first);
        assert!(busy.begin().is_ok());
    }
}
