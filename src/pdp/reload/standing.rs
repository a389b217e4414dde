//! For how long the source has not been read, and what follows from that.
//!
//! The thread that reads may be held up by the source itself, as by a network file system that does
//! not answer. So another thread watches the time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Clock, Policies};
use crate::engine::problem::Problem;
use crate::pdp::live::Live;
use crate::pdp::status::{MaxStaleness, State, Status, WhenStale};
use crate::pdp::wake::instant;

/// How many times as long as it ever took reading may take.
const TIMES_THE_LONGEST: u32 = 4;

/// When the source was read, and what follows from that. Whoever changes the status of the policy
/// set holds the times meanwhile.
pub(super) struct Standing {
    policies: Arc<Policies>,
    live: Arc<Live>,
    max_staleness: MaxStaleness,
    clock: Clock,
    /// Reading that takes so long, and several times as long as it ever took, is held up.
    patience: Duration,
    times: Mutex<Times>,
    changed: Condvar,
}

/// When the source was read.
pub(super) struct Times {
    /// When it could be read last, as far as this process knows.
    pub(super) readable: Instant,
    /// For how long it had been unreadable before that: at a start from a copy.
    pub(super) before: Duration,
    /// Since when it is being read.
    reading: Option<Instant>,
    /// The longest that reading took.
    longest: Duration,
    over: bool,
}

impl Standing {
    /// The source could be read just now, or has been unreadable for so long.
    pub(super) fn new(
        policies: Arc<Policies>,
        live: Arc<Live>,
        max_staleness: MaxStaleness,
        clock: Clock,
        before: Duration,
        patience: Duration,
    ) -> Self {
        let readable = instant();
        let (reading, longest) = (None, Duration::ZERO);
        let times = Mutex::new(Times { readable, before, reading, longest, over: false });
        let changed = Condvar::new();
        Self { policies, live, max_staleness, clock, patience, times, changed }
    }

    /// Holds the times, and the right to change the status.
    pub(super) fn lock(&self) -> MutexGuard<'_, Times> {
        // What it protects is whole after every statement.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reading begins.
    pub(super) fn begin(&self, now: Instant) {
        self.lock().reading = Some(now);
        self.changed.notify_all();
    }

    /// Reading ended, and what came of it was told.
    pub(super) fn told(&self, times: &mut Times, now: Instant) {
        if let Some(begun) = times.reading.take() {
            times.longest = times.longest.max(now.saturating_duration_since(begun));
        }
        self.check(times, now);
        self.changed.notify_all();
    }

    /// It is over.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Watches the time until it is over.
    pub(super) fn watch(&self) {
        let mut times = self.lock();
        while !times.over {
            let now = instant();
            self.hold_up(&times, now);
            self.check(&times, now);
            let wait = self.next(&times, now).map(|at| at.saturating_duration_since(now));
            times = match wait {
                None => self.changed.wait(times).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let waited = self.changed.wait_timeout(times, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// When there is something to do again.
    fn next(&self, times: &Times, now: Instant) -> Option<Instant> {
        let late = self.held_up_at(times).map(|(at, _)| at);
        let stale = self.stale_at(times).filter(|at| *at > now);
        late.into_iter().chain(stale).min()
    }

    /// When reading is held up if it goes on, and for how long it will have gone on then; `None`
    /// where that is said already.
    fn held_up_at(&self, times: &Times) -> Option<(Instant, Duration)> {
        let after = self.patience.max(times.longest.saturating_mul(TIMES_THE_LONGEST));
        let unreadable = matches!(self.policies.status.borrow().state, State::Unreadable { .. });
        times.reading.filter(|_| !unreadable).map(|begun| (begun + after, after))
    }

    fn hold_up(&self, times: &Times, now: Instant) {
        let Some((_, after)) = self.held_up_at(times).filter(|(at, _)| *at <= now) else { return };
        let message = format!("reading the policies has not ended after {after:?}");
        tracing::error!("{message}; the last good policies answer");
        let problem = Problem::error("source-held-up", message).help(
            "see whether the file system of the policies answers; they are taken over as soon as it does",
        );
        let mut status = Status::clone(&self.policies.status.borrow());
        status.counts.unreadable += 1;
        status.state = State::Unreadable { since: (self.clock)(), problem: Arc::new(problem) };
        self.policies.publish(status);
    }

    /// When the source will not have been read for too long, if that goes on.
    fn stale_at(&self, times: &Times) -> Option<Instant> {
        let after = self.max_staleness.after;
        match self.policies.status.borrow().state {
            State::Unreadable { .. } => Some(times.readable + after.saturating_sub(times.before)),
            _ => times.reading.map(|begun| begun + after),
        }
    }

    /// Says whether it has not been read for too long, and does what is to be done then.
    pub(super) fn check(&self, times: &Times, now: Instant) {
        let stale = self.stale_at(times).filter(|at| *at <= now).map(|_| self.max_staleness.then);
        if self.policies.status.borrow().stale == stale {
            return;
        }
        self.live.withhold(stale == Some(WhenStale::Deny));
        match stale {
            Some(then) => tracing::error!(?then, "the policies could not be read for too long"),
            None => tracing::info!("the policies are no longer too old"),
        }
        let status = Status::clone(&self.policies.status.borrow());
        self.policies.publish(Status { stale, ..status });
    }
}
