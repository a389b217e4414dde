//! Which snapshot answers: one that is as fresh as the request wants it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::status;
use crate::engine::snapshot::Snapshot;
use crate::pdp::Pdp;
use crate::wire::v1;
use crate::wire::v1::consistency::Requirement;

/// How long an answer waits for freshness when the call has no deadline of its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of the time that a call has, what is left for the way back.
const MARGIN: Duration = Duration::from_millis(500);

/// The header with the time that a call has.
pub(super) const TIMEOUT: &str = "grpc-timeout";

/// The time that a call has.
///
/// # Errors
///
/// None is left, or the header cannot be read.
pub(super) fn time_left(metadata: &MetadataMap) -> Result<Option<Duration>, Status> {
    metadata.get(TIMEOUT).map(|header| read_timeout(header.to_str().ok())).transpose()
}

/// Reads the header; `None` is one that is no text.
///
/// # Errors
///
/// None is left, or the header cannot be read.
pub fn read_timeout(header: Option<&str>) -> Result<Duration, Status> {
    match header.and_then(timeout) {
        Some(Duration::ZERO) => Err(over()),
        Some(left) => Ok(left),
        None => {
            Err(status::refused(Code::InvalidArgument, "BAD_TIMEOUT", "`grpc-timeout` is no time"))
        }
    }
}

/// The time that a call has is over: there is no answer.
pub(super) fn over() -> Status {
    let message = "the deadline passed before there was an answer";
    status::refused(Code::DeadlineExceeded, "DEADLINE", message)
}

/// `TimeoutValue TimeoutUnit` of gRPC over HTTP/2: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value.saturating_mul(3600)),
        "M" => Duration::from_secs(value.saturating_mul(60)),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

/// The snapshot that answers now.
///
/// # Errors
///
/// Its policies are too old to be relied on.
pub(super) fn newest(pdp: &Pdp) -> Result<Guard<Arc<Snapshot>>, Status> {
    if pdp.live().is_withheld() {
        return Err(status::refused(
            Code::Unavailable,
            "POLICIES_TOO_OLD",
            "the policies could not be read for too long; refuse the operation",
        ));
    }
    Ok(pdp.snapshot())
}

/// A snapshot that satisfies `consistency`. A request with grant tokens sees every grant that is
/// durable.
///
/// # Errors
///
/// The token is not of this service, or the time is over: never an older snapshot.
pub(super) async fn snapshot(
    pdp: &Pdp,
    consistency: Option<&v1::Consistency>,
    has_tokens: bool,
    left: Option<Duration>,
) -> Result<Guard<Arc<Snapshot>>, Status> {
    let now = newest(pdp)?;
    let durable = || pdp.grants().map_or(0, crate::pdp::grants::GrantStore::durable);
    let requirement = consistency.and_then(|consistency| consistency.requirement.as_ref());
    let mut wanted = match requirement {
        None | Some(Requirement::MinimizeLatency(_)) => 0,
        Some(Requirement::FullyConsistent(_)) => durable(),
        Some(Requirement::AtLeastAsFresh(token)) => {
            pdp.read_consistency_token(token).map_err(|error| {
                status::refused(
                    Code::FailedPrecondition,
                    "FOREIGN_CONSISTENCY_TOKEN",
                    error.to_string(),
                )
            })?
        }
    };
    if has_tokens {
        wanted = wanted.max(durable());
    }
    if now.grants.live.sequence() >= wanted {
        return Ok(now);
    }
    drop(now);
    // The answer has to be there before the caller gives up.
    let patience = left.map_or(PATIENCE, |left| left - (left / 10).min(MARGIN));
    match tokio::time::timeout(patience, pdp.live().has(wanted)).await {
        // Policies may have become too old meanwhile.
        Ok(()) => newest(pdp),
        Err(_) => Err(status::refused(
            Code::DeadlineExceeded,
            "NOT_FRESH",
            "the grants are not yet as fresh as the request wants them",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::timeout;

    #[track_caller]
    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(timeout(text), expected, "{text:?}");
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        check("1S", Some(Duration::from_secs(1)));
        check("250m", Some(Duration::from_millis(250)));
        check("00000000n", Some(Duration::ZERO));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
        for text in ["", "S", "1", "1s", "123456789S", "-1S", "1.5S", "1é"] {
            check(text, None);
        }
    }
}
