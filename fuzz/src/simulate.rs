//! A line of `keyward simulate`.

use keyward::wire::case::answer;
use serde_json::Value;

use super::set::noon;

/// Answers any bytes as a line.
///
/// Every line has one answer: a decision, or an error that says what is wrong. Without documents
/// nobody is allowed but a root user, by no statement.
pub fn run(data: &[u8]) {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let answered = answer(line, noon());
    assert_eq!(answer(line, noon()), answered, "another answer to the same line");
    let members = answered.as_object().expect("an object");
    assert!(members.contains_key("id"));
    if let Some(error) = members.get("error") {
        let kinds = ["invalidPolicy", "invalidRequest", "invalidCase"];
        assert!(kinds.contains(&error["kind"].as_str().expect("a kind")), "{error}");
        let problems = error["problems"].as_array().expect("problems");
        assert!(!problems.is_empty() && !members.contains_key("decision"));
        for problem in problems {
            assert!(problem["message"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        return;
    }
    let decision = members["decision"].as_str().expect("a decision");
    assert!(["allowed", "explicitDeny", "implicitDeny", "keyState"].contains(&decision));
    let case: Value = serde_json::from_str(line).expect("an answered line is JSON");
    let documents = case["documents"].as_array().map_or(0, Vec::len);
    if decision == "allowed" && documents == 0 {
        let principal = case["request"]["principal"]["arn"].as_str().expect("a principal");
        assert!(principal.ends_with(":root"), "allowed by nothing: {principal}");
        assert_eq!(members["matchedStatements"], Value::Array(Vec::new()));
    }
}
