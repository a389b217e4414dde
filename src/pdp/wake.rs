//! What the thread that follows the policy set waits for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::status::Status;

/// Somebody waits for the outcome of a reload.
pub(super) type Ask = oneshot::Sender<Arc<Status>>;

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Who waits for a reload.
    pub(super) asks: Vec<Ask>,
    /// Something happened to the folder.
    pub(super) news: bool,
    /// It is over.
    pub(super) stop: bool,
}

impl Asked {
    fn is_none(&self) -> bool {
        self.asks.is_empty() && !self.news && !self.stop
    }
}

/// Where it is asked for.
#[derive(Debug, Default)]
pub(super) struct Wake {
    asked: Mutex<Asked>,
    changed: Condvar,
}

impl Wake {
    /// Asks for something.
    pub(super) fn ask(&self, ask: impl FnOnce(&mut Asked)) {
        ask(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until something is asked for, or the time is over. That it is over stays asked for.
    pub(super) fn wait(&self, most: Duration) -> Asked {
        let asked = self.changed.wait_timeout_while(self.lock(), most, |asked| asked.is_none());
        let (mut asked, _) = asked.unwrap_or_else(PoisonError::into_inner);
        let stop = asked.stop;
        std::mem::replace(&mut *asked, Asked { stop, ..Asked::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        // What it protects is whole after every statement.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reading of the steady clock.
pub(super) fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "how long to wait, not what to decide")]
    Instant::now()
}
