//! What the product answers.

use keyward::engine::term::time::Timestamp;
use keyward::wire::case::answer;
use serde_json::Value;

use crate::law::{Outcome, Refusal};

/// The instant of cases that name none.
fn midnight() -> Timestamp {
    Timestamp::parse("2026-01-01T00:00:00Z").expect("an instant")
}

/// JSON in which every character beyond ASCII is an escape.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped += &format!("\\u{unit:04x}");
        }
    }
    escaped
}

/// The product's answer to a case, as `keyward simulate` gives it.
pub(crate) fn decide(case: &Value) -> (Outcome, Value) {
    let text = case.to_string();
    // The same case, however its characters are written.
    let text = if text.len().is_multiple_of(2) { text } else { escaped(&text) };
    let answer = answer(&text, midnight());
    let outcome = match answer["error"]["kind"].as_str() {
        Some("invalidPolicy") => Outcome::Refused(vec![Refusal::Policy]),
        Some("invalidRequest") => Outcome::Refused(vec![Refusal::Request]),
        Some(_) => Outcome::Refused(vec![Refusal::Case]),
        None => Outcome::Decided {
            decision: answer["decision"].as_str().expect("a decision").to_owned(),
            error_code: answer["errorCode"].as_str().map(str::to_owned),
            legs: answer["legs"].as_array().expect("legs").clone(),
        },
    };
    (outcome, answer)
}
