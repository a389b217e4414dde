//! One policy, of every kind, alone and in a document; and what the lint says of a document.

use keyward::engine::bundle::{Document, Options};
use keyward::engine::policy::{PolicyKind, session};
use keyward::engine::problem::{Problem, Severity};
use keyward::engine::snapshot::build::build;
use keyward::lint::finding::Findings;
use keyward::lint::single::{Candidate, opinion};
use keyward::lint::{GRANT_DAYS, Settings, lint};
use serde_json::json;

use super::json::placed;
use super::set::{SET, noon};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const USER: &str = "arn:aws:iam::111122223333:user/Alice";

const SETTINGS: fn() -> Settings = || Settings { now: noon(), grant_days: GRANT_DAYS };

/// Looks at any text as a policy of every kind, as a session policy, and as a document.
///
/// A policy is refused alone exactly where a set with it is refused, with problems in their places;
/// what is found in one that can be used has its place too. A document's findings are explained by
/// what stands in it alone.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (kind, target) in [
        (PolicyKind::Key, KEY),
        (PolicyKind::Identity, USER),
        (PolicyKind::Boundary, USER),
        (PolicyKind::Scp, ""),
        (PolicyKind::Rcp, ""),
        (PolicyKind::Endpoint, ""),
    ] {
        alone(text, kind, target);
    }
    if let Err(problems) = session("session", text) {
        placed(problems.as_slice(), text);
    }
    linted(text);
}

fn is_wrong(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

fn alone(text: &str, kind: PolicyKind, target: &str) {
    let options = Options::default();
    let candidate = Candidate { name: "policy", text, kind, target };
    let told = opinion(&candidate, &options, &SET, SETTINGS()).expect("a target");
    placed(&told.problems, text);
    found(&told.findings, text);
    let wrong = is_wrong(&told.problems);
    assert!(!wrong || told.findings.all().is_empty(), "found in what cannot be used");
    let document = match kind {
        PolicyKind::Key => json!({"KeyMetadata": {"Arn": KEY}, "Policy": text}),
        PolicyKind::Identity => json!({"UserDetailList": [{"UserName": "Alice", "Arn": USER,
            "UserPolicyList": [{"PolicyName": "p", "PolicyDocument": text}]}]}),
        _ => return,
    };
    // A text that is no JSON may be URL-encoded in a document; key policies have their size.
    if text.starts_with('%') || text.len() > 30_000 {
        return;
    }
    let text = document.to_string();
    let documents = [Document { name: "set.json".into(), text: text.as_str().into() }];
    let refused = build(&documents, &Options { allow_empty: true, ..options }).is_err();
    assert!(refused || !wrong, "used in a set, and refused alone: {:?}", told.problems);
}

fn found(findings: &Findings, text: &str) {
    let lines = text.split('\n').count();
    for finding in findings.all() {
        assert!((1..=lines).contains(&(finding.place.line as usize)), "{finding:?}");
        assert!(!finding.message.is_empty() && !finding.help.is_empty());
    }
}

fn linted(text: &str) {
    let options = Options { allow_empty: true, ..Options::default() };
    let documents = [Document { name: "set.json".into(), text: text.into() }];
    let Ok(built) = build(&documents, &options) else { return };
    let findings = lint(&documents, &options, &built.snapshot, SETTINGS());
    found(&findings, text);
    for finding in findings.all() {
        assert!(finding.explained.is_none() || text.contains("Why") || text.contains("\\u"));
    }
}
