//! The `Assertions` of a set: what must hold before it is used.

use super::LIMITS;
use super::expectation::{Expectation, Outcome};
use crate::engine::json::{Source, Span, read};
use crate::engine::problem::{Place, Problem};
use crate::engine::snapshot::build::{Assertion, Built};
use crate::engine::term::time::Timestamp;

/// Checks the `Assertions` of a set: every one that does not hold is a problem of the set.
#[must_use]
pub fn verify(built: &Built, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    for assertion in &built.assertions {
        match expectation(assertion) {
            Err(found) => problems.extend(found),
            Ok(case) => {
                if let Outcome::Fails(message) = case.check(&built.snapshot, now) {
                    let problem = Problem::error(
                        "assertion-failed",
                        format!("assertion `{}` does not hold: {message}", case.name),
                    )
                    .help("mend the policies, or the assertion: a set whose assertions fail is not used");
                    problems.push(problem.at(case.place));
                }
            }
        }
    }
    problems
}

/// An assertion as a case.
///
/// # Errors
///
/// Everything that is wrong with it, errors alone, with its place in the document.
pub fn expectation(assertion: &Assertion) -> Result<Expectation, Vec<Problem>> {
    let source = Source::new(assertion.place.document.clone(), &assertion.case);
    let place = |span: Span| within(source.place(span), &assertion.place);
    let renamed = |problem: Problem| Problem {
        code: "bad-assertion",
        message: format!("assertion `{}` cannot be read: {}", assertion.name, problem.message),
        ..problem
    };
    let mut problems = Vec::new();
    let read = match read(&source, &LIMITS, &mut problems) {
        Some(json) => Expectation::read(&json, &place)
            .map(|case| Expectation { place: assertion.place.clone(), ..case }),
        None => Err(problems
            .into_iter()
            .map(|problem| Problem { place: Some(assertion.place.clone()), ..problem })
            .collect()),
    };
    read.map_err(|problems| problems.into_iter().map(renamed).collect())
}

/// A place in the text of an assertion, as a place in the document: the text starts at `start`.
fn within(place: Place, start: &Place) -> Place {
    let column = if place.line == 1 { place.column + start.column - 1 } else { place.column };
    Place { line: place.line + start.line - 1, column, ..place }
}
