//! How far a long load is, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::pdp::progress::Progress;

/// So many documents take long.
const MANY: usize = 10_000;

/// So long is long for fewer.
const LONG: Duration = Duration::from_secs(1);

/// A line on standard error that tells how far it is, and is gone when it is over.
#[derive(Debug)]
pub struct Line {
    shown: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Line {
    /// A line, and what is to be told how far it is. Where standard error is no terminal, nothing
    /// is shown.
    #[must_use]
    pub fn begin() -> (Self, Progress) {
        let line = Self { shown: Arc::default(), over: Arc::default() };
        if !io::stderr().is_terminal() {
            return (line, Progress::default());
        }
        let (shown, over) = (Arc::clone(&line.shown), Arc::clone(&line.over));
        let (begun, last) = (now(), Mutex::new(0));
        let progress = Progress::new(move |done, all| {
            let percent = done.saturating_mul(100) / all.max(1);
            let long = all >= MANY || begun.elapsed() >= LONG;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if over.load(Ordering::Relaxed) || !long || percent <= *last {
                return;
            }
            *last = percent;
            shown.store(true, Ordering::Relaxed);
            // Nobody looks: no matter.
            let _ = write!(io::stderr(), "\r\x1b[Kreading {done} of {all} documents");
        });
        (line, progress)
    }

    /// It is over: the line is gone, and stays away.
    pub fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        if self.shown.load(Ordering::Relaxed) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "how long somebody has been waiting")]
    Instant::now()
}
