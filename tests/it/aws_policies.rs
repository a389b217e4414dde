//! Policies that nobody here wrote: AWS's documentation, and a blog. Each is read and linted.

use std::fs;
use std::sync::Arc;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::snapshot::build::build;
use keyward::engine::term::time::Timestamp;
use keyward::lint::finding::Findings;
use keyward::lint::{GRANT_DAYS, Settings, lint};
use serde_json::{Value, json};

const FOLDER: &str = "tests/data/aws-policies";
struct Sample {
    name: String,
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

#[test]
fn policies_of_others_are_linted_or_refused_with_the_place() {
    let samples = samples();
    assert!(samples.len() >= 33, "only {} policies", samples.len());
    let mut refused = Vec::new();
    for sample in &samples {
        match look(&sample.set) {
            Ok(found) => {
                for finding in found.open() {
                    let lines = sample.set.lines().count();
                    let line = finding.place.line as usize;
                    assert!((1..=lines).contains(&line), "{}: {}", sample.name, finding.message);
                }
            }
            Err(problems) => {
                assert!(problems.contains("set.json:"), "{}: {problems}", sample.name);
                refused.push(&*sample.name);
            }
        }
    }
    // What AWS prints without a principal, or with what KMS refuses, is no key policy.
    assert!(refused.len() * 4 < samples.len(), "{refused:?}");
}
