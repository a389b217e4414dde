//! Grant tokens in requests: what they point at, and which are forged.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::engine::snapshot::Snapshot;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::wire::v1;

/// The request with what its tokens say. A token points at a grant and allows nothing: only
/// RetireGrant names its grant by it. Forged and foreign tokens are left to say nothing, and are
/// logged.
pub(super) fn resolve<'m>(
    pdp: &Pdp,
    snapshot: &Snapshot,
    message: &'m v1::AuthorizeRequest,
    now: Timestamp,
) -> Cow<'m, v1::AuthorizeRequest> {
    let mut named = None;
    for token in &message.grant_tokens {
        if snapshot.grants.with_token(token).is_some() {
            continue;
        }
        match pdp.grants().map(|grants| grants.read_token(token)) {
            Some(Ok(id)) => named = named.or(Some(id)),
            None | Some(Err(_)) => FORGED.tell(now),
        }
    }
    let retires = matches!(message.action.as_str(), "RetireGrant" | "kms:RetireGrant");
    let by_id = message.parameters.as_ref().is_some_and(|given| !given.grant_id.is_empty());
    match named {
        Some(id) if retires && !by_id => {
            let mut message = message.clone();
            message.parameters.get_or_insert_default().grant_id = id;
            Cow::Owned(message)
        }
        _ => Cow::Borrowed(message),
    }
}

static FORGED: Seldom = Seldom { told: AtomicI64::new(i64::MIN), untold: AtomicU64::new(0) };

/// A line of the log, once a second at most, however often there is cause for it.
struct Seldom {
    told: AtomicI64,
    untold: AtomicU64,
}

impl Seldom {
    fn tell(&self, now: Timestamp) {
        let untold = self.untold.fetch_add(1, Ordering::Relaxed) + 1;
        if self.told.swap(now.seconds(), Ordering::Relaxed) != now.seconds() {
            self.untold.fetch_sub(untold, Ordering::Relaxed);
            tracing::warn!(tokens = untold, "grant tokens that this service did not make");
        }
    }
}
