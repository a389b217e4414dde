//! Cases, decided.

use std::sync::Arc;

use super::gather::Suite;
use crate::engine::decide::coverage::Trace;
use crate::engine::decide::decision::{Answer, Verdict};
use crate::engine::decide::{explain, observed};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::request::Request;
use crate::engine::term::time::Timestamp;
use crate::wire::cases::expectation::{Expectation, Outcome, not_asked};
use crate::wire::proto::answer::{Envelope, response};
use crate::wire::v1;

/// A case that was run.
pub(super) struct Ran {
    /// The file it stands in.
    pub(super) suite: Arc<str>,
    /// The case.
    pub(super) case: Expectation,
    /// What came out.
    pub(super) outcome: Outcome,
    /// What was decided, and the reason; nothing, if the request does not fit the set.
    pub(super) decided: Option<(Verdict, &'static str)>,
    /// The whole reasoning, for a case that fails.
    pub(super) response: Option<v1::AuthorizeResponse>,
    /// What it touched.
    pub(super) trace: Trace,
}

impl Ran {
    /// Whether what was expected was decided.
    pub(super) fn holds(&self) -> bool {
        self.outcome == Outcome::Holds
    }
}

/// Runs all cases whose name contains `filter`. `now` is the instant of cases that name none.
pub(super) fn run(
    suites: Vec<Suite>,
    filter: &str,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Vec<Ran> {
    let all = suites.into_iter().flat_map(|suite| {
        let name = suite.name;
        suite.cases.into_iter().map(move |case| (Arc::clone(&name), case))
    });
    all.filter(|(_, case)| case.name.contains(filter))
        .map(|(suite, case)| one(suite, case, snapshot, now))
        .collect()
}

fn one(suite: Arc<str>, case: Expectation, snapshot: &Snapshot, now: Timestamp) -> Ran {
    let mut trace = Trace::default();
    let (outcome, decided, response) = match decide(&case, snapshot, now, &mut trace) {
        Ok(found) => found,
        Err(outcome) => (outcome, None, None),
    };
    Ran { suite, outcome, decided, response, trace, case }
}

type Found = (Outcome, Option<(Verdict, &'static str)>, Option<v1::AuthorizeResponse>);

fn decide(
    case: &Expectation,
    snapshot: &Snapshot,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Found, Outcome> {
    let request = case.request(now).map_err(|error| not_asked(&error))?;
    let answer = observed(snapshot, &request, trace).map_err(|error| not_asked(&error))?;
    let outcome = case.compare(&answer);
    let decided = Some((answer.verdict(), answer.reason()));
    let response = match outcome {
        Outcome::Holds => None,
        Outcome::Fails(_) => explained(snapshot, &request),
    };
    Ok((outcome, decided, response))
}

/// The same decision with the whole reasoning.
fn explained(snapshot: &Snapshot, request: &Request<'_>) -> Option<v1::AuthorizeResponse> {
    let (answer, explanation): (Answer<'_>, _) = explain(snapshot, request).ok()?;
    let envelope = Envelope {
        request_id: "",
        decision_id: "",
        revision: &snapshot.revision,
        consistency_token: "",
        detail: v1::Detail::Full,
        cached: false,
    };
    Some(response(&answer, Some(&explanation), &envelope))
}
