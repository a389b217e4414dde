//! Waiting for a record, where no answer may be given without it.

use std::time::Instant;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::counts::Loss;

/// What an answer waits for; nothing in all modes but `durable`.
#[derive(Debug)]
#[must_use = "an answer waits for its record"]
pub struct Pending(Option<(SmallVec<[Written; 2]>, Instant)>);

type Written = oneshot::Receiver<Result<(), Loss>>;

impl Pending {
    /// Nothing to wait for.
    pub const fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(written: SmallVec<[Written; 2]>, deadline: Instant) -> Self {
        Self(Some((written, deadline)))
    }

    /// Whether there is nothing to wait for.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Waits until the record is written everywhere. Needs a runtime with time.
    ///
    /// # Errors
    ///
    /// It is not, or not in time: then there is no answer.
    pub async fn settled(self) -> Result<(), NotRecorded> {
        let Some((written, deadline)) = self.0 else { return Ok(()) };
        let all = async {
            for one in written {
                match one.await {
                    Ok(Ok(())) => {}
                    Ok(Err(loss)) => return Err(NotRecorded::Lost(loss)),
                    Err(_) => return Err(NotRecorded::Lost(Loss::Closed)),
                }
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline.into(), all).await.unwrap_or(Err(NotRecorded::Late))
    }
}

/// The record of a decision could not be written: there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// Not in time.
    #[error("the decision could not be recorded in time; refuse the operation")]
    Late,
    /// Not at all.
    #[error("the decision cannot be recorded; refuse the operation")]
    Lost(Loss),
}
