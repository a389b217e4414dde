//! SARIF 2.1.0.
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::path;
use crate::engine::problem::{self, Place, Problem};
use crate::lint::finding::{Finding, Findings};
use crate::lint::rule::{Rule, Severity};
use crate::lint::rules;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json";

/// Findings as a SARIF log.
#[must_use]
pub fn sarif(folder: &Path, found: &Findings) -> Value {
    let rules: Vec<Value> = rules::all().map(rule).collect();
    let results: Vec<Value> = found.all().iter().map(|finding| result(folder, finding)).collect();
    log(&rules, &results)
}

/// Problems of a set that cannot be used, as a SARIF log.
#[must_use]
pub fn sarif_of_problems(folder: &Path, problems: &[Problem]) -> Value {
    let one = |problem: &Problem| {
        let level = match problem.severity {
            problem::Severity::Error => "error",
            problem::Severity::Warning => "warning",
        };
        let locations: Vec<Value> = problem
            .place
            .iter()
            .map(|place| json!({"physicalLocation": place_of(folder, place)}))
            .collect();
        json!({"ruleId": problem.code, "level": level, "message": {"text": text(&problem.message, &problem.help)},
            "locations": locations})
    };
    let results: Vec<Value> = problems.iter().map(one).collect();
    log(&[], &results)
}

fn log(rules: &[Value], results: &[Value]) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "keyward",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error | Severity::SecurityWarning => "error",
        Severity::Warning => "warning",
        Severity::Suggestion => "note",
    }
}

fn rule(rule: &Rule) -> Value {
    let name = rule.severity.name();
    // What GitHub's code scanning sorts by.
    let properties = match rule.severity {
        Severity::Error | Severity::SecurityWarning => {
            let score = if rule.severity == Severity::Error { "9.0" } else { "7.0" };
            json!({"tags": ["aws-kms", "security"], "keyward-severity": name, "security-severity": score})
        }
        Severity::Warning | Severity::Suggestion => {
            json!({"tags": ["aws-kms"], "keyward-severity": name})
        }
    };
    json!({
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": format!("{}. Source: {}.", rule.advice, rule.source)},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": properties,
    })
}

fn result(folder: &Path, finding: &Finding) -> Value {
    let suppressions: Vec<Value> = finding
        .explained
        .iter()
        .map(|why| json!({"kind": "inSource", "justification": **why}))
        .collect();
    let index = rules::all().position(|rule| rule.code == finding.rule.code);
    json!({
        "ruleId": finding.rule.code,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": {"text": text(&finding.message, &finding.help)},
        "locations": [{
            "physicalLocation": place_of(folder, &finding.place),
            "logicalLocations": [{"fullyQualifiedName": name(finding)}],
        }],
        "partialFingerprints": {"keyward/v1": fingerprint(finding)},
        "suppressions": suppressions,
        "properties": {"keyward-severity": finding.severity.name()},
    })
}

fn text(message: &str, help: &str) -> String {
    if help.is_empty() { format!("{message}.") } else { format!("{message}. To do: {help}.") }
}

fn name(finding: &Finding) -> String {
    match &finding.sid {
        Some(sid) => format!("{}#{sid}", finding.subject),
        None => finding.subject.to_string(),
    }
}

/// The same for the same finding, wherever its line has moved.
fn fingerprint(finding: &Finding) -> String {
    let whole = format!("{}\n{}\n{}", finding.rule.code, name(finding), finding.message);
    Sha256::digest(whole.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn place_of(folder: &Path, place: &Place) -> Value {
    json!({
        "artifactLocation": {"uri": uri(&path(folder, &place.document))},
        "region": {
            "startLine": place.line,
            "startColumn": place.column,
            "endColumn": place.column + place.width,
        },
    })
}

/// A path as a URI reference.
///
/// Source: RFC 3986, sections 2.3 and 3.3; RFC 8089, section 2.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 7);
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
