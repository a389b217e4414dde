//! A case of a policy test, or of a set's `Assertions`.

use keyward::engine::decide::decide;
use keyward::engine::decide::decision::Verdict;
use keyward::engine::json::{Source, Span, read};
use keyward::wire::cases::LIMITS;
use keyward::wire::cases::expectation::{Expectation, Outcome};
use keyward::wire::proto::request::request;

use super::json::placed;
use super::set::{SET, noon};

/// Reads any JSON as a case, and checks it.
///
/// What is refused says why; a case holds exactly when its decision is the one that it names.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source::new("case".into(), text);
    let Some(json) = read(&source, &LIMITS, &mut Vec::new()) else { return };
    match Expectation::read(&json, &|span: Span| source.place(span)) {
        Ok(case) => asked(&case),
        Err(problems) => {
            assert!(!problems.is_empty());
            placed(&problems, text);
        }
    }
}

/// Checks a case: it holds exactly when its decision is the one that it names.
pub(crate) fn asked(case: &Expectation) {
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
