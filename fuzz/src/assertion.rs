//! A case of a policy test, or of a set's `Assertions`.

use keyward::engine::decide::decide;
use keyward::engine::decide::decision::Verdict;
use keyward::wire::assertion::{Expectation, Outcome};
use keyward::wire::proto::request::request;
use serde_json::Value;

use super::set::{SET, noon};

/// Reads any JSON as a case, and checks it.
///
/// What is refused says why; a case holds exactly when its decision is the one that it names.
pub fn run(data: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
    let case = match Expectation::read(&json) {
        Ok(case) => case,
        Err(message) => {
            assert!(!message.is_empty());
            return;
        }
    };
    let now = case.now.unwrap_or_else(noon);
    let found = request(&case.message, now)
        .ok()
        .and_then(|request| decide(&SET, &request).ok().map(|answer| answer.verdict()));
    match case.check(&SET, noon()) {
        Outcome::Holds => assert_eq!(found, Some(case.decision)),
        Outcome::Fails(message) => {
            assert!(!message.is_empty());
            assert!(found != Some(case.decision) || case.reason.is_some(), "{message}");
        }
    }
    assert!(found != Some(Verdict::Allowed) || case.message.principal.is_some());
}
