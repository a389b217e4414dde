//! A start at which the source cannot be read: the copy of the last good set answers, if one is
//! kept. A set that can be read and is refused is not such a case.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::config::serve::ServeConfig;
use super::super::lint::verify;
use crate::engine::problem::{Problem, Problems, Severity};
use crate::engine::snapshot::build::{Built, build};
use crate::engine::term::time::Timestamp;
use crate::pdp::status::{Active, Origin, State, Status};
use crate::rpc::server::now;
use crate::store::last_good::LastGood;

/// Where the copy is, if one is to be kept.
pub(super) fn place(config: &ServeConfig) -> Option<LastGood> {
    let folder = config.data_dir.as_deref().filter(|_| config.reload.keep_last_good)?;
    Some(LastGood::within(folder))
}

/// Starts from the copy: the set, how it is doing, and for how long the source has been unreadable.
///
/// # Errors
///
/// There is no copy that can be used: why, beside why the source cannot be read.
pub(super) fn start(
    config: &ServeConfig,
    unreadable: Problem,
) -> Result<(Built, Status, Duration), Problems> {
    let refused = |mut problems: Vec<Problem>| {
        problems.insert(0, unreadable.clone());
        Problems::refusing(problems).unwrap_or_else(|| unreadable.clone().into())
    };
    let Some(place) = place(config) else { return Err(unreadable.into()) };
    let options = &config.policies.options;
    #[expect(clippy::disallowed_methods, reason = "how old a file is")]
    let wall = SystemTime::now();
    let kept = match place.read(&options.limits, wall) {
        Ok(Some(kept)) => kept,
        Ok(None) => {
            let message = "no copy of the last good policies is kept in the data folder";
            return Err(refused(vec![Problem::error("no-last-good", message)]));
        }
        Err(error) => return Err(refused(vec![error.into()])),
    };
    let mut built = build(&kept.documents, options)
        .map_err(|problems| refused(problems.as_slice().to_vec()))?;
    let texts = || Ok(kept.documents.clone());
    let verified = verify(&config.policies, &built, &texts);
    built.warnings.extend(verified);
    if built.warnings.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(refused(built.warnings));
    }
    let seen = kept.seen.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(seen.as_secs()).unwrap_or(i64::MAX);
    let checked = Timestamp::new(seconds, seen.subsec_nanos());
    let unread = wall.duration_since(kept.seen).unwrap_or_default();
    tracing::error!(
        revision = &*built.snapshot.revision,
        read_last = %checked,
        "{}; the last good policies answer, from the copy in the data folder",
        unreadable.message
    );
    let active = Active::new(&built, kept.documents.len(), Origin::LastGood, now());
    let mut status = Status::current(active);
    (status.checked, status.confirmed, status.counts.unreadable) = (checked, checked, 1);
    status.state = State::Unreadable { since: checked, problem: unreadable.into() };
    Ok((built, status, unread))
}
