//! The clocks, and what is told seldom.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::engine::term::time::Timestamp;

/// A reading of the steady clock.
#[must_use]
pub fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "durations are measured here alone")]
    Instant::now()
}

/// Time since the epoch by the machine's clock.
#[must_use]
pub fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "when something was told is read here alone")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The instant of the machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = since_epoch();
    Timestamp::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

/// Lets through one occasion a minute, and counts the others.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<(Option<Instant>, u64)>);

/// Between two lines of the log about the same trouble.
const PAUSE: Duration = Duration::from_secs(60);

impl Seldom {
    /// How many occasions there were since the last time, when it is time to tell.
    pub fn due(&self) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        told.1 += 1;
        let now = instant();
        if told.0.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return None;
        }
        let count = told.1;
        *told = (Some(now), 0);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::Seldom;

    #[test]
    fn trouble_is_told_once_in_a_while() {
        let seldom = Seldom::default();
        assert_eq!(seldom.due(), Some(1));
        assert_eq!(seldom.due(), None);
        assert_eq!(seldom.due(), None);
    }
}
