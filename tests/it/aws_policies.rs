//! Policies that nobody here wrote: AWS's documentation, and a blog. What is found in them was
//! reviewed by hand, and is recorded in `tests/golden/aws-policies.txt` with a note on each.
//!
//! After a change: `KEYWARD_BLESS=1 cargo test --test it aws_policies`, then read the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::snapshot::build::build;
use keyward::engine::term::time::Timestamp;
use keyward::lint::finding::Findings;
use keyward::lint::{GRANT_DAYS, Settings, lint};
use serde_json::{Value, json};

const FOLDER: &str = "tests/data/aws-policies";
const GOLDEN: &str = "tests/golden/aws-policies.txt";

/// Findings that say that something has no effect at all. Each one in these policies must have a
/// note that begins with "true".
const NEVER: [&str; 13] = [
    "resource-not-this-key",
    "missing-resource",
    "missing-action",
    "unknown-action",
    "no-effect-in-key-policy",
    "provider-principal",
    "hidden-by-deny",
    "condition-key-absent",
    "condition-excludes-action",
    "condition-never-met",
    "expired-date",
    "wrong-case-value",
    "unknown-value",
];

struct Sample {
    name: String,
    source: String,
    /// A policy set with the policy in it.
    set: String,
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(FOLDER).expect("the policies") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a policy");
        let sample: Value = serde_json::from_str(&text).expect("JSON");
        let of = |name: &str| sample[name].as_str().unwrap_or_default().to_owned();
        let account =
            if of("account").is_empty() { "111122223333".to_owned() } else { of("account") };
        let identity = of("kind") == "identity";
        let policy = match sample.get("policy") {
            Some(policy) => policy.clone(),
            None => statements(&sample["statements"], &account, identity),
        };
        let set = if identity {
            in_role(&policy)
        } else {
            on_key(&policy, &account, &sample["metadata"])
        };
        samples.push(Sample {
            name: path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned(),
            source: of("source"),
            set: serde_json::to_string_pretty(&set).expect("JSON"),
        });
    }
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

/// Statements are printed without the rest of their policy: a key policy has one beside them that
/// enables the account's IAM policies.
fn statements(statements: &Value, account: &str, identity: bool) -> Value {
    let mut all = statements.as_array().expect("statements").clone();
    if !identity {
        let root = format!("arn:aws:iam::{account}:root");
        all.push(
            json!({"Sid": "Enable IAM policies", "Effect": "Allow", "Principal": {"AWS": root},
            "Action": "kms:*", "Resource": "*"}),
        );
    }
    json!({"Version": "2012-10-17", "Statement": all})
}

fn on_key(policy: &Value, account: &str, more: &Value) -> Value {
    let arn = format!("arn:aws:kms:us-west-2:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let mut metadata = json!({"Arn": arn});
    for (name, value) in more.as_object().into_iter().flatten() {
        metadata[name] = value.clone();
    }
    json!({"KeyMetadata": metadata, "Policy": policy})
}

fn in_role(policy: &Value) -> Value {
    json!({"RoleDetailList": [{"RoleName": "Reader", "Arn": "arn:aws:iam::111122223333:role/Reader",
        "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": policy}]}]})
}

/// What is found in a set, or why it cannot be used.
fn look(set: &str) -> Result<Findings, String> {
    let documents = [Document { name: "set.json".into(), text: Arc::from(set) }];
    let options = Options::default();
    let built = build(&documents, &options).map_err(|problems| problems.to_string())?;
    // 2026-01-15: what is found must not depend on the day.
    let settings = Settings { now: Timestamp::new(1_768_435_200, 0), grant_days: GRANT_DAYS };
    Ok(lint(&documents, &options, &built.snapshot, settings))
}

fn report(sample: &Sample, note: &str) -> String {
    let mut out = format!("== {}\nsource: {}\nnote: {note}\n", sample.name, sample.source);
    match look(&sample.set) {
        Err(problems) => {
            for line in problems.lines() {
                let _ = writeln!(out, "refused: {line}");
            }
        }
        Ok(found) => {
            for finding in found.open() {
                let line =
                    sample.set.lines().nth(finding.place.line as usize - 1).unwrap_or_default();
                let at: String = line
                    .chars()
                    .skip(finding.place.column as usize - 1)
                    .take(finding.place.width as usize)
                    .collect();
                let (severity, code) = (finding.severity.name(), finding.rule.code);
                let _ = writeln!(out, "{severity}[{code}] at {at}: {}", finding.message);
            }
        }
    }
    out
}

/// The notes of the golden file.
fn notes(golden: &str) -> BTreeMap<String, String> {
    let blocks = golden.split("== ").skip(1);
    let note = |block: &str| {
        let name = block.lines().next()?.to_owned();
        let note = block.lines().find_map(|line| line.strip_prefix("note: "))?;
        Some((name, note.to_owned()))
    };
    blocks.filter_map(note).collect()
}

#[test]
fn what_is_found_in_policies_of_others_is_what_was_reviewed() {
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    let notes = notes(&golden);
    let samples = samples();
    assert!(samples.len() >= 33, "only {} policies", samples.len());
    let note = |name: &str| notes.get(name).map_or("to be reviewed", String::as_str).to_owned();
    let reports: Vec<String> =
        samples.iter().map(|sample| report(sample, &note(&sample.name))).collect();
    let written = reports.join("\n");
    if std::env::var_os("KEYWARD_BLESS").is_some() {
        fs::write(GOLDEN, &written).expect("the golden file");
    }
    let golden = fs::read_to_string(GOLDEN).expect("the golden file");
    for (now, before) in written.split("== ").zip(golden.split("== ")) {
        assert_eq!(now, before, "review it, and write it again with KEYWARD_BLESS=1");
    }
    assert_eq!(written, golden);
}

#[test]
fn no_policy_of_aws_is_said_never_to_match_without_a_reason() {
    let golden = fs::read_to_string(GOLDEN).expect("the golden file");
    let mut claims = 0;
    for block in golden.split("== ").skip(1) {
        let never = NEVER.iter().any(|code| block.contains(&format!("[{code}]")));
        let explained = block.lines().any(|line| line.starts_with("note: true"));
        assert!(!never || explained, "is it true?\n{block}");
        assert!(!block.contains("to be reviewed"), "{block}");
        claims += usize::from(never);
    }
    assert!(claims > 0, "the check sees nothing");
}
