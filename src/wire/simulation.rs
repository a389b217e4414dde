//! `SimulateAuthorizationRequest`: what is to be taken for granted.

use std::sync::Arc;

use super::case::distinct;
use super::v1;
use crate::engine::bundle::Document;
use crate::engine::evaluation::Evaluation;
use crate::engine::problem::{Problem, Severity};
use crate::engine::term::condition_key::has_form;
use crate::engine::term::request::{InvalidRequest, Override, OverrideValue};
use crate::engine::term::time::Timestamp;

/// Documents of one simulation.
const MOST_DOCUMENTS: usize = 100;
/// Bytes of all of them.
const MOST_BYTES: usize = 3 * 1024 * 1024;
/// Condition keys that are replaced, and values of one.
const MOST_OVERRIDES: usize = 1000;
/// Bytes of a value.
const MOST_TEXT: usize = 8192;

type Refused<T> = Result<T, InvalidRequest>;

fn refuse<T>(field: &str, message: impl Into<String>) -> Refused<T> {
    Err(InvalidRequest::new(field, message))
}

/// The documents, named `documents[0]` and so on.
///
/// # Errors
///
/// They are too many or too large.
pub fn documents(texts: &[String]) -> Refused<Vec<Document>> {
    if texts.len() > MOST_DOCUMENTS {
        return refuse("documents", format!("more than {MOST_DOCUMENTS}"));
    }
    if texts.iter().map(String::len).sum::<usize>() > MOST_BYTES {
        return refuse("documents", format!("more than {MOST_BYTES} bytes"));
    }
    let one = |(index, text): (usize, &String)| Document {
        name: format!("documents[{index}]").into(),
        text: Arc::from(text.as_str()),
    };
    Ok(texts.iter().enumerate().map(one).collect())
}

/// The condition keys that have other values.
///
/// # Errors
///
/// The key that is wrong.
pub fn overrides(message: &v1::SimulateAuthorizationRequest) -> Refused<Vec<Override>> {
    use v1::context_override::Value;

    if message.context_overrides.len() > MOST_OVERRIDES {
        return refuse("context_overrides", format!("more than {MOST_OVERRIDES}"));
    }
    let mut overrides = Vec::new();
    for (name, given) in &message.context_overrides {
        let field = format!("context_overrides[\"{name}\"]");
        if !has_form(name) {
            return refuse(&field, "it is no condition key: expected the form `prefix:name`");
        }
        let value = match &given.value {
            None => return refuse(&field, "missing: say `single`, `multiple` or `absent`"),
            Some(Value::Absent(false)) => return refuse(&field, "`absent` is always true"),
            Some(Value::Absent(true)) => OverrideValue::Absent,
            Some(Value::Single(text)) => OverrideValue::One(text.clone()),
            Some(Value::Multiple(list)) if list.values.is_empty() => OverrideValue::Absent,
            Some(Value::Multiple(list)) => OverrideValue::Many(list.values.clone()),
        };
        let long = match &value {
            OverrideValue::Absent => false,
            OverrideValue::One(text) => text.len() > MOST_TEXT,
            OverrideValue::Many(texts) => {
                texts.len() > MOST_OVERRIDES || texts.iter().any(|text| text.len() > MOST_TEXT)
            }
        };
        if long {
            return refuse(
                &field,
                format!("more than {MOST_OVERRIDES} values, or {MOST_TEXT} bytes in one"),
            );
        }
        overrides.push(Override { name: name.to_lowercase(), value });
    }
    distinct(overrides)
}

/// The instant, if one is named.
///
/// # Errors
///
/// It is none.
pub fn now(message: &v1::SimulateAuthorizationRequest) -> Refused<Option<Timestamp>> {
    let Some(now) = &message.now else { return Ok(None) };
    match u32::try_from(now.nanos).ok().filter(|nanos| *nanos < 1_000_000_000) {
        Some(nanos) => Ok(Some(Timestamp::new(now.seconds, nanos))),
        None => refuse("now", "its nanoseconds are not between 0 and 999,999,999"),
    }
}

/// The switches of the evaluation, where they differ from `own`.
///
/// # Errors
///
/// The switch that is wrong.
pub fn evaluation(
    message: &v1::SimulateAuthorizationRequest,
    own: &Evaluation,
) -> Refused<Evaluation> {
    let mut evaluation = own.clone();
    for (name, value) in &message.evaluation {
        let plain = name.strip_prefix("evaluation.").unwrap_or(name);
        evaluation.set(plain, value).map_err(|error| {
            InvalidRequest::new(format!("evaluation[\"{name}\"]"), error.to_string())
        })?;
    }
    Ok(evaluation)
}

/// A problem as the message for it.
#[must_use]
pub fn problem(problem: &Problem) -> v1::Problem {
    let severity = match problem.severity {
        Severity::Error => v1::ProblemSeverity::Error,
        Severity::Warning => v1::ProblemSeverity::Warning,
    };
    let place = problem.place.as_ref();
    v1::Problem {
        severity: severity.into(),
        code: problem.code.to_owned(),
        message: problem.message.clone(),
        help: problem.help.clone(),
        document: place.map(|place| place.document.to_string()).unwrap_or_default(),
        line: place.map_or(0, |place| place.line),
        column: place.map_or(0, |place| place.column),
        width: place.map_or(0, |place| place.width),
    }
}
